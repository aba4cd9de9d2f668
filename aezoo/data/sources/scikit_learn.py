"""The small tables that scikit-learn ships: "sklearn:breast_cancer" and others, no network needed."""

import numpy as np

from aezoo.core.imports import need
from aezoo.core.options import check_choice
from aezoo.data.contents import Contents, as_examples, numbered_labels

PREFIX = "sklearn:"
TABLES = ("breast_cancer", "diabetes", "digits", "iris", "wine")


def read_scikit_learn(source: str) -> Contents:
    """Returns the `Contents` of one of scikit-learn's tables: rows, with classes as labels.

    Args:
        source: "sklearn:" and a name, "breast_cancer", "diabetes", "digits" (8 x 8 pixels as 64 columns),
            "iris" or "wine".

    Raises:
        OptionError: scikit-learn ships no such table; the nearest is given.
    """
    name = source.removeprefix(PREFIX)
    check_choice("source", source, tuple(PREFIX + table for table in TABLES))
    datasets = need("sklearn.datasets", extra="train")
    # Unscaled, as measured: whoever trains on a table wants its own units back.
    options = {"scaled": False} if name == "diabetes" else {}
    table = getattr(datasets, f"load_{name}")(**options)
    rows = as_examples(table.data.astype(np.float32), source=source)
    labels, label_names = None, None
    if "target_names" in table:  # classes; diabetes has a measurement instead
        labels, _ = numbered_labels(table.target, len(rows), source=source)
        label_names = tuple(str(label) for label in table.target_names)
    return Contents(
        {"train": (rows, labels)},
        label_names=label_names,
        feature_names=tuple(str(feature) for feature in table.feature_names),
    )
