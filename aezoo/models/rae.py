"""Regularised autoencoder: no noise at all; small latents, a smooth decoder, a density fitted afterwards.

Source: Ghosh, Sajjadi, Vergari, Black & Schoelkopf 2020, "From Variational to Deterministic
Autoencoders", arXiv:1903.12436 (RAE-L2 and RAE-GP; its spectral normalisation is left out).
Differs: the body is dense or convolutional; the gradient penalty is Hutchinson's estimate from central
differences (1990, doi:10.1080/03610919008812866), since backends share no way of taking derivatives.

    encoder: images (B, H, W, C) or rows (B, F) -> latents (B, D)
    decoder: latents (B, D) -> reconstructions, shaped as the input
    minimised: mean over the batch of squared error + latent_weight * |latents|^2 / 2, summed over an example,
               + weight * |kernels of the decoder|^2   ("l2")
               or + weight * |J|^2                     ("gradient_penalty"; J: (values, D), the derivatives
                                                        of one example's reconstruction by its latents)
"""

import math
from typing import Any

from aezoo.core.options import check_between, check_choice, check_seed
from aezoo.models._bodies import build_body
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.regularized import Regularized, check_float32

REGULARIZERS = ("l2", "gradient_penalty", "none")

# Of (D(z + s v) - D(z - s v)) / 2s: float32 rounds reconstructions by 1e-7, which s divides, and the
# decoder's bends leave an error that falls with s^2. Latents are of the order of 1.
STEP = 1e-2


@keras.saving.register_keras_serializable("aezoo")
class RAE(Regularized):
    """An `Autoencoder` with small latents and a regularised decoder; `fit_prior` lets it generate.

    Args:
        encoder, decoder: as for `Autoencoder`; latents (B, D).
        latent_weight: of half the squared length of the latents.
        regularizer: "l2", "gradient_penalty" or "none".
        weight: of that penalty.
        **base: as for `Regularized`.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        latent_weight: float = 0.1,
        regularizer: str = "l2",
        weight: float = 0.0001,
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        check_choice("regularizer", regularizer, REGULARIZERS)
        self.latent_weight, self.weight = float(latent_weight), float(weight)
        self.regularizer = regularizer

    @property
    def needs_float32(self) -> bool:
        """Whether differences are taken that lower precision would lose."""
        return self.regularizer == "gradient_penalty"

    def penalty(self, examples: Tensor, latents: Tensor, reconstructions: Tensor, training: bool) -> Tensor:
        """Returns what is added to the squared error of each example, (B,)."""
        latents = ops.cast(latents, "float32")
        penalty = self.latent_weight * 0.5 * ops.sum(ops.square(latents), axis=-1)
        if self.regularizer == "l2":
            penalty += self.weight * self.squared_kernels()
        elif self.regularizer == "gradient_penalty":
            penalty += self.weight * self.squared_jacobian(latents, self.noise_seed(training))
        return penalty

    def squared_kernels(self) -> Tensor:
        """Returns the sum of squares of the decoder's kernels, one number; biases and scales are free."""
        kernels = [weight for weight in self.decoder.trainable_weights if len(weight.shape) > 1]
        return sum(ops.sum(ops.square(kernel)) for kernel in kernels)

    def squared_jacobian(self, latents: Tensor, seed: int) -> Tensor:
        """Returns an estimate of |J|^2 of each example, (B,): |J v|^2 for one random direction v.

        Signs v drawn at random have E[v v'] = I, so that E|J v|^2 = |J|^2, the squared Frobenius norm.
        The decoder is as outside training: over a batch that normalises itself J would couple examples.
        """
        check_float32(self.decoder)
        noise = keras.random.uniform(ops.shape(latents), seed=seed)
        step = STEP * (ops.cast(noise < 0.5, "float32") * 2 - 1)
        ahead, behind = (self.through_decoder(moved) for moved in (latents + step, latents - step))
        slopes = (self.in_units(ahead) - self.in_units(behind)) / (2 * STEP)
        return ops.sum(ops.square(slopes), axis=tuple(range(1, len(slopes.shape))))

    def get_config(self) -> dict[str, Any]:
        own = {"latent_weight": self.latent_weight, "weight": self.weight}
        return {**super().get_config(), **own, "regularizer": self.regularizer}


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    latent_weight: float = 0.1,
    regularizer: str = "l2",
    weight: float | None = None,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> RAE:
    """Builds the compiled regularised autoencoder.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        latent_weight: of half the squared length of the latents.
        regularizer: of the decoder: "l2" (its kernels), "gradient_penalty" (its derivatives; two more
            passes of the decoder in each step) or "none".
        weight: of the regulariser; None is 1e-4 for "l2", 0.01 for "gradient_penalty".
        seed: of the directions of the gradient penalty.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `RAE`, without a prior until `fit_prior`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_choice("regularizer", regularizer, REGULARIZERS)
    if weight is None:
        weight = {"l2": 1e-4, "gradient_penalty": 0.01, "none": 0.0}[regularizer]
    plain = build_body(body, latent_dim, image_shape, features, body_options)
    model = RAE(
        plain.encoder,
        plain.decoder,
        latent_weight=check_between("latent_weight", latent_weight, 0.0, math.inf, 0.1),
        regularizer=regularizer,
        weight=check_between("weight", weight, 0.0, math.inf, 1e-4),
        seed=check_seed(seed),
    )
    model.compile()
    return model
