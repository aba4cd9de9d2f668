"""Convolutional autoencoder: convolutions to a fully-connected bottleneck, up-convolutions back.

Source: Masci, Meier, Cireşan & Schmidhuber 2011, "Stacked Convolutional Auto-Encoders for
Hierarchical Feature Extraction", doi:10.1007/978-3-642-21735-7_7.
Differs: trained end to end instead of stack by stack, which needs no pre-training since ReLU and
Adam; halves by strided convolutions by default (Springenberg et al. 2015, arXiv:1412.6806);
undoes pooling by nearest-neighbour resizing and a convolution (Odena et al. 2016,
doi:10.23915/distill.00003), or by transposed convolutions.

    encoder: images (B, H, W, C) -> maps (B, h, w, filters[-1]) -> flat -> latents (B, D)
    decoder: latents (B, D) -> flat -> maps (B, h, w, filters[-1]) -> reconstructions (B, H, W, C)
"""

from aezoo.core.options import Sizes, check_choice, check_image_shape, check_positive, check_sizes
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import (
    Tensor,
    activated,
    crop,
    keras,
    layers,
    sizes_going_down,
    unflattened,
)
from aezoo.nn.linear_path import (
    add_linear_reconstructions,
    check_activations,
    last_kernel,
    latents_of,
    output_layer,
)


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    filters: Sizes = (32, 64, 128),
    kernel_size: int = 3,
    activation: str = "gelu",
    latent_activation: str | None = None,
    downsampling: str = "stride",
    upsampling: str = "transpose",
    normalization: str | None = None,
    output_activation: str = "sigmoid",
    linear_path: bool = False,
) -> Autoencoder:
    """Builds the compiled convolutional autoencoder.

    Args:
        latent_dim: D, size of the bottleneck.
        image_shape: (H, W, C); any sides that the halvings leave at least one pixel of.
        filters: channels after each halving; their number is the number of halvings.
        kernel_size: of every convolution, in pixels.
        activation: Keras name, after every layer but the bottleneck and the last.
        latent_activation: Keras name, on the latents; None leaves them unbounded.
        downsampling: "stride" (strided convolution) or "max_pool" (convolution, then pooling).
        upsampling: "transpose" (Conv2DTranspose) or "resize" (nearest neighbour, then convolution).
        normalization: None, "batch", "layer" or "group", before each activation.
        output_activation: Keras name, or "clip", on the reconstructions.
        linear_path: whether PCA lies beside the network, which begins at zero; see `nn.linear_path`.

    Returns:
        A compiled `Autoencoder`.

    Raises:
        OptionError: an option that cannot be used.
    """
    _check(latent_dim, kernel_size, downsampling, upsampling)
    check_activations(linear_path, latent_activation, output_activation)
    filters = check_sizes("filters", filters)
    *going_up, smallest = sizes_going_down(check_image_shape(image_shape), filters)

    x = images = keras.Input(image_shape, name="images")
    for number, depth in enumerate(filters, 1):
        x = down(downsampling, x, depth, kernel_size, normalization, activation, f"down_{number}")
    latents = latents_of(x, images, latent_dim, latent_activation, linear_path)
    encoder = keras.Model(images, latents, name="encoder")

    *shallower, deepest = filters
    x = latents = keras.Input((latent_dim,), name="latents")
    x = unflattened(x, (*smallest, deepest), activation)
    for number in range(len(filters), 1, -1):
        x = up(upsampling, x, shallower[number - 2], kernel_size, going_up[number - 1], f"up_{number}")
        x = activated(x, normalization, activation, f"up_{number}")
    x = up(upsampling, x, image_shape[-1], kernel_size, going_up[0], "up_1", last_kernel(linear_path))
    x = add_linear_reconstructions(x, latents) if linear_path else x
    reconstructions = output_layer(output_activation, name="reconstructions")(x)
    decoder = keras.Model(latents, reconstructions, name="decoder")

    model = Autoencoder(encoder, decoder)
    model.compile()
    return model


def _check(latent_dim, kernel_size, downsampling, upsampling):
    check_positive("latent_dim", latent_dim)
    check_positive("kernel_size", kernel_size)
    check_choice("downsampling", downsampling, ("stride", "max_pool"))
    check_choice("upsampling", upsampling, ("transpose", "resize"))


def down(
    downsampling: str,
    x: Tensor,
    depth: int,
    kernel_size: int,
    normalization: str | None,
    activation: str,
    name: str,
) -> Tensor:
    """Returns maps (B, H / 2, W / 2, depth), their sides rounded up."""
    strides = 2 if downsampling == "stride" else 1
    x = layers.Conv2D(depth, kernel_size, strides, padding="same", name=name)(x)
    x = activated(x, normalization, activation, name)
    return layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x) if strides == 1 else x


def up(
    upsampling: str,
    x: Tensor,
    depth: int,
    kernel_size: int,
    to: tuple[int, ...],
    name: str,
    initializer: str = "glorot_uniform",
) -> Tensor:
    """Returns maps (B, H, W, depth) of about twice the sides, cropped to `to`, (H, W)."""
    options = {"padding": "same", "kernel_initializer": initializer, "name": name}
    if upsampling == "transpose":
        x = layers.Conv2DTranspose(depth, kernel_size, 2, **options)(x)
        return crop(x, to, f"{name}_crop")
    x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_resize")(x)
    x = crop(x, to, f"{name}_crop")
    return layers.Conv2D(depth, kernel_size, **options)(x)
