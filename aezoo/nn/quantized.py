"""What quantised families share: a map of vectors, each replaced by a code of a finite codebook.

encoder: images (B, H, W, C) -> vectors (B, h, w, D) -> latents (B, h, w, D), code_indices (B, h, w)
decoder: latents (B, h, w, D) -> reconstructions (B, H, W, C)
latents are rows of the codebook (K, D): codebook[code_indices]

A family is a `Quantizer` layer; body and model are the same for all.
"""

from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.options import Sizes, check_image_shape, check_positive, check_sizes
from aezoo.core.priors import Categorical
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import (
    Tensor,
    activation_layer,
    check_activation,
    crop,
    keras,
    layers,
    normalized,
    ops,
    sizes_going_down,
)


class Quantizer(layers.Layer):
    """Vectors (B, ..., D) to (latents (B, ..., D), code_indices (B, ...) int32): what all quantisers share.

    Attributes:
        codebook: (K, D), a variable or an array; latents are rows of it.
    """

    def compute_output_spec(self, vectors: Tensor, training: bool = False) -> Tensor:
        return (
            keras.KerasTensor(vectors.shape, self.compute_dtype),
            keras.KerasTensor(vectors.shape[:-1], "int32"),
        )

    def straight_through(self, vectors: Tensor, quantized: Tensor) -> Tensor:
        """Returns the quantised vectors, with the gradient of the vectors as they were.

        Source: Bengio, Léonard & Courville 2013, arXiv:1308.3432.
        """
        return vectors + ops.stop_gradient(quantized - vectors)


@keras.saving.register_keras_serializable("aezoo")
class Quantized(Autoencoder):
    """An `Autoencoder` whose latents are codes of a codebook, one for each position of a map.

    The compiled loss (mean squared error) is the reconstruction's share of the objective; a quantiser
    adds its terms by `add_loss`, on the same scale: a mean over all values, not a sum.

    Args:
        encoder: ends in a `Quantizer`, whose two outputs are its outputs.
        decoder: latents (B, h, w, D) to reconstructions.
        **base: as for `Autoencoder`.

    Raises:
        OptionError: the encoder has not exactly one quantiser, or one of what `Autoencoder` refuses.
    """

    encoder_outputs = ("latents", "code_indices")

    def __init__(self, encoder: Any, decoder: Any, **base: Any) -> None:
        super().__init__(encoder, decoder, **base)
        found = [layer for layer in encoder.layers if isinstance(layer, Quantizer)]
        if len(found) != 1:
            raise OptionError(
                "the encoder of a quantised model has one quantiser",
                got=f"{len(found)} of them in {encoder.name!r}",
                expected="one layer of a subclass of aezoo.nn.quantized.Quantizer",
                fix="end the encoder in latents, code_indices = quantizer(vectors)",
            )
        self.quantizer = found[0]

    @property
    def codebook(self) -> Any:
        """The codes, (K, D) float32 NumPy: row k is the latents of code k."""
        return np.array(ops.convert_to_numpy(self.quantizer.codebook), "float32")

    def _decode_codes(self, codes: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        return self._decode(self.codebook[codes], labels, batch_size)

    def fit_prior(self, examples: Tensor, components: int | None = None, seed: int | None = None) -> None:
        """Counts the codes of examples at each position; `sample` then draws from these frequencies.

        Args:
            examples: (N, ...), of the training part.
            components, seed: not looked at; other families' densities have them.
        """
        self.prior = Categorical.fit(self.code_indices(examples), self.codebook)

    def parts(self) -> dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]]:
        """Returns what an export writes; "code_decoder" takes code_indices (B, h, w) int32."""
        codebook = self.codebook
        taken = keras.Input(self.latent_shape[:-1], dtype="int32", name="code_indices")
        table = layers.Embedding(*codebook.shape, weights=[codebook], trainable=False, name="codebook")
        whole = keras.Model(taken, self.decoder(table(taken)), name="code_decoder")
        return {**super().parts(), "code_decoder": (whole, ("code_indices",), ("reconstructions",))}


def assemble(
    quantizer: Quantizer,
    latent_dim: int,
    image_shape: tuple[int, ...],
    *,
    filters: Sizes,
    residual_blocks: int,
    activation: str,
    normalization: str | None = None,
    output_activation: str = "sigmoid",
) -> Tensor:
    """Builds a quantised model: strided convolutions and residual blocks around a quantiser.

    The body is that of van den Oord et al. 2017, section 4: convolutions of 4 x 4 with a stride of 2,
    residual blocks of 3 x 3 at the smallest size, and the same in the other order.

    Args:
        quantizer: a `Quantizer`.
        latent_dim: D, the size of the vectors that it takes.
        image_shape: (H, W, C); any sides that the halvings leave at least one pixel of.
        filters: channels after each halving; their number is the number of halvings.
        residual_blocks: number of them, in the encoder and in the decoder each; 0 for none.
        activation: Keras name, before every convolution but the first of each part.
        normalization: None or "batch", of the vectors, before they are quantised.
        output_activation: Keras name, on the reconstructions.

    Returns:
        A compiled `Quantized`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_positive("latent_dim", latent_dim)
    if residual_blocks != 0:
        check_positive("residual_blocks", residual_blocks)
    check_activation("output_activation", output_activation)
    filters = check_sizes("filters", filters)
    sizes = sizes_going_down(check_image_shape(image_shape), filters)

    x = images = keras.Input(image_shape, name="images")
    for number, depth in enumerate(filters, 1):
        x = x if number == 1 else _activated(x, activation, f"down_{number - 1}")
        x = _convolution(depth, 4, 2, name=f"down_{number}")(x)
    for number in range(1, residual_blocks + 1):
        x = _residual(x, activation, f"residual_{number}")
    vectors = _convolution(latent_dim, 1, name="vectors")(_activated(x, activation, "last"))
    vectors = normalized(vectors, normalization, "vectors")
    encoder = keras.Model(images, list(quantizer(vectors)), name="encoder")
    decoder = _decoder(
        latent_dim, image_shape[-1], sizes, filters, residual_blocks, activation, output_activation
    )
    model = Quantized(encoder, decoder)
    model.compile()
    return model


def _decoder(latent_dim, channels, sizes, filters, residual_blocks, activation, output_activation):
    *going_up, smallest = sizes
    x = latents = keras.Input((*smallest, latent_dim), name="latents")
    x = _convolution(filters[-1], 3, name="first")(x)
    for number in range(1, residual_blocks + 1):
        x = _residual(x, activation, f"residual_{number}")
    for number in range(len(filters), 0, -1):
        depth = filters[number - 2] if number > 1 else channels
        x = layers.Conv2DTranspose(depth, 4, 2, padding="same", name=f"up_{number}")(
            _activated(x, activation, f"up_{number}")
        )
        x = crop(x, going_up[number - 1], f"up_{number}_crop")
    reconstructions = activation_layer(output_activation, name="reconstructions")(x)
    return keras.Model(latents, reconstructions, name="decoder")


def _convolution(depth, size, strides=1, *, name):
    # Keras's own choice would let vectors begin so near 0 that all of them round to one code.
    return layers.Conv2D(depth, size, strides, padding="same", kernel_initializer="he_normal", name=name)


def _activated(x, activation, name):
    return activation_layer(activation, name=f"{name}_activation")(x)


def _residual(x, activation, name):
    # Half the channels inside, which halves the cost of a block.
    inner = _convolution(max(1, x.shape[-1] // 2), 3, name=f"{name}_wide")
    outer = _convolution(x.shape[-1], 1, name=f"{name}_narrow")
    narrow = _activated(inner(_activated(x, activation, f"{name}_first")), activation, f"{name}_second")
    return layers.Add(name=name)([x, outer(narrow)])


def drawn_from(vectors: Tensor, count: int, seed: int) -> Tensor:
    """Returns vectors of a batch to begin codes with: one from each `count`-th of the batch, nearly as it is.

    Vectors may come twice, those of empty patches above all. Of two equal codes the nearest would be
    a matter of roundings, which every runtime has its own of, so each differs by a hundredth of the
    spread of its channels.

    Args:
        vectors: (N, D).
        count: number of codes, K.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        (K, D).
    """
    most = ops.cast(ops.shape(vectors)[0], "float32")
    places = ops.arange(count, dtype="float32") + keras.random.uniform((count,), seed=seed)
    places = ops.cast(ops.minimum(ops.floor(places / count * most), most - 1), "int32")
    noise = keras.random.normal((count, vectors.shape[-1]), seed=seed)
    return ops.take(vectors, places, axis=0) + 0.01 * ops.std(vectors, axis=0) * noise
