"""What a caller says of a table: which column is what, and how its text is to be read."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypedDict

from aezoo.core.errors import OptionError

_MARKS = {"tab": "\t", "\\t": "\t", "space": " ", "blank": " ", "comma": ",", "semicolon": ";", "pipe": "|"}


class Said(TypedDict, total=False):
    """The options of `load` for tables, as they are given; what is left out is to be found out.

    Attributes:
        labels: of a table, the column that holds the classes, of an .npz file the array; False is none.
        columns: the features, by name; every column but the labels where it is left out.
        drop: the columns to leave out, by name.
        delimiter: between the cells of a CSV file: one character, "tab" or "space".
        decimal: "." or ",", the decimal mark of a CSV file.
        header: whether the first line of a CSV file holds the names.
    """

    labels: str | bool | None
    columns: str | Iterable[str] | None
    drop: str | Iterable[str] | None
    delimiter: str | None
    decimal: str | None
    header: bool | None


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """What was `Said` of a table, checked; None is to be found out."""

    labels: str | bool | None = None
    columns: tuple[str, ...] | None = None
    drop: tuple[str, ...] | None = None
    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None

    @classmethod
    def checked(
        cls,
        *,
        labels: str | bool | None = None,
        columns: str | Iterable[str] | None = None,
        drop: str | Iterable[str] | None = None,
        delimiter: str | None = None,
        decimal: str | None = None,
        header: bool | None = None,
    ) -> "TableOptions":
        """Returns the options, or raises OptionError for one that cannot be used."""
        if labels is not None and labels is not False and (not isinstance(labels, str) or not labels):
            _refuse("labels", labels, "the name of a column, or False for none", "labels='class'")
        if delimiter is not None:
            mark = _MARKS.get(delimiter, delimiter) if isinstance(delimiter, str) else ""
            if len(mark) != 1 or mark.isalnum() or mark in "\"'.+-\n\r":
                _refuse("delimiter", delimiter, "one character, or 'tab' or 'space'", "delimiter=';'")
            delimiter = mark
        if decimal not in (None, ".", ","):
            _refuse("decimal", decimal, "'.' or ','", "decimal=','")
        if header not in (None, True, False):
            _refuse("header", header, "True, False or None", "header=True")
        features, dropped = _names("columns", columns), _names("drop", drop)
        both = sorted(set(features or ()) & {*(dropped or ()), labels})
        if both:
            raise OptionError(
                "a column is either a feature, or the labels, or left out",
                got=f"{both[0]!r} in columns, and in {'labels' if both[0] == labels else 'drop'}",
                expected="each name once",
                fix=f"take {both[0]!r} out of one of them",
            )
        return cls(labels, features, dropped, delimiter, decimal, header)

    def given(self) -> dict[str, Any]:
        """Returns what was said, keyword arguments of `load`, fit for JSON; {} where nothing was."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
            if value is not None
        }

    def check_unused(self, source: str, *, takes_labels: bool = False) -> None:
        """Raises OptionError where something was said of a source that is no table.

        Args:
            source: how an error names it.
            takes_labels: whether `labels` names something in it nevertheless.
        """
        given = [name for name in self.given() if not (takes_labels and name == "labels")]
        if given:
            raise OptionError(
                "only tables have columns",
                got=f"{given[0]}={self.given()[given[0]]!r} for {source}",
                expected="a .csv, .tsv or .parquet file",
                fix=f"leave {given[0]} out",
            )


def _names(option, names):
    if names is None:
        return None
    names = (names,) if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        _refuse(option, names, "names of columns, each once", f"{option}=['a', 'b']")
    return names


def _refuse(name, value, expected, fix):
    raise OptionError(f"{name} cannot be used", got=f"{name}={value!r}", expected=expected, fix=f"pass {fix}")
