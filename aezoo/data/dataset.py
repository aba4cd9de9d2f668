"""What `load` returns: three parts, and what is known about their examples."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from aezoo.data.parts import Part


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Three parts of one source. `load(source, **load_options)` gives the same dataset again.

    Attributes:
        name: short, for tables and file names: "mnist_mini", "mnist", the file's or folder's name.
        source: what `load` takes: a name (with its version where it has one) or an absolute path.
        load_options: keyword arguments of `load`, fit for JSON.
        kind: "images", "sequences" or "rows".
        shape: of one example, (H, W, C), (T, F) or (F,).
        value_range: of batches: (0.0, 1.0) for images, None for sequences and rows.
        pixel_range: (low, high), the pixel values that became 0.0 and 1.0: (0.0, 255.0) of bytes, (0.0, 1.0)
            of floats that lie there, else as stated or taken from the data; None for sequences and rows.
        pixel_dtype: of the images in their files, such as "uint16"; None for sequences and rows.
        unread_files: how many files of a folder were not read, by suffix.
        stored_dtype: "uint8" or "float32", how the examples are kept; batches are always float32.
        label_names: the class that each label stands for, or None.
        class_count: K, how many classes the labels stand for, or None.
        feature_names: of rows, (F,) names, or None.
        notes: what was understood of the source and what was left out, a line each, for who reads it.
        train, validation, test: a `Part` each.
        cut_parts: names of those that were drawn from the training examples, and have no other classes; those
            that are cut in time may have some.
        hasher: computes `content_hash`.
        ragged: whether its sequences are of different lengths, with NaN behind their ends; see
            `aezoo.core.ragged`. T is the longest.
        noisy: the same examples with noise, in parts of the same order, or None; see `aezoo.data.pairs`.
    """

    name: str
    source: str
    load_options: dict[str, Any]
    kind: str
    shape: tuple[int, ...]
    stored_dtype: str
    label_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    train: Part = dataclasses.field(repr=False)
    validation: Part = dataclasses.field(repr=False)
    test: Part = dataclasses.field(repr=False)
    hasher: Callable[[], str] = dataclasses.field(repr=False)
    pixel_range: tuple[float, float] | None = None
    pixel_dtype: str | None = None
    unread_files: Mapping[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cut_parts: tuple[str, ...] = ()
    ragged: bool = False
    noisy: "Dataset | None" = dataclasses.field(default=None, repr=False)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """(0.0, 1.0) for images; None for sequences and rows, whose values may be any finite number."""
        return (0.0, 1.0) if self.kind == "images" else None

    @property
    def class_count(self) -> int | None:
        """K, the number of classes: class numbers are 0 to K - 1. None without labels."""
        if self.label_names is not None:
            return len(self.label_names)
        return None if self.train.classes is None else len(self.train.classes)

    @functools.cached_property
    def content_hash(self) -> str:
        """The sha256 of all examples and labels of the source, in hexadecimal.

        It does not depend on how the source is cut into parts. Of a TensorFlow Datasets set the
        prepared files are read for it, once, when it is first asked for.
        """
        return self.hasher()
