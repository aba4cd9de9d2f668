"""Reads and writes the arrays that a bundle keeps: of its proof, and what its scorers go by. No Keras."""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from aezoo.core.arrays import Like
from aezoo.core.calibration import TABLES
from aezoo.core.strict_json import Damaged
from aezoo.export.budget import LABELLED, SURE, VERDICTS
from aezoo.runtime import manifest as contract
from aezoo.runtime.kept import read_arrays
from aezoo.runtime.schema import Manifest

LARGEST = 2**31  # bytes of all golden arrays together


def read_golden(folder: contract.Folder, manifest: Manifest) -> dict[str, np.ndarray]:
    """Returns the golden arrays of a bundle, {name: array}: those that the manifest names, and perhaps more.

    Raises:
        BundleError: the file is missing or altered, or does not hold what the manifest names.
    """
    sha256 = manifest.golden.files[contract.GOLDEN]
    try:
        golden = read_arrays(folder, contract.GOLDEN, sha256, LARGEST, _expected(manifest))
        if manifest.classes is not None and not np.isin(golden["labels"], range(manifest.classes)).all():
            raise Damaged("labels", "holds another class", f"classes from 0 to {manifest.classes - 1}")
        held = [name for name in LABELLED if name in golden]
        if manifest.classes is not None and held:
            raise Damaged(held[0], "is there", "no known anomalies, of a conditional model")
        if manifest.anomalies is not None or held:
            _check_labelled({name: golden[name] for name in held}, manifest)
    except Damaged as error:
        raise contract.damaged(folder, contract.GOLDEN, error) from error
    return golden


def _expected(manifest: Manifest) -> dict[str, Like]:
    """Returns {name: what the array is like} of all that a proof reads, and of what it was computed from."""
    count = manifest.golden.examples
    kind = np.dtype(manifest.input_dtype).kind
    expected = {"examples": Like(kind, (count, *manifest.example_shape))}
    for artifact in manifest.artifacts:
        for tensor in (*artifact.inputs, *artifact.outputs):
            like = Like(np.dtype(tensor.dtype).kind, (count, *tensor.example_shape))
            if tensor.golden in VERDICTS:
                expected[SURE] = Like("b", (count,))
            if expected.setdefault(tensor.golden, like) != like:
                raise Damaged(
                    tensor.golden, f"is to be like the {tensor.name} of {artifact.file}", "one array"
                )
    if manifest.classes is not None:
        expected.setdefault("labels", Like("iu", (count,)))
    return expected


def _check_labelled(held: Mapping[str, np.ndarray], manifest: Manifest) -> None:
    """Raises Damaged unless the labelled examples are there and of both kinds."""
    count = len(next(iter(held.values()), ()))
    kind = np.dtype(manifest.input_dtype).kind
    likes = (Like(kind, (count, *manifest.example_shape)), Like("b", (count,)), Like("f", (count,)))
    for name, like in zip(LABELLED, likes, strict=True):
        if name not in held:
            raise Damaged(name, "is missing", "known anomalies, beside normal examples")
        like.check(name, held[name].shape, held[name].dtype)
    if len(np.unique(held[LABELLED[1]])) < 2:
        raise Damaged(LABELLED[1], "holds one kind", "anomalies and normal examples")


def read_calibration(folder: contract.Folder, manifest: Manifest) -> dict[str, np.ndarray]:
    """Returns the arrays of calibration.npz, {name: array}, for `aezoo.core.calibration.table_of`.

    Args:
        folder: of the bundle.
        manifest: of a bundle with a scorer.

    Raises:
        BundleError: the file is missing or altered, or holds something else.
    """
    row = manifest.calibration
    assert row is not None
    prefixes = ("" if precision == "float32" else f"{precision}_" for precision in row.thresholds)
    expected = {f"{prefix}{name}": like for prefix in prefixes for name, like in TABLES.items()}
    return read_arrays(
        folder, contract.CALIBRATION, row.files[contract.CALIBRATION], 2**24, {**TABLES, **expected}
    )


def write_golden(folder: contract.Folder, manifest: Manifest, golden: Mapping[str, np.ndarray]) -> Manifest:
    """Writes the golden arrays; returns the manifest with their row."""
    np.savez_compressed(pathlib.Path(folder) / contract.GOLDEN, **golden)  # type: ignore[arg-type]
    held = contract.hash_files(folder, contract.GOLDEN)
    row = dataclasses.replace(manifest.golden, examples=len(golden["examples"]), files=held)
    return dataclasses.replace(manifest, golden=row)
