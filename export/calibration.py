"""Calibration of a bundle's scorer: at its export, and later without training."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from aezoo.core.calibration import Calibration, figures, write_tables
from aezoo.export import scoring
from aezoo.export.budget import LABELLED
from aezoo.export.given import Given
from aezoo.export.golden import stored_examples
from aezoo.nn.autoencoder import Autoencoder
from aezoo.runtime import manifest as contract
from aezoo.runtime.schema import CalibrationRow


def calibrate(
    model: Autoencoder,
    normals: np.ndarray,
    labels: np.ndarray | None,
    input_dtype: str,
    rate: float | None,
    score: scoring.Score,
) -> Calibration:
    """Returns the `Calibration` of a model on normal examples.

    Args:
        model: an `Autoencoder`.
        normals: (N, ...) float32.
        labels: (N,) of a conditional model, or None.
        input_dtype: of the exported scorer.
        rate: share of normals that may count as anomalies; None is 0.01, or what so few allow.
        score: what the verdict goes by.
    """
    _, normals = stored_examples(normals, input_dtype)
    given = {} if labels is None else {"labels": np.asarray(labels)[: len(normals)]}
    if rate is None:
        rate = max(0.01, 1 / (len(normals) + 1))
    return Calibration.fit(scoring.score_examples(model, normals, given, score), rate)


def label(
    model: Autoencoder,
    normals: np.ndarray,
    anomalies: np.ndarray,
    input_dtype: str,
    score: scoring.Score,
    limit: int,
) -> dict[str, np.ndarray]:
    """Returns {name: array} of `budget.LABELLED`: examples of both kinds, and what Keras scores them.

    Args:
        model: an `Autoencoder` without labels of its own.
        normals, anomalies: (N, ...) and (M, ...) float32.
        input_dtype: of the exported scorer.
        score: what the verdict goes by.
        limit: examples of each kind at most, taken at equal distances: files often lie in order.
    """
    chosen = [
        examples[np.unique(np.linspace(0, len(examples) - 1, limit).astype(int))]
        for examples in (np.asarray(normals), np.asarray(anomalies))
    ]
    stored, examples = stored_examples(np.concatenate(chosen), input_dtype)
    is_anomaly = np.arange(len(examples)) >= len(chosen[0])
    scores = scoring.score_examples(model, examples, {}, score)
    return dict(zip(LABELLED, (stored, is_anomaly, scores), strict=True))


def write_calibration(
    draft: pathlib.Path,
    calibrations: Mapping[str, Calibration],
    score: Any,
    given: Given,
    overlap: Any,
) -> CalibrationRow | None:
    """Writes what the scorers go by, {precision: `Calibration`}; returns the row of the manifest, or None."""
    if not calibrations:
        return None
    write_tables(draft / contract.CALIBRATION, calibrations, given.trained_on)
    return CalibrationRow(
        **figures(calibrations),
        score=score,
        source=given.normal_source,
        training_examples=overlap,
        files=contract.hash_files(draft, contract.CALIBRATION),
    )
