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
from aezoo.core.options import check_positive, check_sizes
from aezoo.models.lstm import check_sequence_shape
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import (
    Standardize,
    Unstandardize,
    activation_layer,
    check_activation,
    keras,
    layers,
    normalization_layer,
)


def build(
    latent_dim=16,
    sequence_shape=(128, 1),
    *,
    filters=(32, 64, 128),
    kernel_size=5,
    activation="gelu",
    latent_activation=None,
    normalization=None,
):
    """Builds the compiled convolutional autoencoder of sequences.

    Args:
        latent_dim: D, size of the bottleneck.
        sequence_shape: (T, F), steps and features; any T that the halvings leave at least one step of.
        filters: channels after each halving; their number is the number of halvings.
        kernel_size: of every convolution, in steps.
        activation: Keras name, after every layer but the bottleneck and the last.
        latent_activation: Keras name, on the latents; None leaves them unbounded.
        normalization: None, "batch", "layer" or "group", before each activation.

    Returns:
        A compiled `Autoencoder`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_positive("latent_dim", latent_dim)
    check_positive("kernel_size", kernel_size)
    check_activation("latent_activation", latent_activation)
    filters = check_sizes("filters", filters)
    steps, features = check_sequence_shape(sequence_shape)
    lengths = lengths_going_down(steps, filters)

    def normalized(x, name):
        layer = normalization_layer(normalization, x.shape[-1], name=f"{name}_norm")
        x = x if layer is None else layer(x)
        return activation_layer(activation, name=f"{name}_activation")(x)

    def up(x, depth, to, name):
        x = layers.Conv1DTranspose(depth, kernel_size, 2, padding="same", name=name)(x)
        excess = x.shape[1] - to
        return layers.Cropping1D((0, excess), name=f"{name}_crop")(x) if excess else x

    examples = keras.Input((steps, features), name="examples")
    x = Standardize(name="standardize")(examples)
    for number, depth in enumerate(filters, 1):
        x = layers.Conv1D(depth, kernel_size, 2, padding="same", name=f"down_{number}")(x)
        x = normalized(x, f"down_{number}")
    x = layers.Flatten(name="flatten")(x)
    latents = layers.Dense(latent_dim, activation=latent_activation, name="bottleneck")(x)
    encoder = keras.Model(examples, latents, name="encoder")

    *going_up, shortest = lengths
    *shallower, deepest = filters
    x = latents = keras.Input((latent_dim,), name="latents")
    x = layers.Dense(shortest * deepest, name="expand")(x)
    x = activation_layer(activation, name="expand_activation")(x)
    x = layers.Reshape((shortest, deepest), name="unflatten")(x)
    for number in range(len(filters), 1, -1):
        x = up(x, shallower[number - 2], going_up[number - 1], f"up_{number}")
        x = normalized(x, f"up_{number}")
    x = up(x, features, steps, "up_1")
    reconstructions = Unstandardize(name="reconstructions")(x)
    decoder = keras.Model(latents, reconstructions, name="decoder")

    model = Autoencoder(encoder, decoder)
    model.compile()
    return model


def lengths_going_down(steps, filters):
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
