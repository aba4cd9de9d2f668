"""Which held-out examples are normal: those of classes that training has.

A source may bring a test part with classes of its own, as sets of faults do: train/good, test/good,
test/crack. Cracks are neither what reconstructions are measured on nor what a score is calibrated on.
"""

import dataclasses

import numpy as np

from aezoo.data.classes import class_names
from aezoo.data.dataset import Dataset
from aezoo.data.parts import Part


def seen_classes(dataset: Dataset, part: str = "test") -> np.ndarray:
    """Returns which examples of a part are of classes that training has, (N,) bool.

    A part that was cut from the training examples holds nothing else. Where a part has classes and training
    has not, nothing says which of them are normal, and none is; without classes all are.

    Args:
        dataset: a `Dataset`.
        part: "test" or "validation".
    """
    asked: Part = getattr(dataset, part)
    labels, trained = asked.labels, dataset.train.labels
    if labels is None or part in dataset.cut_parts:
        return np.ones(len(asked), bool)
    return np.zeros(len(asked), bool) if trained is None else np.isin(labels, np.unique(trained))


def apart(dataset: Dataset, limit: int) -> tuple[Dataset, Part | None, list[str]]:
    """Returns (dataset whose test part has the classes of the training alone, the rest, its classes' names).

    The rest is None where there is none, and where nothing else would be left.

    Args:
        dataset: a `Dataset`.
        limit: examples of either at most, where they are taken apart.
    """
    seen = seen_classes(dataset)
    if seen.all() or not seen.any():
        return dataset, None, []
    rest = dataset.test.chosen(spread(np.flatnonzero(~seen), limit))
    known = dataclasses.replace(dataset, test=dataset.test.chosen(spread(np.flatnonzero(seen), limit)))
    names = class_names(dataset)
    assert names is not None  # what told them apart
    return known, rest, [names[number] for number in np.unique(rest.class_numbers)]


def normal_examples(dataset: Dataset, limit: int, enough: int) -> tuple[Part, bool]:
    """Returns (normal examples that were not trained on, whether they are those of the test part).

    They are test examples of classes that training has. Where there are fewer than `enough`, they are those
    of the validation part if there are more.

    Args:
        dataset: a `Dataset`.
        limit: examples at most, taken at equal distances: parts often lie in order of their classes.
        enough: see above.
    """
    test, validation = (np.flatnonzero(seen_classes(dataset, part)) for part in ("test", "validation"))
    if not len(validation) and not len(test):  # all have classes, and training has none
        validation = np.arange(len(dataset.validation))
    from_test = len(test) >= min(enough, len(validation))
    part, numbers = (dataset.test, test) if from_test else (dataset.validation, validation)
    return part.chosen(spread(numbers, limit)), from_test


def spread(numbers: np.ndarray, limit: int) -> np.ndarray:
    """Returns at most `limit` of numbers (N,), at equal distances.

    >>> spread(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(limit, len(numbers))).astype(int))]
