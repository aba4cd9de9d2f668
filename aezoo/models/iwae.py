"""Importance-weighted autoencoder: a tighter bound from several latents per example.

Source: Burda, Grosse & Salakhutdinov 2016, "Importance Weighted Autoencoders", arXiv:1509.00519.
Differs: one stochastic layer; the body is dense or convolutional; Adam. The k latents of an example are
folded into the batch axis of the decoder, so memory and time of the decoder grow k-fold.

    encoder: images (B, H, W, C) or rows (B, F) -> posterior_mean (B, D), posterior_log_var (B, D)
    decoder: latents (B, D) -> probabilities or means, shaped as the input
    minimised: -log(1/k * sum of p(x|z_i) * p(z_i) / q(z_i|x)), z_i drawn from q(z|x); nats per example
"""

import math
from typing import Any

from aezoo.core.options import check_positive
from aezoo.models._bodies import build_variational
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.losses import gaussian_log_density
from aezoo.nn.variational import Variational


@keras.saving.register_keras_serializable("aezoo")
class ImportanceWeighted(Variational):
    """A `Variational` trained on the bound of k latents an example.

    Args:
        encoder, decoder: as for `Variational`.
        importance_samples: k; 1 is a VAE with the KL of the latents that were drawn.
        **base: as for `Variational`.
    """

    def __init__(self, encoder: Any, decoder: Any, *, importance_samples: int = 5, **base: Any) -> None:
        super().__init__(encoder, decoder, **base)
        self.importance_samples = importance_samples

    def objective(self, examples: Tensor, labels: Tensor, training: bool) -> Tensor:
        """Returns (-bound (B,) in nats, reconstructions (B, ...) of the first latents of each example)."""
        k = self.importance_samples
        mean, log_var = (
            ops.repeat(each, k, axis=0) for each in self.through_encoder(examples, None, training)
        )
        latents = self.draw(mean, log_var, training)  # (B * k, D), those of one example side by side
        reconstructions = self.through_decoder(latents, None, training)
        log_p = gaussian_log_density(latents, ops.zeros_like(mean), ops.zeros_like(mean))
        log_q = gaussian_log_density(latents, mean, log_var)
        log_weights = log_p - log_q - self.nll(ops.repeat(examples, k, axis=0), reconstructions)
        bound = ops.logsumexp(ops.reshape(log_weights, (-1, k)), axis=1) - math.log(k)
        return -bound, reconstructions[::k]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "importance_samples": self.importance_samples}


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    importance_samples: int = 5,
    likelihood: str | None = None,
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> ImportanceWeighted:
    """Builds the compiled importance-weighted autoencoder.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        importance_samples: k, latents an example; the decoder works k times as much.
        likelihood: "bernoulli" or "gaussian"; None is "bernoulli" for images, "gaussian" for rows.
        scale: standard deviation of the gaussian likelihood; rows in deviations of their columns.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training.
        body_options: further options of the body, for example {"units": (200, 200)}.

    Returns:
        A compiled `ImportanceWeighted`.

    Raises:
        OptionError: an option that cannot be used.
    """
    return build_variational(
        ImportanceWeighted,
        body,
        latent_dim,
        image_shape,
        features,
        body_options,
        importance_samples=check_positive("importance_samples", importance_samples),
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
