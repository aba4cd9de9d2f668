"""Which column of a table is what, by its name: a feature, the labels, or neither."""

import dataclasses
from collections.abc import Sequence

from aezoo.core.errors import DataError
from aezoo.core.options import nearest
from aezoo.data.sources.table_options import TableOptions

# Text below such a name is taken for classes. So are a few whole numbers, except below "y", which is a
# coordinate as often as not.
LABEL_WORDS = ("label", "labels", "class", "target", "y")
UNNAMED = "Unnamed: 0"  # what pandas calls a first column without a name


@dataclasses.dataclass(frozen=True)
class Roles:
    """Numbers of columns, from 0.

    Attributes:
        features: in the order that the model takes them.
        label: of the labels, or None.
        told: whether the labels were named by the caller; else the column's values have a say.
        index: of a first column without a name, which may number the rows, or None.
        left_out: of columns that nobody asked for, where a model's columns were.
        moved: whether the features stand in another order than in the table.
    """

    features: list[int]
    label: int | None
    told: bool
    index: int | None = None
    left_out: tuple[int, ...] = ()
    moved: bool = False


def roles(
    source: str, names: Sequence[str], named: bool, options: TableOptions, expected: Sequence[str] | None
) -> Roles:
    """Returns what each column is.

    Args:
        source: how an error names the table.
        names: of the columns; their numbers where the table has no header.
        named: whether it has one.
        options: what the caller said.
        expected: names of a model's columns, () of a model that knows no names; None for a training, where
            every name in `options` must be there.

    Raises:
        DataError: a column that is not there or has no name of its own, or no feature.
    """
    place = {name: number for number, name in enumerate(names)}
    if len(place) < len(names) or "" in place:
        _refuse_name(source, names)
    index = 0 if named and names[0] == UNNAMED else None
    if named and expected:
        return _of_model(source, names, place, options, expected, index)
    strict = expected is None
    for option, wanted in (
        ("labels", [options.labels] if isinstance(options.labels, str) else []),
        ("columns", options.columns or ()),
        ("drop", options.drop or ()),
    ):
        for name in wanted if strict or option == "columns" else ():
            if name not in place:
                _refuse_missing(source, names, option, name)
    dropped = {place[name] for name in options.drop or () if name in place}
    chosen = None if options.columns is None else [place[name] for name in options.columns]
    kept = [number for number in range(len(names)) if number not in dropped]
    label, told = _label(source, names, kept, options, chosen or ())
    features = chosen or [number for number in kept if number not in (label, index)]
    if index in features or index in dropped or index == label:
        index = None
    if not features:
        raise DataError(
            f"{source}: no feature column",
            got=f"columns {', '.join(names)}",
            expected="at least one column of numbers beside the labels",
            fix="add the features, or pass labels=False if that column is one",
        )
    return Roles(features, label, told, index)


def _of_model(source, names, place, options, expected, index):
    """Returns the `Roles` in a table for a model whose columns have names: by name, in the model's order."""
    missing = [name for name in expected if name not in place]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{source}: not the columns that the model was trained on",
            got=f"no column {missing[0]!r}{more}{nearest(missing[0], names)}; there are {_some(names)}",
            expected=_some(expected, 20),
            fix=f"add column {missing[0]!r}, or rename the one that is it",
        )
    features = [place[name] for name in expected]
    taken = set(features)
    free = [number for number in range(len(names)) if number not in taken]
    label, told = _label(source, names, free, options, (), strict=False)
    left_out = tuple(number for number in free if number != label)
    return Roles(features, label, told, None, left_out, features != sorted(features))


def _label(source, names, among, options, features, *, strict=True):
    """Returns (number of the label column or None, whether the caller named it)."""
    if options.labels is False:
        return None, False
    if isinstance(options.labels, str):
        if options.labels in names:
            return names.index(options.labels), True
        return None, False
    dropped = set(options.drop or ())
    found = [
        number
        for number in among
        if number not in features
        and names[number] not in dropped
        and names[number].strip().lower() in LABEL_WORDS
    ]
    if len(found) > 1 and strict:
        first, *others = [names[number] for number in found]
        raise DataError(
            f"{source}: more than one label column",
            got=f"columns {', '.join([first, *others])}",
            expected="one column of labels at most",
            fix=f"pass labels={first!r} and drop={others!r}, or labels=False",
        )
    return (found[0] if len(found) == 1 else None), False


def _refuse_name(source, names):
    number = next(
        number for number, name in enumerate(names) if (number and not name) or name in names[:number]
    )
    name = names[number]
    first = f", as column {names.index(name) + 1} is" if name else ""
    raise DataError(
        f"{source}: a column without a name of its own",
        got=f"column {number + 1} is called {name!r}{first}",
        expected="one name for each column, all different",
        fix=f"name column {number + 1} in the first line",
    )


def _refuse_missing(source, names, option, name):
    raise DataError(
        f"{source}: no column is called {name!r}{nearest(name, names)}",
        got=f"{option}={name!r}; there are {_some(names)}",
        expected="names as they stand in the table",
        fix="check the spelling" if names else "leave it out",
    )


def _some(names, most=8):
    return ", ".join(map(str, names[:most])) + (", ..." if len(names) > most else "")
