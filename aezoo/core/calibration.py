"""Calibration of anomaly scores: what a score means, measured on normal examples. NumPy only.

Split conformal prediction: among n scores of normal examples, the p-value of a new score s is
(1 + the number of them that are at least s) / (n + 1), which is at most a with a probability of at most a
for another normal example, whatever the scores' distribution is.

Source: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World", chapter 2; Bates,
Candès, Lei, Romano & Sesia 2023, "Testing for outliers with conformal p-values", arXiv:2104.08279.
"""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.arrays import Like
from aezoo.core.errors import DataError, OptionError
from aezoo.core.options import check_between

TABLE = 1000  # scores that a graph holds: a table of one size can be exchanged for another
# What a file of tables holds at least; of another precision the same, with its name in front.
TABLES = {"table": Like("f", (TABLE,)), "steps": Like("f", (2,)), "threshold": Like("f", (1,))}
_LOWEST = np.finfo("float32").min  # fills a table up: no score is as low


class Calibration:
    """A table of normal scores, and the threshold that so many of them would pass.

    Attributes:
        table: float32 (1000,), ascending.
        base, step: a p-value is base + step * (number of entries that are at least the score).
        threshold: float; a score that is not within it is an anomaly, one that is no number too.
        false_positive_rate: share of normal examples that may pass the threshold.
        examples: number of normal scores, n.
        interval: (low, high), within which the true rate of this very threshold lies with a
            probability of 0.95 over the draw of the n examples; NaN where it has not been computed.
    """

    def __init__(
        self,
        table: ArrayLike,
        base: float,
        step: float,
        threshold: float,
        false_positive_rate: float,
        examples: int,
        interval: tuple[float, float],
    ) -> None:
        self.table = np.asarray(table, "float32")
        self.base, self.step = float(base), float(step)
        self.threshold = float(threshold)
        self.false_positive_rate, self.examples = float(false_positive_rate), int(examples)
        self.interval = tuple(float(end) for end in interval)

    @classmethod
    def fit(cls, scores: ArrayLike, false_positive_rate: float = 0.01) -> "Calibration":
        """Calibrates on the scores of normal examples that no model was trained on.

        Entries of the table lie half-way between two scores, so that the rounding of a runtime does not
        decide about the scores themselves; of more than 1,000 scores the table keeps 1,000
        quantiles. Both only make p-values larger.

        Args:
            scores: (n,), finite.
            false_positive_rate: above 0, below 1; n must be at least 1 / rate - 1.

        Raises:
            DataError: too few scores for the rate, or scores that are not finite.
            OptionError: a rate outside its range.
        """
        rate = check_rate(false_positive_rate)
        scores = np.sort(np.asarray(scores, "float64").ravel())
        count = len(scores)
        rank = math.ceil((count + 1) * (1 - rate) - 1e-9)  # of the threshold, from 1
        if not np.isfinite(scores).all():
            raise DataError(
                "normal examples have scores that are no numbers",
                got=f"{np.count_nonzero(~np.isfinite(scores))} of {count}",
                expected="finite scores",
                fix="look for NaN in the examples",
            )
        if rank > count:
            raise DataError(
                "too few normal examples for this false positive rate",
                got=f"{count} examples, false_positive_rate={rate:g}",
                expected=f"at least {math.ceil(1 / rate - 1 - 1e-9)} examples",
                fix=f"pass more examples, or false_positive_rate={_rounded_up(1 / (count + 1))}",
            )
        gaps = np.diff(scores) / 2
        above = scores + np.append(gaps, gaps[-1] if count > 1 else 0.0)
        above[-1] = max(above[-1], scores[-1] + 1e-6 * abs(scores[-1]))
        if count > TABLE:
            kept = np.ceil(np.arange(1, TABLE + 1) * (count / TABLE)).astype(int) - 1
            table, step = above[kept], count / TABLE / (count + 1)
        else:
            table, step = np.append(np.full(TABLE - count, _LOWEST), above), 1 / (count + 1)
        return cls(table, 1 / (count + 1), step, above[rank - 1], rate, count, _interval(count, rank, 0.95))

    def p_values(self, scores: ArrayLike) -> np.ndarray:
        """Returns the p-value of each score, float32 (B,)."""
        scores = np.asarray(scores, "float32").reshape(-1, 1)
        above = np.count_nonzero(self.table >= scores, axis=1)
        return (np.float32(self.base) + np.float32(self.step) * above.astype("float32")).astype("float32")

    def is_anomaly(self, scores: ArrayLike, threshold: float | None = None) -> np.ndarray:
        """Returns which scores (B,) are not known to be within the threshold, bool (B,); NaN is not."""
        limit = np.float32(self.threshold if threshold is None else threshold)
        return ~(np.asarray(scores, "float32") <= limit)

    def is_sure(self, scores: ArrayLike, margin: float = 1e-5) -> np.ndarray:
        """Returns which scores no rounding by a share of `margin` moves across an entry or the threshold."""
        scores = np.asarray(scores, "float64")
        margins = margin * np.abs(scores, where=np.isfinite(scores), out=np.zeros_like(scores))
        low, high = scores - margins, scores + margins
        return (self.p_values(low) == self.p_values(high)) & (self.is_anomaly(low) == self.is_anomaly(high))

    def figures(self) -> dict[str, Any]:
        """Returns what a manifest says of a calibration; the table itself is in the files."""
        low, high = self.interval
        return {
            "threshold": self.threshold,
            "false_positive_rate": self.false_positive_rate,
            "false_positive_rate_interval": None if math.isnan(low) else (low, high),
            "examples": self.examples,
        }


def figures(calibrations: Mapping[str, Calibration]) -> dict[str, Any]:
    """Returns what a manifest says of {precision: `Calibration`}, float32 among them; tables are in files."""
    thresholds = {precision: one.threshold for precision, one in calibrations.items()}
    return {**calibrations["float32"].figures(), "thresholds": thresholds}


def check_rate(false_positive_rate: float) -> float:
    """Returns a false positive rate as a float, or raises OptionError unless it lies between 0 and 1."""
    rate = check_between("false_positive_rate", false_positive_rate, 0.0, 1.0, 0.01)
    if not 0 < rate < 1:
        raise OptionError(
            "a false positive rate lies between 0 and 1, and is neither",
            got=f"false_positive_rate={rate:g}",
            expected="for example 0.01: one normal example in a hundred",
            fix="pass false_positive_rate=0.01",
        )
    return rate


def write_tables(
    path: str | os.PathLike[str],
    calibrations: Mapping[str, Calibration],
    trained_on: np.ndarray | None = None,
) -> None:
    """Writes what scorers go by: {precision: `Calibration`}, float32 among them, and a sketch."""
    arrays: dict[str, Any] = {} if trained_on is None else {"trained_on": trained_on}
    for precision, calibration in calibrations.items():
        prefix = "" if precision == "float32" else f"{precision}_"
        arrays[f"{prefix}table"] = calibration.table
        arrays[f"{prefix}steps"] = [calibration.base, calibration.step]
        arrays[f"{prefix}threshold"] = [calibration.threshold]
    np.savez_compressed(path, **arrays)


def table_of(arrays: Mapping[str, np.ndarray], precision: str) -> Calibration:
    """Returns what the scorer of a precision goes by, a `Calibration`: its own, else that of float32.

    Args:
        arrays: what `write_tables` wrote, {name: array}, checked to be like `TABLES`.
        precision: of the scorer.
    """
    prefix = f"{precision}_" if f"{precision}_table" in arrays else ""
    (threshold,), (base, step) = arrays[f"{prefix}threshold"], arrays[f"{prefix}steps"]
    return Calibration(arrays[f"{prefix}table"], base, step, threshold, math.nan, 0, (math.nan, math.nan))


def roc_area(scores: ArrayLike, is_anomaly: ArrayLike) -> float:
    """Returns the area under the ROC curve: how often an anomaly's score is above a normal example's.

    Equal scores count as a half. NumPy only, since `aezoo verify` has no more (Mann & Whitney 1947).

    Args:
        scores: (N,).
        is_anomaly: (N,) bool, of both kinds.

    >>> roc_area([1.0, 2.0, 3.0], [False, True, True])
    1.0
    """
    scores, is_anomaly = np.ravel(scores), np.ravel(is_anomaly).astype(bool)
    normal, anomalous = np.sort(scores[~is_anomaly]), scores[is_anomaly]
    below, up_to = (np.searchsorted(normal, anomalous, side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(normal))


def _rounded_up(rate):
    """Returns a rate as a text of two significant digits that is not below it.

    >>> _rounded_up(1 / 99), _rounded_up(0.25)
    ('0.011', '0.25')
    """
    unit = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return f"{math.ceil(rate / unit - 1e-9) * unit:.2g}"


def _interval(count, rank, level):
    """Returns the interval of the rate of a threshold between the rank-th of `count` scores and the next.

    Over the draw of the scores the rank-th of them has a rate of Beta(count + 1 - rank, rank), whatever
    their distribution is.
    """
    try:
        from scipy.stats import beta
    except ModuleNotFoundError:  # the base install: a threshold needs no interval
        return math.nan, math.nan
    low = beta.ppf((1 - level) / 2, count - rank, rank + 1) if rank < count else 0.0
    return low, beta.ppf((1 + level) / 2, count + 1 - rank, rank)
