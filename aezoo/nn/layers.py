"""Layers that several models share. Each gives back from `get_config` what its constructor takes."""

import math
import numbers
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from aezoo.core.errors import OptionError
from aezoo.core.options import Sizes, check_choice, nearest

Tensor = Any  # of the backend that Keras runs on

NORMALIZATIONS = (None, "batch", "layer", "group")


def first(outputs: Tensor) -> Tensor:
    """Returns the first of several outputs, or the only one."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def leaves(model: Any) -> Iterator[Any]:
    """Yields the layers of a model, and for a model among them its layers."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def activation_layer(activation: str | None, *, name: str | None = None) -> Tensor:
    """Returns a layer for an activation's Keras name; None is the identity.

    Raises:
        OptionError: Keras knows no activation of this name; the nearest is given.
    """
    return layers.Activation(check_activation("activation", activation), name=name)


def activation_names() -> list[str]:
    """Returns the names of Keras's activations that a layer can have."""
    known = [name for name in dir(keras.activations) if not name.startswith("_") and name.islower()]
    # threshold wants arguments, and glu halves the axis: neither is an activation of a layer.
    return sorted(set(known) - {"get", "serialize", "deserialize", "threshold", "glu"})


def check_activation(option: str, activation: str | None) -> str | None:
    """Returns the activation's name, or raises OptionError unless Keras knows it."""
    if activation is None:
        return None
    known = activation_names()
    if activation not in known:
        raise OptionError(
            f"there is no activation of this name{nearest(activation, known)}",
            got=f"{option}={activation!r}",
            expected=f"None or one of {', '.join(known)}",
            fix=f"pass {option}='relu'",
        )
    return activation


def normalization_layer(normalization: str | None, channels: int, *, name: str | None = None) -> Tensor:
    """Returns a normalisation layer over the last axis, or None for None.

    Args:
        normalization: None, "batch" (Ioffe & Szegedy 2015), "layer" (Ba et al. 2016, over the
            channels of each pixel) or "group" (Wu & He 2018, the largest of 8 groups or fewer
            that divides the channels).
        channels: size of the last axis.
    """
    check_choice("normalization", normalization, NORMALIZATIONS)
    if normalization == "batch":
        # Keras averages over 100 batches by default: too slow for a run of a few hundred steps.
        return layers.BatchNormalization(momentum=0.9, name=name)
    if normalization == "layer":
        return layers.LayerNormalization(name=name)
    if normalization == "group":
        return layers.GroupNormalization(groups=math.gcd(8, channels), name=name)
    return None


def normalized(x: Tensor, normalization: str | None, name: str) -> Tensor:
    """Returns what a layer of this name gave, normalised over the last axis; see `normalization_layer`."""
    layer = normalization_layer(normalization, x.shape[-1], name=f"{name}_norm")
    return x if layer is None else layer(x)


def activated(x: Tensor, normalization: str | None, activation: str | None, name: str) -> Tensor:
    """Returns what a layer of this name gave, normalised and then through an activation."""
    return activation_layer(activation, name=f"{name}_activation")(normalized(x, normalization, name))


def bottleneck(
    x: Tensor, latent_dim: int, activation: str | None, initializer: str = "glorot_uniform"
) -> Tensor:
    """Returns latents (B, D) of maps: flattened, and through a dense layer."""
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(latent_dim, activation=activation, kernel_initializer=initializer, name="bottleneck")(
        x
    )


def unflattened(latents: Tensor, shape: tuple[int, ...], activation: str | None) -> Tensor:
    """Returns maps (B, *shape) of latents (B, D): a dense layer, its activation, and the shape."""
    x = layers.Dense(math.prod(shape), name="expand")(latents)
    x = activation_layer(activation, name="expand_activation")(x)
    return layers.Reshape(shape, name="unflatten")(x)


class _Affine(layers.Layer):
    """Holds a mean and a scale for each feature of a row; both are statistics, never trained."""

    def build(self, input_shape: Any) -> None:
        features = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=features, initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=features, initializer="ones", trainable=False)
        # 0 until `adapt`: a model that was loaded from disk is not adapted a second time.
        self.adapted = self.add_weight(
            name="adapted", shape=(), initializer="zeros", dtype="int32", trainable=False
        )
        super().build(input_shape)

    def assign(self, mean: Tensor, scale: Tensor) -> None:
        """Sets the statistics: mean and scale are (F,), in the units of the rows."""
        self.mean.assign(mean)
        self.scale.assign(scale)
        self.adapted.assign(1)

    def compute_output_shape(self, input_shape: Any) -> Tensor:
        return input_shape


@keras.saving.register_keras_serializable("aezoo")
class Standardize(_Affine):
    """Rows in raw units to rows of mean 0 and standard deviation 1: (x - mean) / scale.

    Unlike `keras.layers.Normalization` a constant column has scale 1, so it becomes 0 and not
    a division by almost nothing.

    Args:
        ragged: whether examples are series of different lengths, see `aezoo.core.ragged`: what lies behind
            their ends, NaN, becomes 0, which is the mean.

    Raises:
        OptionError: ragged, and examples that are no series.
    """

    def __init__(self, ragged: bool = False, **base: Any) -> None:
        super().__init__(**base)
        self.ragged = bool(ragged)

    def build(self, input_shape: Any) -> None:
        if self.ragged and len(input_shape) != 3:
            raise OptionError(
                "only series end at different steps",
                got=f"Standardize(ragged=True) for examples of shape {tuple(input_shape[1:])}",
                expected="examples (T, F)",
                fix="leave ragged out",
            )
        super().build(input_shape)

    def call(self, examples: Tensor) -> Tensor:
        standardized = self.in_units(examples)
        if not self.ragged:
            return standardized
        return ops.where(ops.isnan(examples), ops.zeros_like(standardized), standardized)

    def in_units(self, examples: Tensor) -> Tensor:
        """Returns (x - mean) / scale, in which what is NaN stays NaN."""
        return (examples - ops.cast(self.mean, examples.dtype)) / ops.cast(self.scale, examples.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **({"ragged": True} if self.ragged else {})}


@keras.saving.register_keras_serializable("aezoo")
class Unstandardize(_Affine):
    """The way back from `Standardize`: x * scale + mean, in the rows' raw units."""

    def call(self, examples: Tensor) -> Tensor:
        return examples * ops.cast(self.scale, examples.dtype) + ops.cast(self.mean, examples.dtype)


# kind -> (distribution of the noise, formula, largest sensible level). Formulas take the clean
# examples, noise of the same shape and the level; low and high are the ends of the value range.
_CORRUPTIONS = {
    "gaussian": ("normal", lambda x, noise, level, low, high: x + level * noise, math.inf),
    "masking": ("uniform", lambda x, noise, level, low, high: ops.where(noise < level, low, x), 1.0),
    "salt_and_pepper": (
        "uniform",
        lambda x, noise, level, low, high: ops.where(
            noise < level / 2, low, ops.where(noise > 1 - level / 2, high, x)
        ),
        1.0,
    ),
    "speckle": ("normal", lambda x, noise, level, low, high: x * (1 + level * noise), math.inf),
}
CORRUPTIONS = tuple(_CORRUPTIONS)


@keras.saving.register_keras_serializable("aezoo")
class Corruption(layers.Layer):
    """Corrupts examples in training, and leaves them alone otherwise.

    Source: Vincent et al. 2010, JMLR 11, section 3.4 (gaussian, masking, salt-and-pepper);
    speckle is the multiplicative noise of coherent imaging.

    Args:
        kind: "gaussian" (level: standard deviation), "masking" (level: share of values set to 0),
            "salt_and_pepper" (level: share of values set to 0 or 1, half each) or "speckle"
            (level: standard deviation of the factor's noise).
        level: float of at least 0; at most 1 where it is a share.
        seed: int; same seed, same sequence of noise.
        clip: whether results are clipped to [0, 1]; images are, standardised rows are not.

    Raises:
        OptionError: unknown kind, or a level outside its range.
    """

    def __init__(
        self, kind: str = "gaussian", level: float = 0.4, seed: int = 0, clip: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_choice("corruption", kind, CORRUPTIONS)
        check_level(kind, level)
        if kind == "salt_and_pepper" and not clip:
            raise OptionError(
                "salt_and_pepper sets values to the ends of a range, and rows have none",
                got="corruption='salt_and_pepper' for rows",
                expected="corruption='gaussian', 'masking' or 'speckle'",
                fix="pass corruption='masking'",
            )
        self.kind, self.level, self.seed, self.clip = kind, float(level), int(seed), bool(clip)
        self.seed_generator = keras.random.SeedGenerator(seed)
        # 1, or 0 while given pairs of corrupted and clean examples are trained on. A variable, since
        # a Python value would be frozen into the compiled training step.
        self.active = self.add_weight(name="active", shape=(), initializer="ones", trainable=False)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)

    def call(self, examples: Tensor, training: bool = False) -> Tensor:
        if not training:
            return examples
        draw = keras.random.normal if _CORRUPTIONS[self.kind][0] == "normal" else keras.random.uniform
        noise = draw(ops.shape(examples), dtype=examples.dtype, seed=self.seed_generator)
        return self.formula(examples, noise, ops.cast(self.level * self.active, examples.dtype))

    def formula(self, examples: Tensor, noise: Tensor, level: float) -> Tensor:
        """Returns the corrupted examples for given noise, both (B, ...)."""
        corrupted = _CORRUPTIONS[self.kind][1](
            examples, noise, level, ops.zeros_like(examples), ops.ones_like(examples)
        )
        return ops.clip(corrupted, 0.0, 1.0) if self.clip else corrupted

    def corrupt(self, examples: Tensor, level: float | None = None, seed: int = 0) -> np.ndarray:
        """Returns corrupted examples, drawn by NumPy: the same on every backend for a seed.

        Args:
            examples: float32, (B, ...).
            level: as in the constructor; None is the layer's own.
            seed: int.
        """
        import numpy as np

        level = self.level if level is None else level
        check_level(self.kind, level)
        generator = np.random.Generator(np.random.Philox(seed))
        examples = np.asarray(examples, "float32")
        draw = generator.standard_normal if _CORRUPTIONS[self.kind][0] == "normal" else generator.random
        noise = draw(examples.shape, dtype="float32")
        return ops.convert_to_numpy(self.formula(examples, noise, np.float32(level)))  # type: ignore[arg-type]

    def compute_output_shape(self, input_shape: Any) -> Tensor:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kind": self.kind,
            "level": self.level,
            "seed": self.seed,
            "clip": self.clip,
        }


def check_level(kind: str, level: float) -> float:
    """Raises OptionError unless the level suits the kind of corruption."""
    highest = _CORRUPTIONS[kind][2]
    if not isinstance(level, numbers.Real) or not 0 <= level <= highest:
        raise OptionError(
            f"this level of {kind} corruption means nothing",
            got=f"level={level!r}",
            expected="a number of at least 0" + (" and at most 1" if highest == 1 else ""),
            fix="pass level=0.4",
        )


def crop(x: Tensor, to: Any, name: str) -> Tensor:
    """Cuts maps (B, h, w, depth) down to `to` = (height, width), at the lower and right edge."""
    below, right = x.shape[1] - to[0], x.shape[2] - to[1]
    return x if below == right == 0 else layers.Cropping2D(((0, below), (0, right)), name=name)(x)


def sizes_going_down(image_shape: tuple[int, ...], filters: Sizes) -> list[tuple[int, ...]]:
    """Returns [(H, W), ..., (h, w)], the sides before each halving and after the last; odd ones round up.

    Raises:
        OptionError: no filters, or an image too small to be halved so often.

    >>> sizes_going_down((28, 28, 1), (32, 64, 128))
    [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    smallest = 2 ** len(filters)
    if not filters or min(image_shape[:2]) < smallest:
        deepest_that_fits = max(1, min(image_shape[:2]).bit_length() - 1)
        raise OptionError(
            f"the image is too small for {len(filters)} halvings"
            if filters
            else "at least one halving is needed",
            got=f"image_shape={tuple(image_shape)}, filters={tuple(filters)}",
            expected=f"at least {smallest} pixels on each side" if filters else "filters=(32, 64, 128)",
            fix=f"pass filters={tuple(filters[:deepest_that_fits]) or (32,)}",
        )
    sizes = [tuple(image_shape[:2])]
    for _ in filters:
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    return sizes


def only_dense(encoder: Any, activations: Iterable[str]) -> Any:
    """Returns an encoder's Dense layer if it alone computes, with one of the activations; else None."""
    passed_by = (layers.InputLayer, layers.Flatten, Standardize)
    others = [layer for layer in encoder.layers if not isinstance(layer, passed_by)]
    good = len(others) == 1 and type(others[0]) is layers.Dense
    return others[0] if good and others[0].activation.__name__ in activations else None
