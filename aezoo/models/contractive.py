"""Contractive autoencoder: latents that hardly move when the example does.

Source: Rifai, Vincent, Muller, Glorot & Bengio 2011, "Contractive Auto-Encoders: Explicit Invariance
During Feature Extraction", ICML (sections 3 and 5.1).
Differs: the decoder's kernel is its own, not the encoder's transposed; Adam; deep encoders are trained
at once, their penalty estimated (Hutchinson 1990, doi:10.1080/03610919008812866).

    encoder: images (B, H, W, C) or rows (B, F) -> latents (B, D)
    decoder: latents (B, D) -> reconstructions, shaped as the input
    J: (D, values of an example), the derivatives of the latents of one example
    minimised: mean over the batch of squared error + weight * ||J||^2, both summed over an example
"""

import math
from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import check_between, check_choice, check_positive, check_seed
from aezoo.models._bodies import build_body, shallow
from aezoo.nn.autoencoder import first
from aezoo.nn.layers import Tensor, keras, only_dense, ops
from aezoo.nn.regularized import Regularized, check_float32

# Of differences (f(x + s v) - f(x - s v)) / 2s: roundings of f are divided by s, and what f bends remains
# times s^2. In float32 both are least near the cube root of 1e-7 times the length over which f bends;
# of encoders of pixels or standardised rows a sum of squares is off by 0.001 at most, measured.
STEP = 1e-2

# Activation -> its derivative, of what it returned.
_SLOPES = {
    "linear": ops.ones_like,
    "sigmoid": lambda latents: latents * (1 - latents),
    "tanh": lambda latents: 1 - ops.square(latents),
    "relu": lambda latents: ops.cast(latents > 0, latents.dtype),
    "softplus": lambda latents: 1 - ops.exp(-latents),
    "elu": lambda latents: ops.where(latents > 0, ops.ones_like(latents), latents + 1),
}


@keras.saving.register_keras_serializable("aezoo")
class Contractive(Regularized):
    """An `Autoencoder` whose latents are drawn to small derivatives; of rows by standardised columns.

    Args:
        encoder, decoder: as for `Autoencoder`.
        weight: of the squared Frobenius norm of the encoder's Jacobian.
        exact: whether the norm is the formula of one Dense layer, else estimated.
        directions: random directions of the estimate for each example.
        **base: as for `Regularized`.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        weight: float = 0.1,
        exact: bool = False,
        directions: int = 1,
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.weight, self.exact, self.directions = weight, exact, directions
        if exact and only_dense(encoder, _SLOPES) is None:
            problem = "the exact norm is known of an encoder of one Dense layer alone"
            got = f"jacobian='exact', layers {', '.join(layer.name for layer in encoder.layers)}"
            expected = f"units=(), with a latent_activation among None, {', '.join(_SLOPES)}"
            raise OptionError(problem, got=got, expected=expected, fix="pass jacobian='estimate'")

    @property
    def needs_float32(self) -> bool:
        """Whether differences are taken that lower precision would lose."""
        return not self.exact

    def penalty(self, examples: Tensor, latents: Tensor, reconstructions: Tensor, training: bool) -> Tensor:
        """Returns weight * ||J||^2 of each example, (B,)."""
        if self.exact:
            return self.weight * self.exact_norm(latents)
        return self.weight * self.estimated_norm(examples, self.noise_seed(training))

    def exact_norm(self, latents: Tensor) -> Tensor:
        """Returns ||J||^2 of each example, (B,): squared slopes times squared columns of the kernel."""
        dense = only_dense(self.encoder, _SLOPES)
        slopes = _SLOPES[dense.activation.__name__](ops.cast(latents, "float32"))
        return ops.sum(ops.square(slopes) * ops.sum(ops.square(dense.kernel), axis=0), axis=-1)

    def estimated_norm(self, examples: Tensor, seed: int) -> Tensor:
        """Returns an estimate of ||J||^2 of each example, (B,): the mean of ||J v||^2 over directions v.

        Signs v drawn at random have E[v v'] = I, so E||J v||^2 = ||J||^2; Gaussian ones vary more.
        J v is a central difference, as backends share no way of taking derivatives. The encoder is as
        outside training, which normalisation over a batch would make a function of other examples.
        """
        check_float32(self.encoder)
        noise = keras.random.uniform((self.directions, *ops.shape(examples)), seed=seed)
        step = STEP * (ops.cast(noise < 0.5, "float32") * 2 - 1)
        step = step if self._standardize is None else step * self._standardize.scale
        moved = ops.stack([examples + step, examples - step])
        latents = first(self.through_encoder(ops.reshape(moved, (-1, *self.example_shape))))
        ends = ops.reshape(latents, (2, self.directions, -1, self.latent_shape[-1]))
        return ops.mean(ops.sum(ops.square((ends[0] - ends[1]) / (2 * STEP)), axis=-1), axis=0)

    def get_config(self) -> dict[str, Any]:
        own = {"exact": self.exact, "directions": self.directions}
        return {**super().get_config(), "weight": self.weight, **own}


def build(
    latent_dim: int = 128,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    weight: float = 0.1,
    jacobian: str = "auto",
    directions: int = 1,
    latent_activation: str = "sigmoid",
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> Contractive:
    """Builds the compiled contractive autoencoder.

    Args:
        latent_dim: D.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        weight: of the squared norm of the Jacobian; 0 leaves a plain autoencoder.
        jacobian: "exact" (encoders of one layer), "estimate", or "auto" for exact where possible.
        directions: of the estimate, for each example; each costs two passes of the encoder.
        latent_activation: Keras name, of the latents; None leaves them unbounded.
        seed: of the directions.
        body_options: of the body; {} or None is one layer each way for "dense", as in the paper.

    Returns:
        A compiled `Contractive`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_choice("jacobian", jacobian, ("auto", "exact", "estimate"))
    weight = check_between("weight", weight, 0.0, math.inf, 0.1)
    directions, seed = check_positive("directions", directions), check_seed(seed)
    options = shallow(body, features, body_options, latent_activation=latent_activation)
    plain = build_body(body, latent_dim, image_shape, features, options)
    exact = jacobian == "exact" or (jacobian == "auto" and only_dense(plain.encoder, _SLOPES) is not None)
    own: dict[str, Any] = {"weight": weight, "exact": exact, "directions": directions, "seed": seed}
    model = Contractive(plain.encoder, plain.decoder, **own)
    model.compile()
    return model
