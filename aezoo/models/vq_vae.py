"""Vector-quantised autoencoder: each position's latents are the nearest of K learned codes.

Source: van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning",
arXiv:1711.00937, codebook as in appendix A.1. Differs: vectors are batch-normalised (Łańcucki et al.
2020, arXiv:2005.08520), else the decoder fell to black images; codes begin as vectors of the first
batch, and dead ones do so again (Dhariwal et al. 2020, arXiv:2005.00341); any image size; gelu; the
prior counts codes at each position where the paper trains a PixelCNN.

    encoder: images (B, H, W, C) -> vectors (B, h, w, D) -> latents (B, h, w, D), code_indices (B, h, w)
    decoder: latents (B, h, w, D) -> reconstructions (B, H, W, C)
"""

from typing import Any

from aezoo.core.options import Sizes, check_between, check_choice, check_positive, check_seed
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.quantized import Quantized, Quantizer, assemble, drawn_from

UPDATES = ("ema", "gradient")


@keras.saving.register_keras_serializable("aezoo")
class VectorQuantizer(Quantizer):
    """Replaces each vector by the nearest code, and learns the codes; see `build` for the arguments.

    Adds commitment_weight * mean((vectors - fixed codes)^2) as a loss, and for "gradient" also
    mean((fixed vectors - codes)^2): means over all values, the scale of a mean squared error.
    """

    def __init__(
        self,
        codebook_size: int = 128,
        commitment_weight: float = 0.25,
        codebook_update: str = "ema",
        decay: float = 0.99,
        revive_below: float = 0.05,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("codebook_update", codebook_update, UPDATES)
        self.codebook_size = check_positive("codebook_size", codebook_size)
        self.commitment_weight = check_between("commitment_weight", commitment_weight, 0, float("inf"), 0.25)
        self.codebook_update = codebook_update
        self.decay = check_between("decay", decay, 0, 1, 0.99)
        self.revive_below = check_between("revive_below", revive_below, 0, 1, 0.05)
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        learned = self.codebook_update == "gradient"
        span = 1 / self.codebook_size
        initial = keras.initializers.RandomUniform(-span, span, seed=self.seed)
        # autocast=False: in lower precision two codes could become one.
        options = {"autocast": False, "dtype": "float32"}
        shape = (self.codebook_size, input_shape[-1])
        self.codebook = self.add_weight(
            name="codebook", shape=shape, initializer=initial, trainable=learned, **options
        )
        if not learned:  # N_k of the paper: uses of each code in a batch, its moving average
            self.usage = self.add_weight(
                name="usage", shape=shape[:1], initializer="zeros", trainable=False, **options
            )
        super().build(input_shape)

    def call(self, vectors: Tensor, training: bool = False) -> Tensor:
        vectors, codebook = ops.cast(vectors, "float32"), ops.convert_to_tensor(self.codebook)
        fixed, fixed_codebook = ops.stop_gradient(vectors), ops.stop_gradient(codebook)
        # ||v||^2 is the same for all codes, so it is left out of the squared distance.
        products = ops.matmul(fixed, ops.transpose(fixed_codebook))
        distances = ops.sum(ops.square(fixed_codebook), axis=-1) - 2 * products
        code_indices = ops.cast(ops.argmin(distances, axis=-1), "int32")
        codes = ops.take(codebook, code_indices, axis=0)
        error = ops.square(vectors - ops.stop_gradient(codes))
        self.add_loss(self.commitment_weight * ops.mean(error))
        if self.codebook_update == "gradient":
            self.add_loss(ops.mean(ops.square(fixed - codes)))
        elif training:
            flat = ops.reshape(fixed, (-1, codebook.shape[-1]))
            self._learn(flat, ops.reshape(code_indices, (-1,)), fixed_codebook)
        latents = self.straight_through(vectors, codes) if training else codes
        return ops.cast(latents, self.compute_dtype), code_indices

    def _learn(self, vectors, code_indices, codebook):
        """Moves each code towards the mean of the vectors (N, D) that chose it; revives what none chose.

        With usage N_k and codes e_k = m_k / N_k this is the paper's pair of moving averages, since m_k is
        N_k * e_k at any time.
        """
        size, new = self.codebook_size, 1 - self.decay
        ones = ops.ones_like(vectors[:, 0])
        uses = ops.segment_sum(ones, code_indices, num_segments=size)
        sums = ops.segment_sum(vectors, code_indices, num_segments=size)
        usage = self.decay * self.usage + new * uses
        step = (sums - uses[:, None] * codebook) / ops.maximum(usage, 1e-9)[:, None]
        codebook = codebook + new * step
        if self.revive_below > 0:
            least = self.revive_below * ops.sum(ones) / size
            dead = usage < least
            codebook = ops.where(dead[:, None], drawn_from(vectors, size, self.seed_generator), codebook)
            usage = ops.where(dead, least, usage)
        self.codebook.assign(codebook)
        self.usage.assign(usage)

    def get_config(self) -> dict[str, Any]:
        names = ("codebook_size", "commitment_weight", "codebook_update", "decay", "revive_below", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    filters: Sizes = (16, 32),
    residual_blocks: int = 2,
    activation: str = "gelu",
    codebook_size: int = 128,
    commitment_weight: float = 0.25,
    codebook_update: str = "ema",
    decay: float = 0.99,
    revive_below: float = 0.05,
    seed: int = 0,
) -> Quantized:
    """Builds the compiled vector-quantised autoencoder.

    Args:
        latent_dim: D, size of a code.
        image_shape: (H, W, C) of the images.
        filters: channels after each halving; their number is the number of halvings.
        residual_blocks: at the smallest size, in the encoder and in the decoder each.
        activation: Keras name, inside the body.
        codebook_size: K, number of codes.
        commitment_weight: beta of the paper, of the mean squared distance of vectors to their codes.
        codebook_update: "ema" (moving averages, appendix A.1) or "gradient" (its second term; no revival).
        decay: of the moving averages, for each batch.
        revive_below: a code used less often than this share of an even use N / K is set to a vector of
            the batch, for "ema"; 0 for never.
        seed: of the first codebook and of what is revived.

    Returns:
        A compiled `Quantized`.

    Raises:
        OptionError: an option that cannot be used.
    """
    quantizer = VectorQuantizer(
        codebook_size, commitment_weight, codebook_update, decay, revive_below, seed, name="quantizer"
    )
    body: dict[str, Any] = {"filters": filters, "residual_blocks": residual_blocks, "activation": activation}
    return assemble(quantizer, latent_dim, image_shape, normalization="batch", **body)
