"""Wasserstein autoencoder: one latent vector an example, and all of them together spread like N(0, I).

Source: Tolstikhin, Bousquet, Gelly & Schoelkopf 2018, "Wasserstein Auto-Encoders", arXiv:1711.01558;
WAE-MMD (algorithm 2), with inverse multiquadratic kernels of several scales.
Differs: the body is dense or convolutional; the prior has variance 1; Adam with a schedule.

    encoder: images (B, H, W, C) or rows (B, F) -> latents (B, D)
    decoder: latents (B, D) -> reconstructions, shaped as the input
    minimised: mean over the batch of squared error, summed over an example, + weight * MMD(latents, N(0, I)),
               one number for the batch
"""

import math
from typing import Any

from aezoo.core.options import check_between, check_seed
from aezoo.core.priors import StandardNormal
from aezoo.models._bodies import build_body
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.losses import mmd_imq
from aezoo.nn.regularized import Regularized


@keras.saving.register_keras_serializable("aezoo")
class WAE(Regularized):
    """An `Autoencoder` whose latents, as a batch, are drawn towards a sample of N(0, I).

    Args:
        encoder, decoder: as for `Autoencoder`; latents (B, D).
        weight: of the squared maximum mean discrepancy.
        **base: as for `Regularized`.
    """

    def __init__(self, encoder: Any, decoder: Any, *, weight: float = 10.0, **base: Any) -> None:
        super().__init__(encoder, decoder, **base)
        self.weight = float(weight)
        self.prior = StandardNormal(self.latent_shape)

    def penalty(self, examples: Tensor, latents: Tensor, reconstructions: Tensor, training: bool) -> Tensor:
        """Returns weight * MMD, one number; at times below 0, as the estimate has no bias."""
        drawn = keras.random.normal(ops.shape(latents), dtype=latents.dtype, seed=self.noise_seed(training))
        return self.weight * mmd_imq(latents, drawn)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    weight: float = 10.0,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> WAE:
    """Builds the compiled Wasserstein autoencoder.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        weight: of the discrepancy between the batch's latents and N(0, I); 0 leaves a plain autoencoder.
        seed: of what is drawn from N(0, I) in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `WAE`.

    Raises:
        OptionError: an option that cannot be used.
    """
    weight, seed = check_between("weight", weight, 0.0, math.inf, 10.0), check_seed(seed)
    plain = build_body(body, latent_dim, image_shape, features, body_options)
    model = WAE(plain.encoder, plain.decoder, weight=weight, seed=seed)
    model.compile()
    return model
