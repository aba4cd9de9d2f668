"""What maps show: examples, and what is known about them."""

import dataclasses
from typing import Any

import numpy as np

from aezoo.core.errors import DataError
from aezoo.data.classes import class_names
from aezoo.data.dataset import Dataset
from aezoo.data.loading import PARTS

MOST = 3000  # examples; more hide each other


@dataclasses.dataclass(frozen=True)
class Shown:
    """Examples, and what is known about them.

    Attributes:
        examples: float32 (N, ...); images in [0, 1].
        numbers: (N,) class numbers, or None.
        names: of the classes, by number, or None.
        feature_names: of the columns, or None.
        source: where the examples come from, a text.
        normals: (M, ...) float32, others that were not trained on, to calibrate scores of a run on; or None.
        normal_numbers: (M,) their class numbers, or None.
    """

    examples: np.ndarray
    numbers: np.ndarray | None = None
    names: list | None = None
    feature_names: tuple | None = None
    source: str = "examples"
    normals: np.ndarray | None = None
    normal_numbers: np.ndarray | None = None

    @classmethod
    def of(cls, dataset: Dataset, part: str = "test") -> "Shown":
        """Returns a part of a dataset; its validation part calibrates, unless that is what is shown."""
        chosen, normal = getattr(dataset, part), dataset.validation
        count, labelled = min(len(chosen), MOST), chosen.labels is not None
        what = f"the {PARTS[part]} part of {dataset.name}"
        return cls(
            chosen.array(MOST),
            chosen.class_numbers[:count] if labelled else None,
            class_names(dataset),
            dataset.feature_names and tuple(dataset.feature_names),
            f"the first {count:,} of {what}" if count < len(chosen) else f"{what}, {count:,} examples",
            None if chosen is normal else normal.array(MOST),
            None if chosen is normal or not labelled else normal.class_numbers[:MOST],
        )

    def labels_for(self, model: Any, chosen: Any = slice(None)) -> np.ndarray | None:
        """Returns the class numbers of chosen examples for a conditional model, None for any other."""
        if not model.takes_labels:
            return None
        if self.numbers is None:
            raise DataError(
                "this model is told the class of each example, and these have none",
                got=f"{self.source}, without labels",
                expected="labelled examples",
                fix="pass examples with labels, for example data='mnist_mini'",
            )
        return self.numbers[chosen]
