"""What a file or folder holds, checked: the form that every reader brings its examples into."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.digits import constant_columns
from aezoo.core.errors import DataError, OptionError
from aezoo.core.examples import blocks, check_finite, check_unit_range, position
from aezoo.core.options import CHANNELS
from aezoo.core.ragged import check_series, has_ends, lengths

_KINDS = {2: "rows", 3: "sequences", 4: "images"}  # by the axes that `as_examples` gives them


@dataclasses.dataclass
class Contents:
    """The parts that a source has of its own, before anything is cut from them.

    Attributes:
        parts: name -> (examples, labels or None); "train" always, "validation" and "test" where
            the source has them. Labels are (N,) int64, examples numbers as they were stored, until
            `in_float32` makes float32 of rows and sequences and `pixels` brings images to [0, 1].
        label_names: what label 0, 1, ... stand for, or None.
        feature_names: of rows, or None.
        unread_files: how many files of a folder were not read, by suffix.
        notes: what was understood of the source and what was left out, a line each, for who reads it.
    """

    parts: dict[str, tuple[np.ndarray, np.ndarray | None]]
    label_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    unread_files: Mapping[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ragged(self) -> bool:
        """Whether these are series of different lengths; see `aezoo.core.ragged`."""
        return any(has_ends(examples) for examples, _ in self.parts.values())

    @property
    def kind(self) -> str:
        """Whether these are "images" (N, H, W, C), "sequences" (N, T, F) or "rows" (N, F)."""
        return _KINDS[self.parts["train"][0].ndim]

    def as_kind(self, kind: str | None, *, source: str) -> "Contents":
        """Returns the same examples as "images", "sequences" or "rows"; None leaves their kind.

        Rows (N, T), a line for each sequence, become sequences (N, T, 1).

        Raises:
            OptionError: they are of another kind.
        """
        if kind in (None, self.kind):
            return self
        if (self.kind, kind) == ("rows", "sequences"):
            parts = {name: (examples[..., None], labels) for name, (examples, labels) in self.parts.items()}
            return Contents(parts, self.label_names, notes=self.notes)
        shape = tuple(self.parts["train"][0].shape[1:])
        raise OptionError(
            f"{source}: holds {self.kind}, not {kind}",
            got=f"kind={kind!r} for {self.kind} of shape {shape}",
            expected=f"kind={self.kind!r}, or no kind",
            fix="leave kind out",
        )

    def in_float32(self) -> "Contents":
        """Returns the same with rows and sequences in float32."""
        if self.kind == "images":
            return self
        parts = {
            name: (examples.astype(np.float32, copy=False), labels)
            for name, (examples, labels) in self.parts.items()
        }
        return dataclasses.replace(self, parts=parts)

    def sha256(self) -> str:
        """Returns the hash over dtype, shape and bytes of all parts, labels and names, in hexadecimal."""
        digest = hashlib.sha256()
        for name in sorted(self.parts):
            for array in self.parts[name]:
                if array is None:
                    digest.update(f"{name} none;".encode())
                    continue
                array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
                digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
                digest.update(array.data if array.size else b"")
        digest.update(json.dumps([self.label_names, self.feature_names]).encode())
        return digest.hexdigest()


def looks_like_sequences(array: np.ndarray) -> bool:
    """Whether an array of three axes is taken for sequences (N, T, F) where nobody says what it is.

    It is if it holds floats of which one is below -1 or above 255, or NaN behind the end of a series, which
    no image has. Bytes, and floats in [0, 1], are grey images (N, H, W). What lies between is refused.
    """
    if array.ndim != 3 or array.dtype.kind != "f" or not array.size:
        return False
    return has_ends(array) or bool(array.min() < -1 or array.max() > 255)


def as_examples(
    array: np.ndarray,
    *,
    source: str,
    kind: str | None = None,
    value_range: Sequence[float] | None = None,
) -> np.ndarray:
    """Returns images (N, H, W, C) in the numbers that they are stored in; or rows or sequences likewise.

    (N, H, W) gets a channel axis, black-and-white (bool) images become 0 and 255. Sequences and
    rows keep their units and their dtype. Of sequences what lies behind their ends may be NaN.

    Args:
        array: as it was stored.
        source: how an error names it.
        kind: "images" or "sequences", what three axes are; else `looks_like_sequences` decides.
            Two axes are rows, four are images.
        value_range: of images, where it is known: then they may hold any numbers.

    Raises:
        DataError: any other shape or dtype, no examples, values out of range or not finite.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{source}: no numbers",
            got=f"dtype {array.dtype}",
            expected="uint8 or float32 images, or sequences or rows of numbers",
            fix="save the numbers alone, for example with .astype('float32')",
        )
    if array.ndim not in (2, 3, 4):
        raise DataError(
            f"{source}: neither images nor sequences nor rows",
            got=f"shape {array.shape}",
            expected="images (N, H, W) or (N, H, W, C), sequences (N, T, F), or rows (N, F)",
            fix="reshape(-1, 1) for a single feature"
            if array.ndim == 1
            else "reshape the array before saving it",
        )
    if array.size == 0:
        raise DataError(
            f"{source}: no examples",
            got=f"shape {array.shape}",
            expected="at least three examples, none of them empty",
            fix="check how the file was written",
        )
    if array.ndim == 2:
        if kind == "sequences":  # a line for each series, which a caller makes (N, T, 1)
            return _checked_numbers(array[..., None], source)[..., 0]
        return _checked_numbers(array, source)
    if array.ndim == 4:
        return _as_images(array, source, value_range)
    if kind is None and value_range is not None:  # only images have one
        kind = "images"
    if kind == "sequences" or (kind != "images" and looks_like_sequences(array)):
        return _checked_numbers(array, source)
    if kind != "images":
        _refuse_neither(array, source)
    return _as_images(array[..., None], source, value_range)


def _checked_numbers(array, source):
    if array.ndim == 3:
        check_series(array, source=source)
    else:
        check_finite(array, source=source)
    largest = np.finfo(np.float32).max
    for rows in blocks(array) if array.dtype.itemsize > 4 else ():
        block = array[rows]
        if np.abs(block).max(where=~np.isnan(block), initial=0) > largest:
            raise DataError(
                f"{source}: a value is too large for float32",
                got=position(block, np.abs(block) > largest, rows.start),
                expected=f"values up to {largest:g}",
                fix="scale the column first, for example by its largest value",
            )
    return array


def _refuse_neither(array, source):
    """Raises DataError for numbers (N, ?, ?) that may be unscaled images or sequences."""
    whole = array.dtype.kind in "iu" and array.dtype not in (np.uint8, np.uint16)
    if not whole and (array.dtype.kind != "f" or not (array.min() < 0 or array.max() > 1)):
        return  # NaN is refused later
    if whole:
        low, high = array.min(), array.max()
        raise DataError(
            f"{source}: nothing says whether these {array.dtype} are images or sequences",
            got=f"{array.dtype}, values {low} to {high}, shape {array.shape}",
            expected="images of uint8 or uint16; or images or sequences (N, T, F) that are called so",
            fix="images.astype('uint8')"
            if low >= 0 and high <= 255
            else "scale them: pass value_range=(low, high) for images; kind='sequences' for sequences",
        )
    array = array[..., None]
    worst = position(array, (array < 0) | (array > 1))
    raise DataError(
        f"{source}: float images must lie in [0, 1], and nothing says that these are sequences",
        got=f"{worst}; smallest {array.min():g}, largest {array.max():g}",
        expected="images from 0 to 1, or sequences (N, T, F) that are called so",
        fix="images / 255; or kind='sequences', or numpy.savez(path, sequences=...)",
    )


def _as_images(images, source, value_range):
    channels = images.shape[-1]
    if channels not in CHANNELS:
        first = images.shape[1] in CHANNELS
        raise DataError(
            f"{source}: {channels} channels"
            + (", and the shape looks channels-first (N, C, H, W)" if first else ""),
            got=f"shape {images.shape}",
            expected="(N, H, W, C) with 1 to 4 channels last",
            fix="numpy.moveaxis(images, 1, -1)" if first else "save images (N, H, W, C), or rows (N, F)",
        )
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    if images.dtype == np.uint8:
        return images
    if value_range is None and images.dtype.kind == "f":
        check_unit_floats(images, source=source)
        return images.astype(np.float32, copy=False)
    if value_range is None:
        _refuse_wide_bytes(images, source)
    return images


def check_unit_floats(images: np.ndarray, *, source: str) -> None:
    """Raises DataError where float images leave [0, 1], and nothing says what their numbers stand for."""
    try:
        check_unit_range(images, source=source, bytes_too=True)
    except DataError as error:
        if np.isfinite(images).all():
            error.fix += f", or pass value_range=({images.min():.10g}, {images.max():.10g})"
        raise


def _refuse_wide_bytes(images, source):
    """Raises DataError for whole numbers that are wider than bytes and may be bytes all the same."""
    low, high = images.min(), images.max()
    if low >= 0 and high <= 255:
        raise DataError(
            f"{source}: images of dtype {images.dtype} that may be bytes",
            got=f"{images.dtype}, values {low} to {high}",
            expected="uint8 from 0 to 255, or a value_range",
            fix="images.astype('uint8'), or pass value_range=(0, 4095) for a camera of 12 bits",
        )


def numbered_labels(
    labels: ArrayLike, count: int, *, source: str
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Returns labels as ((N,) int64, names or None); text is numbered in the order of the alphabet.

    Raises:
        DataError: not one label for each example, or labels that are no whole numbers and no text.
    """
    labels = np.asarray(labels)
    shape = labels.shape
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        one_hot = labels.ndim == 2 and len(labels) == count
        raise DataError(
            f"{source}: labels that do not fit the examples",
            got=f"labels of shape {shape} for {count} examples",
            expected=f"shape ({count},), one label for each example",
            fix="labels.argmax(axis=1)"
            if one_hot
            else "save examples and labels in the same order and number",
        )
    if labels.dtype.kind in "US":
        names, numbers = np.unique(labels.astype(str), return_inverse=True)
        return numbers.astype(np.int64), tuple(names.tolist())
    if labels.dtype.kind == "f":
        broken = ~np.isfinite(labels) | (labels != np.rint(labels))
        if not broken.any():
            return labels.astype(np.int64), None
        first = int(np.argmax(broken))
        got = f"{labels[first]} at index {first}"
    elif labels.dtype.kind in "biu":
        return labels.astype(np.int64), None
    else:
        got = f"dtype {labels.dtype}"
    raise DataError(
        f"{source}: labels that are neither whole numbers nor text",
        got=got,
        expected="one whole number or one text for each example",
        fix="number the classes from 0, or leave the labels out",
    )


def check_alike(parts: Mapping[str, tuple[np.ndarray, np.ndarray | None]], *, source: str) -> None:
    """Raises DataError unless the examples of all parts have one shape, and images one dtype."""
    train = parts["train"][0]
    for name, (examples, _) in parts.items():
        other = train.ndim == 4 and examples.dtype != train.dtype
        if examples.shape[1:] != train.shape[1:] or other:
            raise DataError(
                f"{source}: the parts differ",
                got=f"train {train.dtype} {train.shape[1:]}, {name} {examples.dtype} {examples.shape[1:]}",
                expected="one dtype and one shape in all parts",
                fix=f"bring the {name} part to {train.dtype} {train.shape[1:]}",
            )


def told_of(contents: Contents, train: np.ndarray, *, source: str) -> Iterator[str]:
    """Yields notes: on the lengths of series, where they differ; on the columns that never vary in the
    training part, in which a change hardly counts.

    Args:
        contents: whose columns have names or none.
        train: the training part (N, ..., F).
        source: how a note names them.
    """
    if contents.ragged:
        every = np.concatenate([lengths(examples) for examples, _ in contents.parts.values()])
        yield (
            f"{source}: series of {every.min():,} to {every.max():,} steps; what lies behind an end counts "
            "nowhere"
        )
    found = constant_columns(train) if contents.kind != "images" and len(train) > 1 else []
    if found:
        names = contents.feature_names or range(train.shape[-1])
        told = ", ".join(str(names[number]) for number in found[:10]) + ", ..." * (len(found) > 10)
        yield (
            f"{source}: always the same in the training part: {told}; with no spread to measure by, a change "
            "there counts in the column's own units"
        )
