"""Opens ONNX files of a bundle from the very bytes that were hashed, and watches what they answer."""

import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from aezoo.core.errors import BundleError
from aezoo.core.strict_json import Damaged
from aezoo.runtime import manifest as contract
from aezoo.runtime.batching import Run
from aezoo.runtime.external_data import check_locations
from aezoo.runtime.schema import Artifact, Tensor

_TYPES = {"float": "float32"}  # onnxruntime's word where NumPy has another


def open_session(folder: contract.Folder, artifact: Artifact, options: Any, providers: Sequence[Any]) -> Any:
    """Returns an `onnxruntime.InferenceSession` of an artifact, whose inputs and outputs are the manifest's.

    The file is read once, and what was hashed is what runs. Weights that lie beside a file of over 2 GiB are
    opened by onnxruntime itself, in a copy that belongs to this process alone.

    Args:
        folder: of the bundle.
        artifact: its row of the manifest.
        options: `onnxruntime.SessionOptions`, see `sealed`.
        providers: onnxruntime's execution providers.

    Raises:
        BundleError: the file is missing or altered, onnxruntime cannot load it, or it takes or gives
            something else than the manifest says.
    """
    content = contract.read_file(folder, artifact.file, artifact.files[artifact.file])
    beside = [name for name in artifact.files if name != artifact.file]
    try:
        check_locations(content, *beside)
    except Damaged as error:
        raise contract.damaged(folder, artifact.file, error) from error
    if not beside:
        session = _session(content, artifact, options, providers)
    else:
        with tempfile.TemporaryDirectory(prefix="aezoo-", ignore_cleanup_errors=True) as private:
            contract.copy_files(folder, artifact.files, private)
            session = _session(str(pathlib.Path(private) / artifact.file), artifact, options, providers)
    _check_ends(session, artifact)
    return session


def sealed(options: Any) -> Any:
    """Returns `onnxruntime.SessionOptions` by which a file is ONNX, and not onnxruntime's own format."""
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _session(source, artifact, options, providers):
    # To fall back onto the processor where that is what failed would only print.
    fallback = {} if list(providers) != ["CPUExecutionProvider"] else {"enable_fallback": 0}
    try:
        return onnxruntime.InferenceSession(source, options, providers=providers, **fallback)
    except Exception as error:  # onnxruntime's classes have no common base
        raise BundleError(
            f"onnxruntime cannot load the {artifact.part}",
            got=f"{artifact.file}: {_first_line(error)}",
            expected=f"opset {artifact.opset}, with onnxruntime {onnxruntime.__version__}",
            fix="update onnxruntime, or export with a lower opset",
        ) from error


def _check_ends(session, artifact):
    """Raises BundleError where a file has other inputs or outputs than its manifest says."""
    for end, rows, found in (
        ("inputs", artifact.inputs, session.get_inputs()),
        ("outputs", artifact.outputs, session.get_outputs()),
    ):
        said = sorted(_said(row) for row in rows)
        held = sorted(_held(tensor) for tensor in found)
        # What an output's shape will be, not every file tells; each answer is looked at, see `guarded`.
        of_names = [[text.split(" ", 2)[:2] for text in texts] for texts in (said, held)]
        if said != held if end == "inputs" else of_names[0] != of_names[1]:
            raise BundleError(
                f"the manifest calls {end} of the {artifact.part} otherwise than its file",
                got=f"{contract.MANIFEST}: {'; '.join(said)}",
                expected=f"{'; '.join(held)}, as in {artifact.file}"[:1000],
                fix="copy the bundle again, or export again",
            )


def _said(row: Tensor) -> str:
    return f"{row.name} {row.dtype} {[size if isinstance(size, int) else '?' for size in row.shape]}"


def _held(tensor: Any) -> str:
    kind = tensor.type.removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) else "?" for size in tensor.shape]
    return f"{tensor.name} {_TYPES.get(kind, kind)} {shape}"


def guarded(run: Any, artifact: Artifact) -> Run:
    """Returns a session's `run`, whose errors and answers of another shape than promised are BundleErrors.

    Args:
        run: of a session of `open_session`.
        artifact: its row of the manifest.
    """
    shapes = {row.name: row.shape[1:] for row in artifact.outputs}
    first = artifact.inputs[0].name

    def guarding(wanted: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        try:
            answers = run(wanted, inputs)
        except Exception as error:
            raise _odd(artifact, "cannot be run", _first_line(error), "an answer") from error
        count = len(inputs[first])
        for name, answer in zip(wanted, answers, strict=True):
            if answer.shape != (count, *shapes[name]):
                expected = f"shape {(count, *shapes[name])}, as in {contract.MANIFEST}"
                raise _odd(artifact, f"gives another {name}", f"shape {answer.shape}", expected)
        return answers

    return guarding


def _odd(artifact, problem, got, expected):
    return BundleError(
        f"the {artifact.part} {problem}",
        got=f"{artifact.file}: {got}",
        expected=expected,
        fix="do not use this bundle; export it again",
    )


def _first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
