"""Picks some classes of a dataset."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from aezoo.core.errors import DataError, OptionError
from aezoo.core.options import nearest
from aezoo.data.dataset import Dataset
from aezoo.data.parts import ArrayPart


def only_classes(dataset: Dataset, classes: Iterable[str | int]) -> Dataset:
    """Returns a dataset with the examples of some classes alone, in the order that they had.

    Labels and class numbers stay what they were. Examples are held in memory.

    Args:
        dataset: with labels.
        classes: names of classes, or labels: ["0", "1"] or ["cat", "dog"].

    Returns:
        A `Dataset`.

    Raises:
        OptionError: no classes, or one that the dataset does not have.
        DataError: the dataset has no labels, or a part none of these classes.

    >>> from aezoo import data
    >>> few = only_classes(data.load("mnist_mini"), ["3", 7])
    >>> np.unique(few.test.labels).tolist(), len(few.test) < 1000
    ([3, 7], True)
    """
    return _only(dataset, classes, "classes")


def without_classes(dataset: Dataset, classes: Iterable[str | int]) -> Dataset:
    """Returns a dataset that is trained and validated without some classes.

    In the test part they stay: training has not seen them, so they count as anomalies there, see `held_out`.

    Args:
        dataset: with labels.
        classes: as for `only_classes`.

    Raises:
        OptionError, DataError: as `only_classes`.

    >>> from aezoo import data
    >>> few = without_classes(data.load("mnist_mini"), ["3"])
    >>> 3 in few.train.labels, 3 in few.test.labels
    (False, True)
    """
    left_out = _numbers(dataset, classes, "exclude_classes")
    known = class_names(dataset) or []
    kept = [number for number in range(len(known)) if number not in left_out]
    rest = _with(dataset, kept, ("train", "validation"))
    # Cut from the training examples, but no longer of their classes alone.
    cut_parts = tuple(name for name in rest.cut_parts if name != "test")
    return dataclasses.replace(rest, cut_parts=cut_parts)


def chosen_classes(
    dataset: Dataset, only: Sequence[str | int] | None, without: Sequence[str | int] | None
) -> Dataset:
    """Returns a dataset with the classes that were asked for, and with what was asked in its `load_options`.

    Args:
        dataset: a `Dataset`.
        only: for `only_classes`, or None.
        without: for `without_classes`, or None.

    Raises:
        OptionError, DataError: as those.
    """
    chosen = dataset if only is None else _only(dataset, only, "only_classes")
    chosen = chosen if without is None else without_classes(chosen, without)
    asked = {"only_classes": only, "exclude_classes": without}
    told = {name: [str(each) for each in names] for name, names in asked.items() if names is not None}
    return dataclasses.replace(chosen, load_options={**dataset.load_options, **told})


def _only(dataset, classes, option):
    return _with(dataset, _numbers(dataset, classes, option), ("train", "validation", "test"))


def _numbers(dataset, classes, option):
    """Returns the numbers of some classes of a dataset."""
    known = class_names(dataset)
    if known is None:
        raise DataError(
            "classes are chosen by labels, and these examples have none",
            got=f"{dataset.name}, without labels",
            expected="one label for each example",
            fix=f"leave {option} out, or say labels of a table; images lie in a folder for each class",
        )
    wanted = [str(name) for name in classes]
    for name in wanted or [""]:
        if name not in known:
            raise OptionError(
                f"the data have no such class{nearest(name, known)}",
                got=f"class {name!r} of {dataset.name}",
                expected=f"among {', '.join(known[:20])}" + (", ..." if len(known) > 20 else ""),
                fix=f"pass {option}={known[:2]!r}",
            )
    return [known.index(name) for name in wanted]


def _with(dataset, numbers, parts):
    return dataclasses.replace(dataset, **{name: _chosen(dataset, name, numbers) for name in parts})


def class_names(dataset: Dataset) -> list[str] | None:
    """Returns the names of class numbers 0 to K - 1, texts; None of a dataset without labels."""
    if dataset.train.labels is None:
        return None
    if dataset.label_names is not None:
        return [str(name) for name in dataset.label_names]
    assert dataset.train.classes is not None  # labels without names have them
    return [str(label) for label in dataset.train.classes]


def _chosen(dataset, name, numbers):
    part = getattr(dataset, name)
    chosen = np.isin(part.class_numbers, numbers)
    if not chosen.any():
        raise DataError(
            f"a part of the data has none of these classes: {name}",
            got=f"{len(part)} examples of {dataset.name}, classes {numbers}",
            expected="at least one example in each part",
            fix="choose more classes",
        )
    examples = part.array()
    if dataset.stored_dtype == "uint8":  # a quarter of the memory
        examples = np.rint(examples * 255).astype("uint8")
    return ArrayPart(examples[chosen], np.asarray(part.labels)[chosen], part.classes)
