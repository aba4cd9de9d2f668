"""The proof: an exported file computes what the Keras model computes. NumPy and a runtime, no Keras.

Each file is loaded in a fresh process and compared with the golden arrays, in this order: hash,
names and dtypes, shapes at batch 1 and at an odd larger batch, values. A file of one fixed batch is
proven at that. NaN is a failure. The same code proves a new bundle before it is published and an old
one in `aezoo verify`.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterable, Mapping

import numpy as np

from aezoo.core import strict_json
from aezoo.core.calibration import table_of
from aezoo.core.errors import BundleError, ParityError
from aezoo.core.processes import end, fresh
from aezoo.core.scores import SCORES
from aezoo.export.budget import NOT_JUDGED, SURE, VERDICTS, area_lost, lost, score_among
from aezoo.export.formats import FORMATS, why_skipped
from aezoo.export.proof import readers, tracing
from aezoo.export.proof.golden_file import read_calibration, read_golden
from aezoo.export.proof.rounding import ERRORS, of_errors, rounding
from aezoo.runtime import manifest as contract
from aezoo.runtime.batching import Run, fitted, fixed_batch
from aezoo.runtime.schema import Artifact, Parity

_Answers = dict[int, dict[str, np.ndarray]]  # {batch: {output: array}}

BATCHES = (1, 7)  # one, and an odd number that no layer's shape can be mistaken for

# A value may always differ by this many units in its last place, at the largest value.
_ROUNDINGS = 4

# Sums over all places of an example: their roundings grow with the sums, however little examples differ.
_SUMS = SCORES

# -- one artifact, in this process -----------------------------------------------------------------


def prove(folder: contract.Folder, artifact: Artifact, golden: Mapping[str, np.ndarray]) -> Parity:
    """Proves one artifact against the golden arrays.

    Args:
        folder: of the bundle.
        artifact: its row of the manifest.
        golden: {name: array}; the rows of inputs and outputs say which array each is.

    Returns:
        The figures: allowed is the tolerance times output_range, or four roundings of its precision at the
        largest value where that is more; 0 for integers. Of several outputs, and for rows and sequences of
        several columns, those of the one that comes nearest to its limit. Of a precision with a budget
        max_difference and allowed are shares that are lost, see `budget.lost`.

    Raises:
        ParityError: a name, dtype, shape or value is not as it was in Keras.
        BundleError: a file is missing or altered.
    """
    contract.check_files(folder, artifact.files)
    run = opened(folder, artifact)
    inputs = {tensor.name: golden[tensor.golden] for tensor in artifact.inputs}
    count = len(next(iter(inputs.values())))
    fixed = fixed_batch(artifact.inputs[0])
    batches = BATCHES if fixed is None else (fixed,)
    names = [tensor.name for tensor in artifact.outputs]
    answers: _Answers = {}
    for size in sorted({*batches, count}):  # a small table's examples come again
        given = {name: _resized(array, size) for name, array in inputs.items()}
        answers[size] = dict(zip(names, run(names, given), strict=True))
    if artifact.part == "scorer" and artifact.precision != "float32":
        _check_verdicts(folder, artifact, answers[count])
    if artifact.budget is not None:
        area = area_lost(artifact, golden, run)
        figures = _within_budget(artifact, golden, answers, area)
    else:
        figures = _within_tolerance(folder, artifact, golden, answers)
    reason = FORMATS[artifact.format].tolerances[artifact.precision][1]
    return Parity(**figures, reason=reason, batches=batches, examples=len(golden["examples"]))


def opened(folder: contract.Folder, artifact: Artifact) -> Run:
    """Opens a file; raises ParityError unless it has the inputs and outputs that the manifest says."""
    runtime = FORMATS[artifact.format].runtime
    try:
        run, found = readers.open_artifact(folder, artifact)
    except Exception as error:  # each runtime raises its own
        raise _failed(artifact, "cannot be loaded", _first_line(error), runtime) from error
    ends = {"inputs": artifact.inputs, "outputs": artifact.outputs}
    wanted = {end: {tensor.name: tensor.dtype for tensor in tensors} for end, tensors in ends.items()}
    if found != wanted:
        raise _failed(artifact, "has other inputs or outputs than the manifest says", found, wanted)
    listed = readers.listed(run)

    def running(names, inputs):
        try:
            return listed(names, inputs)
        except Exception as error:
            raise _failed(artifact, "cannot be run", _first_line(error), runtime) from error

    return fitted(running, artifact)


def _first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _within_tolerance(folder, artifact, golden, answers):
    """Returns the figures of an artifact that is held to a tolerance, or raises ParityError."""
    tolerance, _ = FORMATS[artifact.format].tolerances[artifact.precision]
    try:
        figures = [
            _compare(
                artifact,
                tensor.name,
                golden[tensor.golden],
                answers,
                tolerance,
                _axes(tensor),
                golden[SURE] if tensor.golden in VERDICTS else None,
                golden if tensor.golden in ERRORS else {},
            )
            for tensor in artifact.outputs
        ]
    except ParityError as error:
        where = tracing.first_difference(folder, artifact, golden)
        raise ParityError(**{**error.lines, "got": f"{error.got}; {where}" if where else error.got}) from None
    nearest = max(figures, key=lambda one: one["max_difference"] / one["allowed"] if one["allowed"] else 0.0)
    return {**nearest, "tolerance": tolerance}


def _check_verdicts(folder, artifact, answer):
    """Raises ParityError where p-values and verdicts do not follow from a file's own scores, by its table."""
    # ONNX files are calibrated on their own scores; all others hold the table of float32.
    own = artifact.precision if artifact.format == "onnx" else "float32"
    calibration = table_of(read_calibration(folder, contract.read_manifest(folder)), own)
    scores = answer[score_among(answer)]
    # float16 files of other formats hold the table in float16 as well, whose rounding is 2^-11.
    rounding = 1e-6 if artifact.format == "onnx" else 1e-3
    sure = calibration.is_sure(scores, margin=10 * rounding if rounding < 1e-3 else rounding)
    for name, wanted in (
        ("p_value", calibration.p_values(scores)),
        ("is_anomaly", calibration.is_anomaly(scores)),
    ):
        got = np.asarray(answer[name])
        worst = np.abs(got.astype("float64") - wanted)[sure].max(initial=0.0)
        if not worst <= rounding:
            raise _failed(
                artifact,
                f"gives another {name} than follows from its scores",
                f"a difference of {worst:.3g}",
                f"what the table in {contract.CALIBRATION} gives",
            )


def _within_budget(artifact, golden, answers, area):
    """Returns the figures of an artifact that may lose its budget, or raises ParityError."""
    worst = {"output": "the ROC area", "max_difference": -np.inf if area is None else area}
    for row in artifact.outputs:
        for size, answer in answers.items():
            got, wanted = np.asarray(answer[row.name]), _resized(golden[row.golden], size)
            _check_shape(artifact, row.name, got, wanted, size)
            if size < len(golden["examples"]) or row.golden in NOT_JUDGED:
                continue  # too few for a share
            share = lost(row.golden, wanted, got, _resized(golden["examples"], size))
            if share > worst["max_difference"]:
                worst = {"output": row.name, "max_difference": share}
    if not worst["max_difference"] <= artifact.budget:
        raise _failed(
            artifact,
            "loses more than its budget",
            f"{worst['max_difference']:.2%} in {worst['output']}",
            f"at most {artifact.budget:.2%}",
        )
    return {**worst, "allowed": artifact.budget, "output_range": None, "tolerance": None}


def _resized(array, size):
    return np.resize(array, (size, *array.shape[1:]))


def _axes(row):
    """Over which axes an output has one range: the columns of rows and sequences have units of their own."""
    axes = len(row.shape)
    return tuple(range(axes - 1)) if row.golden == "reconstructions" and axes < 4 else None


def _compare(artifact, name, expected, answers, tolerance, axes, sure, golden):
    """Returns one output's figures, or raises ParityError.

    `sure` tells which examples count, None is all; of errors `golden` has what they follow from.
    """
    exact = expected.dtype.kind in "iub"  # whole numbers and verdicts
    if exact:
        output_range, allowed = np.zeros(()), np.zeros(())
    else:
        output_range = np.ptp(expected, axis=axes).astype("float64")
        if name in _SUMS:
            output_range = np.maximum(output_range, np.abs(expected).max())
        # Where the range is tiny beside the values themselves, the type cannot even hold such a share of it.
        floor = _ROUNDINGS * rounding(np.abs(expected).max(axis=axes), artifact.precision)
        floor = np.maximum(floor, of_errors(golden, expected, artifact.precision))
        allowed = np.maximum(tolerance * output_range, floor)
    worst = np.zeros_like(allowed)
    for size, answer in answers.items():
        wanted, got = _resized(expected, size), np.asarray(answer[name])
        _check_shape(artifact, name, got, wanted, size)
        difference = np.abs(got.astype("float64") - wanted)
        if sure is not None:
            difference = np.where(_resized(sure, size), difference, 0.0)
        worst = np.maximum(worst, difference.max(axis=None if exact else axes))
    at = np.argmax(worst / np.where(allowed > 0, allowed, 1))  # the column that comes nearest to its limit
    worst, allowed, output_range = (float(np.ravel(a)[at]) for a in (worst, allowed, output_range))
    if not worst <= allowed:
        raise _failed(
            artifact,
            "does not compute what the Keras model computes",
            f"largest difference {worst:.3g} in {name}, whose range is {output_range:.3g}",
            f"at most {allowed:.3g}: {tolerance:g} of the range" if allowed else "the same whole numbers",
        )
    return {"output": name, "max_difference": worst, "output_range": output_range, "allowed": allowed}


def _check_shape(artifact, name, got, wanted, size):
    if got.shape != wanted.shape:
        raise _failed(artifact, f"gives {name} another shape at batch {size}", got.shape, wanted.shape)
    if not np.isfinite(got).all():
        raise _failed(
            artifact, f"gives NaN or infinity in {name} at batch {size}", "not finite", "finite values"
        )


def _failed(artifact, problem, got, expected):
    return ParityError(
        f"{artifact.file} {problem}",
        got=got,
        expected=expected,
        fix="do not use this file; export again, and report it if it fails again",
    )


# -- a bundle ----------------------------------------------------------------------------------------


def prove_format(folder: contract.Folder, format: str) -> dict[str, Parity]:
    """Proves a bundle's artifacts of one format in this process; returns {file: figures}.

    Args:
        folder: of a draft, or of a copy that nobody else can change: its runtime opens the files again.
        format: of `formats.FORMATS`.
    """
    manifest = contract.read_manifest(folder)
    golden = read_golden(folder, manifest)
    chosen = [artifact for artifact in manifest.artifacts if artifact.format == format]
    return {artifact.file: prove(folder, artifact, golden) for artifact in chosen}


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file that was not proven, and the reason: `WOULD_RUN`, or that its runtime is not installed."""

    skipped: str


def verify(
    folder: contract.Folder, *, trust: bool = False, digest: str | None = None
) -> dict[str, Parity | Skipped]:
    """Proves every artifact of a bundle anew, each format in a fresh process.

    Args:
        folder: of the bundle.
        trust: whether the caller vouches for whoever made the bundle; a SavedModel or a C header can run any
            code on this machine, and is opened for that alone.
        digest: which the bundle must have, see `aezoo.runtime.manifest.digest_of`; who knows it vouches.

    Returns:
        {file: figures}, `Parity`; `Skipped` for a format that would run code of a bundle that nobody vouches
        for, or whose runtime is not installed.

    Raises:
        BundleError: a file is missing or altered, or the bundle has another digest.
        ParityError: a file does not compute what the Keras model computed.
    """
    manifest = contract.read_manifest(folder, digest)
    trusted = trust or digest is not None
    with contract.private_copy(folder, manifest) as private:
        return _verify(private, manifest, trusted)


def _verify(private, manifest, trusted):
    """Returns what `verify` does, of a private copy."""
    held = dict.fromkeys(artifact.format for artifact in manifest.artifacts)
    skipped = {format: reason for format in held if (reason := why_skipped(format, trusted))}
    provers = [Prover(format) for format in held if format not in skipped]
    try:
        figures: dict[str, Parity | Skipped] = {
            row.file: Skipped(skipped[row.format]) for row in manifest.artifacts if row.format in skipped
        }
        for prover in provers:
            figures.update(prover.prove(private))
        return figures
    finally:
        for prover in provers:
            prover.stop()


class Prover:
    """A fresh process that proves one format: started early, so that its imports overlap other work.

    Args:
        format: of `formats.FORMATS`.
    """

    def __init__(self, format: str) -> None:
        self.format = format
        # No pipe, which would fill up and stop it: nobody reads what it logs before it is dead.
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed by stop)
        self.process = fresh("aezoo.export.proof.parity", format, stderr=self.errors)

    def prove(self, folder: contract.Folder) -> dict[str, Parity]:
        """Returns {file: figures} of a bundle's artifacts of this format, or raises as `prove` does.

        Args:
            folder: as for `prove_format`.
        """
        question = {"folder": str(pathlib.Path(folder).absolute())}
        with contextlib.suppress(BrokenPipeError):  # it is dead, which the answer says
            self.process.stdin.write(f"{json.dumps(question)}\n")
            self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            error_class = {"BundleError": BundleError}.get(answer["class"], ParityError)
            raise error_class(**answer["error"])
        return {file: strict_json.read(Parity, found) for file, found in answer["figures"].items()}

    def _answer(self):
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # what a runtime prints
                answer = json.loads(line)
                if isinstance(answer, dict):
                    return answer
        status = self.process.wait()
        self.errors.seek(0)
        raise ParityError(
            f"the process that proves the {self.format} files died",
            got=f"exit status {status}; {self.errors.read().strip()[-500:]}",
            expected="a file that a fresh process can load and run",
            fix="verify it again with AEZOO_VERBOSE=1, and look at the memory that is free",
        )

    def stop(self) -> None:
        """Ends the process if it still runs."""
        end(self.process)
        self.errors.close()


def start(formats: Iterable[str]) -> list[Prover]:
    """Starts a `Prover` for each format, while there is other work for their imports to overlap."""
    return [Prover(format) for format in dict.fromkeys(formats)]


def main() -> None:
    """Answers questions on standard input, {"folder"} to prove each, both ways in lines of JSON."""
    format = sys.argv[1]
    if format == "saved_model":  # seconds, which the exporting process uses to write
        from aezoo.core.imports import silent_stderr

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with silent_stderr():
            importlib.import_module(FORMATS[format].runtime)
    for line in sys.stdin:  # until the exporting process is gone
        print(json.dumps(_answer(format, **json.loads(line))), flush=True)


def _answer(format, folder):
    try:
        answer = {"figures": strict_json.to_json(prove_format(folder, format))}
        if format != "saved_model" and sys.modules.get("tensorflow"):
            raise ParityError(
                "the proof of a file that must run without TensorFlow imported TensorFlow",
                got="tensorflow in sys.modules",
                expected="NumPy and the file's own runtime",
                fix="report this; the bundle is not published",
            )
    except (BundleError, ParityError) as error:
        answer = {"error": error.lines, "class": type(error).__name__}
    return answer


if __name__ == "__main__":
    main()
