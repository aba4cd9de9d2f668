"""Beta-VAE: a variational autoencoder whose KL is weighted, or held at a capacity that grows.

Source: Higgins et al. 2017, "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational
Framework", ICLR; Burgess et al. 2018, "Understanding disentangling in beta-VAE", arXiv:1804.03599
(capacity).
Differs: the body is dense or convolutional. The KL that the capacity holds is the mean over the batch,
so that one example may carry more than another.

    encoder: images (B, H, W, C) or rows (B, F) -> posterior_mean (B, D), posterior_log_var (B, D)
    decoder: latents (B, D) -> probabilities or means, shaped as the input
    minimised: nll + beta * kl, or nll + gamma * |kl - C(step)|; all in nats per example
"""

import math
from typing import Any

from aezoo.core.options import check_between, check_positive
from aezoo.models._bodies import build_variational
from aezoo.nn.layers import Tensor, keras, layers, ops
from aezoo.nn.variational import Variational


@keras.saving.register_keras_serializable("aezoo")
class RisingCapacity(layers.Layer):
    """A capacity that rises linearly with the steps of training, which it counts.

    Args:
        highest: nats, from step `steps` on.
        steps: of training, until the highest capacity is reached.
    """

    def __init__(self, highest: float, steps: int, **base: Any) -> None:
        super().__init__(**base)
        self.highest, self.steps = highest, steps
        self.step = self.add_weight(name="step", initializer="zeros", dtype="int32", trainable=False)
        self.built = True

    def capacity(self, training: bool = False) -> Tensor:
        """Returns the capacity of this step in nats, a scalar; in training the next step is one further."""
        step = ops.cast(ops.minimum(self.step, self.steps), "float32")
        if training:
            self.step.assign(self.step + 1)
        return self.highest * step / self.steps

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "highest": self.highest, "steps": self.steps}


@keras.saving.register_keras_serializable("aezoo")
class BetaVAE(Variational):
    """A `Variational` whose KL is weighted by beta, or drawn to a capacity by gamma.

    Args:
        encoder, decoder: as for `Variational`.
        beta: weight of the KL; 1 is the evidence lower bound.
        capacity: nats that the KL is drawn to in the end; None is no capacity, and beta counts.
        capacity_steps: of training, over which the capacity rises from 0.
        gamma: weight of the KL's distance from the capacity.
        **base: as for `Variational`.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        beta: float = 4.0,
        capacity: float | None = None,
        capacity_steps: int = 5000,
        gamma: float = 30.0,
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.beta, self.capacity, self.capacity_steps, self.gamma = beta, capacity, capacity_steps, gamma
        self.couples_examples = capacity is not None
        self.rising = None if capacity is None else RisingCapacity(capacity, capacity_steps)

    def regularizer(
        self, posterior_mean: Tensor, posterior_log_var: Tensor, latents: Tensor, training: bool
    ) -> Tensor:
        kl = super().regularizer(posterior_mean, posterior_log_var, latents, training)
        if self.rising is None:
            return self.beta * kl
        return self.gamma * ops.abs(ops.mean(kl) - self.rising.capacity(training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta": self.beta,
            "capacity": self.capacity,
            "capacity_steps": self.capacity_steps,
            "gamma": self.gamma,
        }


def build(
    latent_dim: int = 10,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    beta: float = 4.0,
    capacity: float | None = None,
    capacity_steps: int = 5000,
    gamma: float = 30.0,
    likelihood: str | None = None,
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> BetaVAE:
    """Builds the compiled beta-VAE.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        beta: weight of the KL, 0 or more; 1 is a VAE.
        capacity: nats that the KL is drawn to in place of 0, for example 25; None is beta alone.
        capacity_steps: steps of training over which the capacity rises from 0.
        gamma: weight of the distance from the capacity; beta does not count then.
        likelihood: "bernoulli" or "gaussian"; None is "bernoulli" for images, "gaussian" for rows.
        scale: standard deviation of the gaussian likelihood; rows in deviations of their columns.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `BetaVAE`.

    Raises:
        OptionError: an option that cannot be used.
    """
    return build_variational(
        BetaVAE,
        body,
        latent_dim,
        image_shape,
        features,
        body_options,
        beta=check_between("beta", beta, 0.0, math.inf, 4.0),
        capacity=None if capacity is None else check_between("capacity", capacity, 0.0, math.inf, 25.0),
        capacity_steps=check_positive("capacity_steps", capacity_steps),
        gamma=check_between("gamma", gamma, 0.0, math.inf, 30.0),
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
