"""Windows of a long series, and the way back from windows to rows. NumPy only.

series (T, F) -> windows (N, W, F), each of W rows that follow each other
scores (N,), error maps (N, W), reconstructions (N, W, F) -> (T,), (T,), (T, F): of each row the mean over
    the windows that cover it
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.errors import DataError, OptionError
from aezoo.core.examples import as_array, as_inputs
from aezoo.core.options import check_positive

_AT_ONCE = 2**20  # values of windows that are made at a time


def usual_stride(window: int) -> int:
    """Returns an eighth of a window: how many rows lie between the starts of two where nobody says it.

    >>> usual_stride(64), usual_stride(5)
    (8, 1)
    """
    return max(1, window // 8)


def check_windows(window: int, stride: int | None) -> tuple[int, int]:
    """Returns (window, stride) as whole numbers; a stride of None is `usual_stride`.

    Raises:
        OptionError: a window of less than 2 rows, or a stride of less than 1.
    """
    window = check_positive("window", window, least=2, usual=64)
    return window, usual_stride(window) if stride is None else check_positive("stride", stride, usual=8)


def views_of(series: np.ndarray, window: int) -> np.ndarray:
    """Returns the windows that begin at each row of a series (T, F), as a view (T - W + 1, W, F)."""
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(series, window, axis=0), -1, 1)


def starts_of(count: int, window: int, stride: int) -> np.ndarray:
    """Returns the rows (N,) at which windows begin that cover a series; the last one ends with its last row.

    >>> starts_of(10, window=4, stride=4)
    array([0, 4, 6])
    """
    starts = np.arange(0, count - window + 1, stride)
    return starts if starts[-1] == count - window else np.append(starts, count - window)


def windows_of(series: np.ndarray, window: int, stride: int | None = None) -> np.ndarray:
    """Returns windows (N, W, F) that cover a series (T, F): a copy, in which most values stand several times.

    Args:
        series: (T, F), or (T,) of one feature.
        window: W, at most T.
        stride: rows between the starts of two; None is an eighth of W. The last one ends with the series.

    Raises:
        OptionError: a window or a stride that cannot be used.

    >>> windows_of(np.arange(5.0), window=3, stride=2)[..., 0]
    array([[0., 1., 2.],
           [2., 3., 4.]])
    """
    window, stride = check_windows(window, stride)
    series = np.asarray(series)
    series = series[:, None] if series.ndim == 1 else series
    check_fits(len(series), window, source="series")
    return views_of(series, window)[starts_of(len(series), window, stride)]


def check_fits(count: int, window: int, *, source: str) -> None:
    """Raises DataError where a series of `count` rows holds no window."""
    if count < window:
        raise DataError(
            f"{source}: shorter than a window",
            got=f"{count:,} row{'s' * (count != 1)}",
            expected=f"at least {window:,}, the rows of a window",
            fix="pass a longer series",
        )


class RowMeans:
    """Means over the windows that cover each row of a series, from windows that come in blocks.

    Args:
        count: T, rows of the series.
        window: W.
    """

    def __init__(self, count: int, window: int) -> None:
        self.window = window
        self._total: np.ndarray | None = None
        self._covered = np.zeros(count)

    def add(self, starts: np.ndarray, values: np.ndarray) -> None:
        """Takes the values of some windows.

        Args:
            starts: (n,) rows at which they begin, none twice.
            values: (n,), one for all rows of a window; or (n, W, ...), one for each.
        """
        each = values.shape[1:2] == (self.window,)
        if self._total is None:
            self._total = np.zeros((len(self._covered), *values.shape[1 + each :]))
        for step in range(self.window):  # of one step no row comes twice
            self._total[starts + step] += values[:, step] if each else values
            self._covered[starts + step] += 1

    def means(self) -> np.ndarray:
        """Returns (T, ...) float32; NaN where no window covers a row."""
        assert self._total is not None  # a series holds one window at least
        covered = self._covered.reshape(-1, *[1] * (self._total.ndim - 1))
        with np.errstate(invalid="ignore", over="ignore"):
            return (self._total / covered).astype(np.float32)


def rows_of(values: np.ndarray, *, count: int, window: int, stride: int | None = None) -> np.ndarray:
    """Returns what windows were given, as means over the windows that cover each row.

    Args:
        values: of the windows that `windows_of` makes: (N,), or (N, W, ...).
        count: T, rows of the series.
        window: W.
        stride: as for `windows_of`.

    Returns:
        (T,) or (T, ...), float32.

    Raises:
        OptionError: a window or a stride that cannot be used.
        DataError: another number of values than windows.

    >>> rows_of(np.array([1.0, 3.0]), count=5, window=3, stride=2)
    array([1., 1., 2., 3., 3.], dtype=float32)
    """
    window, stride = check_windows(window, stride)
    check_fits(count, window, source="series")
    starts = starts_of(count, window, stride)
    if len(values) != len(starts):
        raise DataError(
            "not one value for each window",
            got=f"{len(values):,} values",
            expected=f"{len(starts):,}, of windows of {window} rows, {stride} apart, that cover {count:,}",
            fix="pass the count, window and stride that the windows were made with",
        )
    rows = RowMeans(count, window)
    rows.add(starts, np.asarray(values))
    return rows.means()


def in_rows(
    call: Callable[[np.ndarray], Mapping[str, np.ndarray]], series: np.ndarray, window: int, stride: int
) -> dict[str, np.ndarray]:
    """Returns what a function says of windows, as means over the windows that cover each row.

    Args:
        call: of windows (n, W, F), returns arrays (n,) or (n, W, ...) by name.
        series: (T, F), of which a few windows are made at a time.
        window, stride: as for `windows_of`; a stride of at most a window.

    Raises:
        OptionError: a stride that leaves rows between two windows.
        DataError: a series shorter than a window.
    """
    if stride > window:
        raise OptionError(
            "rows between two windows would be told nothing",
            got=f"stride={stride} of windows of {window} rows",
            expected=f"at most {window}",
            fix=f"pass stride={window}",
        )
    check_fits(len(series), window, source="series")
    views, starts = views_of(series, window), starts_of(len(series), window, stride)
    at_once = max(256, _AT_ONCE // max(1, window * series.shape[1]))
    found: dict[str, RowMeans] = {}
    for first in range(0, len(starts), at_once):
        some = starts[first : first + at_once]
        for name, values in call(np.ascontiguousarray(views[some])).items():
            found.setdefault(name, RowMeans(len(series), window)).add(some, values)
    return {name: rows.means() for name, rows in found.items()}


def as_series(series: ArrayLike, shape: tuple[int, ...], *, source: str) -> np.ndarray:
    """Returns a series (T, F) float32 for a model of sequences (W, F), checked; (T,) where F is 1.

    Raises:
        OptionError: the model takes no sequences.
        DataError: another number of features, fewer rows than a window, or values that are no finite numbers.
    """
    if len(shape) != 2:
        raise OptionError(
            "windows of a series are for models of sequences",
            got=f"a model of examples of shape {tuple(shape)}",
            expected="a model of shape (T, F)",
            fix="pass the examples to score",
        )
    array = as_array(series, source=source)
    array = array[:, None] if array.ndim == 1 and shape[1] == 1 else array
    array = as_inputs(array, shape[1:], unit_range=False, source=source)
    check_fits(len(array), shape[0], source=source)
    return array
