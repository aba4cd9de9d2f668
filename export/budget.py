"""What a file of lower precision loses: the shares that a budget limits. NumPy only."""

from collections.abc import Collection, Mapping

import numpy as np

from aezoo.core.calibration import roc_area
from aezoo.core.ragged import means, without_ends
from aezoo.core.scores import SCORES
from aezoo.runtime.batching import Ends, Run

# What follows from latents and reconstructions in a scorer; an artifact with a budget is judged by those.
NOT_JUDGED = ("error_map", "anomaly_map", *SCORES, "p_value", "is_anomaly")

# What the names of a scorer's nodes behind encoder and decoder begin with: float32 in every precision.
VERDICT = (*(f"{name}/" for name in NOT_JUDGED), "memory_distance_")

# Examples of which it is known whether they are anomalies, and what Keras scores them, in golden.npz. They
# have a length of their own.
LABELLED = ("labelled_examples", "labelled_is_anomaly", "labelled_scores")

VERDICTS = ("p_value", "is_anomaly")
# Which examples have a verdict that no rounding changes, in golden.npz; the others' is no proof.
SURE = "is_sure"


def lost(golden: str, wanted: np.ndarray, got: np.ndarray, examples: np.ndarray) -> float:
    """Returns the share that an output has lost, a float: what a budget is held against.

    Of reconstructions it is the growth of the mean squared error, with every column of rows and sequences
    in its own standard deviations; of whole numbers the share that differs; of anything else, latents above
    all, 1 - mean cosine.

    Args:
        golden: name of the array that Keras computed, "latents" for example.
        wanted: (N, ...), what Keras computed.
        got: (N, ...), what the file computes.
        examples: (N, ...) that both were computed from, as the exported encoder takes them.
    """
    if golden == "reconstructions":
        examples = examples / 255.0 if examples.dtype == np.uint8 else examples.astype("float64")
        scale: np.ndarray | float = 1.0
        if examples.ndim < 4:
            scale = without_ends(examples).std(axis=0)
            scale = np.where(scale > 0, scale, 1.0)
        before, after = (means(np.square((x - examples) / scale), examples).mean() for x in (wanted, got))
        return float(after / before - 1 if before else after > 0)
    if wanted.dtype.kind in "iu":
        return float(np.mean(got != wanted))
    return 1 - cosine(got, wanted)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the mean over examples of the cosine between two arrays (N, ...), both flattened to (N, D)."""
    first, second = (np.reshape(x, (len(x), -1)).astype("float64") for x in (first, second))
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    both_zero = ~first.any(axis=1) & ~second.any(axis=1)
    products = (first * second).sum(axis=1)
    return float(np.where(both_zero, 1.0, products / np.where(norms > 0, norms, 1.0)).mean())


def score_among(names: Collection[str]) -> str:
    """Returns which of a scorer's outputs its verdict goes by: the one beside the error that all have.

    >>> score_among(["reconstruction_error", "largest_error", "p_value"])
    'largest_error'
    """
    return next((name for name in SCORES[::-1] if name in names), SCORES[0])


def area_lost(ends: Ends, golden: Mapping[str, np.ndarray], run: Run) -> float | None:
    """Returns by how much a scorer's ROC area is below Keras's, or None without labelled examples.

    Args:
        ends: inputs and outputs of the file.
        golden: {name: array}, with those of `LABELLED`, or without.
        run: function of names of outputs and {input: array} to a list of arrays.
    """
    names = [row.name for row in ends.outputs]
    if "is_anomaly" not in names or not set(LABELLED) <= set(golden):
        return None
    examples, is_anomaly, scores = (golden[name] for name in LABELLED)
    (found,) = run([score_among(names)], {ends.inputs[0].name: examples})
    if not np.isfinite(found).all():
        return np.inf
    return roc_area(scores, is_anomaly) - roc_area(found, is_anomaly)
