"""Beta-TCVAE: the KL is split into three terms, and the one that ties latent axes together weighs more.

Source: Chen et al. 2018, "Isolating Sources of Disentanglement in Variational Autoencoders",
arXiv:1802.04942.
Differs: the body is dense or convolutional. The stratified weights of appendix C.2 single out one other
example of the batch; here they are averaged over which one it is: the same expectation, less variance.

    encoder: images (B, H, W, C) or rows (B, F) -> posterior_mean (B, D), posterior_log_var (B, D)
    decoder: latents (B, D) -> probabilities or means, shaped as the input
    minimised: nll + alpha * index_mi + beta * total_correlation + gamma * dimension_kl; nats per example
"""

import math
from typing import Any

from aezoo.core.options import check_between, check_positive
from aezoo.models._bodies import build_variational
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.losses import gaussian_log_density
from aezoo.nn.variational import Variational


def decomposed_kl(
    latents: Tensor, posterior_mean: Tensor, posterior_log_var: Tensor, dataset_size: int
) -> Tensor:
    """Estimates the three terms of the KL from a batch; their sum is log q(z|x) - log p(z) exactly.

    q(z), the mean of the posteriors of all N examples, is estimated from those of the batch: 1 / N for
    the example that the latents were drawn for, and (N - 1) / N shared among the others.

    Args:
        latents, posterior_mean, posterior_log_var: (B, D), latents drawn from the posteriors.
        dataset_size: N.

    Returns:
        (index_mi, total_correlation, dimension_kl), each (B,) in nats: log q(z|x) - log q(z),
        log q(z) - sum of log q(z_d), and sum of log q(z_d) - log p(z_d).
    """
    # (B latents, B posteriors, D)
    each = gaussian_log_density(latents[:, None], posterior_mean[None], posterior_log_var[None], axis=None)
    count = ops.cast(ops.shape(latents)[0], each.dtype)
    own = ops.eye(ops.shape(latents)[0], dtype=each.dtype)
    others = (dataset_size - 1) / dataset_size / ops.maximum(count - 1.0, 1.0)
    log_weights = ops.log(own / dataset_size + (1.0 - own) * others)
    log_q_given_x = gaussian_log_density(latents, posterior_mean, posterior_log_var)
    log_q = ops.logsumexp(log_weights + ops.sum(each, axis=-1), axis=1)
    log_q_of_axes = ops.sum(ops.logsumexp(log_weights[..., None] + each, axis=1), axis=-1)
    zeros = ops.zeros_like(latents)
    log_p = gaussian_log_density(latents, zeros, zeros)
    return log_q_given_x - log_q, log_q - log_q_of_axes, log_q_of_axes - log_p


@keras.saving.register_keras_serializable("aezoo")
class BetaTCVAE(Variational):
    """A `Variational` that weighs the three terms of its KL one by one; all weights 1 are a VAE.

    Args:
        encoder, decoder: as for `Variational`.
        alpha, beta, gamma: weights of index_mi, total_correlation and dimension_kl.
        dataset_size: N, number of training examples.
        **base: as for `Variational`.
    """

    couples_examples = True

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        alpha: float = 1.0,
        beta: float = 6.0,
        gamma: float = 1.0,
        dataset_size: int = 60000,
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.alpha, self.beta, self.gamma, self.dataset_size = alpha, beta, gamma, dataset_size

    def regularizer(
        self, posterior_mean: Tensor, posterior_log_var: Tensor, latents: Tensor, training: bool
    ) -> Tensor:
        index_mi, total_correlation, dimension_kl = decomposed_kl(
            latents, posterior_mean, posterior_log_var, self.dataset_size
        )
        return self.alpha * index_mi + self.beta * total_correlation + self.gamma * dimension_kl

    def get_config(self) -> dict[str, Any]:
        weights = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        return {**super().get_config(), **weights, "dataset_size": self.dataset_size}


def build(
    latent_dim: int = 10,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    alpha: float = 1.0,
    beta: float = 6.0,
    gamma: float = 1.0,
    dataset_size: int = 60000,
    likelihood: str | None = None,
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> BetaTCVAE:
    """Builds the compiled beta-TCVAE.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        alpha: weight of the mutual information of latents and example, 0 or more.
        beta: weight of the total correlation of the latent axes, 0 or more.
        gamma: weight of each axis's KL from N(0, 1), 0 or more.
        dataset_size: N, number of training examples, by which an example's own share in q(z) is 1 / N.
        likelihood: "bernoulli" or "gaussian"; None is "bernoulli" for images, "gaussian" for rows.
        scale: standard deviation of the gaussian likelihood; rows in deviations of their columns.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `BetaTCVAE`.

    Raises:
        OptionError: an option that cannot be used.
    """
    return build_variational(
        BetaTCVAE,
        body,
        latent_dim,
        image_shape,
        features,
        body_options,
        alpha=check_between("alpha", alpha, 0.0, math.inf, 1.0),
        beta=check_between("beta", beta, 0.0, math.inf, 6.0),
        gamma=check_between("gamma", gamma, 0.0, math.inf, 1.0),
        dataset_size=check_positive("dataset_size", dataset_size),
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
