"""What one cell of a table can be."""

import functools
import re

# Spellings of an empty cell. In a label column only the empty cell counts: "None" may be a class.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "-", "?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_DOT = re.compile(rf"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+){_EXPONENT}")
_COMMA = re.compile(rf"[+-]?[0-9]+,[0-9]+{_EXPONENT}")
_OTHER = re.compile(r"[+-]?(?:[0-9]+e[+-]?[0-9]+|inf(?:inity)?)|true|false", re.IGNORECASE)
_NUMBERS = {"whole": _WHOLE, "dot": _DOT, "comma": _COMMA, "other number": _OTHER}
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


@functools.lru_cache(maxsize=4096)
def kind_of(cell: str) -> str:
    """Returns "missing", "whole", "dot", "comma", "other number" (3e2, true, false, infinity) or "text".

    >>> [kind_of(cell) for cell in ("NA", "-3", "1.5e5", "28,7", "True", "1_000")]
    ['missing', 'whole', 'dot', 'comma', 'other number', 'text']
    """
    cell = cell.strip()
    if cell in MISSING:
        return "missing"
    for name, pattern in _NUMBERS.items():
        if pattern.fullmatch(cell):
            return name
    return "text"


def numeric(kinds: set[str], decimal: str) -> bool:
    """Whether cells of these kinds make a column of numbers with this decimal mark."""
    mark = "comma" if decimal == "," else "dot"
    return kinds <= {"missing", "whole", "other number", mark} and kinds != {"missing"}


def grouped(cell: str) -> bool:
    """Whether the comma of a number could be a mark of thousands: 1,234."""
    return _GROUPED.fullmatch(cell.strip()) is not None
