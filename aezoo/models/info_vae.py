"""InfoVAE: a variational autoencoder that keeps all latents together near N(0, I), not each one's posterior.

Source: Zhao, Song & Ermon 2019, "InfoVAE: Balancing Learning and Inference in Variational
Autoencoders", AAAI, arXiv:1706.02262; MMD is its third divergence.
Differs: the body is dense or convolutional. The kernel is the mean of seven inverse multiquadratic ones
(Tolstikhin et al. 2018, arXiv:1711.01558) instead of one Gaussian, so that no width has to be chosen.

    encoder: images (B, H, W, C) or rows (B, F) -> posterior_mean (B, D), posterior_log_var (B, D)
    decoder: latents (B, D) -> probabilities or means, shaped as the input
    minimised: nll + (1 - alpha) * kl + (alpha + lambda - 1) * mmd; nll and kl in nats per example, mmd a
        number of the batch, of no unit and at most 2
"""

import math
from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import check_between
from aezoo.models._bodies import build_variational
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.losses import MMD_SCALES, mmd_imq
from aezoo.nn.variational import Variational


@keras.saving.register_keras_serializable("aezoo")
class InfoVAE(Variational):
    """A `Variational` whose KL gives way to a discrepancy between the latents of a batch and N(0, I).

    Args:
        encoder, decoder: as for `Variational`.
        alpha: 0 keeps the KL, 1 drops it.
        lambda_: the paper's lambda; alpha + lambda - 1 weighs the discrepancy.
        **base: as for `Variational`.
    """

    couples_examples = True

    def __init__(
        self, encoder: Any, decoder: Any, *, alpha: float = 0.5, lambda_: float = 1000.0, **base: Any
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.alpha, self.lambda_ = alpha, lambda_

    def regularizer(
        self, posterior_mean: Tensor, posterior_log_var: Tensor, latents: Tensor, training: bool
    ) -> Tensor:
        kl = super().regularizer(posterior_mean, posterior_log_var, latents, training)
        prior = keras.random.normal(ops.shape(latents), dtype=latents.dtype, seed=self.prior_seed(training))
        mmd = mmd_imq(latents, prior) / len(MMD_SCALES)
        return (1.0 - self.alpha) * kl + (self.alpha + self.lambda_ - 1.0) * mmd

    def prior_seed(self, training: bool) -> Tensor:
        """Returns what the prior's sample is drawn by; not the noise of the posterior once more."""
        return self.seed_generator if training else 2

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "lambda_": self.lambda_}


def build(
    latent_dim: int = 10,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    alpha: float = 0.5,
    lambda_: float = 1000.0,
    likelihood: str | None = None,
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> InfoVAE:
    """Builds the compiled InfoVAE.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        alpha: at most 1; the KL weighs 1 - alpha. 1 is the paper's MMD-VAE, whose posteriors may become
            as narrow as they like.
        lambda_: 0 or more, and at least 1 - alpha; the discrepancy weighs alpha + lambda - 1.
        likelihood: "bernoulli" or "gaussian"; None is "bernoulli" for images, "gaussian" for rows.
        scale: standard deviation of the gaussian likelihood; rows in deviations of their columns.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `InfoVAE`.

    Raises:
        OptionError: an option that cannot be used.
    """
    alpha = check_between("alpha", alpha, -math.inf, math.inf, 0.5)
    lambda_ = check_between("lambda_", lambda_, 0.0, math.inf, 1000.0)
    if alpha > 1 or alpha + lambda_ < 1:
        raise OptionError(
            "a term of this objective would be rewarded instead of punished",
            got=f"alpha={alpha:g}, lambda_={lambda_:g}",
            expected="1 - alpha and alpha + lambda - 1 of at least 0",
            fix="pass alpha=0.5, lambda_=1000",
        )
    return build_variational(
        InfoVAE,
        body,
        latent_dim,
        image_shape,
        features,
        body_options,
        alpha=alpha,
        lambda_=lambda_,
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
