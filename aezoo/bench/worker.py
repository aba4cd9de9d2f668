"""A process that opens files of a bundle and measures them, for `runner`. NumPy and a runtime, no Keras.

Started with one argument, JSON: {"folder", "digest", "cold", "artifact", "options"}. With "cold" it says
how much memory it has held, and with an artifact opens that first and computes one batch. Else it answers
questions, a line of JSON each way, until its input ends: a fresh process for each runtime and number of
threads, so that a runtime that dies takes no other with it.
"""

import json
import os
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from aezoo.runtime import manifest as contract
from aezoo.runtime.batching import fitted, fixed_batch
from aezoo.runtime.schema import Artifact


class Opened:
    """A file of a bundle, opened by its runtime.

    Args:
        folder: of the bundle.
        artifact: its row of the manifest.
        options: of the format's opener in `readers.py`, a dict.
    """

    def __init__(self, folder: contract.Folder, artifact: Artifact, options: Mapping[str, Any]) -> None:
        from aezoo.export.proof import readers

        self.artifact = artifact
        with np.load(pathlib.Path(folder) / contract.GOLDEN) as golden:
            ends = [*artifact.inputs, *artifact.outputs]
            self.golden = {row.golden: golden[row.golden] for row in ends}
        run, _ = readers.open_artifact(folder, artifact, **options)
        self.names = [row.name for row in artifact.outputs]

        self.run = fitted(readers.listed(run), artifact)  # a tensor of TensorFlow is waited for

    def inputs(self, batch: int) -> dict[str, np.ndarray]:
        """Returns {name: array (batch, ...)}, golden examples that come again where there are too few."""
        return {
            row.name: np.resize(self.golden[row.golden], (batch, *self.golden[row.golden].shape[1:]))
            for row in self.artifact.inputs
        }

    def figures(self, scale: Any) -> dict[str, float | None]:
        """Returns {"mse", "cosine"} against what Keras computed, None where a part has no such output.

        Args:
            scale: what reconstructions are divided by, the manifest's "error_scale" or 1.

        Raises:
            ValueError: an output has another shape, or holds NaN or infinity.
        """
        from aezoo.export.budget import cosine

        found: dict[str, float | None] = {"mse": None, "cosine": None}
        count = len(next(iter(self.golden.values())))
        for row, got in zip(self.artifact.outputs, self.run(self.names, self.inputs(count)), strict=True):
            wanted = self.golden[row.golden]
            if got.shape != wanted.shape:
                raise ValueError(f"{row.name} has shape {got.shape}, not {wanted.shape}")
            if not np.isfinite(got).all():
                raise ValueError(f"NaN or infinity in {row.name}")
            if row.golden == "reconstructions":
                found["mse"] = float(np.square((got.astype("float64") - wanted) / scale).mean())
            elif row.golden == "latents":
                found["cosine"] = cosine(got, wanted)
        return found

    def seconds(self, batch: int, until: float) -> list[float]:
        """Returns the seconds of each call, a list: for `until` seconds, one call at least, after a warm-up.

        The warm-up is one call: another batch size or another runtime had its turn since.
        """
        inputs = self.inputs(batch)
        self.run(self.names, inputs)
        found = []
        until += time.perf_counter()
        while True:
            begun = time.perf_counter()
            self.run(self.names, inputs)
            ended = time.perf_counter()
            found.append(ended - begun)
            if ended >= until:
                return found


def peak_bytes() -> int | None:
    """Returns the most memory that this process has held, in bytes, or None where the system does not say."""
    try:
        # Not ru_maxrss, which begins at what the parent held when it started this process.
        for line in pathlib.Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _cold(order, manifest):
    """Computes the first result of one file, or none of no file; returns {"peak_bytes"}."""
    if order["artifact"] is None:
        from aezoo.export.proof import readers  # noqa: F401  (what the same process without a file imports)
    else:
        artifact = manifest.artifacts[order["artifact"]]
        opened = Opened(order["folder"], artifact, order["options"])
        opened.run(opened.names, opened.inputs(fixed_batch(artifact.inputs[0]) or 1))
    return {"peak_bytes": peak_bytes()}


def _answered(question, opened, folder, manifest):
    number = question["artifact"]
    if number not in opened:
        opened[number] = Opened(folder, manifest.artifacts[number], question["options"])
    if "batch" in question:
        return {"seconds": opened[number].seconds(question["batch"], question["seconds"])}
    scale = manifest.error_scale
    return opened[number].figures(1.0 if scale is None else np.asarray(scale))


def _refusal(error):
    lines = str(error).strip().splitlines()
    return {"refused": f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__}


def main() -> None:
    """Measures as its one argument says."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a runtime prints is no answer
    order = json.loads(sys.argv[1])
    manifest = contract.read_manifest(order["folder"], order["digest"])
    if order["cold"]:
        try:
            answer = _cold(order, manifest)
        except Exception as error:  # each runtime raises its own
            answer = _refusal(error)
        print(json.dumps(answer), file=answers)
        answers.flush()
        os._exit(0)  # nothing to tidy up, and TensorFlow takes its time
    opened: dict[int, Opened] = {}
    for line in sys.stdin:
        try:
            answer = _answered(json.loads(line), opened, order["folder"], manifest)
        except Exception as error:
            answer = _refusal(error)
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
