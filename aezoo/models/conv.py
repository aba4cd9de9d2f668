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

from aezoo.core.options import check_choice, check_image_shape, check_positive, check_sizes
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import (
    activation_layer,
    check_activation,
    crop,
    keras,
    layers,
    normalization_layer,
    sizes_going_down,
)


def build(
    latent_dim=16,
    image_shape=(28, 28, 1),
    *,
    filters=(32, 64, 128),
    kernel_size=3,
    activation="gelu",
    latent_activation=None,
    downsampling="stride",
    upsampling="transpose",
    normalization=None,
    output_activation="sigmoid",
):
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
        output_activation: Keras name, on the reconstructions.

    Returns:
        A compiled `Autoencoder`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_positive("latent_dim", latent_dim)
    check_positive("kernel_size", kernel_size)
    check_choice("downsampling", downsampling, ("stride", "max_pool"))
    check_choice("upsampling", upsampling, ("transpose", "resize"))
    check_activation("latent_activation", latent_activation)
    check_activation("output_activation", output_activation)
    filters = check_sizes("filters", filters)
    sizes = sizes_going_down(check_image_shape(image_shape), filters)

    def normalized(x, name):
        layer = normalization_layer(normalization, x.shape[-1], name=f"{name}_norm")
        x = x if layer is None else layer(x)
        return activation_layer(activation, name=f"{name}_activation")(x)

    def down(x, depth, name):
        strides = 2 if downsampling == "stride" else 1
        x = layers.Conv2D(depth, kernel_size, strides, padding="same", name=name)(x)
        x = normalized(x, name)
        if downsampling == "max_pool":
            x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x)
        return x

    def up(x, depth, to, name):
        if upsampling == "transpose":
            x = layers.Conv2DTranspose(depth, kernel_size, 2, padding="same", name=name)(x)
            return crop(x, to, f"{name}_crop")
        x = crop(
            layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_resize")(x), to, f"{name}_crop"
        )
        return layers.Conv2D(depth, kernel_size, padding="same", name=name)(x)

    x = images = keras.Input(image_shape, name="images")
    for number, depth in enumerate(filters, 1):
        x = down(x, depth, f"down_{number}")
    x = layers.Flatten(name="flatten")(x)
    latents = layers.Dense(latent_dim, activation=latent_activation, name="bottleneck")(x)
    encoder = keras.Model(images, latents, name="encoder")

    *going_up, (height, width) = sizes
    *shallower, deepest = filters
    x = latents = keras.Input((latent_dim,), name="latents")
    x = layers.Dense(height * width * deepest, name="expand")(x)
    x = activation_layer(activation, name="expand_activation")(x)
    x = layers.Reshape((height, width, deepest), name="unflatten")(x)
    for number in range(len(filters), 1, -1):
        x = up(x, shallower[number - 2], going_up[number - 1], f"up_{number}")
        x = normalized(x, f"up_{number}")
    x = up(x, image_shape[-1], going_up[0], "up_1")
    reconstructions = activation_layer(output_activation, name="reconstructions")(x)
    decoder = keras.Model(latents, reconstructions, name="decoder")

    model = Autoencoder(encoder, decoder)
    model.compile()
    return model
