"""Whether float32, in which every model computes, keeps the digits of a column. NumPy only.

float32 has 24 bits: at 1.7e9 neighbouring numbers are 128 apart, so 200 time stamps of one second each become
three. A column is refused where that rounding is more than a thousandth of its standard deviation.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.ragged import without_ends

ROUNDING = 1e-3  # of a column's standard deviation, at most
_LEAST_SCALE = float(np.finfo(np.float32).tiny)  # below it float32 loses digits, and processors flush to 0
_AT_ONCE = 2**22  # values in float64


def statistics(parts: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the statistics of each column in float64, (F,) each, of rows that come in parts.

    "low", "range", "mean", "deviation", and "whole" for columns of whole numbers. The deviation is the
    standard deviation, exactly 0 for a column that never varies. Whole numbers above 2^53 are compared as
    such within a part. Each part is looked at once; they are joined as in Chan, Golub & LeVeque 1983,
    doi:10.1080/00031305.1983.10483115.

    Args:
        parts: (N, F) or (N, T, F) numbers of any type, finite up to the ends of series; at least one row.

    >>> statistics([np.array([[0.0], [2.0]]), np.array([[4.0]])])["mean"].tolist()
    [2.0]
    """
    found: dict[str, np.ndarray] = {}
    count = 0
    for part in parts:
        rows = without_ends(part)
        if len(rows):
            more = _statistics_of(rows)
            found = _joined(found, count, more, len(rows)) if count else more
            count += len(rows)
    return found


def _statistics_of(rows):
    found: dict[str, list[np.ndarray]] = {"low": [], "range": [], "mean": [], "deviation": []}
    for some in _column_blocks(rows):
        low = some.min(axis=0)
        # From the smallest on: so digits of large whole numbers are not lost before they are looked at.
        above = _above(some, low)
        mean, deviation = above.mean(axis=0), above.std(axis=0)
        found["low"].append(low.astype(np.float64))
        found["range"].append(above.max(axis=0))
        found["mean"].append(low.astype(np.float64) + mean)
        found["deviation"].append(np.where(found["range"][-1] == 0, 0.0, deviation))
    joined = {name: np.concatenate(blocks) for name, blocks in found.items()}
    return {**joined, "whole": np.full(rows.shape[1], rows.dtype.kind in "iu")}


def _joined(first, count, second, more):
    """Returns the statistics of `count` rows and of `more` rows together."""
    share, moved = more / (count + more), second["mean"] - first["mean"]
    high = np.maximum(first["low"] + first["range"], second["low"] + second["range"])
    low = np.minimum(first["low"], second["low"])
    within = (1 - share) * first["deviation"] ** 2 + share * second["deviation"] ** 2
    deviation = np.sqrt(within + share * (1 - share) * moved**2)
    return {
        "low": low,
        "range": high - low,
        "mean": first["mean"] + share * moved,
        "deviation": np.where(high == low, 0.0, deviation),
        "whole": first["whole"] & second["whole"],
    }


def _column_blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    width = max(1, _AT_ONCE // len(rows))
    for start in range(0, rows.shape[1], width):
        yield rows[:, start : start + width]


def _above(rows, low):
    """Returns float64 differences from the smallest value of each column, taken without loss."""
    if rows.dtype.kind in "iu":  # modulo 2^64, so that no difference overflows
        return (rows.astype(np.uint64) - low.astype(np.uint64)).astype(np.float64)
    return rows.astype(np.float64) - low.astype(np.float64)


def check_digits(
    rows: np.ndarray | Iterable[np.ndarray],
    *,
    source: str,
    names: Sequence[str] | None = None,
    droppable: bool = False,
) -> dict[str, np.ndarray]:
    """Returns the `statistics` of rows that float32 keeps apart, or raises.

    Args:
        rows: (N, F) or (N, T, F) numbers as they were stored, before they become float32; or parts of them.
        source: how an error names them.
        names: of the columns, or None.
        droppable: whether `load` can leave columns out.

    Raises:
        DataError: a column whose values float32 merges, or whose spread it cannot hold.
    """
    found = statistics([rows] if isinstance(rows, np.ndarray) else rows)
    deviation = found["deviation"]
    size = np.maximum(np.abs(found["low"]), np.abs(found["low"] + found["range"]))
    with np.errstate(over="ignore"):
        rounding = np.spacing(size.astype(np.float32)).astype(np.float64) / 2
    varies = deviation > 0
    merged = varies & (rounding > ROUNDING * deviation)
    tiny = varies & (deviation < _LEAST_SCALE)
    if not (merged | tiny).any():
        return found
    numbers = np.flatnonzero(merged | tiny).tolist()
    called = [f"column {names[n]!r}" if names else f"column {n}" for n in numbers]
    first = {name: float(values[numbers[0]]) for name, values in found.items()}
    got = (
        f"{first['low']:.12g} and up to {first['range']:.3g} more, standard deviation "
        f"{first['deviation']:.3g}; there float32 goes in steps of {2 * rounding[numbers[0]]:.3g}"
    )
    if len(called) > 1:
        got += f"; so do {', '.join(called[1:6])}{', ...' * (len(called) > 6)}"
    drop = f"drop={[names[n] for n in numbers]!r}" if names and droppable else "leave it out"
    raise DataError(
        f"{source}: {called[0]} loses its digits in float32, in which models compute",
        got=got,
        expected=f"steps of at most {2 * ROUNDING:g} standard deviations",
        fix=f"{_mended(called[0], **first)} first, or {drop}",
    )


def _mended(column, low, range, mean, deviation, whole):
    """Returns what makes a column fit for float32."""
    size = max(abs(low), abs(low + range))
    if size < 1 and deviation < _LEAST_SCALE:  # subtracting would leave it as small
        return f"multiply {column} by 1e{math.ceil(-math.log10(deviation))}"
    if not whole and deviation < 1e-13 * size:  # float64 itself has no more
        return f"round {column} to 12 digits"
    step = 10.0 ** (math.floor(math.log10(range)) + 1)
    base = math.floor(low / step) * step  # a short number; what is left above it float32 holds well
    even = base == math.trunc(base) and abs(base) < 1e19
    return f"subtract {math.trunc(base) if even else format(base, '.15g')} from {column}"


def constant_columns(rows: np.ndarray) -> list[int]:
    """Returns the numbers of the columns of rows (N, F) or sequences (N, T, F) that never vary."""
    rows = without_ends(rows)
    return np.flatnonzero((rows == rows[0]).all(axis=0)).tolist()
