"""What the text of a table says of itself: encoding, delimiter, decimal mark, header, lines that are no rows.

Each is decided by evidence. Where two readings fit the same lines, none is guessed: the error names both, and
the options that say which.
"""

import contextlib
import csv
import dataclasses
import itertools
import pathlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from aezoo.core.errors import DataError
from aezoo.data.sources.headers import has_header
from aezoo.data.sources.table_cells import grouped, kind_of, numeric

DELIMITERS: dict[str | None, str] = {
    ",": "','",
    ";": "';'",
    "\t": "a tab",
    "|": "'|'",
    " ": "blanks",
}  # and how they are said
_ALONE = "\x1f"  # separates nothing: every line is one cell
_SAMPLE = 2**20  # characters that are looked at, but always
_LEAST, _MOST = 4, 1000  # so many lines
_SEP = re.compile(r'"?sep=(?P<mark>.)"?\s*', re.IGNORECASE)
_WORDS = re.compile(r'"(?:[^"]|"")*"|\S+')


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How the text of a table is to be read.

    Attributes:
        encoding: of the file.
        delimiter: what separates cells, a character, " " for any blanks; None of a single column.
        decimal: "." or ",".
        names: of the columns, or None without a header.
        width: number of columns.
        lead: how many lines lie before the first row.
        header_line: where the names stand, from 1, or None.
        comments: numbers of the lines that are comments, from 0.
        trailing: whether every row ends in a delimiter.
    """

    encoding: str
    delimiter: str | None
    decimal: str
    names: tuple[str, ...] | None
    width: int
    lead: int
    header_line: int | None
    comments: frozenset[int]
    trailing: bool

    def told(self) -> str:
        """Returns the dialect in words, for example "';' between cells, decimal comma, header in line 2"."""
        parts = [f"{DELIMITERS.get(self.delimiter, repr(self.delimiter))} between cells"] * (
            self.delimiter is not None
        )
        parts += ["decimal comma"] * (self.decimal == ",")
        parts.append("no header" if self.header_line is None else f"header in line {self.header_line}")
        if self.comments:
            parts.append(f"{len(self.comments)} comment line{'s' * (len(self.comments) > 1)} left out")
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class _Reading:
    """One way to cut the lines of the sample: (number of the first line from 0, cells) of each record."""

    delimiter: str | None
    records: list[tuple[int, list[str]]]
    width: int
    fits: bool  # whether every record has that width
    trailing: bool
    decimal: str
    numbers: int  # columns of numbers

    @property
    def share(self):
        return self.numbers / self.width


def find_dialect(
    path: pathlib.Path,
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool | None = None,
    expected: Sequence[str] = (),
) -> Dialect:
    """Returns the dialect of a text file.

    Args:
        path: of the file.
        delimiter, decimal, header: what is known of it; None is to be found out.
        expected: names of columns: a first line that holds them all is a header.

    Raises:
        DataError: an empty file, rows of different widths, or two readings that fit alike.
        UnicodeDecodeError, csv.Error, OSError: it cannot be read as text.
    """
    encoding = _encoding(path)
    lines, comments, mark, ended = _sample(path, encoding)
    if not lines:
        raise DataError(
            f"{path.name}: no rows" if comments else f"{path.name}: an empty file",
            got=str(path),
            expected="a header line, then one line for each row",
            fix="check how the file was written",
        )
    reading = _choose(path, lines, delimiter or mark, decimal, ended, set(expected))
    if decimal is None:
        _check_groups(path, reading)
    first, head = reading.records[0]
    head, rows = _even(head, reading.width), [cells for _, cells in reading.records[1:]]
    named = (
        header if header is not None else has_header(path.name, head, rows, reading.decimal, tuple(expected))
    )
    lead, names, header_line = first, None, None
    if named:
        names, header_line = tuple(head), first + 1
        lead = first + 1 + sum(cell.count("\n") for cell in reading.records[0][1])
    elif header is None:
        found = _commented_names(path, encoding, comments, first, reading)
        names, header_line = found if found else (None, None)
    gone = comments - ({header_line - 1} if header_line else set())
    return Dialect(
        encoding,
        reading.delimiter,
        reading.decimal,
        names,
        reading.width,
        lead,
        header_line,
        frozenset(gone),
        reading.trailing,
    )


def rows_of(path: pathlib.Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yields (line, cells) of each row; lines are counted from 1, as an editor shows them."""
    with open(path, encoding=dialect.encoding, newline="") as file:
        numbered = [
            (number, line)
            for number, line in enumerate(file)
            if number >= dialect.lead and number not in dialect.comments and line.strip()
        ]
    for number, cells in _records(numbered, dialect.delimiter):
        yield number + 1, cells


def _encoding(path):
    with open(path, "rb") as file:
        front = file.read(2**16)
    if front.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if front.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in front:
        raise DataError(
            f"{path.name}: cannot be read",
            got=f"{path}: a byte of zero, which no text has",
            expected="a CSV file, text in UTF-8",
            fix="check that it is a CSV file, and save it as UTF-8",
        )
    return "utf-8-sig"


def _sample(path, encoding):
    """Returns ([(number, line)] of the first lines that may be rows, comments, mark of "sep=", all lines?).

    Comments are looked for in the whole file; blank lines are neither.
    """
    lines, comments, mark, size, full = [], set(), None, 0, False
    with open(path, encoding=encoding, newline="") as file:
        for number, line in enumerate(file):
            text = line.lstrip()
            if text[:1] in ("#", "%"):
                comments.add(number)
            elif not text:
                continue
            elif not lines and mark is None and (match := _SEP.fullmatch(line)):
                mark = match["mark"]
            elif not full:
                lines.append((number, line))
                size += len(line)
                full = len(lines) >= _MOST or (size >= _SAMPLE and len(lines) >= _LEAST)
    return lines, comments, mark, not full


def _records(lines, delimiter):
    """Yields (number of its first line, cells) of every record in numbered lines."""
    if delimiter == " ":
        for number, line in lines:
            yield number, [word.strip('"') for word in _WORDS.findall(line)]
        return
    reader = csv.reader((line for _, line in lines), delimiter=delimiter or _ALONE, skipinitialspace=True)
    begun = 0
    for cells in reader:
        yield lines[begun][0], cells
        begun = reader.line_num


def _read(lines, delimiter, decimal, ended):
    """Returns the `_Reading` of the sample with one delimiter."""
    records = list(_records(lines, delimiter))
    if not ended and len(records) > 2:
        records.pop()  # it may go on behind the sample
    (_, head), *rest = records
    body = [cells for _, cells in rest] or [head]
    width = Counter(map(len, body)).most_common(1)[0][0]
    even = all(len(cells) == width for cells in body)
    # "1,2," in every line: the last cell is none.
    trailing = (
        even
        and width > 1
        and len(head) in (width, width - 1)
        and not any(cells[-1].strip() for cells in body)
        and not "".join(head[width - 1 :]).strip()
    )
    if (
        decimal == ","
        and delimiter == ","
        and not any(kind_of(cell) == "comma" for row in body for cell in row)
    ):
        even = False  # its commas are decimal marks
    fits = even and (
        trailing or len(head) == width or (len(head) == width + 1 and not head[-1].strip() and width > 1)
    )
    columns = list(itertools.zip_longest(*body, fillvalue=""))[: width - trailing]
    kinds = [{kind_of(cell) for cell in column} for column in columns]
    if decimal is None:
        counts = {mark: sum(numeric(kind, mark) for kind in kinds) for mark in ".,"}
        decimal = "," if counts[","] > counts["."] else "."
    found = sum(numeric(kind, decimal) for kind in kinds)
    return _Reading(delimiter, records, max(1, width - trailing), fits, trailing, decimal, found)


def _choose(path, lines, delimiter, decimal, ended, expected):
    """Returns the one `_Reading` that fits the lines, or raises DataError."""
    if delimiter is not None:
        reading = _read(lines, delimiter, decimal, ended)
        return reading if reading.fits else _refuse_widths(path, reading)
    text = "".join(line for _, line in lines)
    readings = []
    for mark in (None, *(mark for mark in DELIMITERS if mark in text or mark == " ")):
        with contextlib.suppress(csv.Error):  # a cell of 131,072 characters: that is not what separates them
            readings.append(_read(lines, mark, decimal, ended))
    alone = next((reading for reading in readings if reading.delimiter is None and reading.numbers), None)
    fitting = [reading for reading in readings if reading.fits and reading.width > 1]
    fitting = [reading for reading in fitting if reading.delimiter != " " or reading.numbers]
    same = [reading.records for reading in fitting if reading.delimiter != " "]  # a tab is a blank, too
    fitting = [reading for reading in fitting if reading.delimiter != " " or reading.records not in same]
    for reading in fitting:
        if expected and expected <= {cell.strip() for cell in reading.records[0][1]}:
            return reading
    if fitting:
        best = max(reading.share for reading in fitting)
        equal = [reading for reading in fitting if reading.share == best]
        if alone and best == 1 and kind_of(alone.records[0][1][0]) in ("whole", "comma"):
            equal.insert(0, alone)
        if len(equal) > 1 and best:
            _refuse_ambiguous(path, equal)
        return equal[0]
    commas = [reading for reading in readings if reading.delimiter == ","]
    if alone and (decimal == "," or not any(len(reading.records[0][1]) > 1 for reading in commas)):
        if decimal is None and commas and _other_names(alone.records[0][1][0], commas[0].width):
            _refuse_ambiguous(path, [alone, *commas])
        return alone
    if alone and commas and kind_of(alone.records[0][1][0]) != "text":
        _refuse_ambiguous(path, [alone, *commas])  # "28,7" above "29", or a row that was cut off
    ragged = [reading for reading in readings if reading.width > 1 and reading.delimiter != " "]
    if ragged:
        _refuse_widths(path, max(ragged, key=lambda reading: reading.width))
    return readings[0]


def _other_names(head, width):
    """Whether a first line names so many columns with another mark between them: "a;b" above "1,2"."""
    return width > 1 and any(head.count(mark) + 1 == width for mark in ";\t|")


def _even(head, width):
    return [cell.strip() for cell in head[:width]] + [""] * (width - len(head))


def _commented_names(path, encoding, comments, first, reading):
    """Returns (names, line from 1) where the comment right above the rows names their columns, or None."""
    before = [number for number in comments if number < first]
    if not before or reading.delimiter is None:
        return None
    with open(path, encoding=encoding, newline="") as file:
        line = next(itertools.islice(file, max(before), None)).lstrip().lstrip("#%").strip()
    ((_, names),) = list(_records([(0, line)], reading.delimiter)) or [(0, [])]
    names = [name.strip() for name in names]
    fits = len(names) == reading.width and len(set(names)) == len(names)
    if fits and all(name and kind_of(name) == "text" for name in names):
        return tuple(names), max(before) + 1
    return None


def _check_groups(path, reading):
    """Raises DataError where every comma could be a decimal mark as well as one of thousands: 1,234."""
    if reading.decimal != ",":
        return
    cells = [cell for _, cells in reading.records for cell in cells if kind_of(cell) == "comma"]
    if cells and all(grouped(cell) for cell in cells):
        whole = cells[0].replace(",", "")
        raise DataError(
            f"{path.name}: a comma could be a decimal mark or one of thousands",
            got=f"{cells[0]!r}, which is {cells[0].replace(',', '.')} or {whole}",
            expected="numbers that can be read in one way",
            fix="pass decimal=',' if it is the decimal mark, else write 1234 for 1,234",
        )


def _refuse_ambiguous(path, readings):
    line = readings[0].records[0][0]
    ways = []
    for reading in readings[:2]:
        between = f"{DELIMITERS[reading.delimiter]} between them" if reading.delimiter else "one to a line"
        mark = ", with decimal commas" if reading.decimal == "," else ""
        ways.append(f"{reading.width} column{'s' * (reading.width > 1)}, {between}{mark}")
    typed = []
    for reading in readings[:2]:
        name = f"delimiter={reading.delimiter!r}" if reading.delimiter else "decimal=','"
        typed.append("delimiter='tab'" if reading.delimiter == "\t" else name)
    raise DataError(
        f"{path.name}: its lines can be read in two ways",
        got=f"line {line + 1}: {' | '.join(readings[0].records[0][1])[:80]}; {' or '.join(ways)}",
        expected="lines that can be read in one way",
        fix=f"pass {' or '.join(typed)}, whichever it is; or write ';' between cells",
    )


def _refuse_widths(path, reading):
    """Raises DataError for the first record of another width than the first has."""
    first = reading.records[0][1]
    number, cells = next(
        (record for record in reading.records if len(record[1]) != len(first)), reading.records[-1]
    )
    refuse_width(path, number + 1, len(cells), len(first), reading.delimiter)


def refuse_width(path: pathlib.Path, line: int, found: int, expected: int, delimiter: str | None) -> None:
    """Raises DataError for a line, from 1, that has another number of values than the first."""
    raise DataError(
        f"{path.name}: line {line} has another number of values",
        got=f"line {line}: {found} values",
        expected=f"{expected}, as in the first line",
        fix=f"mend line {line}; a value with {DELIMITERS.get(delimiter, repr(delimiter))} in it needs quotes",
    )
