"""A linear path beside a network, which begins as principal components: training can only improve on them.

Source: Al-Digeil, Grinberg, Melati, Dezfouli, Schmid, Cheben, Janz & Xu 2022, "PCA-Boosted Autoencoders
for Nonlinear Dimensionality Reduction in Low Data Regimes", arXiv:2205.11673.
Differs: the components are whitened, so that latents have the same spread (those below a hundredth of the
first's have less); the network's last layers begin at zero, so that before the first step the model is the
PCA, and not near it.

    encoder: latents = network(examples) + linear(examples)                (B, D)
    decoder: reconstructions = network(latents) + linear(latents)          shaped as the examples
"""

import math
from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.imports import need
from aezoo.nn.layers import Tensor, activation_layer, bottleneck, check_activation, keras, layers, ops

_LATENTS, _RECONSTRUCTIONS = "linear_latents", "linear_reconstructions"
_LEAST = 1e-5  # of the largest spread: a component below it is rounding
_WHITENED = 1e-2  # of the largest: one below it would become all noise, of an input of few bits above all
MOST = 2**27  # values that principal components are taken from


def check_activations(
    linear_path: bool, latent_activation: str | None, output_activation: str | None = None
) -> None:
    """Raises OptionError for an activation that there is not, or that would bend a linear path.

    Args:
        linear_path: whether there is one.
        latent_activation: Keras name, or None.
        output_activation: Keras name or "clip"; None of rows and sequences, which have none.
    """
    check_activation("latent_activation", latent_activation)
    if output_activation != "clip":
        check_activation("output_activation", output_activation)
    if not linear_path:
        return
    for option, value, straight in (
        ("latent_activation", latent_activation, None),
        ("output_activation", output_activation, "clip"),
    ):
        if value not in (straight, None, "linear"):
            raise OptionError(
                "behind this activation no path is linear",
                got=f"linear_path=True, {option}={value!r}",
                expected=f"{option}={straight!r}",
                fix=f"pass {option}={straight!r}, or leave linear_path out",
            )


def last_kernel(linear_path: bool) -> str:
    """Returns how the kernel of a network's last layer begins: at zero beside a linear path."""
    return "zeros" if linear_path else "glorot_uniform"


def latents_of(
    x: Tensor, examples: Tensor, latent_dim: int, activation: str | None, linear_path: bool
) -> Tensor:
    """Returns the latents (B, D) of what a network gave for examples, with those of a linear path if any."""
    latents = bottleneck(x, latent_dim, activation, last_kernel(linear_path))
    return add_linear_latents(latents, examples) if linear_path else latents


def add_linear_latents(latents: Tensor, examples: Tensor) -> Tensor:
    """Returns latents (B, D) with those of the linear path from examples (B, ...) added."""
    flat = layers.Flatten(name="flat_examples")(examples)
    linear = layers.Dense(latents.shape[-1], kernel_initializer="zeros", name=_LATENTS)(flat)
    return layers.Add(name="latents_of_both")([latents, linear])


def add_linear_reconstructions(reconstructions: Tensor, latents: Tensor) -> Tensor:
    """Returns reconstructions (B, ...) with those of the linear path from latents (B, D) added."""
    shape = tuple(reconstructions.shape[1:])
    linear = layers.Dense(math.prod(shape), kernel_initializer="zeros", name=_RECONSTRUCTIONS)(latents)
    linear = layers.Reshape(shape, name=f"{_RECONSTRUCTIONS}_shaped")(linear)
    return layers.Add(name="reconstructions_of_both")([reconstructions, linear])


def output_layer(activation: str, name: str) -> Tensor:
    """Returns the layer of an output activation."""
    return Clip(name=name) if activation == "clip" else activation_layer(activation, name=name)


class LinearPath:
    """The two layers of a model's linear path.

    Args:
        encoder, decoder: functional Keras models.
    """

    def __init__(self, encoder: Any, decoder: Any) -> None:
        self.down, self.up = encoder.get_layer(_LATENTS), decoder.get_layer(_RECONSTRUCTIONS)

    @classmethod
    def of(cls, encoder: Any, decoder: Any) -> "LinearPath | None":
        """Returns that of a model, or None where it has none."""
        names = {layer.name for part in (encoder, decoder) for layer in part.layers}
        return cls(encoder, decoder) if {_LATENTS, _RECONSTRUCTIONS} <= names else None

    @property
    def started(self) -> bool:
        """Whether it has weights, of principal components or of a training."""
        return bool(ops.convert_to_numpy(ops.any(self.down.kernel != 0)))

    def start(self, examples: np.ndarray) -> None:
        """Gives it the principal components of examples (N, ...), as the network's first layer gets them."""
        mean, directions, spreads = _principal_components(examples, self.down.units)
        spreads = np.maximum(spreads, _WHITENED * spreads.max()) if spreads.any() else np.ones_like(spreads)
        down = (directions / spreads[:, None]).T
        self.down.set_weights([_exact(down), _exact(-mean @ down)])
        self.up.set_weights([_exact(directions * spreads[:, None]), _exact(mean)])


def _principal_components(examples, count):
    """Returns (mean (V,), directions (D, V), standard deviations (D,)); a missing component is all 0."""
    decomposition = need("sklearn.decomposition", extra="train")
    few = examples[: max(count, MOST // math.prod(examples.shape[1:]))]
    flat = few.reshape(len(few), -1)
    found = min(count, *flat.shape)
    with np.errstate(divide="ignore", invalid="ignore"):  # shares of no variance
        pca = decomposition.PCA(found, random_state=0).fit(flat)
    spreads, directions = np.zeros(count), np.zeros((count, flat.shape[1]))
    seen = pca.singular_values_ > _LEAST * pca.singular_values_.max(initial=0)
    spreads[:found][seen] = pca.singular_values_[seen] / math.sqrt(len(flat))
    directions[:found][seen] = pca.components_[seen]
    return np.asarray(pca.mean_, "float64"), directions, spreads


def _exact(array):
    return np.asarray(array, "float32")


@keras.saving.register_keras_serializable("aezoo")
class Clip(layers.Layer):
    """Values cut to [0, 1]; in training what lies outside leaks, or nothing would lead it back.

    Unlike a sigmoid it leaves values inside as they are, so that what comes before can be linear.
    """

    LEAK = 0.05

    def call(self, values: Tensor, training: bool = False) -> Tensor:
        inside = ops.clip(values, 0.0, 1.0)
        return inside + self.LEAK * (values - inside) if training else inside

    def compute_output_shape(self, input_shape: Any) -> Tensor:
        return input_shape
