"""Examples of a source, as a model takes them; those of a large file are read as they are taken."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import overload

import numpy as np

from aezoo.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Series:
    """The long series whose windows some examples are.

    Attributes:
        rows: (T, F) float32.
        stride: rows between the starts of two windows.
        first: which row of its file is the first.
    """

    rows: np.ndarray
    stride: int
    first: int = 0


@dataclasses.dataclass(frozen=True)
class Examples:
    """Examples of a source, as a model takes them.

    Attributes:
        stored: (N, ...) as they were read, which may be a file that is mapped into memory.
        names: a text for each, N of them: the file of an image, else its number.
        labels: (N,) int64, class numbers from 0, or None. Of a file without names of classes they are for a
            conditional model as they were stored: class numbers of the training.
        class_names: of class number 0, 1, ..., or None where there are no labels.
        feature_names: of the columns of a table, or None.
        source: what they were read from, a text: "photos", "mnist_mini, test part".
        dataset: that they are a part of, or None where a path was read whole.
        take: what turns stored examples (n, ...) into what `array` says, or raises DataError; None: they
            are that already.
        notes: what was understood of the source and what was left out, a line each, for who reads it.
        series: that the examples are windows of, or None.
    """

    stored: np.ndarray
    names: Sequence[str]
    labels: np.ndarray | None
    class_names: list[str] | None
    feature_names: Sequence[str] | None
    source: str
    dataset: Dataset | None = None
    take: Callable[[np.ndarray], np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    series: Series | None = None

    def __len__(self) -> int:
        return len(self.stored)

    @functools.cached_property
    def array(self) -> np.ndarray:
        """All examples (N, ...): float32, images in [0, 1]; or uint8 where the model takes bytes."""
        return self.rows(slice(None))

    def rows(self, chosen: slice) -> np.ndarray:
        """Returns some of the examples (n, ...), as `array` has them, without the others."""
        some = self.stored[chosen]
        return some if self.take is None else self.take(some)


class Numbers(Sequence[str]):
    """The names "0", "1", ... of examples without names, each made when it is asked for.

    >>> list(Numbers(3)), Numbers(3)[-1]
    (['0', '1', '2'], '2')
    """

    def __init__(self, count: int) -> None:
        self._numbers = range(count)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        found = self._numbers[index]
        return str(found) if isinstance(found, int) else list(map(str, found))
