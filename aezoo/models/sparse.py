"""Sparse autoencoder: of many latents, only a few are used for each example.

Source: Makhzani & Frey 2014, "k-Sparse Autoencoders", arXiv:1312.5663; Ng 2011, "Sparse autoencoder",
CS294A lecture notes ("kl"); Olshausen & Field 1996, doi:10.1038/381607a0 ("l1").
Differs: encoder and decoder have a kernel each; k is the same from the first step on.

    encoder: images (B, H, W, C) or rows (B, F) -> latents (B, D); D may exceed the number of values
    decoder: latents (B, D) -> reconstructions, shaped as the input
    minimised: mean over the batch of squared error + penalty, both summed over an example
"""

import math
from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import check_between, check_choice, check_positive
from aezoo.models._bodies import build_body, shallow
from aezoo.nn.layers import Tensor, check_activation, keras, layers, ops
from aezoo.nn.regularized import Regularized

# kind of sparsity -> (activation of the latents, weight of its penalty)
SPARSITIES = {"k": (None, 0.0), "l1": ("relu", 0.1), "kl": ("sigmoid", 3.0)}


@keras.saving.register_keras_serializable("aezoo")
class KSparse(layers.Layer):
    """Keeps the k largest of the latents (B, D), and makes the others 0.

    Latents that equal the k-th largest are all kept, so that runtimes need not agree on which of two
    comes first.

    Args:
        k: how many are kept in training.
        alpha: alpha * k are kept afterwards, at most all; 1 or more (section 2.2 of the paper).
    """

    def __init__(self, k: int, alpha: float = 1.0, **base: Any) -> None:
        super().__init__(**base)
        self.k, self.alpha = k, alpha

    def kept(self, latent_dim: int, training: bool = False) -> int:
        """Returns how many of D latents are kept."""
        return self.k if training else min(round(self.alpha * self.k), latent_dim)

    def call(self, latents: Tensor, training: bool = False) -> Tensor:
        smallest = ops.top_k(latents, self.kept(latents.shape[-1], training))[0][..., -1:]
        return ops.where(latents >= smallest, latents, ops.zeros_like(latents))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k, "alpha": self.alpha}


@keras.saving.register_keras_serializable("aezoo")
class Sparse(Regularized):
    """An `Autoencoder` of sparse latents.

    Args:
        encoder, decoder: as for `Autoencoder`; of sparsity "k" the encoder ends with a `KSparse`.
        sparsity: "k" (no penalty), "l1" or "kl".
        weight: of the penalty.
        target: share that the mean of each latent is drawn to by "kl".
        **base: as for `Regularized`.
    """

    reports_sparsity = True

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        sparsity: str = "k",
        weight: float = 0.0,
        target: float = 0.05,
        **base: Any,
    ) -> None:
        super().__init__(encoder, decoder, **base)
        self.sparsity, self.weight, self.target = sparsity, weight, target

    def penalty(self, examples: Tensor, latents: Tensor, reconstructions: Tensor, training: bool) -> Tensor:
        """Returns weight * the sum of |latents| of each example, or of a batch's KL; nats for the latter."""
        if self.sparsity == "k":
            return ops.zeros_like(latents[:, 0])
        if self.sparsity == "l1":
            return self.weight * ops.sum(ops.abs(latents), axis=-1)
        share = ops.clip(ops.mean(latents, axis=0), 1e-7, 1 - 1e-7)
        on, off = self.target * ops.log(self.target / share), ops.log((1 - self.target) / (1 - share))
        return self.weight * ops.sum(on + (1 - self.target) * off)

    def get_config(self) -> dict[str, Any]:
        own = {"sparsity": self.sparsity, "weight": self.weight, "target": self.target}
        return {**super().get_config(), **own}


def build(
    latent_dim: int = 128,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    features: int | None = None,
    body: str = "dense",
    sparsity: str = "k",
    k: int | None = None,
    alpha: float = 1.0,
    weight: float | None = None,
    target: float = 0.05,
    latent_activation: str | None = None,
    body_options: dict[str, Any] | None = None,
) -> Sparse:
    """Builds the compiled sparse autoencoder.

    Args:
        latent_dim: D; more than the values of an example make an overcomplete code.
        image_shape: (H, W, C) of the images; not looked at where `features` is given.
        features: F, for a model of rows (B, F), whose body is "dense".
        body: "dense" or "conv".
        sparsity: "k" (the k largest latents are kept, the others 0), "l1" or "kl" (see `Sparse`).
        k: latents that are kept; None is a tenth of them. Of sparsity "k" alone, as is `alpha`.
        alpha: outside training round(alpha * k) latents are kept; 1 or more.
        weight: of the penalty; None is 0.1 for "l1" and 3 for "kl". Not for "k".
        target: mean of each latent that "kl" draws to, in (0, 1).
        latent_activation: Keras name; None is none for "k", "relu" for "l1", "sigmoid" for "kl".
        body_options: of the body; {} or None is one layer each way for "dense", as in the papers.

    Returns:
        A compiled `Sparse`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_choice("sparsity", sparsity, tuple(SPARSITIES))
    usual_activation, usual_weight = SPARSITIES[sparsity]
    latent_activation = check_activation("latent_activation", latent_activation or usual_activation)
    if sparsity == "kl":
        check_choice("latent_activation", latent_activation, ("sigmoid",))  # a KL of shares, in (0, 1)
    weight = check_between("weight", usual_weight if weight is None else weight, 0.0, math.inf, 0.1)
    target = check_between("target", target, 1e-6, 1.0, 0.05)
    alpha = check_between("alpha", alpha, 1.0, math.inf, 1.0)
    k = check_positive("k", max(1, check_positive("latent_dim", latent_dim) // 10) if k is None else k)
    if k > latent_dim:
        problem, got = "there are not so many latents to keep", f"k={k}, latent_dim={latent_dim}"
        raise OptionError(problem, got=got, expected=f"k of 1 to {latent_dim}", fix="pass k=None")
    options = shallow(body, features, body_options, latent_activation=latent_activation)
    plain = build_body(body, latent_dim, image_shape, features, options)
    encoder = plain.encoder
    if sparsity == "k":
        latents = KSparse(k, alpha, name="k_sparse")(encoder.outputs[0])
        encoder = keras.Model(encoder.inputs[0], latents, name="encoder")
    model = Sparse(encoder, plain.decoder, sparsity=sparsity, weight=weight, target=target)
    model.compile()
    return model
