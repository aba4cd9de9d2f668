"""A long series that is read for a model of sequences: its windows are examples, made as they are taken."""

import dataclasses
from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.examples import check_finite
from aezoo.core.ragged import lengthened
from aezoo.core.windows import check_fits, check_windows, starts_of, views_of
from aezoo.data.dataset import Dataset
from aezoo.data.examples import Examples, Numbers, Series
from aezoo.data.parts import ArrayPart, Part
from aezoo.data.windows import WindowPart, are_marks, marks_of


def fits(shape: tuple[int, ...], example_shape: tuple[int, ...]) -> bool:
    """Whether an array of a shape is a series (T, F) for a model of sequences (W, F)."""
    return len(shape) == 2 and len(example_shape) == 2 and shape[1] == example_shape[1]


def in_windows(found: Examples, example_shape: tuple[int, ...], stride: int | None) -> Examples:
    """Returns the windows of a series as examples.

    Args:
        found: rows (T, F), as they were read.
        example_shape: (W, F).
        stride: rows between the starts of two windows; None is an eighth of W. The last one ends with the
            series, so that every row is in one.

    Raises:
        OptionError: a stride that cannot be used.
        DataError: the series is shorter than a window.
    """
    window, stride = check_windows(example_shape[0], stride)
    rows = np.ascontiguousarray(found.array, dtype=np.float32)
    check_fits(len(rows), window, source=found.source)
    views, starts = views_of(rows, window), starts_of(len(rows), window, stride)
    labels = None
    if found.labels is not None and are_marks(found.labels, found.class_names):
        labels = marks_of(found.labels, window)[starts]
    told = (
        f"{found.source}: {len(rows):,} rows as {len(starts):,} windows of {window} rows, {stride} apart; "
        "the last one ends with the last row"
    )
    return dataclasses.replace(
        found,
        # Of the size of the windows, so that who takes some at a time takes no more than memory allows.
        stored=np.broadcast_to(starts[:, None, None], (len(starts), *example_shape)),
        take=lambda some: views[some[:, 0, 0]],
        names=Numbers(len(starts)),
        labels=labels,
        class_names=None if labels is None else found.class_names,
        notes=(*found.notes, told),
        series=Series(rows, stride),
    )


def series_of(part: Part, stride: int | None) -> Series | None:
    """Returns the series whose windows a part holds, or None.

    Args:
        part: of a dataset.
        stride: that was asked for; None is the part's own, at most a window.
    """
    if not isinstance(part, WindowPart):
        return None
    return Series(part.series, min(part.stride, part.shape[0]) if stride is None else stride, part.first)


def in_steps(examples: np.ndarray, shape: tuple[int, ...], ragged: bool, *, source: str) -> np.ndarray:
    """Returns series (N, t, F) as a model of sequences (T, F) takes them: of a ragged one shorter ones are
    lengthened by NaN, any other takes no ends.

    Raises:
        DataError: NaN for a model that is not ragged.
    """
    if examples.ndim == 3 and len(shape) == 2:
        if ragged:
            return lengthened(examples, shape[0])
        check_finite(examples, source=source)
    return examples


def dataset_in_steps(dataset: Dataset, steps: int) -> Dataset:
    """Returns a dataset of shorter series as one of series (T, F) for a ragged model; any other as it is."""
    if dataset.kind != "sequences" or dataset.shape[0] >= steps:
        return dataset
    parts: dict[str, Any] = {
        name: ArrayPart(lengthened(part.array(), steps), part.labels, part.classes)
        for name, part in ((name, getattr(dataset, name)) for name in ("train", "validation", "test"))
    }
    return dataclasses.replace(dataset, shape=(steps, *dataset.shape[1:]), ragged=True, **parts)


def check_stride(found: Examples, stride: int | None) -> None:
    """Raises OptionError for a stride of what is no series."""
    if stride is not None and found.series is None:
        raise OptionError(
            "a stride is that of the windows of a long series",
            got=f"stride={stride!r} for {found.source}",
            expected="a series (T, F), a row for each step, for a model of sequences (W, F)",
            fix="leave stride out",
        )
