"""Reads .csv, .tsv and .parquet tables by pandas: columns of numbers are features, one may be the labels."""

import csv
import dataclasses
import io
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from aezoo.core.arrays import most_of
from aezoo.core.errors import DataError
from aezoo.core.imports import need
from aezoo.data.contents import Contents, as_examples
from aezoo.data.sources.columns import LABEL_WORDS, UNNAMED, roles
from aezoo.data.sources.dialects import Dialect, find_dialect, refuse_width, rows_of
from aezoo.data.sources.table_cells import MISSING
from aezoo.data.sources.table_columns import Columns
from aezoo.data.sources.table_options import TableOptions

_SAID = 5  # names of columns in a note


@dataclasses.dataclass(frozen=True)
class _Table:
    """A table as it was read, with nothing chosen.

    Attributes:
        frame: of pandas; its columns are numbered.
        names: of the columns, texts.
        named: whether the file has them; else they are numbers.
        where: names the place of a row: the line of a CSV as an editor counts them, from 1, or the row of a
            Parquet file, from 0.
        told: how the text was read, in words; empty of a Parquet file.
    """

    frame: Any
    names: list[str]
    named: bool
    where: Callable[[int], str]
    told: str = ""


def read_table(
    path: pathlib.Path,
    options: TableOptions | None = None,
    *,
    expected: Sequence[str] | None = None,
) -> Contents:
    """Returns the `Contents` of one .csv, .tsv or .parquet file: rows, with labels where a column has them.

    Every column is a feature but the labels; True and False become 1 and 0. What the text of a CSV leaves
    open is not guessed, see `dialects`. A first column without a name that numbers the rows, or names them,
    is left out: pandas writes its index so.

    The labels are the column that `options` names. Without one, a column "label", "class", "target" or "y"
    is looked at: text, and a few whole numbers, are classes, below "y" only text; what else it may be, the
    caller must say.

    Args:
        path: of the file.
        options: what the caller says of it. For a model, decimal, delimiter and header count only where the
            text leaves them open.
        expected: names of the columns that a model takes, which are taken by name and in its order, or () of
            a model that knows no names. None for a training.

    Raises:
        DataError: an unreadable file, a text column, a missing or infinite value, or two ways to read it.
        MissingExtraError: pandas or pyarrow is not installed.
    """
    options = options or TableOptions()
    pandas = need("pandas", extra="tables")
    read = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
    table = read(pandas, path, options, expected)
    if len(table.frame) == 0:
        raise DataError(
            f"{path.name}: no rows",
            got=str(path),
            expected="at least three rows of numbers",
            fix="check how the file was written",
        )
    found = roles(path.name, table.names, table.named, options, expected)
    columns = Columns(pandas, path.name, table.frame, table.names, table.where, strict=expected is None)
    if found.index is not None:
        columns.check_index(found.index)
    if found.label is not None:
        found = columns.judge_label(found, ask=expected is None and options.columns is None)
    rows = as_examples(columns.matrix(found.features), source=path.name)
    labels, label_names = (None, None) if found.label is None else columns.labels(found.label)
    names = tuple(table.names[number] for number in found.features) if table.named else None
    notes = [_understood(path, table, found, labels)]
    if names and expected is None:
        notes += _row_numbers(path, rows, names)
    return Contents({"train": (rows, labels)}, label_names, names, notes=tuple(notes))


def _row_numbers(path, rows, names):
    """Yields a note on each feature that does nothing but count the rows."""
    counts = np.arange(len(rows))
    for number in np.flatnonzero(rows[-1] - rows[0] == len(rows) - 1):
        if (
            len(rows) > 1
            and rows[0, number] in (0, 1)
            and (rows[:, number] - rows[0, number] == counts).all()
        ):
            yield f"{path.name}: column {names[number]!r} numbers the rows, and is a feature nevertheless"


def _understood(path, table, found, labels):
    """Returns a line: how the table was read."""

    def some(numbers):
        names = [table.names[number] for number in numbers[:_SAID]]
        return ", ".join(names) + (", ..." if len(numbers) > _SAID else "")

    count = len(found.features)
    columns = f"{count:,} column{'s' * (count != 1)}"
    if table.named:
        columns += f" ({some(found.features)})"
    if found.moved:
        columns += ", put into the model's order"
    parts = [f"{len(table.frame):,} row{'s' * (len(table.frame) != 1)}, {columns}"]
    parts += [table.told] * bool(table.told)
    told = (
        "none"
        if labels is None
        else f"column {table.names[found.label]!r} ({len(np.unique(labels))} classes)"
    )
    parts.append(f"labels: {told}")
    if found.index is not None:
        parts.append("left out: column 1, which has no name and names the rows")
    if found.left_out:
        parts.append(f"left out: {some(found.left_out)}")
    return f"{path.name}: {'; '.join(parts)}"


def _refuse_file(path: pathlib.Path, error: Exception, expected: str, fix: str) -> NoReturn:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise DataError(
        f"{path.name}: cannot be read",
        got=f"{path}: {text}",
        expected=expected,
        fix=fix,
    ) from error


def _read_parquet(pandas, path, options, expected):
    parquet = need("pyarrow.parquet", extra="tables")
    for name in ("delimiter", "decimal", "header") if expected is None else ():
        if getattr(options, name) is not None:
            raise DataError(
                f"{path.name}: a Parquet file has no {name}",
                got=f"{name}={getattr(options, name)!r}",
                expected="a CSV file",
                fix=f"leave {name} out",
            )
    try:
        with parquet.ParquetFile(path) as file:
            size, texts = _unpacked_size(file.metadata), _texts(file.schema_arrow)
        if size > most_of(path):
            raise ValueError(f"unpacks to {size:,} bytes, more than {most_of(path):,}")
        # Each text once, however often it comes: a text of a megabyte in a million rows is a small file.
        frame = pandas.read_parquet(path, engine="pyarrow", read_dictionary=texts)
        if any(name is not None for name in frame.index.names):  # in a CSV it is a column, too
            frame = frame.reset_index()
        for name in set(texts) & set(frame.columns):
            frame[name] = frame[name].astype(object)
    except Exception as error:  # what Arrow and pandas raise for a damaged file has no common kind
        _refuse_file(path, error, "a complete Parquet file", "write it again with DataFrame.to_parquet")
    names = [str(name).strip() for name in frame.columns]
    frame.columns = range(len(names))
    names[:1] = [names[0] or UNNAMED] if names else []
    return _Table(frame, names, True, lambda index: f"row {index}")


def _unpacked_size(metadata):
    """Returns the bytes that a Parquet file says it becomes, eight at least for each value."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    return sum(max(8 * chunk.num_values, chunk.total_uncompressed_size) for chunk in chunks)


def _texts(schema):
    """Returns the names of the columns of texts."""
    return [field.name for field in schema if str(field.type) in ("string", "large_string", "binary")]


def _read_csv(pandas, path, options, expected):
    known = {"delimiter": options.delimiter, "decimal": options.decimal, "header": options.header}
    try:
        dialect = _dialect(path, known, expected)
        frame = _parsed(pandas, path, dialect, options)
        _check_widths(path, dialect, frame)
    except pandas.errors.ParserError as error:
        _refuse_widths(path, dialect)
        _refuse_file(path, error, "a CSV file", "write it again with DataFrame.to_csv(path, index=False)")
    except pandas.errors.EmptyDataError:
        frame = pandas.DataFrame(columns=range(dialect.width))
    except (UnicodeError, csv.Error, OSError, OverflowError) as error:
        fix = "save it as UTF-8: path.write_text(path.read_text(encoding='latin-1'), encoding='utf-8')"
        text = isinstance(error, UnicodeError)
        _refuse_file(path, error, "a CSV file in UTF-8", fix if text else "check how the file was written")

    def where(index):
        return f"line {next(itertools.islice(rows_of(path, dialect), index, None))[0]}"

    names = list(dialect.names or map(str, range(dialect.width)))
    names[0] = names[0] or UNNAMED
    return _Table(frame, names, dialect.names is not None, where, dialect.told())


def _dialect(path, known, expected):
    """Returns the `Dialect`; for a model, what its training was told counts where the text leaves it open."""
    if expected is None:
        return find_dialect(path, **known)
    try:
        return find_dialect(path, expected=expected)
    except DataError:
        if not any(value is not None for value in known.values()):
            raise
        return find_dialect(path, **known, expected=expected)


def _parsed(pandas: Any, path: pathlib.Path, dialect: Dialect, options: TableOptions) -> Any:
    """Returns the rows as a DataFrame with numbered columns."""
    missing: Any = list(MISSING)
    names = dialect.names or ()
    spelled = [
        number
        for number, name in enumerate(names)
        if name == options.labels or name.strip().lower() in LABEL_WORDS
    ]
    if spelled:  # "None" may be a class
        missing = {number: [""] if number in spelled else missing for number in range(dialect.width)}
    separator = {None: "\x1f", " ": r"\s+"}.get(dialect.delimiter, dialect.delimiter)
    with open(path, encoding=dialect.encoding, newline="") as file:
        text: Any = file
        for _ in range(dialect.lead):
            file.readline()
        if any(number >= dialect.lead for number in dialect.comments):
            kept = (line for number, line in enumerate(file, dialect.lead) if number not in dialect.comments)
            text = io.StringIO("".join(kept), newline="")
        return pandas.read_csv(
            text,
            sep=separator,
            decimal=dialect.decimal,
            header=None,
            names=range(dialect.width),
            index_col=False,  # of "1,2," the last cell is none
            keep_default_na=False,
            na_values=missing,
            skipinitialspace=True,
            low_memory=False,
        )


def _check_widths(path, dialect, frame):
    """Raises DataError for a row that ends early, which pandas fills up. Its last cell is empty then."""
    if len(frame) and dialect.width > 1 and frame[dialect.width - 1].isna().any():
        _refuse_widths(path, dialect)


def _refuse_widths(path, dialect):
    """Raises DataError for the first row that has another number of cells than most, if one has."""
    whole = {dialect.width, dialect.width + 1} if dialect.trailing else {dialect.width}
    for line, cells in rows_of(path, dialect):
        if len(cells) not in whole:
            refuse_width(path, line, len(cells), dialect.width, dialect.delimiter)
