"""Adversarial autoencoder: a discriminator tells latents from draws of N(0, I), until it no longer can.

Source: Makhzani, Shlens, Jaitly, Goodfellow & Frey 2016, "Adversarial Autoencoders", arXiv:1511.05644
(section 2, deterministic encoder).
Differs: one step of one Adam moves all three networks instead of two phases in turn. Each weight has the
gradient of its own player alone, and Adam scales each weight's step on its own, so this is two Adams of
one learning rate. The body is dense or convolutional.

    encoder: images (B, H, W, C) or rows (B, F) -> latents (B, D)
    decoder: latents (B, D) -> reconstructions, shaped as the input
    discriminator: latents (B, D) -> log-odds (B,) that they are drawn from N(0, I)
    minimised by the discriminator: softplus(-log-odds(drawn)) + softplus(log-odds(latents)), nats
    by encoder and decoder: squared error, summed over an example, + weight * softplus(-log-odds(latents))
    shown: squared error + weight * (2 log 2 - the discriminator's loss): at best twice the Jensen-Shannon
           divergence of latents and N(0, I), in nats
"""

import math
from typing import Any

from aezoo.core.options import Sizes, check_between, check_seed, check_sizes
from aezoo.core.priors import StandardNormal
from aezoo.models._bodies import build_body
from aezoo.nn.layers import Tensor, keras, layers, ops
from aezoo.nn.regularized import Regularized


@keras.saving.register_keras_serializable("aezoo")
class Adversarial(Regularized):
    """An `Autoencoder` with a discriminator of its latents, which is saved with it and never exported.

    Args:
        encoder, decoder: as for `Autoencoder`; latents (B, D).
        weight: of the encoder's share of the game, beside the squared error.
        discriminator_units: sizes of the discriminator's layers.
        **base: as for `Regularized`.

    Attributes:
        beta_1: of Adam. Gradients of a game turn, and the usual 0.9 remembers too long where they pointed:
            on `mnist_mini`, 8 latents, a test mse of 0.037 against 0.028 with 0.5.
    """

    beta_1 = 0.5

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        weight: float = 1.0,
        discriminator_units: Sizes = (256, 256),
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.weight, self.discriminator_units = float(weight), tuple(discriminator_units)
        hidden = [layers.Dense(units, activation="leaky_relu") for units in self.discriminator_units]
        self.discriminator = keras.Sequential(
            [keras.Input(self.latent_shape), *hidden, layers.Dense(1)], name="discriminator"
        )
        self.prior = StandardNormal(self.latent_shape)

    def penalty(self, examples: Tensor, latents: Tensor, reconstructions: Tensor, training: bool) -> Tensor:
        """Returns weight * (2 log 2 - discriminator's loss) (B,), with the gradients of the game."""
        drawn = keras.random.normal(ops.shape(latents), dtype=latents.dtype, seed=self.noise_seed(training))
        discriminates, fools = self.losses_of_players(latents, drawn)
        shown = self.weight * (2 * math.log(2) - discriminates)
        moves = discriminates + self.weight * fools
        # The value of the first, the gradient of the second: what chooses the best epoch must not fall
        # where the discriminator wins.
        return ops.stop_gradient(shown - moves) + moves

    def losses_of_players(self, latents: Tensor, drawn: Tensor) -> Tensor:
        """Returns the losses of both players, each with a gradient to that player's weights alone.

        Args:
            latents: (B, D), of the encoder.
            drawn: (B, D), of the prior.

        Returns:
            (the discriminator's loss (B,) in nats, the encoder's (B,), of value 0): to the discriminator
            the two halves of the latter's difference are the same, so that their gradients cancel.
        """
        given = self.log_odds(ops.stop_gradient(latents))
        discriminates = ops.softplus(-self.log_odds(drawn)) + ops.softplus(given)
        return discriminates, ops.softplus(-self.log_odds(latents)) - ops.softplus(-given)

    def log_odds(self, latents: Tensor) -> Tensor:
        """Returns the log-odds (B,) that latents (B, D) are of the prior, as the discriminator sees it."""
        return ops.squeeze(self.discriminator(latents), axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {"weight": self.weight, "discriminator_units": self.discriminator_units}
        return {**super().get_config(), **own}


def build(
    latent_dim: int = 8,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    weight: float = 1.0,
    discriminator_units: Sizes = (256, 256),
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> Adversarial:
    """Builds the compiled adversarial autoencoder.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        weight: of the encoder's share of the game, beside the squared error.
        discriminator_units: sizes of the discriminator's layers.
        seed: of what is drawn from N(0, I) in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `Adversarial`.

    Raises:
        OptionError: an option that cannot be used.
    """
    weight, seed = check_between("weight", weight, 0.0, math.inf, 1.0), check_seed(seed)
    units = check_sizes("discriminator_units", discriminator_units)
    plain = build_body(body, latent_dim, image_shape, features, body_options)
    model = Adversarial(plain.encoder, plain.decoder, weight=weight, discriminator_units=units, seed=seed)
    model.compile(keras.optimizers.Adam(beta_1=model.beta_1))
    return model
