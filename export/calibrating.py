"""Calibration of a bundle's scorer: at its export, and later without training."""

import numpy as np

from aezoo import bundle as contract
from aezoo.calibration import Calibration
from aezoo.export import scorer
from aezoo.export.golden import stored_examples


def calibrate(model, normals, labels, input_dtype, rate, score):
    """Returns the `Calibration` of a model on normal examples.

    Args:
        model: an `Autoencoder`.
        normals: (N, ...) float32.
        labels: (N,) of a conditional model, or None.
        input_dtype: of the exported scorer.
        rate: share of normals that may count as anomalies; None is 0.01, or what so few allow.
        score: of `scorer.SCORES`.
    """
    _, normals = stored_examples(normals, input_dtype)
    labels = {} if labels is None else {"labels": np.asarray(labels)[: len(normals)]}
    if rate is None:
        rate = max(0.01, 1 / (len(normals) + 1))
    return Calibration.fit(scorer.scores(model, normals, labels, score), rate)


def write_calibration(draft, calibration, score, trained_on, held_out):
    """Writes what the scorer goes by; returns its row of the manifest, or None."""
    if calibration is None:
        return None
    arrays = {"table": calibration.table, "steps": [calibration.base, calibration.step]}
    if trained_on is not None:
        arrays["trained_on"] = trained_on
    np.savez_compressed(draft / contract.CALIBRATION, **arrays)
    return {
        **calibration.to_json(),
        "score": score,
        "source": "held-out examples" if held_out else "examples that were given",
        "files": contract.hash_files(draft, contract.CALIBRATION),
    }
