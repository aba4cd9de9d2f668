"""Series of different lengths in one array: the contract, and what is computed of real steps. NumPy only.

series (n, F) of any lengths n -> examples (N, T, F) of floats, T the longest; behind an end all is NaN.

What lies behind an end is no data: it is in no statistics, no loss, no error and no score. NaN anywhere else,
in the middle of a series or in some of its columns, is the error that it is for examples of one length.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.errors import DataError
from aezoo.core.examples import as_array, as_inputs, check_finite


def padded(series: Iterable[ArrayLike], steps: int | None = None, *, source: str = "series") -> np.ndarray:
    """Returns series of different lengths as one array (N, T, F), with NaN behind their ends.

    Args:
        series: arrays (n, F), or (n,) of one feature, of any lengths; they may end in NaN already.
        steps: T; None is the longest series.
        source: how an error names them.

    Raises:
        DataError: an array of another shape, a series without steps, or one longer than T.

    >>> padded([[1.0, 2.0], [3.0]])[..., 0].tolist()
    [[1.0, 2.0], [3.0, nan]]
    """
    arrays = [as_array(one, source=f"{source} {number}") for number, one in enumerate(series)]
    arrays = [array[:, None] if array.ndim == 1 else array for array in arrays]
    features = {array.shape[1:] for array in arrays}
    if len(features) != 1 or len(next(iter(features))) != 1:
        raise DataError(
            f"{source}: these are no series of the same features",
            got=", ".join(dict.fromkeys(f"(n{''.join(f', {n}' for n in one)})" for one in features))
            or "none",
            expected="arrays (n, F) with any number of steps n, and one F",
            fix="leave out or fill the features that only some of them have",
        )
    lengths_ = [len(array) for array in arrays]
    if 0 in lengths_:
        raise _without_steps(lengths_.index(0), source)
    longest = max(lengths_)
    if steps is not None and longest > steps:
        raise _too_long(lengths_.index(longest), longest, steps, source)
    dtype = np.result_type(np.float32, *arrays)
    whole = np.full((len(arrays), steps or longest, *features.pop()), np.nan, dtype)
    for place, array in zip(whole, arrays, strict=True):
        place[: len(array)] = array
    return whole


def lengthened(examples: np.ndarray, steps: int) -> np.ndarray:
    """Returns examples (N, t, F) as (N, T, F), with NaN in the steps that are added, if any."""
    missing = steps - examples.shape[1]
    if missing <= 0:
        return examples
    examples = examples.astype(np.result_type(examples.dtype, np.float32), copy=False)
    return np.pad(examples, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)


def behind_ends(examples: np.ndarray) -> np.ndarray:
    """Returns which steps (N, T) lie behind the end of a series: those from which on all is NaN.

    >>> behind_ends(np.array([[[1.0], [np.nan], [2.0], [np.nan]]])).tolist()
    [[False, False, False, True]]
    """
    empty = np.isnan(examples).all(axis=2)
    return np.logical_and.accumulate(empty[:, ::-1], axis=1)[:, ::-1]


def lengths(examples: np.ndarray) -> np.ndarray:
    """Returns how many steps each of the examples (N, T, F) has, (N,) int64."""
    return examples.shape[1] - behind_ends(examples).sum(axis=1)


def has_ends(examples: np.ndarray) -> bool:
    """Whether any of the examples (N, T, F) ends before its last step; never of another shape or dtype."""
    if examples.ndim != 3 or examples.dtype.kind != "f":
        return False
    return bool(np.isnan(examples[:, -1]).all(axis=1).any())  # an end leaves the last step empty


def check_series(examples: np.ndarray, *, source: str) -> None:
    """Raises DataError unless all that is not finite in examples (N, T, F) is NaN behind an end.

    Raises:
        DataError: a series without steps, or a value that is not finite, as `check_finite` says it.
    """
    if has_ends(examples):
        examples = _replaced(examples, _checked_ends(examples, source), 0)
    check_finite(examples, source=source)


def as_series_inputs(examples: Any, shape: Sequence[int], *, source: str = "examples") -> np.ndarray:
    """Returns series as a ragged model takes them, float32 (N, T, F), or raises; see `as_inputs`.

    Args:
        examples: array-like (N, t, F), t at most T; or a list of arrays (n, F), n at most T.
        shape: (T, F).
        source: how an error names them.

    Raises:
        DataError: as `as_inputs`; a series without steps.
    """
    array = as_series(examples, shape, source=source)
    if not has_ends(array):
        return as_inputs(array, shape, unit_range=False, source=source)
    behind = _checked_ends(array, source)
    real = as_inputs(_replaced(array, behind, 0), shape, unit_range=False, source=source)
    return _replaced(real, behind, np.nan)


def as_series(examples: Any, shape: Sequence[int], *, source: str) -> np.ndarray:
    """Returns series as one array (N, T, F), in the type that they came in; arguments as `as_series_inputs`.

    What does not have that shape comes back as it is, for `as_inputs` to say so.
    """
    if isinstance(examples, (list, tuple)) and _differ(examples, shape[1]):
        return padded(examples, shape[0], source=source)
    array = as_array(examples, source=source)
    fits = array.ndim == 3 and array.shape[2] == shape[1] and 0 < array.shape[1] < shape[0]
    return lengthened(array, shape[0]) if fits and array.dtype.kind in "biuf" else array


def _differ(series, features):
    """Whether parts of a list are series of different lengths, or of one feature without its axis."""
    try:
        shapes = {np.shape(one) for one in series}
    except ValueError:  # which `as_array` explains
        return False
    if () in shapes:
        return False
    return len({one[0] for one in shapes}) > 1 or (features == 1 and {len(one) for one in shapes} == {1})


def without_ends(examples: np.ndarray) -> np.ndarray:
    """Returns the real steps of series (N, T, F), (M, F); rows (N, F) as they are."""
    rows = examples.reshape(-1, examples.shape[-1])
    return rows[~behind_ends(examples).reshape(-1)] if has_ends(examples) else rows


def mean_example(examples: np.ndarray) -> np.ndarray:
    """Returns the mean of examples (N, ...), of each step that of the series that come so far; else 0."""
    if not has_ends(examples):
        return examples.mean(axis=0)
    behind = behind_ends(examples)
    count = np.maximum(len(examples) - behind.sum(axis=0), 1)[:, None]
    return np.where(behind[..., None], 0.0, examples).sum(axis=0) / count


def filled(examples: np.ndarray, values: ArrayLike) -> np.ndarray:
    """Returns examples (N, T, F) with values (F,) behind the ends; all others as they are."""
    if not has_ends(examples):
        return examples
    return np.where(behind_ends(examples)[..., None], np.asarray(values, examples.dtype), examples)


def ended(values: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Returns values (N, T, ...) of examples (N, T, F) with NaN where those have ended."""
    return _replaced(values, behind_ends(examples), np.nan) if has_ends(examples) else values


def means(values: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Returns the mean (N,) of values (N, ...) of each example; of series over their real steps.

    A value that is not finite counts, unless it lies behind the end.
    """
    if not has_ends(examples):
        return values.reshape(len(values), -1).mean(axis=1)
    behind = behind_ends(examples)
    real = _replaced(values, behind, 0)
    return real.reshape(len(real), -1).mean(axis=1) / (1 - behind.mean(axis=1)).astype(values.dtype)


def _replaced(values, behind, by):
    """Returns values (N, T, ...) with a number in the steps (N, T) that lie behind an end."""
    return np.where(behind.reshape(behind.shape + (1,) * (values.ndim - 2)), values.dtype.type(by), values)


def shortened(examples: np.ndarray) -> np.ndarray:
    """Returns examples (N, T, F) of which every second one ends early: what shows that ends are seen."""
    examples = examples.astype(np.float32, copy=True)
    steps = examples.shape[1]
    for number in range(1, len(examples), 2):
        examples[number, max(1, steps - 1 - number % max(1, steps // 2)) :] = np.nan
    return examples


def _checked_ends(examples, source):
    """Returns which steps (N, T) lie behind an end, or raises for a series without steps."""
    behind = behind_ends(examples)
    without = behind.all(axis=1)
    if without.any():
        raise _without_steps(int(np.argmax(without)), source)
    return behind


def _without_steps(number, source):
    return DataError(
        f"{source}: a series without steps",
        got=f"example {number} is NaN from its first step on, or empty",
        expected="at least one step of every series",
        fix=f"leave it out: numpy.delete(examples, {number}, axis=0), or del series[{number}]",
    )


def _too_long(number, length, steps, source):
    return DataError(
        f"{source}: a series is longer than the model's",
        got=f"example {number} has {length} steps",
        expected=f"at most {steps}",
        fix=f"cut it, series[{number}][:{steps}], or into windows: aezoo.runtime.windows_of",
    )
