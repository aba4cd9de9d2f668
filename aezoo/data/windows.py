"""Cuts a long series into windows: sequences (W, F), which training, validation and test have apart in time.

    series.csv, 10,000 rows:   training rows 0 to 7,999 | validation to 8,999 | test to 9,999

The cuts lie between rows, and windows are made within a part: none straddles a cut. Windows overlap, so they
are views into the rows, and copies of a batch at a time.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.imports import import_tensorflow
from aezoo.core.windows import check_windows, views_of
from aezoo.data.contents import Contents
from aezoo.data.parts import ArrayPart
from aezoo.data.sources.numpy_files import read_arrays
from aezoo.data.splitting import part_sizes

SUFFIXES = (".csv", ".tsv", ".parquet", ".npy", ".npz")  # of files that hold a series


_WORDS = {"train": "train on", "validation": "validate on", "test": "test on"}


class WindowPart(ArrayPart):
    """Windows of one stretch of a series, which is held once.

    Args:
        series: (T, F) float32.
        window, stride: W, and the rows between the starts of two windows.
        labels: (N,) int64 of the windows, or None.
        classes: as in `Part`.
        first: which row of the whole series its first row is.
    """

    def __init__(
        self,
        series: np.ndarray,
        window: int,
        stride: int,
        labels: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        first: int = 0,
    ) -> None:
        super().__init__(views_of(series, window)[::stride], labels, classes)
        self.series, self.stride, self.first = series, stride, first

    def __repr__(self) -> str:
        return f"WindowPart({len(self)} windows of {self.shape}, {self.stride} apart)"

    @functools.cached_property
    def _tensor(self):
        return import_tensorflow().constant(self.series)

    def _epoch_batches(self, tf, batch_size, shuffle_seed):
        rows, count, steps = self._tensor, len(self), tf.range(self.shape[0], dtype=tf.int64)

        def epoch_batches(epoch, first):
            numbers = tf.data.Dataset.range(first, -(-count // batch_size))
            if shuffle_seed is None:
                order = tf.range(count, dtype=tf.int64)
            else:
                order = tf.cast(self._order(tf, shuffle_seed, epoch), tf.int64)
            starts = order * self.stride

            def batch(number):
                some = starts[number * batch_size : (number + 1) * batch_size]
                return tf.gather(rows, some[:, None] + steps)

            return numbers.map(batch)

        return epoch_batches


@dataclasses.dataclass(frozen=True)
class Windows:
    """How a series is cut into windows, checked.

    Attributes:
        window: W, rows of each.
        stride: rows between the starts of two.
    """

    window: int
    stride: int

    @classmethod
    def checked(
        cls, window: int | None, stride: int | None = None, kind: str | None = None
    ) -> "Windows | None":
        """Returns the windows that were asked for, or None; raises OptionError for what cannot be used.

        Args:
            window: W, or None for no windows.
            stride: None is an eighth of W.
            kind: that was asked for, or None.
        """
        if window is None and stride is not None:
            raise OptionError(
                "a stride is that of windows",
                got=f"stride={stride!r} without a window",
                expected="both, or a window alone",
                fix="pass window=64, or leave stride out",
            )
        if window is None:
            return None
        if kind not in (None, "sequences"):
            raise OptionError(
                "windows of a series are sequences",
                got=f"window={window!r} and kind={kind!r}",
                expected="kind='sequences', or no kind",
                fix="leave kind out, or leave window out",
            )
        return cls(*check_windows(window, stride))

    def check_source(self, source: str) -> None:
        """Raises OptionError for a source that is no file of a series, by its name alone."""
        if pathlib.PurePath(source).suffix.lower() not in SUFFIXES:
            raise OptionError(
                "windows are cut from a long series in a file",
                got=f"window={self.window} for {source}",
                expected=f"a file of a row for each step, which ends in {', '.join(SUFFIXES)}",
                fix="leave window out",
            )

    def check_rows(self, contents: Contents, *, source: str) -> None:
        """Raises OptionError for contents that are images, or sequences already."""
        if contents.kind != "rows":
            shape = tuple(contents.parts["train"][0].shape)
            raise OptionError(
                f"{source}: windows are cut from rows, and these are {contents.kind}",
                got=f"window={self.window} for {contents.kind} of shape {shape}",
                expected="a series (T, F), a row for each step",
                fix="leave window out",
            )

    def parts(
        self, contents: Contents, *, validation_fraction: float, test_fraction: float, source: str
    ) -> tuple[dict[str, ArrayPart], Contents]:
        """Returns ({"train", "validation", "test"}, the contents without labels that windows cannot have).

        Parts that the source has are kept as they are; missing ones are the last rows of train, the test
        part behind the validation part.

        Args:
            contents: rows in float32.
            validation_fraction, test_fraction: of the rows of train.
            source: how an error names it.

        Raises:
            DataError: too few rows.
            OptionError: a part has fewer rows than a window.
        """
        contents, classes = _with_marks(contents, source)
        fractions = {"test": test_fraction, "validation": validation_fraction}
        missing = [name for name in fractions if name not in contents.parts]
        rows, marks = contents.parts["train"]
        stop = len(rows)
        stretches = {name: (0, *part) for name, part in contents.parts.items()}
        if missing:
            sizes = part_sizes(len(rows), [fractions[name] for name in missing], source=source)
            for name, size in zip(missing, sizes, strict=True):
                start = stop - size
                stretches[name] = (start, rows[start:stop], None if marks is None else marks[start:stop])
                stop = start
        stretches["train"] = (0, rows[:stop], None if marks is None else marks[:stop])
        lengths = {name: len(stretches[name][1]) for name in _WORDS}
        self._check_fits(lengths, source)
        parts = {name: self._part(*stretch, classes) for name, stretch in stretches.items()}
        counts = [
            f"{len(parts[name]):,} of rows {first:,} to {first + len(rows) - 1:,} to {_WORDS[name]}"
            for name, (first, rows, _) in ((name, stretches[name]) for name in _WORDS)
        ]
        told = f"{source}: windows of {self.window} rows, {self.stride} apart: {', '.join(counts)}"
        return parts, dataclasses.replace(contents, notes=(*contents.notes, told))

    def _part(self, first, rows, marks, classes):
        labels = None if marks is None else marks_of(marks, self.window)[:: self.stride]
        return WindowPart(rows, self.window, self.stride, labels, classes, first)

    def _check_fits(self, lengths, source):
        least = min(lengths.values())
        if least < self.window:
            rows = ", ".join(f"{name} {count:,}" for name, count in lengths.items())
            raise OptionError(
                f"{source}: a window is longer than a part of the series",
                got=f"window={self.window}; rows: {rows}",
                expected=f"a window of at most {least:,} rows, as no window straddles two parts"
                if least > 1
                else "parts of at least 2 rows",
                fix=f"pass window={least}, or a longer series" if least > 1 else "give a longer series",
            )


def marks_of(marks: np.ndarray, window: int) -> np.ndarray:
    """Returns the labels, 0 or 1, of the windows that begin at each row: 1 where one of its rows has it."""
    return views_of(marks[:, None], window)[:, :, 0].max(axis=1)


def are_marks(labels: np.ndarray, names: Sequence[str] | None) -> bool:
    """Whether labels (N,) are 0 and 1, or False and True: marks of rows, which windows can have."""
    return (names is None or list(names) == ["False", "True"]) and bool(np.isin(labels, (0, 1)).all())


def is_series(path: pathlib.Path) -> bool:
    """Whether a file holds rows, of which windows can be made, rather than sequences or images."""
    if path.suffix.lower() not in (".npy", ".npz") or not path.is_file():
        return path.suffix.lower() in SUFFIXES
    arrays = read_arrays(path, mapped=True)
    return all(array.ndim <= 2 for array in (arrays.values() if isinstance(arrays, dict) else [arrays]))


def _with_marks(contents, source):
    """Returns (contents, classes) of which windows can have the labels: those of rows that are 0 and 1."""
    labels = [each for _, each in contents.parts.values() if each is not None]
    if not labels:
        return contents, None
    if all(are_marks(each, contents.label_names) for each in labels):
        told = f"{source}: a window has label 1 where one of its rows has"
        classes = np.unique(np.concatenate(labels)) if contents.label_names is None else None
        return dataclasses.replace(contents, notes=(*contents.notes, told)), classes
    told = f"{source}: the labels of rows are left out: windows have some where all are 0 or 1"
    parts = {name: (rows, None) for name, (rows, _) in contents.parts.items()}
    found = dataclasses.replace(contents, parts=parts, label_names=None, notes=(*contents.notes, told))
    return found, None
