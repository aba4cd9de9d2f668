"""Masked autoencoder: a transformer that sees some patches of an image and fills in the others.

Source: He, Chen, Xie, Li, Dollár & Girshick 2022, "Masked Autoencoders Are Scalable Vision Learners",
arXiv:2111.06377.
Differs: no class token; a linear layer of latent_dim ends the encoder; pixels are not normalised patch
by patch; the error of all patches counts by default. The paper's counts those of masked ones alone,
which leaves to chance what the decoder says of patches it was shown, that is all of `reconstruct`.

    encoder: images (B, H, W, C) -> tokens (B, N, width) -> latents (B, N, D), of N patches
    decoder: latents (B, N, D) -> tokens (B, N, decoder_width) -> reconstructions (B, H, W, C)
    training: the encoder sees K of the N tokens, drawn anew for each example; in place of each of the
        others the decoder gets one learned vector
    minimised: mean over the batch of the squared error, summed over an example
"""

from typing import Any

from aezoo.core.options import check_between, check_choice, check_image_shape, check_positive, check_seed
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import Tensor, check_activation, keras, ops
from aezoo.nn.losses import squared_error
from aezoo.nn.transformer import MaskToken, check_grid, check_widths, patch_decoder, patch_encoder


@keras.saving.register_keras_serializable("aezoo")
class Masked(Autoencoder):
    """An `Autoencoder` of patches, trained on what it says of masked ones.

    Args:
        encoder: made of the models "tokens" and "transformer".
        decoder: made of the layer "widen" and the model "pixels".
        visible: K, the tokens of an example that the encoder sees in training.
        loss_on: "all" or "masked", the patches whose error counts.
        seed: of the masks.
        **base: as for `Autoencoder`.
    """

    own_objective = True

    def __init__(
        self, encoder: Any, decoder: Any, *, visible: int, loss_on: str = "all", seed: int = 0, **base: Any
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.visible, self.loss_on, self.seed = visible, loss_on, seed
        self.mask_token = MaskToken(decoder.get_layer("widen").units, seed, name="mask_token")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Returns what is painted of visible patches in training, the reconstructions otherwise."""
        examples, _ = self.taken_apart(inputs)
        painted, masked = self.painted(examples, training)
        counts = self.as_pixels(masked) if self.loss_on == "masked" else 1.0
        self.add_loss(squared_error(examples * counts, painted * counts))
        return painted if training else self.through_decoder(self.through_encoder(examples))

    def painted(self, examples: Tensor, training: bool) -> Tensor:
        """Returns images made of visible patches (B, H, W, C), and 1 for masked ones, else 0: (B, N)."""
        tokens = self.encoder.get_layer("tokens")(examples, training=training)
        seed = self.seed_generator if training else 1  # an objective that repeats itself
        order = ops.argsort(keras.random.uniform(ops.shape(tokens)[:2], seed=seed), axis=1)
        places = ops.argsort(order, axis=1)
        seen = ops.take_along_axis(tokens, order[:, : self.visible, None], axis=1)
        latents = self.encoder.get_layer("transformer")(seen, training=training)
        wide = self.mask_token(self.decoder.get_layer("widen")(latents), places)
        painted = self.decoder.get_layer("pixels")(wide, training=training)
        return painted, ops.cast(places >= self.visible, painted.dtype)

    def as_pixels(self, masked: Tensor) -> Tensor:
        """Returns a value of each patch (B, N) as one of each pixel, (B, H, W, 1)."""
        tokens, (height, width, _) = self.encoder.get_layer("tokens"), self.example_shape
        maps = ops.reshape(masked, (-1, *tokens.get_layer("positions").grid, 1))
        for axis, size in enumerate(tokens.get_layer("embed").kernel_size, 1):
            maps = ops.repeat(maps, size, axis=axis)
        return maps[:, :height, :width]

    def get_config(self) -> dict[str, Any]:
        own = {"visible": self.visible, "loss_on": self.loss_on, "seed": self.seed}
        return {**super().get_config(), **own}


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    patch_size: int = 4,
    masked_share: float = 0.75,
    loss_on: str = "all",
    width: int = 64,
    depth: int = 4,
    heads: int = 4,
    decoder_width: int = 32,
    decoder_depth: int = 1,
    output_activation: str = "sigmoid",
    seed: int = 0,
) -> Masked:
    """Builds the compiled masked autoencoder.

    Args:
        latent_dim: D, latents of each patch.
        image_shape: (H, W, C); sides that are no multiple of the patch are padded, and cropped again.
        patch_size: P, side of a patch in pixels; at least two patches must fit.
        masked_share: of the patches, hidden in training; at least one is, and at least one is not.
        loss_on: "all", or "masked" as in the paper.
        width: of the encoder's tokens; a multiple of 4 and of the heads, as is `decoder_width`.
        depth: of the encoder, in blocks.
        heads: of every attention.
        decoder_width: of the decoder's tokens.
        decoder_depth: of the decoder, in blocks.
        output_activation: Keras name, on the reconstructions.
        seed: of the masks.

    Returns:
        A compiled `Masked`.

    Raises:
        OptionError: an option that cannot be used.
    """
    image_shape = check_image_shape(image_shape)
    check_activation("output_activation", output_activation)
    sizes = {"latent_dim": latent_dim, "patch_size": patch_size, "depth": depth, "heads": heads}
    for option, size in {**sizes, "decoder_depth": decoder_depth}.items():
        check_positive(option, size)
    check_choice("loss_on", loss_on, ("all", "masked"))
    share = check_between("masked_share", masked_share, 0.0, 1.0, 0.75)
    rows, columns = check_grid(image_shape, patch_size)
    check_widths(heads, width=width, decoder_width=decoder_width)
    count = rows * columns
    visible = min(max(1, round((1 - share) * count)), count - 1)

    encoder = patch_encoder(latent_dim, image_shape, patch_size, width, depth, heads)
    decoder = patch_decoder(
        latent_dim, image_shape, patch_size, decoder_width, decoder_depth, heads, output_activation
    )
    model = Masked(encoder, decoder, visible=visible, loss_on=loss_on, seed=check_seed(seed))
    model.compile()
    return model
