"""The examples that a run keeps: held_out.npz and reference.npz, read as strictly as all of `records`."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from aezoo.core.arrays import Like, read_npz
from aezoo.core.ragged import without_ends
from aezoo.core.strict_json import Damaged
from aezoo.runtime.schema import NormalSource
from aezoo.training.records import read_or_refuse

HELD_OUT = 256  # examples kept beside the model: an export is proven and calibrated on them
# Training examples that are kept: at most so many, of so many values; of large ones so many all the same.
_REFERENCE, _REFERENCE_VALUES = 2000, 2**21
_FEW, _FEW_VALUES = 500, 2**23
_BESIDES = 2**20  # bytes of labels and fingerprints, at most
_SOURCES = get_args(NormalSource)  # of the held-out examples


def read_held_out(path: str | os.PathLike[str], shape: Sequence[int]) -> dict[str, Any]:
    """Returns what held_out.npz holds, see `Run.held_out`; what is larger than it can be is not unpacked.

    Args:
        path: of the file.
        shape: of one example.

    Raises:
        RunError: arrays of other names, shapes or dtypes, or examples that are not finite.
    """
    some, all_of = Like("f", (None, *shape)), Like("iu", (None,))
    wanted = {"examples": some, "trained_on": Like("u", (2, None))}
    known = {**wanted, "anomalies": some, "labels": all_of, "source": Like("U", ())}
    largest = 16 * HELD_OUT * math.prod(shape) + _BESIDES

    def read(content: bytes) -> dict[str, Any]:
        arrays = read_npz(content, largest, wanted, Like("fiuU"))
        for name, array in arrays.items():
            if name not in known:
                raise Damaged(ascii(name)[:40], "is not known", f"among {', '.join(known)}")
            known[name].check(name, array.shape, array.dtype)
        _check_examples(arrays)
        return {**arrays, **_source(arrays)}

    return read_or_refuse(path, read, "the held-out examples of the run cannot be read")


def most_reference(shape: Sequence[int]) -> int:
    """Returns how many training examples of a shape a run keeps at most."""
    values = math.prod(shape)
    return max(1, min(_REFERENCE, _REFERENCE_VALUES // values), min(_FEW, _FEW_VALUES // values))


def read_reference(path: str | os.PathLike[str], shape: Sequence[int]) -> np.ndarray:
    """Returns the examples that reference.npz holds, float32 (N, ...).

    Args:
        path: of the file.
        shape: of one example.

    Raises:
        RunError: arrays of another name, shape or dtype, or examples that are not finite.
    """
    most = most_reference(shape)

    def read(content: bytes) -> np.ndarray:
        arrays = read_npz(
            content, 4 * most * math.prod(shape) + _BESIDES, {"examples": Like("f", (None, *shape))}
        )
        _check_examples(arrays, most)
        return arrays["examples"]

    return read_or_refuse(path, read, "the reference examples of the run cannot be read")


def _check_examples(arrays: Mapping[str, np.ndarray], most: int = HELD_OUT) -> None:
    count = len(arrays["examples"])
    for name in ("examples", "anomalies"):
        array = arrays.get(name)
        if array is not None and not (1 <= len(array) <= most and array.dtype == np.float32):
            raise Damaged(name, f"is {len(array)} of {array.dtype}", f"1 to {most} of float32")
        if array is not None and not np.isfinite(without_ends(array)).all():
            raise Damaged(name, "holds NaN or infinity", "finite numbers")
    if "labels" in arrays and len(arrays["labels"]) != count:
        raise Damaged("labels", f"is {len(arrays['labels'])} numbers", f"{count}, one for each example")


def _source(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    told = str(arrays["source"]) if "source" in arrays else _SOURCES[0]
    if told not in _SOURCES:
        raise Damaged("source", f"is {told[:40]!a}", " or ".join(_SOURCES))
    return {"source": told}
