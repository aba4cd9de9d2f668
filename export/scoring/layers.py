"""The layers of a scorer: error maps, what is made of them, a score's place among normal ones, a verdict."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.imports import need
from aezoo.nn.layers import keras, layers, ops
from aezoo.nn.losses import bernoulli_nll, gaussian_kl, gaussian_nll

_LEAST_SPREAD = 1e-6  # of the largest variance of latents: one below it is rounding


@keras.saving.register_keras_serializable("aezoo")
class ErrorMap(layers.Layer):
    """Squared error at each place: examples and reconstructions (B, ..., C) to (B, ...), rows to (B, F).

    Args:
        scale: None, or what differences are divided by, a list of C.
    """

    def __init__(self, scale: ArrayLike | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.scale = None if scale is None else [float(value) for value in np.ravel(scale)]

    def call(self, examples: Any, reconstructions: Any) -> Any:
        difference = reconstructions - examples
        if self.scale is not None:
            difference = difference / ops.convert_to_tensor(np.asarray(self.scale, "float32"))
        squared = ops.square(difference)
        return squared if len(squared.shape) == 2 else ops.mean(squared, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("aezoo")
class MeanError(layers.Layer):
    """Mean of an error map (B, ...) over all its places: (B,)."""

    def call(self, error_map: Any) -> Any:
        return ops.mean(error_map, axis=tuple(range(1, len(error_map.shape))))


@keras.saving.register_keras_serializable("aezoo")
class SeriesErrorMap(ErrorMap):
    """As `ErrorMap`, of series (B, T, F) with NaN behind their ends: (B, T), 0 there."""

    def call(self, examples: Any, reconstructions: Any) -> Any:
        behind = ops.isnan(examples)
        # Both: what a decoder writes behind an end may be infinite, and counts nowhere.
        known, again = (ops.where(behind, ops.zeros_like(each), each) for each in (examples, reconstructions))
        return super().call(known, again)


@keras.saving.register_keras_serializable("aezoo")
class SeriesMeanError(layers.Layer):
    """Mean of an error map (B, T) over the steps of the examples (B, T, F) that are not NaN: (B,).

    Both are means and not sums, which a precision of few bits would lose.
    """

    def call(self, error_map: Any, examples: Any) -> Any:
        behind = ops.cast(ops.isnan(examples), error_map.dtype)
        return ops.mean(error_map, axis=1) / (1.0 - ops.mean(behind, axis=(1, 2)))

    def compute_output_shape(
        self, error_map_shape: tuple[int | None, ...], examples_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return error_map_shape[:1]


@keras.saving.register_keras_serializable("aezoo")
class NegativeElbo(layers.Layer):
    """Negative evidence lower bound with the posterior mean in place of a draw: (B,) nats.

    Source: Kingma & Welling 2014, arXiv:1312.6114, equation 10.

    Args:
        likelihood: of a `Variational` model, with a "kind" and a "scale".
        scale: None, or the standard deviations of the columns, a list.
    """

    def __init__(self, likelihood: Mapping[str, Any], scale: ArrayLike | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.likelihood = dict(likelihood)
        self.scale = None if scale is None else [float(value) for value in np.ravel(scale)]

    def call(self, examples: Any, reconstructions: Any, posterior_mean: Any, posterior_log_var: Any) -> Any:
        if self.likelihood["kind"] == "bernoulli":
            nll = bernoulli_nll(examples, reconstructions)
        else:
            if self.scale is not None:
                scale = ops.convert_to_tensor(np.asarray(self.scale, "float32"))
                examples, reconstructions = examples / scale, reconstructions / scale
            nll = gaussian_nll(examples, reconstructions, self.likelihood["scale"])
        return nll + gaussian_kl(posterior_mean, posterior_log_var)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "likelihood": self.likelihood, "scale": self.scale}


@keras.saving.register_keras_serializable("aezoo")
class PValue(layers.Layer):
    """A score's place in a table of normal scores: (B,) to (B,); see `aezoo.core.calibration`."""

    def __init__(self, entries: int, **base: Any) -> None:
        super().__init__(**base)
        self.entries = int(entries)
        self.table = self.add_weight(
            name="table", shape=(self.entries,), initializer="zeros", trainable=False
        )
        self.steps = self.add_weight(name="steps", shape=(2,), initializer="zeros", trainable=False)

    def call(self, score: Any) -> Any:
        # `table >= score` would be the same, but OpenVINO answers it with true where the score is NaN.
        above = ops.cast(score[:, None] <= self.table[None], "float32")
        return self.steps[0] + self.steps[1] * ops.sum(above, axis=1)

    def compute_output_shape(self, score_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return score_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "entries": self.entries}


@keras.saving.register_keras_serializable("aezoo")
class IsAnomaly(layers.Layer):
    """Whether a score (B,) is not within the threshold: (B,) bool. A score that is no number is not.

    The comparison becomes a number before it is turned round: `not (a <= b)` is what optimisers of graphs
    make `a > b` of, which NaN passes as normal.
    """

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.threshold = self.add_weight(name="threshold", shape=(1,), initializer="zeros", trainable=False)

    def call(self, score: Any) -> Any:
        return ops.cast(score <= self.threshold, "float32") < 0.5

    def compute_output_spec(self, score: Any) -> Any:
        return keras.KerasTensor(score.shape, dtype="bool")


@keras.saving.register_keras_serializable("aezoo")
class LargestError(layers.Layer):
    """Largest value of an error map (B, ...), smoothed so that no single pixel or step decides: (B,).

    Args:
        size: side of the square, or number of steps, that a mean is taken over; 1 for columns of rows.
    """

    def __init__(self, size: int, **base: Any) -> None:
        super().__init__(**base)
        self.size = int(size)

    def call(self, error_map: Any) -> Any:
        if self.size > 1:
            error_map = ops.average_pool(error_map[..., None], self.size, 1)[..., 0]
        axes = tuple(range(1, len(error_map.shape)))
        # onnxruntime's largest value passes NaN over.
        return ops.max(error_map, axis=axes) + 0.0 * ops.mean(error_map, axis=axes)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[:1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("aezoo")
class Mahalanobis(layers.Layer):
    """Mahalanobis distance of latents (B, D) or (B, h, w, D) from their mean: (B,).

    Source: Mahalanobis 1936; the covariance is shrunk as Ledoit & Wolf 2004,
    doi:10.1016/S0047-259X(03)00096-4, so that it can be inverted however few the examples are.
    """

    def build(self, input_shape: Any) -> None:
        self.width = math.prod(input_shape[1:])
        constant = {"initializer": "zeros", "trainable": False}
        self.kernel = self.add_weight(name="kernel", shape=(self.width, self.width), **constant)
        self.bias = self.add_weight(name="bias", shape=(self.width,), **constant)
        super().build(input_shape)

    def learn(self, latents: np.ndarray) -> None:
        """Takes mean and covariance of latents (N, ...)."""
        flat = np.asarray(latents, "float64").reshape(len(latents), -1)
        covariance = need("sklearn.covariance", extra="train").ledoit_wolf(flat)[0]
        spreads, directions = np.linalg.eigh(covariance)
        kernel = directions / np.sqrt(np.maximum(spreads, _LEAST_SPREAD * max(spreads.max(), 1e-12)))
        self.kernel.assign(kernel.astype("float32"))
        self.bias.assign((-flat.mean(axis=0) @ kernel).astype("float32"))

    def call(self, latents: Any) -> Any:
        flat = ops.reshape(latents, (-1, self.width))
        return ops.sqrt(ops.sum(ops.square(ops.matmul(flat, self.kernel) + self.bias), axis=1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[:1]


@keras.saving.register_keras_serializable("aezoo")
class Placed(layers.Layer):
    """A map of patches (B, h, w) at the pixels of its image, between their middles linearly: (B, H, W).

    Args:
        sides: (H, W).
        size, strides: of the patches, in pixels.
    """

    def __init__(self, sides: Sequence[int], size: int, strides: int, **base: Any) -> None:
        super().__init__(**base)
        self.sides, self.size, self.strides = tuple(sides), int(size), int(strides)

    def build(self, input_shape: Any) -> None:
        pairs = zip(self.sides, input_shape[1:], strict=True)
        self.down, self.across = (between(side, count, self.size, self.strides) for side, count in pairs)
        super().build(input_shape)

    def call(self, values: Any) -> Any:
        return ops.matmul(ops.matmul(self.down, values), self.across.T)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], *self.sides)

    def get_config(self) -> dict[str, Any]:
        own = {"sides": list(self.sides), "size": self.size, "strides": self.strides}
        return {**super().get_config(), **own}


def between(side: int, count: int, size: int, strides: int) -> np.ndarray:
    """Returns the weights (side, count), float32, of patches for each pixel of an axis.

    >>> between(4, 2, 2, 2).round(2).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    places = np.clip((np.arange(side) - (size - 1) / 2) / strides, 0, count - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(count)), 0).astype("float32")
