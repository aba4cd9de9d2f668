"""Whether examples were trained on, by a sample of the training examples' fingerprints. NumPy only.

Equal values alone prove nothing: rows of whole numbers repeat, and so do blank tiles. Of the values that
training holds once or not at all, new examples of the same kind meet the former in a share that training
itself tells: about 2 b / (2 b + a), where a values occur there once and b twice. Examples that were trained
on meet them nearly always.

Source: Good 1953, "The population frequencies of species and the estimation of population parameters",
doi:10.1093/biomet/40.3-4.237, equation 2: (r + 1) n_(r+1) / N is the share of new examples whose value has
occurred r times.
"""

import hashlib
import math
from typing import Literal

import numpy as np

from aezoo.core.errors import DataError

_SKETCH = 4096  # fingerprints of training examples that are kept
_OVERLAP = 0.05  # share that must have been trained on beyond chance before examples are refused
_CHANCE = 1e-6  # probability below which it is none


def fingerprints(examples: np.ndarray) -> np.ndarray:
    """Returns a number of 64 bits for each example (N,), uint64; equal examples have equal ones.

    Args:
        examples: (N, ...): bytes, floats in [0, 1] that are rounded to bytes, or rows as float32.
    """
    examples = np.asarray(examples)
    if examples.ndim > 3 and examples.dtype != np.uint8:
        examples = np.rint(np.clip(examples, 0, 1) * 255).astype("uint8")
    elif examples.dtype != np.uint8:
        examples = examples.astype("float32")
    digests = b"".join(hashlib.blake2b(one.tobytes(), digest_size=8).digest() for one in examples)
    return np.frombuffer(digests, "<u8")


def sketch(numbers: np.ndarray) -> np.ndarray:
    """Returns a sample of fingerprints that examples meet again in, uint64 (2, K).

    The smallest 4,096 values, ascending, and below each how often it occurs.

    Source: Bar-Yossef, Jayram, Kumar, Sivakumar & Trevisan 2002, "Counting Distinct Elements in a Data
    Stream", doi:10.1007/3-540-45726-7_1.
    """
    values, counts = np.unique(np.asarray(numbers, "uint64"), return_counts=True)
    return np.stack([values, counts.astype("uint64")])[:, :_SKETCH]


def refuse_training_data(examples: np.ndarray, kept: np.ndarray | None) -> Literal["none found", "unknown"]:
    """Raises DataError where examples are those of the training, by what was kept of those.

    Args:
        examples: (N, ...).
        kept: `sketch` of the training examples' fingerprints, or None.

    Returns:
        What is known, a text for the manifest: "none found", or "unknown" where nothing was kept, or where
        values repeat so much that not even all of them would tell.
    """
    if kept is None or kept.dtype.kind != "u" or kept.ndim != 2 or len(kept) != 2 or not kept.size:
        return "unknown"  # earlier versions kept no counts
    values, counts = kept
    given = np.unique(fingerprints(examples))  # what repeats among them is met once
    if len(values) == _SKETCH:
        given = given[given <= values[-1]]
    met = np.isin(given, values[counts == 1]).sum()
    judged = met + (~np.isin(given, values)).sum()
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    expected = float((2 * twice + 1) / (2 * twice + once + 1))  # one more: of few values little is known
    if judged == 0 or _by_chance(judged, judged, expected) > _CHANCE:
        return "unknown"
    beyond = met / judged > expected + _OVERLAP * (1 - expected)
    if beyond and _by_chance(met, judged, expected) <= _CHANCE:
        raise DataError(
            "these examples were trained on; their errors are lower than those of new ones",
            got=f"{met} of {judged} examples that can be compared are training examples; equal values alone "
            f"would make that about {expected * judged:.0f}",
            expected="normal examples that the model has never seen",
            fix="hold some back and pass normals=new_examples; where the parts of the data share examples, "
            "drop those from one of them and train again",
        )
    return "none found"


def _by_chance(met, judged, expected):
    """Returns a bound of the probability that so many are met of so many, where each is with `expected`.

    Source: Hoeffding 1963, doi:10.1080/01621459.1963.10500830, theorem 1.
    """
    share = met / judged
    if share <= expected:
        return 1.0
    information = share * math.log(share / expected)
    if share < 1:
        information += (1 - share) * math.log((1 - share) / (1 - expected))
    return math.exp(-judged * information)
