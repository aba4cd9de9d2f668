"""Dense autoencoder: a multilayer perceptron for images and for the rows of a table.

Source: Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks",
doi:10.1126/science.1127647.
Differs: trained end to end, without the layer-wise pre-training by Boltzmann machines. For rows
the statistics of the columns are part of the model: the encoder takes, and the decoder gives, raw
units, so that no scaler has to travel with an exported file.

    encoder: images (B, H, W, C) or rows (B, F) -> latents (B, D)
    decoder: latents (B, D) -> reconstructions, shaped as the input
"""

import math

from aezoo.core.errors import OptionError
from aezoo.core.options import Sizes, check_image_shape, check_positive, check_sizes
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import (
    Standardize,
    Unstandardize,
    activated,
    keras,
    layers,
)
from aezoo.nn.linear_path import (
    add_linear_latents,
    add_linear_reconstructions,
    check_activations,
    last_kernel,
    output_layer,
)


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    units: Sizes = (512, 256),
    activation: str = "gelu",
    latent_activation: str | None = None,
    normalization: str | None = None,
    output_activation: str = "sigmoid",
    linear_path: bool = False,
) -> Autoencoder:
    """Builds the compiled dense autoencoder.

    Args:
        latent_dim: D, size of the bottleneck.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, the number of columns, for a model of rows (B, F).
        units: sizes of the layers between input and bottleneck; the decoder mirrors them.
        activation: Keras name, after every layer but the bottleneck and the last.
        latent_activation: Keras name, on the latents; None leaves them unbounded.
        normalization: None, "batch" or "layer", before each activation.
        output_activation: Keras name, or "clip", on reconstructed images; rows have none.
        linear_path: whether PCA lies beside the network, which begins at zero; see `nn.linear_path`.

    Returns:
        A compiled `Autoencoder`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_positive("latent_dim", latent_dim)
    units = check_sizes("units", units)
    check_activations(linear_path, latent_activation, output_activation if features is None else None)
    _check_normalization(normalization)
    shape = check_image_shape(image_shape) if features is None else (check_positive("features", features),)

    x = examples = keras.Input(shape, name="images" if features is None else "examples")
    x = layers.Flatten(name="flatten")(x) if features is None else Standardize(name="standardize")(x)
    given, ends = x, last_kernel(linear_path)
    numbers = range(1, len(units) + 1)
    x = _hidden(x, units, numbers, "down", normalization, activation)
    bottleneck = layers.Dense(latent_dim, latent_activation, kernel_initializer=ends, name="bottleneck")
    latents = add_linear_latents(bottleneck(x), given) if linear_path else bottleneck(x)
    encoder = keras.Model(examples, latents, name="encoder")

    x = latents = keras.Input((latent_dim,), name="latents")
    x = _hidden(x, units[::-1], numbers[::-1], "up", normalization, activation)
    x = layers.Dense(math.prod(shape), kernel_initializer=ends, name="flat_reconstructions")(x)
    x = add_linear_reconstructions(x, latents) if linear_path else x
    if features is None:
        x = output_layer(output_activation, name="output_activation")(x)
        reconstructions = layers.Reshape(shape, name="reconstructions")(x)
    else:
        reconstructions = Unstandardize(name="reconstructions")(x)
    decoder = keras.Model(latents, reconstructions, name="decoder")

    model = Autoencoder(encoder, decoder)
    model.compile()
    return model


def _hidden(x, units, numbers, way, normalization, activation):
    for number, size in zip(numbers, units, strict=True):
        name = f"{way}_{number}"
        x = activated(layers.Dense(size, name=name)(x), normalization, activation, name)
    return x


def _check_normalization(normalization):
    if normalization == "group":
        raise OptionError(
            "group normalisation divides the channels of a map, and a dense layer has none",
            got="normalization='group'",
            expected="None, 'batch' or 'layer'",
            fix="pass normalization='layer'",
        )
