"""Reads .csv and .parquet tables: numeric columns are features, a label column is the labels."""

import csv
import pathlib

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.imports import need
from aezoo.data.contents import Contents, as_examples, numbered_labels

LABEL_COLUMNS = ("label", "class", "target", "y")
# Spellings of an empty cell. In a label column only the empty cell counts: "None" may be a class.
MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "-"]


def read_table(path: pathlib.Path) -> Contents:
    """Returns the `Contents` of one .csv or .parquet file: rows, with labels where a column has them.

    A column "label", "class", "target" or "y" (in any case) becomes the labels, every other
    column a feature; True and False become 1 and 0. A CSV whose first line is all numbers has no
    header. Lines are counted as an editor shows them, from 1; rows of a Parquet file from 0.

    Raises:
        DataError: an unreadable file, a text column, a missing or infinite value.
    """
    pandas = need("pandas", extra="train")
    if path.suffix.lower() == ".parquet":
        need("pyarrow", extra="train")
        try:
            table, named = pandas.read_parquet(path), True
        except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
            _refuse_file(path, error, "a complete Parquet file", "write it again with DataFrame.to_parquet")
        table.columns = [str(name) for name in table.columns]
    else:
        table, named = _read_csv(pandas, path)
    if len(table) == 0:
        raise DataError(
            f"{path.name}: no rows",
            got=str(path),
            expected="at least three rows of numbers",
            fix="check how the file was written",
        )
    label_column = _label_column(path, table)
    features = [name for name in table.columns if name != label_column]
    if not features:
        raise DataError(
            f"{path.name}: no feature column",
            got=f"columns {list(table.columns)}",
            expected="at least one column of numbers beside the labels",
            fix="add the features, or rename the column if it is one",
        )
    rows = np.column_stack([_numbers(pandas, path, table[name], name) for name in features])
    rows = as_examples(rows, source=path.name)
    labels, label_names = None, None
    if label_column is not None:
        labels, label_names = _labels(pandas, path, table[label_column], label_column)
    return Contents({"train": (rows, labels)}, label_names, tuple(features) if named else None)


def _refuse_file(path, error, expected, fix):
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    raise DataError(
        f"{path.name}: cannot be read",
        got=f"{path}: {text}",
        expected=expected,
        fix=fix,
    ) from error


def _read_csv(pandas, path):
    """Returns (table, whether the file has a header)."""
    try:
        delimiter = _delimiter(path)
        records = _records(path, delimiter)
        _, first = next(records, (0, []))
        number, second = next(records, (0, None))
        _check_header(path, first, second, number)
        named = not all(_is_number(cell) for cell in first)
        names = [cell.strip() for cell in first] if named else [str(i) for i in range(len(first))]
        missing = {name: [""] if name.lower() in LABEL_COLUMNS else MISSING for name in names}
        table = pandas.read_csv(
            path,
            sep=delimiter,
            header=0 if named else None,
            names=names,
            keep_default_na=False,
            na_values=missing,
            skipinitialspace=True,
            encoding="utf-8-sig",
            low_memory=False,
        )
    except pandas.errors.ParserError as error:
        for number, record in _records(path, delimiter):
            if len(record) > len(first):
                _refuse_width(path, number, record, len(first))
        _refuse_file(path, error, "a CSV file", "write it again with DataFrame.to_csv(path, index=False)")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        _refuse_file(path, error, "a CSV file in UTF-8", "save it as UTF-8, with commas between the values")
    return table, named


def _delimiter(path):
    """Returns what separates the values of the first line: a comma, or else a semicolon or a tab."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        line = next((line for line in file if line.strip()), "")
    return next((mark for mark in ",;\t" if mark in line), ",")


def _records(path, delimiter):
    """Yields (line number from 1, cells) of every record that is not blank, as pandas counts them."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader, line = csv.reader(file, delimiter=delimiter, skipinitialspace=True), 1
        for cells in reader:
            if cells and (len(cells) > 1 or cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_header(path, header, second, number):
    """Raises DataError for an empty file, unnamed or repeated columns, or rows of another width."""
    names = [cell.strip() for cell in header]
    repeated = [name for name in names if names.count(name) > 1]
    if not names:
        raise DataError(
            f"{path.name}: an empty file",
            got=str(path),
            expected="a header line, then one line for each row",
            fix="check how the file was written",
        )
    if "" in names or (repeated and not all(_is_number(name) for name in names)):
        column = names.index("") + 1 if "" in names else names.index(repeated[0]) + 1
        raise DataError(
            f"{path.name}: a column without a name of its own",
            got=f"column {column} is called {names[column - 1]!r}",
            expected="one name for each column, all different",
            fix="name it; a column of row numbers goes away with DataFrame.to_csv(path, index=False)",
        )
    if second is not None and len(second) != len(names):
        _refuse_width(path, number, second, len(names))


def _refuse_width(path, number, record, width):
    raise DataError(
        f"{path.name}: line {number} has another number of values",
        got=f"line {number}: {len(record)} values",
        expected=f"{width}, as in the first line",
        fix=f"mend line {number}; values with commas in them need quotes",
    )


def _where(path, index):
    """Names a row: the line of a CSV as an editor counts them, or the row of a Parquet file."""
    if path.suffix.lower() == ".parquet":
        return f"row {index}"
    delimiter = _delimiter(path)
    records = _records(path, delimiter)
    lines = (line for line, _ in records)
    _, first = next(_records(path, delimiter))
    if not all(_is_number(cell) for cell in first):
        next(lines)
    return f"line {next(line for i, line in enumerate(lines) if i == index)}"


def _label_column(path, table):
    found = [name for name in table.columns if name.strip().lower() in LABEL_COLUMNS]
    if len(found) > 1:
        raise DataError(
            f"{path.name}: more than one label column",
            got=f"columns {', '.join(found)}",
            expected=f"at most one column called {', '.join(LABEL_COLUMNS)}",
            fix="rename or drop all but one",
        )
    return found[0] if found else None


def _numbers(pandas, path, column, name):
    """Returns a column as float64, or raises DataError for its first cell that is no finite number."""
    types = pandas.api.types
    if types.is_numeric_dtype(column) or types.is_bool_dtype(column):
        numbers, text = column, None
    else:
        numbers = pandas.to_numeric(column.astype(object), errors="coerce")
        text = (numbers.isna() & column.notna()).to_numpy()
        if types.is_datetime64_any_dtype(column):  # to_numeric would make nanoseconds of a date
            text = column.notna().to_numpy()
    if text is not None and text.any():
        index = int(np.argmax(text))
        where = _where(path, index)
        raise DataError(
            f"{path.name}: column {name!r} is no column of numbers",
            got=f"{column.iloc[index]!r} in {where}, column {name!r}",
            expected=f"numbers; text only in a label column ({', '.join(LABEL_COLUMNS)})",
            fix=f"drop or encode column {name!r}, or call it label",
        )
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    broken = ~np.isfinite(values)
    if broken.any():
        index = int(np.argmax(broken))
        where = _where(path, index)
        raise DataError(
            f"{path.name}: a missing or infinite value",
            got=f"{values[index]} in {where}, column {name!r}",
            expected="a finite number in every cell",
            fix=f"drop {where} or fill the cell, for example with the column's mean",
        )
    return values


def _labels(pandas, path, column, name):
    """Returns ((N,) int64, names or None); bool labels are named False and True."""
    if column.isna().any():
        where = _where(path, int(np.argmax(column.isna())))
        raise DataError(
            f"{path.name}: a missing label",
            got=f"an empty cell in {where}, column {name!r}",
            expected="a label in every row, or no label column",
            fix=f"drop {where}, or give it a label",
        )
    types = pandas.api.types
    if types.is_bool_dtype(column) or not types.is_numeric_dtype(column):
        return numbered_labels(column.astype(str).to_numpy(dtype=str), len(column), source=path.name)
    values = column.to_numpy()
    broken = values != np.rint(values)
    if broken.any():
        index = int(np.argmax(broken))
        raise DataError(
            f"{path.name}: column {name!r} is taken for labels, and is none",
            got=f"{values[index]} in {_where(path, index)}, column {name!r}",
            expected="whole numbers or text",
            fix=f"rename column {name!r} if it is a feature, or drop it",
        )
    return numbered_labels(values, len(column), source=path.name)
