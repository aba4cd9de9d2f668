"""What a scorer's verdict can go by: functions in the graph, (B,), larger where an example is less normal.

    reconstruction_error  mean of the error map
    largest_error         largest value of the error map, smoothed: a small defect in a large image
    negative_elbo         nats, of variational models
    mahalanobis_distance  of the latents from their mean, in the standard deviations of training
    memory_distance       to the nearest of the examples that are remembered; of images a sum over their
                          patches, with `anomaly_map` (B, H, W) of where they lie far

Those that compare with training take `reference`, examples that the model was trained on.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.options import check_choice
from aezoo.core.scores import SCORES
from aezoo.export.scoring import memory
from aezoo.export.scoring.layers import LargestError, Mahalanobis, MeanError, NegativeElbo, Placed
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.inference import answers
from aezoo.nn.layers import keras, layers

_MOST_LATENTS = 2048  # values, whose covariance is taken
_REMEMBERED = 2000  # rows or series, and images as a whole
_PATCHES = 4096  # of them are remembered
_COMPONENTS = 48  # of a patch
_SMALLEST = 16  # side in pixels of an image that has patches
_SIDE = 64  # pixels along the shorter side that larger images are made small to, 127 at most
_WHOLE = 16  # pixels along the shorter side, of what images as a whole are compared by
_LEARNING = 5  # one in so many reference images tells how far normal ones lie apart
_FLOOR = 0.05  # of the mean distance: what the standing out of an even image is divided by at least

Tensors = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Score:
    """A score of one model, ready to be put into its graph.

    Attributes:
        name: of `SCORES`, and of its output.
        outputs: function of {name: tensor} of the scorer's inputs and outputs so far, the encoder's outputs
            among them as "encoded" and the examples as "examples", to {name: tensor} of its own outputs.
    """

    name: str
    outputs: Callable[[Mapping[str, Any]], Tensors]


def fit(name: str, model: Autoencoder, reference: np.ndarray | None = None) -> Score:
    """Returns a score of a model.

    Args:
        name: of `SCORES`.
        model: an `Autoencoder`.
        reference: (N, ...) float32, examples of its training; scores that do not compare with them take none.

    Raises:
        OptionError: a score that the model does not have, or that wants reference examples.
    """
    check_choice("score", name, SCORES)
    return Score(name, _FITTED[name](model, reference) if name in _FITTED else lambda found: {})


# -- each of them ----------------------------------------------------------------------------------


def _negative_elbo(model, reference):
    if model.likelihood is None or model.prior is None or model.prior.kind != "standard_normal":
        raise OptionError(
            "this model has no evidence lower bound in closed form",
            got=f"score='negative_elbo' for model {model.model_name!r}",
            expected="a variational model whose prior is N(0, I)",
            fix="pass score='reconstruction_error'",
        )
    scale = None if model.kind == "images" else model.error_scale
    layer = NegativeElbo(model.likelihood, scale, name="negative_elbo")
    return lambda found: {
        "negative_elbo": layer(found["examples"], found["reconstructions"], *found["encoded"])
    }


def _largest_error(model, reference):
    shortest = min(model.example_shape[:-1], default=1)
    layer = LargestError(min(shortest, max(3, shortest // 16)), name="largest_error")
    return lambda found: {"largest_error": layer(found["error_map"])}


def _mahalanobis_distance(model, reference):
    _check_reference("mahalanobis_distance", model, reference)
    if np.prod(model.latent_shape) > _MOST_LATENTS:
        raise OptionError(
            "the covariance of so many latents cannot be told",
            got=f"score='mahalanobis_distance' for latents {model.latent_shape}",
            expected=f"at most {_MOST_LATENTS} values",
            fix="pass score='memory_distance'",
        )
    layer = Mahalanobis(name="mahalanobis_distance")
    layer.build((None, *model.latent_shape))
    layer.learn(model.encode(reference))
    return lambda found: {"mahalanobis_distance": layer(found["latents"])}


def _memory_distance(model, reference):
    _check_reference("memory_distance", model, reference)
    if model.kind == "images":
        return _of_images(model, reference)
    remembered = reference[:_REMEMBERED]
    remembered = remembered.reshape(len(remembered), -1)
    flat = layers.Flatten(name="memory_distance_vectors")
    nearest = memory.Nearest(len(remembered), name="memory_distance")
    nearest.build((None, remembered.shape[1]))
    nearest.remember(remembered, scaled=True)
    one_axis = len(model.example_shape) == 1
    return lambda found: {
        "memory_distance": nearest(found["examples"] if one_axis else flat(found["examples"]))
    }


def _of_images(model, reference):
    """The sum of the surprises of large parts, of small patches and of the image as a whole."""
    factor = max(1, min(model.example_shape[:2]) // _SIDE)
    shrunk = layers.AveragePooling2D(factor, name="memory_distance_shrunk")
    if factor > 1:
        reference = answers_of(shrunk, reference)
    side, learning = min(reference.shape[1:3]), reference[::_LEARNING]
    remembered = np.delete(reference, np.s_[::_LEARNING], axis=0) if len(reference) > _LEARNING else reference
    parts = [_Whole(remembered, side)]
    if side >= _SMALLEST:
        # (name, side of a patch, pixels between two, spread of the contrast's window, whether it stands out)
        large = ("large", side // 2, max(1, side // 8), side / 8, False)
        small = ("small", max(7, side // 8), max(2, side // 16), side / 16, True)
        parts += [_Patches(remembered, *patch, model.example_shape[:2], factor) for patch in (large, small)]
    for part in parts:
        part.learn(learning)

    def outputs(found):
        surprises, maps = [], []
        images = shrunk(found["examples"]) if factor > 1 else found["examples"]
        for part in parts:
            surprise, placed = part(images)
            surprises.append(surprise)
            maps += [] if placed is None else [placed]
        total = layers.Add(name="memory_distance")(surprises) if len(surprises) > 1 else surprises[0]
        more = {"anomaly_map": layers.Multiply(name="anomaly_map")(maps)} if maps else {}
        return {**more, "memory_distance": total}

    return outputs


class _Whole:
    """Images as a whole, made small, without their light and contrast."""

    def __init__(self, images, side):
        factor = -(-side // _WHOLE)
        self.small = [
            layers.AveragePooling2D(factor, name="memory_distance_pooled"),
            layers.Flatten(name="memory_distance_flat"),
            memory.InOwnUnits(name="memory_distance_units"),
        ]
        vectors = answers_of(self._vectors, images[:_REMEMBERED])
        self.nearest = memory.Nearest(len(vectors), name="memory_distance_whole")
        self.nearest.build((None, vectors.shape[1]))
        self.nearest.remember(vectors, scaled=False)
        self.surprise = memory.Surprise(name="memory_distance_whole_surprise")

    def _vectors(self, images):
        for layer in self.small:
            images = layer(images)
        return images

    def learn(self, images):
        self.surprise.build((None,))
        self.surprise.learn(answers_of(lambda x: self.nearest(self._vectors(x)), images))

    def __call__(self, images):
        return self.surprise(self.nearest(self._vectors(images))), None


class _Patches:
    """Patches of one size: their mean distance, or how far the largest distances stand out."""

    def __init__(self, images, name, size, strides, contrast, stands_out, sides, factor):
        height, width, channels = images.shape[1:]
        places = ((height - size) // strides + 1) * ((width - size) // strides + 1)
        most = min(len(images) * places, _PATCHES)
        components = min(_COMPONENTS, size * size * channels, most)
        name = f"memory_distance_{name}"
        self.memory = memory.PatchMemory(size, strides, contrast, components, most, name=name)
        self.memory.build((None, height, width, channels))
        self.memory.remember(images)
        self.statistic = (memory.Standout if stands_out else MeanError)(name=f"{name}_statistic")
        self.surprise = memory.Surprise(name=f"{name}_surprise")
        self.placed = Placed(sides, size * factor, strides * factor, name=f"{name}_map")

    def learn(self, images):
        maps = answers_of(self.memory, images)
        self.statistic.build(maps.shape)
        if isinstance(self.statistic, memory.Standout):
            self.statistic.floor.assign([np.float32(_FLOOR * maps.mean())])
        self.surprise.build((None,))
        self.surprise.learn(answers_of(self.statistic, maps))

    def __call__(self, images):
        distances = self.memory(images)
        return self.surprise(self.statistic(distances)), self.placed(distances)


def answers_of(layer: Callable[[Any], Any], values: np.ndarray) -> np.ndarray:
    """Returns what a function of tensors makes of images (N, H, W, C), or of maps (N, h, w)."""
    x = keras.Input(values.shape[1:])
    return answers(keras.Model(x, layer(x)), [values], 64)


def _check_reference(name, model, reference):
    if model.takes_labels or model.ragged:
        raise OptionError(
            "this score compares with training examples of one length and of no class",
            got=f"score={name!r} for "
            + ("a conditional model" if model.takes_labels else "series of different lengths"),
            expected="a model without labels, of examples of one shape",
            fix="pass score='reconstruction_error'",
        )
    if reference is None or not len(reference):
        raise OptionError(
            "this score compares with training examples, and none are here",
            got=f"score={name!r} without reference examples",
            expected="a run that keeps some, as those of this version do, or reference=examples",
            fix="train again, or pass reference=examples of the training",
        )


_FITTED = {
    "negative_elbo": _negative_elbo,
    "largest_error": _largest_error,
    "mahalanobis_distance": _mahalanobis_distance,
    "memory_distance": _memory_distance,
}
