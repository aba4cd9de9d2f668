"""The scale of images: pixels as they are stored become float32 in [0, 1], in this one place.

Bytes are divided by 255, and floats in [0, 1] are taken as they are. Other numbers have a value range, (low,
high), which become 0 and 1: it is stated, or that of the training, or taken from the training part and told.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import DataError, OptionError, note
from aezoo.core.examples import check_finite
from aezoo.data.contents import check_unit_floats
from aezoo.data.parts import ArrayPart

BYTES = (0.0, 255.0)
UNIT = (0.0, 1.0)
_AT_A_TIME = 2**22  # values that are scaled in float64


def check_value_range(value_range: Any) -> tuple[float, float]:
    """Returns (low, high) as floats, or raises OptionError.

    >>> check_value_range([0, 4095])
    (0.0, 4095.0)
    """
    try:
        low, high = (float(value) for value in value_range)
        good = math.isfinite(high - low) and low < high
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise OptionError(
            "a value range is two numbers, the lower one first",
            got=f"value_range={value_range!r}",
            expected="the pixel values that become 0 and 1, for example 0 and 4095 of a camera with 12 bits",
            fix="pass value_range=(0, 4095)",
        )
    return low, high


@dataclasses.dataclass(frozen=True)
class Scale:
    """How the pixels of a source are brought to [0, 1].

    Attributes:
        stated: the (low, high) that a caller gave, or None.
        trained: (low, high) of a model's training, or None where it was on bytes or on floats in [0, 1].
        trained_dtype: of the pixels of that training, where there is a range.
        of_model: whether a model was trained before; only a training takes a range from its data.
    """

    stated: tuple[float, float] | None = None
    trained: tuple[float, float] | None = None
    trained_dtype: str | None = None
    of_model: bool = False

    @classmethod
    def checked(cls, value_range: "Sequence[float] | Scale | None") -> "Scale":
        """Returns the scale of a training: what is stated, or None."""
        if isinstance(value_range, Scale):
            return value_range
        return cls(None if value_range is None else check_value_range(value_range))

    @classmethod
    def of_run(cls, run: Mapping[str, Any] | None, value_range: Sequence[float] | None = None) -> "Scale":
        """Returns the scale of a model that was trained as run.json says; `value_range` comes before that."""
        data = run["data"] if run else {}
        trained = data.get("load_options", {}).get("value_range")
        return cls(
            None if value_range is None else check_value_range(value_range),
            None if trained is None else check_value_range(trained),
            None if trained is None else str(data.get("pixel_dtype")),
            of_model=True,
        )

    def known_for(self, dtype: np.dtype) -> tuple[float, float] | None:
        """Returns the range that numbers of a type have, where that is known before they are looked at."""
        if self.stated is not None or self.trained is None:
            return self.stated
        return self.trained if _depth(dtype) == _depth(self.trained_dtype) else None

    def check_kind(self, kind: str, *, source: str) -> None:
        """Raises OptionError where a range is stated for what are no images."""
        if self.stated is not None and kind != "images":
            raise OptionError(
                f"{source}: a value range is for images",
                got=f"value_range={self.stated} for {kind}",
                expected="no value range: rows and sequences keep their units",
                fix="leave value_range out",
            )

    def range_for(self, images: np.ndarray, *, source: str) -> tuple[float, float] | None:
        """Returns the range of images; None where they have to say it themselves.

        Raises:
            DataError: a model's training says nothing of such images.
        """
        known = self.known_for(images.dtype)
        if known is not None:
            return known
        if images.dtype == np.uint8 and self.trained is None:
            return BYTES
        if not self.of_model:
            return None
        if images.dtype.kind == "f":
            check_unit_floats(images, source=source)
            return UNIT
        trained, most = "bytes, or floats in [0, 1]", np.iinfo(images.dtype).max
        if self.trained is not None:
            trained = f"{self.trained_dtype} from {_text(self.trained)}"
        raise DataError(
            f"{source}: images of another depth than the model was trained on",
            got=f"{images.dtype}, values {images.min():.10g} to {images.max():.10g}",
            expected=trained,
            fix=f"pass value_range=(0, {most}) if these values stand for black and white",
        )


def scaled(images: np.ndarray, value_range: tuple[float, float], *, source: str) -> np.ndarray:
    """Returns images in [0, 1], float32; or bytes as they are, where their range is that of bytes.

    What lies outside of the range becomes 0 or 1; a `DataNote` says how much did.

    Args:
        images: (N, H, W, C), any numbers.
        value_range: (low, high) that become 0 and 1.
        source: how it is named.

    Raises:
        DataError: a value is not finite.
    """
    if images.dtype == np.uint8 and value_range == BYTES:
        return images
    if images.dtype == np.float32 and value_range == UNIT and _is_unit(images):
        return images
    check_finite(images, source=source)
    low, high = value_range
    floats, outside = np.empty(images.shape, np.float32), 0
    step = max(1, _AT_A_TIME // max(1, images[0].size))
    for start in range(0, len(images), step):
        numbers = images[start : start + step].astype(np.float64)
        outside += int(np.count_nonzero((numbers < low) | (numbers > high)))
        floats[start : start + step] = np.clip((numbers - low) / (high - low), 0.0, 1.0)
    if outside:
        note(
            f"{source}: {outside:,} of {images.size:,} pixel values lie outside of the value range "
            f"{_text(value_range)}, and count as its ends"
        )
    return floats


def scaled_parts(
    parts: Mapping[str, ArrayPart], scale: Scale, *, source: str
) -> tuple[dict[str, ArrayPart], tuple[float, float]]:
    """Returns the parts of a dataset of images in [0, 1], or in bytes, and the pixel values of 0 and 1.

    Raises:
        DataError: values that are not finite, or one value alone in all images to train on.
    """
    images = parts["train"].examples
    value_range = scale.range_for(images, source=source)
    if value_range is None and images.dtype.kind == "f" and all(_is_unit(p.examples) for p in parts.values()):
        value_range = UNIT
    value_range = value_range or _taken(images, source)
    in_unit = {}
    for name, part in parts.items():
        floats = scaled(part.examples, value_range, source=f"{source}, {name} part")
        in_unit[name] = ArrayPart(floats, part.labels, part.classes)
    return in_unit, value_range


def _taken(images, source):
    """Returns the smallest and the largest value of the images to train on, and tells them."""
    check_finite(images, source=source)
    low, high = float(images.min()), float(images.max())
    if low == high:
        raise DataError(
            f"{source}: one value in all pixels of the training part",
            got=f"{images.dtype} pixels of value {low:.10g}",
            expected="images in which something is to be seen",
            fix="check how they were written; or pass value_range=(0, 65535)",
        )
    note(
        f"{source}: {images.dtype} pixels, scaled by the smallest and the largest value of the "
        f"{len(images):,} training images; value_range=({low:.10g}, {high:.10g}) would state them"
    )
    return low, high


def picture_scale(run: Mapping[str, Any] | None, channels: int) -> tuple[str, tuple[float, float]] | None:
    """Returns (dtype, (low, high)) of PNG files for a model's images: as the images of its training were.

    None where Pillow writes no such PNG: floats, 16 bits in colours, a range that 16 bits do not hold.
    """
    scale = Scale.of_run(run)
    if scale.trained is None:
        return "uint8", BYTES
    dtype = "uint8" if scale.trained_dtype == "uint8" else "uint16"
    low, high = scale.trained
    whole = _depth(scale.trained_dtype) != "floats" and low >= 0 and high <= np.iinfo(dtype).max
    return (dtype, scale.trained) if whole and (dtype == "uint8" or channels == 1) else None


def _depth(dtype):
    text = str(dtype)
    return "bytes" if text == "uint8" else "floats" if text.startswith("float") else "whole"


def _is_unit(images):
    return bool(images.min() >= 0 and images.max() <= 1)


def _text(value_range):
    return "{:.10g} to {:.10g}".format(*value_range)
