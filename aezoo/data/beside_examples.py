"""What commands read from files beside examples: latents to decode, and labels of a conditional model."""

import pathlib
from collections.abc import Sequence

import numpy as np

from aezoo.core.errors import DataError
from aezoo.data.examples import Numbers
from aezoo.data.sources.numpy_files import read_arrays


def read_latents(path: str | pathlib.Path) -> tuple[Sequence[str], np.ndarray]:
    """Reads latents from a .npy file, or from an .npz with one array or one called "latents".

    Returns:
        (names, latents): N texts, and (N, D), of a .npy file mapped into memory.

    Raises:
        DataError: no such file, or it holds no such array.
    """
    path = pathlib.Path(path).expanduser()
    if path.suffix.lower() not in (".npy", ".npz") or not path.is_file():
        raise DataError(
            "no latents can be read from there",
            got=f"{path}" + ("" if path.exists() else " (does not exist)"),
            expected="a .npy or .npz file of (batch, latent_dim)",
            fix="aezoo encode BUNDLE IMAGES -o latents.npy",
        )
    arrays = read_arrays(path, mapped=True)
    if isinstance(arrays, dict):
        key = "latents" if "latents" in arrays else next(iter(arrays), None)
        if key is None or (key != "latents" and len(arrays) > 1):
            raise DataError(
                f"{path.name}: which array holds the latents?",
                got=", ".join(arrays) or "no array",
                expected="one array, or one called 'latents'",
                fix="numpy.savez(path, latents=latents)",
            )
        arrays = arrays[key]
    if arrays.ndim == 0:
        raise DataError(
            f"{path.name}: holds one number, not latents",
            got="an array without axes",
            expected="(batch, latent_dim)",
            fix="numpy.save(path, latents)",
        )
    return Numbers(len(arrays)), arrays


def read_labels(path: str | pathlib.Path) -> np.ndarray:
    """Reads the labels of a conditional model from a .npy file: whole numbers (N,).

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    path = pathlib.Path(path).expanduser()
    labels = read_arrays(path)
    if not isinstance(labels, np.ndarray):
        raise DataError(
            "labels are read from a .npy file",
            got=f"{path}: {', '.join(labels)[:200]}",
            expected="one array of whole numbers",
            fix="numpy.save('labels.npy', labels)",
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            "labels are one whole number for each example",
            got=f"{path}: {labels.dtype} {labels.shape}",
            expected="int32 (N,)",
            fix="labels.astype('int32').ravel()",
        )
    return labels
