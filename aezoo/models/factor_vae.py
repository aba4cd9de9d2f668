"""FactorVAE: a discriminator measures how much latent axes depend on each other, and training separates them.

Source: Kim & Mnih 2018, "Disentangling by Factorising", arXiv:1802.05983.
Differs: the body is dense or convolutional; the discriminator is smaller than the paper's six layers of
1000; the shuffled latents are those of the same batch; one Adam for both players, which scales each
weight's step on its own, so it is two of one learning rate.

    encoder: images (B, H, W, C) or rows (B, F) -> posterior_mean (B, D), posterior_log_var (B, D)
    decoder: latents (B, D) -> probabilities or means, shaped as the input
    discriminator: latents (B, D) -> log-odds (B, 1) that they are of q(z), not of the product of its axes
    minimised: nll + kl + gamma * log-odds(latents), by encoder and decoder; nats per example
               cross-entropy of q(z) against shuffled latents, by the discriminator
"""

import math
from typing import Any

from aezoo.core.options import Sizes, check_between, check_sizes
from aezoo.models._bodies import build_variational
from aezoo.nn.layers import Tensor, keras, layers, ops
from aezoo.nn.losses import permute_axes
from aezoo.nn.variational import Variational


@keras.saving.register_keras_serializable("aezoo")
class FactorVAE(Variational):
    """A `Variational` with a discriminator, which is trained beside it and left out of exports.

    Args:
        encoder, decoder: as for `Variational`.
        gamma: weight of the total correlation.
        discriminator_units: sizes of the discriminator's layers.
        **base: as for `Variational`.
    """

    couples_examples = True

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        gamma: float = 10.0,
        discriminator_units: Sizes = (256, 256, 256),
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.gamma, self.discriminator_units = gamma, tuple(discriminator_units)
        hidden = [layers.Dense(units, activation="leaky_relu") for units in self.discriminator_units]
        self.discriminator = keras.Sequential(
            [keras.Input(self.latent_shape), *hidden, layers.Dense(1)], name="discriminator"
        )

    def regularizer(
        self, posterior_mean: Tensor, posterior_log_var: Tensor, latents: Tensor, training: bool
    ) -> Tensor:
        """Returns kl + gamma * total correlation (B,) in nats; in training, what teaches the
        discriminator on top.
        """
        kl = super().regularizer(posterior_mean, posterior_log_var, latents, training)
        given = ops.stop_gradient(latents)
        log_odds = self.log_odds(given, training)
        # The difference is 0, and so is its gradient to the discriminator, whose two answers cancel;
        # what is left is the gradient to the latents.
        to_latents = self.log_odds(latents, training) - log_odds
        penalty = kl + self.gamma * (ops.stop_gradient(log_odds) + to_latents)
        if not training:
            return penalty
        shuffled = self.log_odds(permute_axes(given, self.seed_generator), training)
        return penalty + 0.5 * (ops.softplus(-log_odds) + ops.softplus(shuffled))

    def log_odds(self, latents: Tensor, training: bool = False) -> Tensor:
        """Returns log q(z) - log of the product of q(z_d), (B,) in nats, as the discriminator sees it."""
        return ops.squeeze(self.discriminator(latents, training=training), axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {"gamma": self.gamma, "discriminator_units": self.discriminator_units}
        return {**super().get_config(), **own}


def build(
    latent_dim: int = 10,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    gamma: float = 10.0,
    discriminator_units: Sizes = (256, 256, 256),
    likelihood: str | None = None,
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> FactorVAE:
    """Builds the compiled FactorVAE.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        gamma: weight of the total correlation, 0 or more.
        discriminator_units: sizes of the discriminator's layers.
        likelihood: "bernoulli" or "gaussian"; None is "bernoulli" for images, "gaussian" for rows.
        scale: standard deviation of the gaussian likelihood; rows in deviations of their columns.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `FactorVAE`.

    Raises:
        OptionError: an option that cannot be used.
    """
    return build_variational(
        FactorVAE,
        body,
        latent_dim,
        image_shape,
        features,
        body_options,
        gamma=check_between("gamma", gamma, 0.0, math.inf, 10.0),
        discriminator_units=check_sizes("discriminator_units", discriminator_units),
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
