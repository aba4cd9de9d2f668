"""Reads and writes golden.npz, the arrays that a bundle is proven with, without Keras."""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from aezoo.runtime import manifest as contract
from aezoo.runtime.schema import Manifest


def read_golden(folder: contract.Folder, manifest: Manifest) -> dict[str, np.ndarray]:
    """Returns the golden arrays of a bundle, {name: array}.

    Raises:
        BundleError: the file is missing or altered.
    """
    contract.check_files(folder, manifest.golden.files)
    with np.load(pathlib.Path(folder) / contract.GOLDEN) as file:
        return dict(file)


def write_golden(folder: contract.Folder, manifest: Manifest, golden: Mapping[str, np.ndarray]) -> Manifest:
    """Writes the golden arrays; returns the manifest with their row."""
    np.savez_compressed(pathlib.Path(folder) / contract.GOLDEN, **golden)  # type: ignore[arg-type]
    held = contract.hash_files(folder, contract.GOLDEN)
    row = dataclasses.replace(manifest.golden, examples=len(golden["examples"]), files=held)
    return dataclasses.replace(manifest, golden=row)
