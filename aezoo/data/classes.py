"""Picks some classes of a dataset."""

import dataclasses
from collections.abc import Iterable

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
    known = class_names(dataset)
    if known is None:
        raise DataError(
            "classes are chosen by labels, and these examples have none",
            got=f"{dataset.name}, without labels",
            expected="one label for each example",
            fix="leave the classes out, or make a folder of images for each class",
        )
    wanted = [str(name) for name in classes]
    for name in wanted or [""]:
        if name not in known:
            raise OptionError(
                f"the data have no such class{nearest(name, known)}",
                got=f"class {name!r} of {dataset.name}",
                expected=f"among {', '.join(known[:20])}" + (", ..." if len(known) > 20 else ""),
                fix=f"pass classes={known[:2]!r}",
            )
    numbers = [known.index(name) for name in wanted]
    parts = {name: _chosen(dataset, name, numbers) for name in ("train", "validation", "test")}
    return dataclasses.replace(dataset, **parts)


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
