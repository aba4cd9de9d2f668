"""VampPrior: a variational autoencoder whose prior is the mixture of its posteriors at learned inputs.

Source: Tomczak & Welling 2018, "VAE with a VampPrior", arXiv:1705.07120.
Differs: the body is dense or convolutional, without the paper's gates and without its warm-up of the KL.
Pseudo-inputs stay in (0, 1) by a sigmoid, whose gradient never stops, where the paper clips.

    encoder: images (B, H, W, C) or rows (B, F) -> posterior_mean (B, D), posterior_log_var (B, D)
    decoder: latents (B, D) -> probabilities or means, shaped as the input
    prior: 1/K * sum of q(z|u_k), u_k the K pseudo-inputs, each shaped as an example
    minimised: nll + log q(z|x) - log p(z), z drawn from q(z|x); nats per example
"""

from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import check_positive
from aezoo.core.priors import GaussianMixture, Prior
from aezoo.models._bodies import build_variational
from aezoo.nn.layers import Tensor, keras, layers, ops
from aezoo.nn.losses import gaussian_log_density, mixture_log_density
from aezoo.nn.variational import Variational


@keras.saving.register_keras_serializable("aezoo")
class PseudoInputs(layers.Layer):
    """Holds K learned examples.

    Args:
        count: K.
        shape: of one example.
        bounded: whether values lie in (0, 1), as images do; rows are in deviations of their columns.
        seed: of the first values: noise, for images around 0.5.
    """

    def __init__(
        self, count: int, shape: tuple[int, ...], bounded: bool = True, seed: int = 0, **base: Any
    ) -> None:
        super().__init__(**base)
        self.count, self.shape, self.bounded, self.seed = count, tuple(shape), bounded, seed
        noise = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self.values = self.add_weight(name="values", shape=(count, *self.shape), initializer=noise)
        self.built = True

    def examples(self) -> Tensor:
        """Returns the learned examples, (K, ...)."""
        return ops.sigmoid(self.values) if self.bounded else ops.convert_to_tensor(self.values)

    def get_config(self) -> dict[str, Any]:
        own = {"count": self.count, "shape": self.shape, "bounded": self.bounded, "seed": self.seed}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("aezoo")
class VampVAE(Variational):
    """A `Variational` whose `prior` is a mixture that is learned with it.

    Args:
        encoder, decoder: as for `Variational`.
        components: K, the number of pseudo-inputs.
        **base: as for `Variational`.
    """

    def __init__(self, encoder: Any, decoder: Any, *, components: int = 100, **base: Any) -> None:
        super().__init__(encoder, decoder, **base)
        self.components = components
        self.pseudo_inputs = PseudoInputs(components, self.example_shape, self.kind == "images", self.seed)

    def components_of_prior(self) -> Tensor:
        """Returns (means, log_vars) of the mixture, tensors (K, D).

        Batch statistics are left alone: the prior is that of the encoder outside training.
        """
        inputs = self.pseudo_inputs.examples()
        return self.through_encoder(inputs if self._unstandardize is None else self._unstandardize(inputs))

    def regularizer(
        self, posterior_mean: Tensor, posterior_log_var: Tensor, latents: Tensor, training: bool
    ) -> Tensor:
        means, log_vars = self.components_of_prior()
        log_p = mixture_log_density(latents, means, log_vars)
        return gaussian_log_density(latents, posterior_mean, posterior_log_var) - log_p

    @property
    def prior(self) -> Prior | None:
        """The mixture as the encoder gives it now, a `priors.GaussianMixture`."""
        means, log_vars = (ops.convert_to_numpy(each) for each in self.components_of_prior())
        return GaussianMixture([1.0] * self.components, means, ops.convert_to_numpy(ops.exp(0.5 * log_vars)))

    @prior.setter
    def prior(self, prior: Prior | None) -> None:
        """Ignores what the constructors and a file set: this prior is computed from weights."""

    def fit_prior(self, examples: Tensor, components: int = 10, seed: int = 0) -> None:
        raise OptionError(
            "the prior of this model is learned with it",
            got="fit_prior",
            expected="sample, which draws from the mixture that was learned",
            fix="leave fit_prior out",
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "components": self.components}


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    components: int = 100,
    likelihood: str | None = None,
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> VampVAE:
    """Builds the compiled VAE with a VampPrior.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        components: K, pseudo-inputs; each step of training encodes all of them.
        likelihood: "bernoulli" or "gaussian"; None is "bernoulli" for images, "gaussian" for rows.
        scale: standard deviation of the gaussian likelihood; rows in deviations of their columns.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training, and of the pseudo-inputs at first.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `VampVAE`.

    Raises:
        OptionError: an option that cannot be used.
    """
    return build_variational(
        VampVAE,
        body,
        latent_dim,
        image_shape,
        features,
        body_options,
        components=check_positive("components", components),
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
