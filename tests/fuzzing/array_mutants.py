"""Arrays as they come out of notebooks: dtype, shape, values and container at random, the same for a seed."""

import dataclasses
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse


@dataclasses.dataclass(frozen=True)
class Mutant:
    """Examples in some form.

    Attributes:
        name: how they were made.
        given: what a caller hands over.
        plain: float32 array of the same values, or None where there is no such array.
    """

    name: str
    given: Any
    plain: np.ndarray | None


def _values(draw: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    values = draw.random(shape)
    spans = {
        "unit": values,
        "binary": np.rint(values),
        "bytes": np.rint(values * 255),
        "scaled": values * 255,
        "16 bits": np.rint(values * 65535),
        "[-1, 1]": values * 2 - 1,
        "z-scores": draw.standard_normal(shape) * 2,
        "whole z-scores": np.rint(draw.standard_normal(shape) * 2),
        "overshoot": values * 1.04 - 0.02,
        "huge": values * 10.0 ** draw.integers(3, 45),
        "tiny": values * 1e-42,
        "constant": np.full(shape, draw.choice([-3.0, 0.0, 0.5, 1.0, 7.0])),
        "NaN": np.where(values < 0.02, np.nan, values),
        "infinite": np.where(values < 0.02, -np.inf, values),
    }
    return spans[kind]


VALUES = (*("unit",) * 6, "binary", "bytes", "scaled", "16 bits", "[-1, 1]", "z-scores", "whole z-scores")
VALUES += ("overshoot", "huge", "tiny", "constant", "NaN", "infinite")
DTYPES = ("f4", "f4", "f8", "f8", "f2", ">f4", ">f8", "g", "u1", "i1", "u2", ">i2", "i4", "i8", "u8", "?")

# shape of what is handed over -> by which that of one example may be missed
SHAPES: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "one": lambda shape: (1, *shape),
    "few": lambda shape: (5, *shape),
    "more": lambda shape: (9, *shape),
    "empty": lambda shape: (0, *shape),
    "no batch": lambda shape: shape,
    "flat": lambda shape: (4, int(np.prod(shape))),
    "longer": lambda shape: (4, *shape[:-1], shape[-1] + 1),
    "turned": lambda shape: (4, *shape[::-1]),
    "an axis more": lambda shape: (4, *shape, 1),
    "an axis less": lambda shape: (4, *shape[:-1]),
    "scalar": lambda shape: (),
}
RIGHT = ("one", "few", "more")


def _tensor(array: np.ndarray) -> Any:
    import tensorflow as tf

    return tf.constant(array)


def _jax(array: np.ndarray) -> Any:
    import jax.numpy

    return jax.numpy.asarray(array)


def _spaced(array: np.ndarray) -> np.ndarray:
    wide = np.repeat(array, 2, axis=0) if array.ndim else array
    return wide[::2] if array.ndim else wide


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def _masked(array: np.ndarray) -> np.ma.MaskedArray:
    mask = np.zeros(array.shape, bool)
    mask.reshape(-1)[:1] = True
    return np.ma.masked_array(array, mask)


def _structured(array: np.ndarray) -> np.ndarray:
    names = [f"c{number}" for number in range(array.shape[-1])]
    return np.rec.fromarrays(np.moveaxis(array, -1, 0), names=names)


def _nullable(array: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(array).convert_dtypes()


# container -> (what makes it of an array, whether the values are all there)
CONTAINERS: dict[str, tuple[Callable[[np.ndarray], Any], bool]] = {
    "array": (lambda array: array, True),
    "array of Fortran": (np.asfortranarray, True),
    "every second": (_spaced, True),
    "read-only": (_read_only, True),
    "list": (lambda array: array.tolist(), True),
    "list of arrays": (lambda array: list(array) if array.ndim else [array], True),
    "tuple of arrays": (lambda array: tuple(array) if array.ndim else (array,), True),
    "objects": (lambda array: array.astype(object), True),
    "tensor": (_tensor, True),
    "JAX": (_jax, True),
    "DataFrame": (pd.DataFrame, True),
    "nullable DataFrame": (_nullable, True),
    "matrix": (np.asmatrix, True),
    "mask that hides nothing": (np.ma.masked_array, True),
    "mask": (_masked, False),
    "list with a mask": (lambda array: [*array[:-1], _masked(array[-1])], False),
    "sparse": (scipy.sparse.csr_matrix, False),
    "complex": (lambda array: array.astype("complex64") + 1j, False),
    "texts": (lambda array: array.astype(str), False),
    "dates": (lambda array: np.nan_to_num(array).astype("i8").astype("M8[s]"), False),
    "structured": (_structured, False),
    "with None": (
        lambda array: np.where(np.arange(array.size).reshape(array.shape) == 0, None, array),
        False,
    ),
    "ragged": (lambda array: [*array.tolist(), [1.0]], False),
}


def mutants(shape: tuple[int, ...], seed: int = 0) -> Iterator[Mutant]:
    """Yields examples of about this shape without end; a container that cannot hold them is another's turn.

    Args:
        shape: of one example.
        seed: same seed, same mutants.
    """
    choose, draw, number = random.Random(seed), np.random.default_rng(seed), 0
    while True:
        values, dtype, container = (choose.choice(list(each)) for each in (VALUES, DTYPES, CONTAINERS))
        sized = choose.choice(RIGHT) if choose.random() < 0.8 else choose.choice(list(SHAPES))
        name = f"{number}: {values}, {dtype}, {sized}, {container}"
        make, whole = CONTAINERS[container]
        try:
            with np.errstate(all="ignore"):
                array = np.asarray(_values(draw, values, SHAPES[sized](shape))).astype(dtype)
                plain = array.astype("f8").astype("f4")
            given = make(array)
        except (
            Exception
        ):  # as pandas has no frame of three axes; the data of a tensor are of this machine's order
            continue
        yield Mutant(name, given, plain if whole else None)
        number += 1
