"""Reads and writes golden.npz, the arrays that a bundle is proven with, without Keras."""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from aezoo.core.errors import BundleError
from aezoo.runtime import manifest as contract
from aezoo.runtime.schema import Manifest

_MEANING = "manifest_sha256"


def read_golden(folder: contract.Folder, manifest: Manifest) -> dict[str, np.ndarray]:
    """Returns the golden arrays of a bundle, {name: array}.

    Raises:
        BundleError: the file is missing or altered, or the manifest was edited.
    """
    contract.check_files(folder, manifest.golden.files)
    with np.load(pathlib.Path(folder) / contract.GOLDEN) as file:
        golden = dict(file)
    found, expected = contract.meaning(manifest), str(golden.pop(_MEANING))
    if found != expected:
        raise BundleError(
            "the manifest no longer says what it said when the files were proven",
            got=f"{pathlib.Path(folder) / contract.MANIFEST}: sha256 {found[:16]}...",
            expected=f"sha256 {expected[:16]}... of kind, shapes, scale, prior and the like",
            fix="copy the bundle again, or export it again",
        )
    return golden


def write_golden(folder: contract.Folder, manifest: Manifest, golden: Mapping[str, np.ndarray]) -> Manifest:
    """Writes the golden arrays, and beside them what the manifest means; returns that with their row."""
    path = pathlib.Path(folder) / contract.GOLDEN
    arrays = {**golden, _MEANING: np.asarray(contract.meaning(manifest))}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    held = contract.hash_files(folder, contract.GOLDEN)
    row = dataclasses.replace(manifest.golden, examples=len(golden["examples"]), files=held)
    return dataclasses.replace(manifest, golden=row)
