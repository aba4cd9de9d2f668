"""What variational families share: a Gaussian posterior, a likelihood, and a bound in nats.

examples --encoder--> posterior_mean (B, D), posterior_log_var (B, D) --draw--> latents --decoder-->

A family is a subclass that overrides `regularizer`, the terms beside the negative log-likelihood,
or the whole `objective`. Both are of one example, summed over pixels and over latent axes.
"""

import numbers
from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import check_choice, check_seed
from aezoo.core.priors import StandardNormal
from aezoo.nn.autoencoder import Autoencoder, keras, ops
from aezoo.nn.layers import Tensor
from aezoo.nn.losses import bernoulli_nll, gaussian_kl, gaussian_nll

LIKELIHOODS = ("bernoulli", "gaussian")


@keras.saving.register_keras_serializable("aezoo")
class Variational(Autoencoder):
    """An `Autoencoder` whose encoder gives a posterior; trained on a bound of the log-likelihood.

    Args:
        encoder: two outputs, posterior_mean and posterior_log_var (B, D).
        decoder: latents (B, D) to probabilities or means, shaped as the examples.
        likelihood: "bernoulli" (images in [0, 1]) or "gaussian" (images; rows and sequences in
            standard deviations of their columns).
        scale: standard deviation of the gaussian likelihood.
        binarize: whether images stand for probabilities, and 0 or 1 is drawn for each pixel before
            the encoder; anew in every step of training (Salakhutdinov & Murray 2008).
        seed: of what is drawn in training.
        **base: as for `Autoencoder`.

    Raises:
        OptionError: an option that cannot be used.
    """

    encoder_outputs = ("posterior_mean", "posterior_log_var")
    own_objective = True
    likelihood: dict[str, Any]
    seed: int
    seed_generator: Any

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        likelihood: str = "bernoulli",
        scale: float = 0.1,
        binarize: bool = False,
        seed: int = 0,
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        check_choice("likelihood", likelihood, LIKELIHOODS)
        if likelihood == "bernoulli" and self.kind != "images":
            raise OptionError(
                "a bernoulli likelihood is for values in [0, 1]",
                got=f"likelihood='bernoulli' for {self.kind}",
                expected="likelihood='gaussian'",
                fix="pass likelihood='gaussian'",
            )
        if binarize and likelihood != "bernoulli":
            raise OptionError(
                "binarised images have a bernoulli likelihood",
                got=f"binarize={binarize!r}, likelihood={likelihood!r}",
                expected="likelihood='bernoulli'",
                fix="leave out binarize, or pass likelihood='bernoulli'",
            )
        if not isinstance(scale, numbers.Real) or isinstance(scale, bool) or not 1e-6 <= scale <= 1e6:
            raise OptionError(
                "the scale of a likelihood is a standard deviation",
                got=f"scale={scale!r}",
                expected="a number of 1e-6 to 1e6",
                fix="pass scale=0.1",
            )
        self.likelihood = {"kind": likelihood, "scale": float(scale), "binarize": bool(binarize)}
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.prior = StandardNormal(self.latent_shape)

    # -- training -------------------------------------------------------------------------------

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Returns the reconstructions: of drawn latents in training, of the posterior mean otherwise.

        The objective is added in both cases; without training its noise comes from a fixed seed.
        """
        examples, labels = self.taken_apart(inputs)
        each, drawn = self.objective(self.observed(examples, training), labels, training)
        self.add_loss(each)
        if training:
            return drawn
        return self.through_decoder(self.through_encoder(examples, labels)[0], labels)

    def through_encoder(self, examples: Tensor, labels: Tensor = None, training: bool = False) -> Tensor:
        """Returns (posterior_mean, posterior_log_var): float32, whatever the precision of the layers."""
        outputs = super().through_encoder(examples, labels, training)
        # A symbolic output is float32 already, and must not gain a Cast in what is exported.
        return [
            each if keras.backend.standardize_dtype(each.dtype) == "float32" else ops.cast(each, "float32")
            for each in outputs
        ]

    def observed(self, examples: Tensor, training: bool) -> Tensor:
        """Returns the examples, or what is drawn for them where they are binarised."""
        if not self.likelihood["binarize"]:
            return examples
        # Not the fixed seed of `draw`: latents and pixels would follow from the same numbers.
        noise = keras.random.uniform(ops.shape(examples), seed=self.seed_generator if training else 2)
        return ops.cast(noise < ops.cast(examples, noise.dtype), examples.dtype)

    def noise_seed(self, training: bool) -> Tensor:
        """Returns the generator of training's noise, or the fixed seed of a repeatable objective."""
        return self.seed_generator if training else 1

    def draw(self, posterior_mean: Tensor, posterior_log_var: Tensor, training: bool) -> Tensor:
        """Returns latents (B, D) of the posterior, by the reparameterisation trick."""
        noise = keras.random.normal(
            ops.shape(posterior_mean), dtype=posterior_mean.dtype, seed=self.noise_seed(training)
        )
        return posterior_mean + ops.exp(0.5 * posterior_log_var) * noise

    def objective(self, examples: Tensor, labels: Tensor, training: bool) -> Tensor:
        """Returns (what is minimised (B,) in nats, reconstructions (B, ...)): the negative bound."""
        mean, log_var = self.through_encoder(examples, labels, training)
        latents = self.draw(mean, log_var, training)
        reconstructions = self.through_decoder(latents, labels, training)
        penalty = self.regularizer(mean, log_var, latents, training)
        return self.nll(examples, reconstructions) + penalty, reconstructions

    def regularizer(
        self, posterior_mean: Tensor, posterior_log_var: Tensor, latents: Tensor, training: bool
    ) -> Tensor:
        """Returns what is added to the negative log-likelihood of each example, (B,) in nats: the KL."""
        return gaussian_kl(posterior_mean, posterior_log_var)

    def nll(self, examples: Tensor, reconstructions: Tensor) -> Tensor:
        """Returns the negative log-likelihood of each example, (B,) in nats."""
        if self.likelihood["kind"] == "bernoulli":
            return bernoulli_nll(examples, reconstructions)
        return gaussian_nll(self.in_units(examples), self.in_units(reconstructions), self.likelihood["scale"])

    # -- saving ---------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "likelihood": self.likelihood["kind"],
            "scale": self.likelihood["scale"],
            "binarize": self.likelihood["binarize"],
            "seed": self.seed,
        }
