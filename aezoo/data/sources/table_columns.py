"""Turns columns of a DataFrame into a matrix of numbers and into labels, or names the cell that is none."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aezoo.core.digits import check_digits
from aezoo.core.errors import DataError
from aezoo.data.contents import numbered_labels
from aezoo.data.sources.columns import Roles

_FEW = 20  # classes, in a column that nobody called the labels; or one for ten rows
_LONGEST = 1000  # characters of a class's name
_EXACT = 2**53  # whole numbers that float64 keeps apart


class Columns:
    """The columns of one table.

    Args:
        pandas: the module.
        source: how an error names the table.
        frame: its columns are numbered.
        names: of the columns.
        where: names the place of a row.
        strict: whether the table is trained on: then its labels and digits must be beyond doubt.
    """

    def __init__(
        self,
        pandas: Any,
        source: str,
        frame: Any,
        names: Sequence[str],
        where: Callable[[int], str],
        *,
        strict: bool,
    ) -> None:
        self.types = pandas.api.types
        self.pandas, self.source, self.frame, self.names = pandas, source, frame, names
        self.where, self.strict = where, strict

    def matrix(self, numbers: Sequence[int]) -> np.ndarray:
        """Returns columns (N, F): int64 where all are whole, else float64; True and False are 1 and 0.

        Raises:
            DataError: a cell that is no finite number, or whole numbers that float64 merges.
        """
        chosen = self.frame[list(numbers)]
        plain = [
            getattr(dtype, "kind", "O") in "iuf" and isinstance(dtype, np.dtype) for dtype in chosen.dtypes
        ]
        if all(plain):
            rows = chosen.to_numpy()
        else:
            arrays = [self._numbers(number) for number in numbers]
            self._refuse_text(
                [number for number, array in zip(numbers, arrays, strict=True) if array is None]
            )
            rows = np.column_stack(arrays)
        self._check_finite(rows, numbers)
        if self.strict and rows.dtype.kind == "f":
            self._check_whole(numbers)
        return rows

    def _numbers(self, number):
        """Returns a column as an array of numbers, NaN where nothing is; None where a cell is a text."""
        column = self.frame[number]
        if isinstance(column.dtype, self.pandas.CategoricalDtype):
            column = column.astype(object).infer_objects()
        types = self.types
        if types.is_bool_dtype(column) and not column.isna().any():
            return column.to_numpy(dtype=np.int64)
        if types.is_integer_dtype(column) and not column.isna().any():
            return column.to_numpy(dtype=np.uint64 if types.is_unsigned_integer_dtype(column) else np.int64)
        if types.is_complex_dtype(column):
            return None
        if not (types.is_numeric_dtype(column) or types.is_bool_dtype(column)):
            if not (types.is_object_dtype(column) or types.is_string_dtype(column)):
                return None  # dates and durations, of which `to_numeric` would make nanoseconds
            found = self._parsed(column)
            if (found.isna() & column.notna()).any():
                return None
            column = found
        return column.to_numpy(dtype=np.float64, na_value=np.nan)

    def _parsed(self, column):
        """Returns a column of texts or objects as numbers, NaN where a cell is none."""
        try:
            return self.pandas.to_numeric(column.astype(object), errors="coerce")
        except (TypeError, ValueError, OverflowError):  # lists, dicts; whole numbers of 30 digits
            return self.pandas.Series(np.nan, index=column.index)

    def _refuse_text(self, numbers):
        if not numbers:
            return
        column, name = self.frame[numbers[0]], self.names[numbers[0]]
        text = column.notna()
        if self.types.is_object_dtype(column) or self.types.is_string_dtype(column):
            text &= self._parsed(column).isna()
        index = int(np.argmax(text.to_numpy()))
        others = [self.names[number] for number in numbers]
        more = (
            f"; so {'are' if len(others) > 2 else 'is'} {', '.join(others[1:6])}" if len(others) > 1 else ""
        )
        listed = others if len(others) <= 20 else [*others[:20], "..."]
        fix = f"write numbers into column {name!r}"
        if self.strict:
            fix = f"pass drop={listed!r}"
            fix += f", or labels={name!r} if it holds the classes" if len(others) == 1 else ""
        raise DataError(
            f"{self.source}: column {name!r} is no column of numbers",
            got=f"{_shown(column.iloc[index])} in {self.where(index)}, column {name!r}{more}",
            expected="numbers such as 28.7, without units or marks of thousands; text only in a label column",
            fix=fix,
        )

    def _check_finite(self, rows, numbers):
        largest = float(np.finfo(np.float32).max)
        if rows.dtype.kind != "f" or (rows.max() <= largest and rows.min() >= -largest):  # not so of NaN
            return
        broken = ~(np.abs(rows) <= largest)
        index, place = (int(number) for number in np.unravel_index(np.argmax(broken), broken.shape))
        if np.isfinite(rows[index, place]):
            raise DataError(
                f"{self.source}: a value is too large for float32, in which models compute",
                got=f"{rows[index, place]:g} in {self.where(index)}, column {self.names[numbers[place]]!r}",
                expected=f"values up to {largest:g}",
                fix="divide the column, for example by its largest value",
            )
        name, count = self.names[numbers[place]], int(broken[:, place].sum())
        share = f"; {count:,} of {len(rows):,} cells of that column are" if count > 1 else ""
        where = self.where(index)
        raise DataError(
            f"{self.source}: a missing or infinite value",
            got=f"{rows[index, place]} in {where}, column {name!r}{share}",
            expected="a finite number in every cell",
            fix=f"drop {where} or fill the cell, for example with the column's mean"
            + f"; or pass drop=[{name!r}]" * self.strict,
        )

    def _check_whole(self, numbers):
        """Raises DataError for a column of whole numbers that float64, beside other columns, would merge."""
        dtypes = self.frame.dtypes.tolist()
        for number in numbers:
            if getattr(dtypes[number], "kind", "O") not in "iu":
                continue
            column = self._numbers(number)
            if column.dtype.kind in "iu" and max(int(column.max()), -int(column.min())) > _EXACT:
                check_digits(column[:, None], source=self.source, names=[self.names[number]], droppable=True)

    def check_index(self, number: int) -> None:
        """Raises DataError unless a column without a name can be an index: no value twice, no fractions."""
        column = self.frame[number]
        values = column.to_numpy()
        whole = (
            not self.types.is_float_dtype(column) or (np.isfinite(values) & (values == np.rint(values))).all()
        )
        if column.isna().any() or not column.is_unique or not whole:
            raise DataError(
                f"{self.source}: a column without a name of its own",
                got=f"column {number + 1} is called {self.names[number]!r}, and does not number the rows",
                expected="one name for each column, all different",
                fix=f"name it in the first line, or pass drop=[{self.names[number]!r}]",
            )

    def judge_label(self, found: Roles, *, ask: bool) -> Roles:
        """Returns the roles with a label column, or without where its values are none.

        Args:
            found: with a label column.
            ask: whether to refuse a column that only its name speaks for and that could be a feature as well.

        Raises:
            DataError: there is such a column.
        """
        assert found.label is not None
        column, name = self.frame[found.label], self.names[found.label]
        if not self.strict and column.isna().any():
            return self._without_label(found)
        if found.told or self.types.is_bool_dtype(column) or not self.types.is_numeric_dtype(column):
            return found
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        broken = ~(np.isfinite(values) & (values == np.rint(values)))
        few = column.nunique() <= max(_FEW, len(column) // 10)
        if not broken.any() and few and (name.strip().lower() != "y" or not self.strict):
            return found
        if not ask:
            return self._without_label(found)
        index = int(np.argmax(broken))
        what = (
            f"{values[index]} in {self.where(index)}"
            if broken.any()
            else f"{column.nunique():,} different whole numbers"
        )
        raise DataError(
            f"{self.source}: column {name!r} could be the labels or a feature",
            got=f"{what}, column {name!r}",
            expected="one that is named",
            fix=f"pass labels={name!r} if it holds classes, labels=False if it is a feature, "
            f"drop=[{name!r}] if it is neither",
        )

    def _without_label(self, found):
        assert found.label is not None
        return dataclasses.replace(found, label=None, left_out=(*found.left_out, found.label))

    def labels(self, number: int) -> tuple[np.ndarray, tuple[str, ...] | None]:
        """Returns ((N,) int64, names or None) of the label column; bool labels are named False and True.

        Raises:
            DataError: a missing label, or numbers with fractions.
        """
        column, name, types = self.frame[number], self.names[number], self.types
        if isinstance(column.dtype, self.pandas.CategoricalDtype):
            column = column.astype(object).infer_objects()
        if column.isna().any():
            where = self.where(int(np.argmax(column.isna().to_numpy())))
            raise DataError(
                f"{self.source}: a missing label",
                got=f"an empty cell in {where}, column {name!r}",
                expected="a label in every row, or no label column",
                fix=f"drop {where}, give it a label, or pass drop=[{name!r}]",
            )
        if types.is_bool_dtype(column) or not types.is_numeric_dtype(column):
            return self._numbered_texts(column, name)
        values = column.to_numpy()
        broken = values != np.rint(values)
        if broken.any():
            index = int(np.argmax(broken))
            raise DataError(
                f"{self.source}: column {name!r} holds no labels",
                got=f"{values[index]} in {self.where(index)}, column {name!r}",
                expected="whole numbers or text",
                fix=f"pass labels=False if {name!r} is a feature, or drop=[{name!r}]",
            )
        return numbered_labels(values, len(column), source=self.source)

    def _numbered_texts(self, column, name):
        """Returns what `labels` does of a column of texts, each of which is looked at once."""
        numbers, found = self.pandas.factorize(column.astype(object))
        texts = [str(text) for text in found]
        longest = max(texts, key=len)
        if len(longest) > _LONGEST:
            raise DataError(
                f"{self.source}: column {name!r} holds texts, and no classes",
                got=f"a label of {len(longest):,} characters, {longest[:40]!r}...",
                expected=f"names of classes, of at most {_LONGEST:,} characters",
                fix=f"pass drop=[{name!r}]",
            )
        order, names = numbered_labels(texts, len(texts), source=self.source)
        return order[numbers], names


def _shown(value):
    return repr(value) if isinstance(value, str) else str(value)[:60]
