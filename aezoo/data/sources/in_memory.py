"""Series that a caller holds in memory: a list of arrays (n, F), of one length or of different ones."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from aezoo.core.errors import DataError
from aezoo.core.ragged import padded
from aezoo.data.contents import Contents, as_examples

IN_MEMORY = "series in memory"  # what a run says of such a source


def is_series(source: Any) -> bool:
    """Whether a source is a list of arrays that is not empty."""
    return isinstance(source, (list, tuple)) and len(source) > 0


def read_series(series: Sequence[ArrayLike]) -> Contents:
    """Returns the `Contents` of a list of arrays (n, F), or (n,) of one feature: sequences (N, T, F).

    Raises:
        DataError: other arrays, a series without steps, or values that are not finite.
    """
    return Contents(
        {"train": (as_examples(padded(series, source="series"), source="series", kind="sequences"), None)}
    )


def check_there(source: Any) -> None:
    """Raises DataError where a run asks again for series that were in memory when it was trained."""
    if isinstance(source, str) and source == IN_MEMORY:
        raise DataError(
            "these series were given as arrays, which no file holds",
            got=f"source={IN_MEMORY!r}",
            expected="the arrays, or a file",
            fix="pass the dataset or the arrays again; "
            "numpy.savez('series.npz', sequences=aezoo.data.padded(series)) makes a file that a run can name",
        )
