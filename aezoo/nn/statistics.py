"""Means and standard deviations of columns, in float64 and in one pass, from arrays and from streams."""

from collections.abc import Iterable

import numpy as np


class ColumnStatistics:
    """Count, mean and spread of each column of rows that come in parts.

    Parts are merged as in Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115; of a single part
    the results are those of NumPy's `mean` and `std`.

    Attributes:
        count: rows so far.
        mean: (F,) float64.
        largest: (F,) float64, the largest absolute value of each column.
    """

    def __init__(self, features: int) -> None:
        self.count = 0
        self.mean = np.zeros(features)
        self.largest = np.zeros(features)
        self._squares = np.zeros(features)  # of the distances from the mean, summed

    def add(self, examples: np.ndarray) -> None:
        """Takes in examples (N, F) or (N, T, F)."""
        rows = np.asarray(examples, np.float64)
        rows = rows.reshape(-1, rows.shape[-1])
        mean = rows.mean(axis=0)
        squares = np.square(rows - mean).sum(axis=0)
        moved, whole = mean - self.mean, self.count + len(rows)
        self.mean = mean if not self.count else self.mean + moved * (len(rows) / whole)
        self._squares += squares + np.square(moved) * (self.count * len(rows) / whole)
        self.largest = np.maximum(self.largest, np.abs(rows).max(axis=0))
        self.count = whole

    @property
    def scale(self) -> np.ndarray:
        """(F,) float64: the standard deviation of each column, 1 for one that never varies.

        Such a column is exactly reproduced by its mean: any scale but 0 will do.
        """
        scale = np.sqrt(self._squares / self.count)
        scale[scale <= 1e-12 * np.maximum(1.0, self.largest)] = 1.0
        return scale


def column_statistics(parts: Iterable[np.ndarray], features: int) -> ColumnStatistics:
    """Returns the statistics of all parts, each (N, F) or (N, T, F).

    >>> column_statistics([np.array([[0.0], [2.0]]), np.array([[4.0]])], 1).mean.tolist()
    [2.0]
    """
    statistics = ColumnStatistics(features)
    for part in parts:
        statistics.add(part)
    return statistics
