"""A long series that is read for a model of sequences: its windows are examples, made as they are taken."""

import dataclasses

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.windows import check_fits, check_windows, starts_of, views_of
from aezoo.data.examples import Examples, Numbers, Series
from aezoo.data.parts import Part
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


def check_stride(found: Examples, stride: int | None) -> None:
    """Raises OptionError for a stride of what is no series."""
    if stride is not None and found.series is None:
        raise OptionError(
            "a stride is that of the windows of a long series",
            got=f"stride={stride!r} for {found.source}",
            expected="a series (T, F), a row for each step, for a model of sequences (W, F)",
            fix="leave stride out",
        )
