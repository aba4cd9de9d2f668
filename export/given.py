"""What the steps of an export hand to each other."""

import dataclasses
from typing import Any

import numpy as np

from aezoo.core.calibration import Calibration
from aezoo.runtime.schema import Anomalies, NormalSource

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Given:
    """The examples of an export, as `export_bundle` takes them, and what is known of the run."""

    examples: np.ndarray | None
    labels: np.ndarray | None
    normals: np.ndarray | None
    anomalies: np.ndarray | None
    representative: np.ndarray | None
    reference: np.ndarray | None
    trained_on: np.ndarray | None
    source: NormalSource
    info: dict[str, Any] | None
    metrics: dict[str, Any] | None

    @property
    def normal(self) -> np.ndarray | None:
        """What a scorer is calibrated on, or None."""
        return self.examples if self.normals is None else self.normals

    @property
    def normal_source(self) -> NormalSource:
        """Where that is from."""
        return self.source if self.normals is None else "examples that were given"


@dataclasses.dataclass(frozen=True)
class Golden:
    """What is written, and what Keras makes of the examples that prove it.

    Attributes:
        parts: {name: (Keras model, names of inputs, names of outputs)}.
        arrays: of golden.npz.
        ranges: the same of the examples that tell the ranges of values.
        calibration: of the float32 scorer, or None without one; overlap: see `refuse_training_data`.
        anomalies: row of the manifest, or None; labelled: the examples that judge, see `label`.
    """

    parts: dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]]
    arrays: Arrays
    ranges: Arrays
    calibration: Calibration | None
    overlap: str
    anomalies: Anomalies | None
    labelled: Arrays
