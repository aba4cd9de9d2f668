"""Memory banks: how far an example lies from the nearest of those that training saw.

    InOwnUnits   images as vectors (B, V) -> the same without light and contrast
    Nearest      vectors (B, V), rows in standard deviations -> distances (B,)
    PatchMemory  images (B, H, W, C) -> patches, a convolution with their principal components
                 -> distances to the nearest remembered patch (B, h, w)

Source: Roth, Pemula, Zepeda, Schölkopf, Brox & Gehler 2022, "Towards Total Recall in Industrial Anomaly
Detection", arXiv:2106.08265 (PatchCore); Breunig, Kriegel, Ng & Sander 2000, "LOF: Identifying Density-Based
Local Outliers", doi:10.1145/342009.335388: the division by the neighbours' own distances,
of which it is a root here.
Differs: patches are described by their own principal components after a local contrast normalisation, and not
by a network that was trained on other images; what is remembered is drawn, and not chosen to cover: where
examples lie close to each other, so does the memory.
"""

import math
from typing import Any

import numpy as np

from aezoo.core.imports import need
from aezoo.nn.layers import keras, layers, ops

NEAREST = 3  # remembered examples that a distance is the mean of
PATCH_CANDIDATES = 4  # the same of patches
CANDIDATES = 10  # remembered examples that are measured again to find them
# Those around count by exp(-d^2 / (WIDTH * near^2 + FLOOR * mean own^2)).
WIDTH, FLOOR = 0.5, 0.125
LOCAL = 0.25  # power of the own distances that is divided by: 0 none of it, 1 all as in LOF
EPSILON = 0.02  # added to the spread of an image: noise of 8 bits in an even area stays small
_PRODUCT = 2e-3  # of the mean squared length: what a weight's width is at least, or roundings would weigh
_LEAST = 1e-3  # of the mean own distance: examples that repeat lie at none from each other


@keras.saving.register_keras_serializable("aezoo")
class Nearest(layers.Layer):
    """Distance of vectors (B, V) to the nearest of those remembered: (B,).

    The mean of the distances to the 3 nearest, divided by the fourth root of the mean distance that those
    around have to theirs. All of this is continuous, or the rounding of a runtime would decide which of two
    that are equally near counts: the nearest are measured again without the cancellation of a product, and
    those around are weighted by their distance.

    Args:
        remembered: M, the number of vectors that are remembered.
    """

    def __init__(self, remembered: int, **base: Any) -> None:
        super().__init__(**base)
        self.remembered = int(remembered)

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        constant = {"initializer": "zeros", "trainable": False}
        self.center = self.add_weight(name="center", shape=(width,), **constant)
        self.scale = self.add_weight(name="scale", shape=(width,), **constant)
        self.memory = self.add_weight(name="memory", shape=(self.remembered, width), **constant)
        self.own = self.add_weight(name="own", shape=(self.remembered, 1), **constant)
        self.spacing = self.add_weight(name="spacing", shape=(1,), **constant)
        super().build(input_shape)

    def remember(self, vectors: np.ndarray, scaled: bool) -> None:
        """Takes vectors (M, V) for its memory; scaled: each column in its own standard deviations."""
        vectors = np.asarray(vectors, "float64")
        scale = vectors.std(axis=0) if scaled else np.ones(vectors.shape[1])
        scale = np.where(scale > 0, scale, 1.0)
        memory = (vectors - vectors.mean(axis=0)) / scale
        self.center.assign(vectors.mean(axis=0).astype("float32"))
        self.scale.assign(scale.astype("float32"))
        self.memory.assign(memory.astype("float32"))
        own = own_distances(memory, self.near)
        self.own.assign(own[:, None].astype("float32"))
        lengths = np.square(memory).sum(axis=1)
        self.spacing.assign([np.float32(FLOOR * np.mean(own**2) + _PRODUCT * lengths.mean())])

    @property
    def near(self) -> int:
        """Remembered vectors that a distance is the mean of."""
        return min(NEAREST, self.remembered)

    @property
    def candidates(self) -> int:
        """Remembered vectors that are measured again."""
        return min(CANDIDATES, self.remembered)

    def call(self, vectors: Any) -> Any:
        scaled = (vectors - self.center) / self.scale
        squared, again = measured_again(scaled, self.memory, self.candidates)
        near = ops.mean(ops.sqrt(-ops.top_k(-again, self.near)[0]), axis=1, keepdims=True)
        weights = ops.softmax(-squared / (WIDTH * ops.square(near) + self.spacing), axis=-1)
        return ops.squeeze(near / ops.power(ops.matmul(weights, self.own), LOCAL), axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[:1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "remembered": self.remembered}


@keras.saving.register_keras_serializable("aezoo")
class InOwnUnits(layers.Layer):
    """Vectors (B, V) with their own mean taken off, in units of their own spread: light and contrast gone."""

    def call(self, vectors: Any) -> Any:
        difference = vectors - ops.mean(vectors, axis=1, keepdims=True)
        return difference / (ops.sqrt(ops.mean(ops.square(difference), axis=1, keepdims=True)) + EPSILON)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable("aezoo")
class PatchMemory(layers.Layer):
    """Distance of each patch of images (B, H, W, C) to the nearest remembered patch: (B, h, w).

    Args:
        size: side of a patch in pixels; strides: between two of them.
        contrast: standard deviation in pixels of the Gaussian window by whose mean and spread a pixel is
            normalised before.
        components: D, that a patch is described by.
        remembered: M.
    """

    def __init__(
        self, size: int, strides: int, contrast: float, components: int, remembered: int, **base: Any
    ) -> None:
        super().__init__(**base)
        self.size, self.strides, self.contrast = int(size), int(strides), float(contrast)
        self.components, self.remembered = int(components), int(remembered)

    def build(self, input_shape: Any) -> None:
        _, height, width, channels = input_shape
        constant = {"initializer": "zeros", "trainable": False}
        kernel = (self.size, self.size, channels, self.components)
        self.kernel = self.add_weight(name="kernel", shape=kernel, **constant)
        self.bias = self.add_weight(name="bias", shape=(self.components,), **constant)
        self.memory = self.add_weight(name="memory", shape=(self.remembered, self.components), **constant)
        self.window = window(self.contrast, min(height, width))
        self.cover = covered(self.window, height, width)
        super().build(input_shape)

    def remember(self, images: np.ndarray, seed: int = 0) -> None:
        """Takes patches of images (N, H, W, C), drawn from a seed, for principal components and memory."""
        draw, size = np.random.default_rng(seed), self.size
        patches = self._patches(images, draw, _DRAWN)
        pca = need("sklearn.decomposition", extra="train").PCA(self.components, random_state=0).fit(patches)
        components = pca.components_.T  # (size * size * C, D)
        self.kernel.assign(components.reshape(size, size, images.shape[-1], -1).astype("float32"))
        self.bias.assign((-pca.mean_ @ components).astype("float32"))
        remembered = ((patches - pca.mean_) @ components)[: self.remembered]
        self.memory.assign(remembered.astype("float32"))

    def _patches(self, images, draw, count):
        """Returns patches (count, size * size * C) of normalised images, drawn from all their places."""
        normal = np.concatenate(
            [
                ops.convert_to_numpy(self.normalised(ops.convert_to_tensor(images[start : start + _AT_ONCE])))
                for start in range(0, len(images), _AT_ONCE)
            ]
        )
        places = [(side - self.size) // self.strides + 1 for side in images.shape[1:3]]
        chosen = draw.permutation(len(images) * places[0] * places[1])
        chosen = chosen[: max(count, self.remembered)]
        number, y, x = np.unravel_index(chosen, (len(images), *places))
        within = np.arange(self.size)
        rows = (y * self.strides)[:, None, None] + within[None, :, None]
        columns = (x * self.strides)[:, None, None] + within[None, None, :]
        return normal[number[:, None, None], rows, columns].reshape(len(chosen), -1)

    @property
    def candidates(self) -> int:
        """Remembered patches that are measured again, for the same reason as in `Nearest`."""
        return min(PATCH_CANDIDATES, self.remembered)

    def normalised(self, images: Any) -> Any:
        """Returns images in units of the spread around each pixel, its mean taken off."""
        mean = self._blurred(images)
        difference = images - mean
        return difference / (ops.sqrt(self._blurred(ops.square(difference))) + EPSILON)

    def _blurred(self, images):
        down = np.repeat(self.window.astype("float32")[:, None, None, None], images.shape[-1], axis=2)
        images = ops.depthwise_conv(images, down, padding="same")
        return ops.depthwise_conv(images, down.swapaxes(0, 1), padding="same") / self.cover

    def call(self, images: Any) -> Any:
        described = ops.conv(self.normalised(images), self.kernel, self.strides, padding="valid") + self.bias
        _, again = measured_again(described, self.memory, self.candidates)
        return ops.sqrt(ops.min(again, axis=-1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, _ = input_shape
        return (batch, *((side - self.size) // self.strides + 1 for side in (height, width)))

    def get_config(self) -> dict[str, Any]:
        own = ("size", "strides", "contrast", "components", "remembered")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("aezoo")
class Standout(layers.Layer):
    """How far the largest values of a map (B, h, w) stand out of it: (B,).

    The mean of the largest hundredth, divided by the median; a floor keeps an even image from dividing by
    almost nothing.
    """

    def build(self, input_shape: Any) -> None:
        self.places = math.prod(input_shape[1:])
        self.floor = self.add_weight(name="floor", shape=(1,), initializer="zeros", trainable=False)
        super().build(input_shape)

    @property
    def top(self) -> int:
        """Places that are the largest hundredth."""
        return -(-self.places // 100)

    @property
    def half(self) -> int:
        """Places down to the median."""
        return self.places // 2 + 1

    def call(self, values: Any) -> Any:
        ordered, _ = ops.top_k(ops.reshape(values, (-1, self.places)), self.half)
        return ops.mean(ordered[:, : self.top], axis=1) / (ordered[:, self.half - 1] + self.floor)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[:1]


@keras.saving.register_keras_serializable("aezoo")
class Surprise(layers.Layer):
    """-log of the share of normal examples with such a value at least, (B,) to (B,): a scale to add parts on.

    Linear between quantiles of normal values, and beyond the last as an exponential tail goes on; so it grows
    where a share would be 0.
    """

    QUANTILES = (*np.linspace(0.0, 0.9, 19), 0.95, 0.98)
    STEEPEST = 30.0  # nats that a piece may rise by where a value doubles
    TAIL = 0.9  # quantile beyond which the mean excess tells the slope of the tail

    def build(self, input_shape: Any) -> None:
        knots = {"shape": (len(self.QUANTILES),), "initializer": "zeros", "trainable": False}
        self.knots = self.add_weight(name="knots", **knots)
        self.slopes = self.add_weight(name="slopes", **knots)
        super().build(input_shape)

    def learn(self, values: np.ndarray) -> None:
        """Takes the quantiles of normal values (N,)."""
        values = np.asarray(values, "float64")
        quantiles = np.asarray(self.QUANTILES)
        knots, heights = np.quantile(values, quantiles), -np.log(1 - quantiles + 0.5 / len(values))
        least = 0.01 * np.ptp(knots) or 1e-3 * abs(knots[0]) or 1.0  # two quantiles may be one value
        beyond = values[values > np.quantile(values, self.TAIL)]
        excess = (beyond - np.quantile(values, self.TAIL)).mean() if len(beyond) else np.ptp(values)
        slopes = np.append(np.diff(heights) / np.maximum(np.diff(knots), least), 1 / max(excess, least))
        steepest = self.STEEPEST / max(abs(np.median(values)), 1e-30)
        slopes = np.minimum(slopes, steepest)  # a steep piece would enlarge roundings
        self.knots.assign(knots.astype("float32"))
        self.slopes.assign(np.diff(slopes, prepend=0.0).astype("float32"))

    def call(self, values: Any) -> Any:
        above = ops.relu(values[:, None] - self.knots) * self.slopes
        return ops.sum(above, axis=1) + 0.0 * values  # what is no number stays none

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


_DRAWN = 12_000  # patches that principal components are taken of
_AT_ONCE = 64  # images


def squared_distances(vectors: Any, memory: Any) -> Any:
    """Returns squared distances (..., M) of vectors (..., D) to memory (M, D); rounding may go below 0."""
    lengths = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return lengths + ops.sum(ops.square(memory), axis=-1) - 2.0 * ops.matmul(vectors, ops.transpose(memory))


def measured_again(vectors: Any, memory: Any, candidates: int) -> tuple[Any, Any]:
    """Returns squared distances of vectors (..., D): (..., M) by a product, and exact ones to the nearest."""
    squared = squared_distances(vectors, memory)
    _, places = ops.top_k(-squared, candidates)
    difference = ops.expand_dims(vectors, -2) - ops.take(memory, places, axis=0)
    return squared, ops.sum(ops.square(difference), axis=-1)


def own_distances(memory: np.ndarray, near: int) -> np.ndarray:
    """Returns the mean distance (M,) of each remembered vector (M, V) to the nearest others, never 0."""
    if len(memory) <= near:
        return np.ones(len(memory))
    neighbours = need("sklearn.neighbors", extra="train").NearestNeighbors(n_neighbors=near).fit(memory)
    own = neighbours.kneighbors()[0].mean(axis=1)  # without the vector itself
    return np.maximum(own, _LEAST * own.mean()) if own.any() else np.ones(len(memory))


def window(spread: float, most: int) -> np.ndarray:
    """Returns a Gaussian window (K,) that sums to 1, three standard deviations each way within the image.

    >>> window(1.0, 28).round(3)
    array([0.004, 0.054, 0.242, 0.399, 0.242, 0.054, 0.004])
    """
    reach = max(1, min(math.ceil(3 * spread), (most - 1) // 2))
    values = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    return values / values.sum()


def covered(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the share (1, H, W, 1) of a window that lies inside the image at each pixel, float32."""
    down, across = (np.convolve(np.ones(side), values, "same") for side in (height, width))
    return np.outer(down, across)[None, ..., None].astype("float32")
