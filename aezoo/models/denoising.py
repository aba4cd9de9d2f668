"""Denoising autoencoder: reconstructs the clean examples from corrupted ones.

Source: Vincent, Larochelle, Bengio & Manzagol 2008, "Extracting and Composing Robust Features with
Denoising Autoencoders", doi:10.1145/1390156.1390294; corruptions as in Vincent et al. 2010, JMLR 11.
Differs: the body is convolutional or dense and trained end to end. The corruption lies in front
of the encoder and acts in training only, so what is exported is the body alone.

    training:  images (B, H, W, C) -> corrupted (B, H, W, C) -> latents (B, D) -> reconstructions
    afterwards: corrupted (B, H, W, C) -> latents (B, D) -> reconstructions
"""

from typing import Any

from aezoo.core.options import check_choice, check_seed
from aezoo.models._bodies import build_body
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import CORRUPTIONS, Corruption


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "conv",
    corruption: str = "gaussian",
    level: float = 0.4,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> Autoencoder:
    """Builds the compiled denoising autoencoder.

    Args:
        latent_dim: D, size of the bottleneck.
        image_shape: (H, W, C) of the images.
        features: F, for a model of rows; their corruption is in standard deviations, and their
            body is "dense".
        body: "conv" or "dense".
        corruption: "gaussian", "masking", "salt_and_pepper" or "speckle"; see `Corruption`.
        level: how much of it; a standard deviation, or a share of the values.
        seed: of the noise in training.
        body_options: further options of the body, for example {"filters": (32, 64)}.

    Returns:
        A compiled `Autoencoder` with a `corruption`; `corrupt(images, level, seed)` applies it.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_choice("corruption", corruption, CORRUPTIONS)
    check_seed(seed)
    plain = build_body(body, latent_dim, image_shape, features, body_options)
    noise = Corruption(corruption, level, seed, clip=features is None, name="corruption")
    model = Autoencoder(plain.encoder, plain.decoder, corruption=noise)
    model.compile()
    return model
