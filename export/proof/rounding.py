"""What rounding alone can make of a value: a difference that no file can be blamed for. NumPy only."""

from collections.abc import Mapping

import numpy as np

from aezoo.core.ragged import without_ends

ERRORS = ("error_map", "reconstruction_error")  # squared differences of reconstructions
_SUMMED = 16  # roundings that a reconstruction, a sum of many products, may gather


def rounding(largest: np.ndarray, precision: str) -> np.ndarray:
    """Returns one unit in the last place of values, float64, in float16 or float32."""
    if precision == "float16":  # beyond its largest number, too: in raw units it is multiplied behind
        return 2.0 ** np.floor(np.log2(np.maximum(largest, 2.0**-14).astype("float64")) - 10)
    return np.spacing(largest).astype("float64")


def of_errors(golden: Mapping[str, np.ndarray], errors: np.ndarray, precision: str) -> float:
    """Returns by how much squared errors differ where reconstructions are off by their rounding.

    Where a model reconstructs almost perfectly, errors are tiny beside that: of a reconstruction y that is
    off by d, (x - y)^2 is off by up to 2 |x - y| d + d^2.

    Args:
        golden: {name: array}, with examples and reconstructions, or without.
        errors: what Keras computed, in standard deviations of the columns for rows and sequences.
        precision: of the file.
    """
    if not {"examples", "reconstructions"} <= set(golden):
        return 0.0
    reconstructions, examples = golden["reconstructions"], golden["examples"]
    axes = tuple(range(reconstructions.ndim - 1))
    largest = np.abs(reconstructions).max(axis=axes).astype("float32")
    scale = np.ones(()) if examples.ndim == 4 else without_ends(examples).std(axis=0, dtype="float64")
    off = _SUMMED * float((rounding(largest, precision) / np.where(scale > 0, scale, 1.0)).max())
    return 2 * float(np.sqrt(np.abs(errors).max())) * off + off**2
