"""Variational autoencoder: latents are drawn from a posterior that is kept near N(0, I).

Source: Kingma & Welling 2014, "Auto-Encoding Variational Bayes", arXiv:1312.6114; Rezende, Mohamed &
Wierstra 2014, arXiv:1401.4082.
Differs: the body is dense or convolutional; Adam. Both terms of the objective are in nats per
example, so it is the negative evidence lower bound whatever the size of the image.

    encoder: images (B, H, W, C) or rows (B, F) -> posterior_mean (B, D), posterior_log_var (B, D)
    latents = posterior_mean + exp(posterior_log_var / 2) * noise      in training only
    decoder: latents (B, D) -> probabilities or means, shaped as the input
"""

from typing import Any

from aezoo.models._bodies import build_variational
from aezoo.nn.variational import Variational


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    likelihood: str | None = None,
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> Variational:
    """Builds the compiled variational autoencoder.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        likelihood: "bernoulli" or "gaussian"; None is "bernoulli" for images, "gaussian" for rows.
        scale: standard deviation of the gaussian likelihood; rows in deviations of their columns.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `Variational`.

    Raises:
        OptionError: an option that cannot be used.
    """
    return build_variational(
        Variational,
        body,
        latent_dim,
        image_shape,
        features,
        body_options,
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
