"""Whether the first line of a table is a header. Where it could be a row as well, nobody guesses."""

import itertools
from collections.abc import Sequence

from aezoo.core.errors import DataError
from aezoo.data.sources.table_cells import kind_of, numeric

_ROWS = 10  # of decimals, below a line of whole numbers that could be the first of them
_FEW = 5  # of any numbers, below one that is unlike them
_SPACED = 5  # numbers do not rise in equal steps by chance
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
        return counts or (whole and _numbers_rows(rows))
    if whole and any(_flags(row[number] for row in rows) for number in range(len(head))):
        return True  # a number above True and False
    fractional = [kind in ({"dot"}, {"comma"}) for kind in below]
    if counts:
        return _counting(source, head, rows, any(fractional))
    unlike = whole and len(head) > 2 and rows and all(fractional)
    if unlike or (rows and _could_name(head, kinds, rows)):
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


def _numbers_rows(rows):
    """Whether the first column counts the rows, from 0 or 1."""
    first = [row[0].strip() for row in rows]
    return len(first) > 1 and first in [
        [str(number + start) for number in range(len(first))] for start in (0, 1)
    ]


def _flags(cells):
    """Whether these are True and False alone, and both."""
    return {cell.strip().lower() for cell in cells} == {"true", "false"}


def _could_name(head, kinds, rows):
    """Whether numbers that rise in equal steps stand above rows that do not: wavelengths, say, or years.

    A few numbers rise so by chance: they have to be whole, one after the other, and three at least, or unlike
    all that stands below.
    """
    if len(head) >= _SPACED:
        return _evenly_spaced(head, kinds) and not _evenly_spaced(rows[0], kinds)
    if not _one_by_one(head) or (len(head) > 1 and _one_by_one(rows[0])):
        return False
    return len(head) > 2 or (len(rows) >= _FEW and all(map(_unlike, head, zip(*rows, strict=True))))


def _one_by_one(cells):
    """Whether these are whole numbers that follow each other."""
    if any(kind_of(cell) != "whole" for cell in cells):
        return False
    return [int(cell) for cell in cells] == list(range(int(cells[0]), int(cells[0]) + len(cells)))


def _unlike(cell, below):
    """Whether it is a whole number above fractions, or further from all below than these from each other."""
    if all(kind_of(each) in ("dot", "comma") for each in below):
        return True
    numbers = _numbers(below)
    if not numbers:
        return False
    low, high = min(numbers), max(numbers)
    return max(low - float(cell), float(cell) - high) > high - low


def _evenly_spaced(cells, kinds):
    """Whether numbers rise in equal steps."""
    if not all(kind in ("whole", "dot") for kind in kinds):
        return False
    numbers = _numbers(cells)
    if len(numbers) < len(cells):
        return False
    step = (numbers[-1] - numbers[0]) / (len(numbers) - 1)
    return step > 0 and all(
        abs(second - first - step) <= 1e-6 * step for first, second in itertools.pairwise(numbers)
    )


def _numbers(cells):
    """Returns the numbers among cells, whichever decimal mark they have."""
    found = []
    for cell in cells:
        try:
            found.append(float(cell.replace(",", ".")))
        except ValueError:
            continue
    return found


def _ask(source, head):
    raise DataError(
        f"{source}: the first line could be a header or a row",
        got=", ".join(head)[:80],
        expected="names that are no numbers, or no header",
        fix="pass header=True if it names the columns, header=False if not; or write other names",
    )
