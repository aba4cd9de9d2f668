"""Convolutional autoencoder for sequences: convolutions over time to a bottleneck, and back.

Source: Masci, Meier, Cireşan & Schmidhuber 2011, "Stacked Convolutional Auto-Encoders for
Hierarchical Feature Extraction", doi:10.1007/978-3-642-21735-7_7.
Differs: one axis, time, in place of two; trained end to end; halves by strided convolutions. The
statistics of the features are part of the model: the encoder takes, and the decoder gives, raw
units, so that no scaler has to travel with an exported file. A length that no halving divides is
rounded up on the way down, and what the up-convolutions give too much is cut off at the end.

    encoder: sequences (B, T, F) -> maps (B, t, filters[-1]) -> flat -> latents (B, D)
    decoder: latents (B, D) -> flat -> maps (B, t, filters[-1]) -> reconstructions (B, T, F)
"""

from aezoo.core.errors import OptionError
from aezoo.core.options import Sizes, check_positive, check_sizes
from aezoo.models.lstm import check_sequence_shape
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import (
    Standardize,
    Tensor,
    Unstandardize,
    activated,
    keras,
    layers,
    unflattened,
)
from aezoo.nn.linear_path import (
    add_linear_reconstructions,
    check_activations,
    last_kernel,
    latents_of,
)


def build(
    latent_dim: int = 16,
    sequence_shape: tuple[int, ...] = (128, 1),
    *,
    filters: Sizes = (32, 64, 128),
    kernel_size: int = 5,
    activation: str = "gelu",
    latent_activation: str | None = None,
    normalization: str | None = None,
    linear_path: bool = False,
    ragged: bool = False,
) -> Autoencoder:
    """Builds the compiled convolutional autoencoder of sequences.

    Args:
        latent_dim: D, size of the bottleneck.
        sequence_shape: (T, F), steps and features; any T that the halvings leave at least one step of.
        filters: channels after each halving; their number is the number of halvings.
        kernel_size: of every convolution, in steps.
        activation: Keras name, after every layer but the bottleneck and the last.
        latent_activation: Keras name, on the latents; None leaves them unbounded.
        normalization: None, "batch", "layer" or "group", before each activation.
        linear_path: whether PCA lies beside the network, which begins at zero; see `nn.linear_path`.
        ragged: whether series may end before T, with NaN behind their ends; see `core.ragged`.

    Returns:
        A compiled `Autoencoder`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_positive("latent_dim", latent_dim)
    check_positive("kernel_size", kernel_size)
    check_activations(linear_path, latent_activation)
    filters = check_sizes("filters", filters)
    steps, features = check_sequence_shape(sequence_shape)
    *going_up, shortest = lengths_going_down(steps, filters)

    examples = keras.Input((steps, features), name="examples")
    x = standardized = Standardize(ragged, name="standardize")(examples)
    for number, depth in enumerate(filters, 1):
        x = layers.Conv1D(depth, kernel_size, 2, padding="same", name=f"down_{number}")(x)
        x = activated(x, normalization, activation, f"down_{number}")
    latents = latents_of(x, standardized, latent_dim, latent_activation, linear_path)
    encoder = keras.Model(examples, latents, name="encoder")

    *shallower, deepest = filters
    x = latents = keras.Input((latent_dim,), name="latents")
    x = unflattened(x, (shortest, deepest), activation)
    for number in range(len(filters), 1, -1):
        x = up(x, shallower[number - 2], kernel_size, going_up[number - 1], f"up_{number}")
        x = activated(x, normalization, activation, f"up_{number}")
    x = up(x, features, kernel_size, steps, "up_1", last_kernel(linear_path))
    x = add_linear_reconstructions(x, latents) if linear_path else x
    reconstructions = Unstandardize(name="reconstructions")(x)
    decoder = keras.Model(latents, reconstructions, name="decoder")

    model = Autoencoder(encoder, decoder)
    model.compile()
    return model


def up(
    x: Tensor, depth: int, kernel_size: int, to: int, name: str, initializer: str = "glorot_uniform"
) -> Tensor:
    """Returns maps (B, to, depth), about twice as long as they were."""
    x = layers.Conv1DTranspose(
        depth, kernel_size, 2, padding="same", kernel_initializer=initializer, name=name
    )(x)
    excess = x.shape[1] - to
    return layers.Cropping1D((0, excess), name=f"{name}_crop")(x) if excess else x


def lengths_going_down(steps: int, filters: Sizes) -> list[int]:
    """Returns [T, ..., t], the lengths before each halving and after the last; odd ones round up.

    Raises:
        OptionError: no filters, or a sequence too short to be halved so often.

    >>> lengths_going_down(33, (32, 64, 128))
    [33, 17, 9, 5]
    """
    shortest = 2 ** len(filters)
    if not filters or steps < shortest:
        that_fit = max(1, steps.bit_length() - 1)
        raise OptionError(
            f"the sequence is too short for {len(filters)} halvings"
            if filters
            else "at least one halving is needed",
            got=f"{steps} steps, filters={tuple(filters)}",
            expected=f"at least {shortest} steps" if filters else "filters=(32, 64, 128)",
            fix=f"pass filters={tuple(filters[:that_fit]) or (32,)}",
        )
    lengths = [steps]
    for _ in filters:
        lengths.append(-(-lengths[-1] // 2))
    return lengths
