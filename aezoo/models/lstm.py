"""Recurrent autoencoder for sequences: one LSTM reads a sequence, another writes it in reverse.

Source: Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised Learning of Video Representations
using LSTMs", arXiv:1502.04681, section 2.2: the composite's autoencoder, with the decoder that is
not conditioned on the frames before. Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.
Differs: between the two LSTMs lies a bottleneck of D latents, where the paper hands the whole state
on; it sets the states that the decoder begins with, and is its input at every step, where the paper's
has none. The paper reads forward and has the reversed sequence for a target, so that what was read
last is written first. Here the encoder reads from the last step to the first, and the decoder writes
from the first to the last: the same in mirrored time, and reconstructions come out in natural order.

    encoder: sequences (B, T, F) -> last hidden state (B, units[-1]) -> latents (B, D)
    decoder: latents (B, D) -> first states, and latents at each step (B, T, D)
             -> hidden states (B, T, units[0]) -> reconstructions (B, T, F)
"""

from aezoo.core.errors import OptionError
from aezoo.core.options import Sizes, check_positive, check_sizes
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import Standardize, Unstandardize, keras, layers
from aezoo.nn.linear_path import add_linear_reconstructions, check_activations, last_kernel, latents_of


def build(
    latent_dim: int = 16,
    sequence_shape: tuple[int, ...] = (128, 1),
    *,
    units: Sizes = (64,),
    latent_activation: str | None = None,
    linear_path: bool = False,
    ragged: bool = False,
) -> Autoencoder:
    """Builds the compiled recurrent autoencoder of sequences.

    Args:
        latent_dim: D, size of the bottleneck.
        sequence_shape: (T, F), steps and features; any T.
        units: sizes of the LSTMs that lie on each other in the encoder; the decoder mirrors them.
        latent_activation: Keras name, on the latents; None leaves them unbounded.
        linear_path: whether PCA lies beside the network, which begins at zero; see `nn.linear_path`.
        ragged: whether series may end before T, with NaN behind their ends; see `core.ragged`.

    Returns:
        A compiled `Autoencoder`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_positive("latent_dim", latent_dim)
    check_activations(linear_path, latent_activation)
    units = _check_units(units)
    steps, features = check_sequence_shape(sequence_shape)

    examples = keras.Input((steps, features), name="examples")
    x = standardized = Standardize(ragged, name="standardize")(examples)
    for number, size in enumerate(units, 1):
        # The first turns time around; the others go through what it gives in the order it came.
        x = layers.LSTM(
            size, return_sequences=number < len(units), go_backwards=number == 1, name=f"read_{number}"
        )(x)
    latents = latents_of(x, standardized, latent_dim, latent_activation, linear_path)
    encoder = keras.Model(examples, latents, name="encoder")

    latents = keras.Input((latent_dim,), name="latents")
    x = layers.RepeatVector(steps, name="at_each_step")(latents)
    for number in range(len(units), 0, -1):
        size = units[number - 1]
        # Of the two states of an LSTM the hidden one lies between -1 and 1, and the cell anywhere.
        hidden = layers.Dense(size, activation="tanh", name=f"hidden_{number}")(latents)
        cell = layers.Dense(size, name=f"cell_{number}")(latents)
        write = layers.LSTM(size, return_sequences=True, name=f"write_{number}")
        x = write(x, initial_state=[hidden, cell])
    x = layers.Dense(features, kernel_initializer=last_kernel(linear_path), name="each_step")(x)
    x = add_linear_reconstructions(x, latents) if linear_path else x
    reconstructions = Unstandardize(name="reconstructions")(x)
    decoder = keras.Model(latents, reconstructions, name="decoder")

    model = Autoencoder(encoder, decoder)
    model.compile()
    return model


def _check_units(units):
    if units := check_sizes("units", units):
        return units
    raise OptionError(
        "at least one LSTM is needed", got="units=()", expected="units=(64,)", fix="pass units=64"
    )


def check_sequence_shape(sequence_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns (T, F), or raises OptionError: at least 2 steps and 1 feature."""
    shape = sequence_shape if isinstance(sequence_shape, (tuple, list)) else ()
    whole = all(isinstance(size, int) and not isinstance(size, bool) for size in shape)
    if len(shape) != 2 or not whole or shape[0] < 2 or shape[1] < 1:
        raise OptionError(
            "sequences are (steps, features)",
            got=f"sequence_shape={sequence_shape!r}",
            expected="at least 2 steps, at least 1 feature",
            fix="pass sequence_shape=(128, 1)",
        )
    return tuple(shape)
