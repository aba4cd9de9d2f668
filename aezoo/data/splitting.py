"""Cuts what a source holds into train, validation and test."""

from collections.abc import Sequence

import numpy as np

from aezoo.core.errors import DataError
from aezoo.data.contents import Contents
from aezoo.data.parts import ArrayPart


def part_sizes(count: int, fractions: Sequence[float], *, source: str) -> list[int]:
    """Returns how many examples to cut off for each fraction, at least one each.

    Raises:
        DataError: nothing would be left.
    """
    sizes = [max(1, round(count * fraction)) for fraction in fractions]
    if sum(sizes) >= count:
        raise DataError(
            f"{source}: too few examples to cut",
            got=f"{count} to train on",
            expected=f"at least {len(fractions) + 1}: one for each part",
            fix="give more examples, or cut smaller fractions",
        )
    return sizes


def _balanced_order(labels, generator):
    """Returns a random order of which every front piece holds each class in its share."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (generator.permutation(len(members)) + 0.5) / len(members)
    return np.lexsort((generator.random(len(labels)), place))


def cut(count: int, labels: np.ndarray | None, sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Returns one array of indices for each size, and a last one for the rest, each in rising order.

    Seeded by `seed`. Balanced by class where the smallest class has enough members to be in every
    piece, otherwise a plain random choice.
    """
    generator = np.random.default_rng(seed)
    order = None
    if labels is not None:
        smallest = np.unique(labels, return_counts=True)[1].min()
        if smallest * min(sizes) / count >= 1:
            order = _balanced_order(labels, generator)
    if order is None:
        order = generator.permutation(count)
    return [np.sort(piece) for piece in np.split(order, np.cumsum(sizes))]


def three_parts(
    contents: Contents, *, validation_fraction: float, test_fraction: float, seed: int, source: str
) -> dict[str, ArrayPart]:
    """Returns {"train", "validation", "test"} of ArrayPart.

    Parts that the source has are kept as they are; a missing one is cut from train.

    Raises:
        DataError: too few examples.
    """
    # test first: it must not change with how much is held back for validation
    fractions = {"test": test_fraction, "validation": validation_fraction}
    missing = [name for name in fractions if name not in contents.parts]
    classes = None
    if contents.label_names is None:
        found = [labels for _, labels in contents.parts.values() if labels is not None]
        classes = np.unique(np.concatenate(found)) if found else None
    parts = {
        name: ArrayPart(examples, labels, classes) for name, (examples, labels) in contents.parts.items()
    }
    if missing:
        examples, labels = contents.parts["train"]
        sizes = part_sizes(len(examples), [fractions[name] for name in missing], source=source)
        pieces = cut(len(examples), labels, sizes, seed)
        for name, indices in zip([*missing, "train"], pieces, strict=True):
            cut_labels = None if labels is None else labels[indices]
            parts[name] = ArrayPart(examples[indices], cut_labels, classes)
    return parts
