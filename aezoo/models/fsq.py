"""Finite scalar quantisation: each of a few channels is rounded to a few levels; nothing is learned.

Source: Mentzer, Minnen, Agustsson & Tschannen 2024, "Finite Scalar Quantization: VQ-VAE Made Simple",
arXiv:2309.15505, section 3 and appendix A.1.
Differs: the body is that of van den Oord et al. 2017 at any image size; the prior counts codes at
each position where the paper trains a transformer; vectors are batch-normalised before they are rounded,
as in `vq_vae`.

    encoder: images (B, H, W, C) -> vectors (B, h, w, D) -> latents (B, h, w, D), code_indices (B, h, w)
    decoder: latents (B, h, w, D) in [-1, 1] -> reconstructions (B, H, W, C)
    D = len(levels), K = prod(levels)
"""

import math
from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.options import Sizes, check_sizes
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.quantized import Quantized, Quantizer, assemble

_EDGE = 1e-3  # by which the outermost values stay inside, so that no rounding leaves the levels
_LARGEST = 2**20  # codes: float32 counts them exactly, and the codebook fits a bundle


@keras.saving.register_keras_serializable("aezoo")
class FiniteScalarQuantizer(Quantizer):
    """Bounds each channel by tanh and rounds it to one of its levels.

    Channel i takes `levels[i]` values, (n - L // 2) / (L // 2) for n from 0 to L - 1; even numbers of
    levels are off centre by half a level. The code's number has the n as its digits, the first channel
    the lowest.

    Args:
        levels: number of levels of each channel, at least 3.

    Raises:
        OptionError: fewer than three levels, or more codes than 2^20.
    """

    def __init__(self, levels: Sizes = (8, 5, 5, 5), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = check_sizes("levels", levels)
        if not self.levels or min(self.levels) < 3 or math.prod(self.levels) > _LARGEST:
            raise OptionError(
                "these levels make no codebook",
                got=f"levels={self.levels}, {math.prod(self.levels)} codes",
                expected=f"at least 3 levels for each channel, and at most {_LARGEST} codes",
                fix="pass levels=(8, 5, 5, 5) for 1000 codes, or levels=(8, 8, 8, 6, 5) for 15360",
            )
        number = np.array(self.levels)
        self.half_width = (number // 2).astype("float32")
        self.half_range = ((number - 1) * (1 - _EDGE) / 2).astype("float32")
        self.offset = np.where(number % 2 == 1, 0.0, 0.5).astype("float32")
        self.shift = np.tan(self.offset / self.half_range).astype("float32")  # so that 0 stays near 0
        self.basis = np.cumprod([1, *self.levels[:-1]]).astype("float32")

    @property
    def codebook(self) -> Any:
        """All codes, (K, D) float32: row k is the latents of code k."""
        numbers = np.arange(math.prod(self.levels))[:, None] // self.basis.astype("int64")
        return ((numbers % self.levels) - self.half_width) / self.half_width

    def call(self, vectors: Tensor, training: bool = False) -> Tensor:
        vectors = ops.cast(vectors, "float32")
        bounded = ops.tanh(vectors + self.shift) * self.half_range - self.offset
        rounded = ops.round(bounded)
        digits = ops.stop_gradient(rounded) + self.half_width
        code_indices = ops.cast(ops.sum(digits * self.basis, axis=-1), "int32")
        if training:
            rounded = self.straight_through(bounded, rounded)
        return ops.cast(rounded / self.half_width, self.compute_dtype), code_indices

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}


def build(
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    levels: Sizes = (8, 5, 5, 5),
    filters: Sizes = (16, 32),
    residual_blocks: int = 2,
    activation: str = "gelu",
) -> Quantized:
    """Builds the compiled autoencoder with finite scalar quantisation.

    Args:
        image_shape: (H, W, C) of the images.
        levels: number of levels of each channel of the latents; their product is the number of codes.
        filters: channels after each halving; their number is the number of halvings.
        residual_blocks: at the smallest size, in the encoder and in the decoder each.
        activation: Keras name, inside the body.

    Returns:
        A compiled `Quantized`; its loss is the mean squared error alone.

    Raises:
        OptionError: an option that cannot be used.
    """
    quantizer = FiniteScalarQuantizer(levels, name="quantizer")
    body: dict[str, Any] = {"filters": filters, "residual_blocks": residual_blocks, "activation": activation}
    # Without it training on digits can end in black images, whatever the codes (as for vq_vae).
    return assemble(quantizer, len(quantizer.levels), image_shape, normalization="batch", **body)
