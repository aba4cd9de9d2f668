"""Whether the first line of a table is a header. Where it could be a row as well, nobody guesses."""

import itertools
from collections.abc import Sequence

from aezoo.core.errors import DataError
from aezoo.data.sources.table_cells import kind_of, numeric

_ROWS = 10  # of decimals, below a line of whole numbers that could be the first of them
_WIDE = 8  # columns: nobody's first row of whole numbers counts that far


def has_header(
    source: str, head: Sequence[str], rows: Sequence[Sequence[str]], decimal: str, expected: Sequence[str]
) -> bool:
    """Returns whether the first line names the columns.

    Args:
        source: how an error names the table.
        head: cells of the first line.
        rows: cells of some of the lines below.
        decimal: "." or ",".
        expected: names of columns: a line that holds them all is a header.

    Raises:
        DataError: the line could be either.
    """
    if expected and set(expected) <= set(head):
        return True
    kinds = [kind_of(cell) for cell in head]
    below = [{kind_of(row[number]) for row in rows} for number in range(len(head))]
    if "text" in kinds:
        return _with_text(source, head, kinds, rows, below, decimal)
    told = [cell for cell, kind in zip(head, kinds, strict=True) if kind != "missing"]
    unnamed_index = len(told) == len(head) - 1 and kinds[0] == "missing"
    if len(told) < len(head) and not unnamed_index:
        return False
    whole = all(kind == "whole" for kind in kinds[unnamed_index:])
    counts = whole and [int(cell) for cell in told] == list(range(len(told)))
    if unnamed_index:  # what pandas writes above row numbers
        return counts
    fractional = [kind in ({"dot"}, {"comma"}) for kind in below]
    if counts:
        return _counting(source, head, rows, any(fractional))
    unlike = whole and len(head) > 2 and rows and all(fractional)
    if unlike or (_evenly_spaced(head, kinds) and rows and not _evenly_spaced(rows[0], kinds)):
        _ask(source, head)
    return False


def _with_text(source, head, kinds, rows, below, decimal):
    """Of a line with a text in it: a header, unless its texts stand in columns of texts, beside numbers."""
    texts = [number for number, kind in enumerate(kinds) if kind == "text"]
    beside = any(kind in ("whole", "dot", "comma", "other number") for kind in kinds)
    if not beside or not rows or any(numeric(below[number], decimal) for number in texts):
        return True
    if any(head[number] == row[number].strip() for number in texts for row in rows):
        return False  # the text comes again: it is a class, say, and no name
    return _ask(source, head)


def _counting(source, head, rows, fractional):
    """Of a line 0, 1, 2, ...: what pandas writes above an array, or the first row of whole numbers."""
    goes_on = bool(rows) and list(map(str.strip, rows[0])) == [str(len(head) + n) for n in range(len(head))]
    if fractional and (len(head) > 2 or len(rows) >= _ROWS):
        return True
    if not fractional and len(head) >= _WIDE and rows and not goes_on:
        return True
    return _ask(source, head)


def _evenly_spaced(cells, kinds):
    """Whether five numbers or more rise in equal steps, as wavelengths in a header do."""
    if len(cells) < 5 or not all(kind in ("whole", "dot") for kind in kinds):
        return False
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return False
    step = (numbers[-1] - numbers[0]) / (len(numbers) - 1)
    return step > 0 and all(
        abs(second - first - step) <= 1e-6 * step for first, second in itertools.pairwise(numbers)
    )


def _ask(source, head):
    raise DataError(
        f"{source}: the first line could be a header or a row",
        got=", ".join(head)[:80],
        expected="names that are no numbers, or no header",
        fix="pass header=True if it names the columns, header=False if not; or write other names",
    )
