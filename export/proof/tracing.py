"""Which layer of an ONNX file is the first to differ: what every node gave when the file was proven.

A bundle keeps five figures of each value inside its float32 ONNX files, over a few golden examples. Where a
proof fails later, with another onnxruntime or on another processor, the same figures are taken again, and
the first node of the graph whose figures have changed is named.
"""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from aezoo.core.arrays import Like, read_npz
from aezoo.runtime import manifest as contract
from aezoo.runtime.batching import channels_first, fixed_batch
from aezoo.runtime.schema import Artifact, TraceRow

_EXAMPLES = 4
_FIGURES = ("mean", "standard deviation", "smallest value", "largest value", "projection")
_LARGEST = 2**30  # bytes of a file, or of its figures: larger ones are not loaded a second time
_TOLERANCE = 1e-5  # of a value's range over the examples
_ROUNDINGS = 16  # of float32 at the largest figure, which a difference may always be


def write(
    draft: pathlib.Path, artifacts: Iterable[Artifact], golden: Mapping[str, np.ndarray]
) -> TraceRow | None:
    """Writes trace.npz into a proven draft; returns its row of the manifest, None where nothing is traced.

    Needs onnx, which whoever exports has.
    """
    arrays: dict[str, Any] = {}
    for artifact in artifacts:
        if _is_traced(artifact):
            figures = _figures(draft, artifact, golden)
            arrays[f"{artifact.file}:names"] = np.asarray(list(figures))
            arrays[f"{artifact.file}:figures"] = np.asarray(list(figures.values()))
    if not arrays:
        return None
    np.savez_compressed(draft / contract.TRACE, **arrays)
    return TraceRow(contract.hash_files(draft, contract.TRACE))


def first_difference(
    folder: contract.Folder, artifact: Artifact, golden: Mapping[str, np.ndarray]
) -> str | None:
    """Returns a text that names the first node whose figures have changed, or None where none has.

    Args:
        folder: of the bundle.
        artifact: row of the manifest, of a file that failed its proof.
        golden: the golden arrays.
    """
    path = pathlib.Path(folder) / contract.TRACE
    if not _is_traced(artifact) or not path.is_file():
        return None
    try:
        names, then = _read(path, artifact)
        return _compare(names, then, _figures(folder, artifact, golden))
    except ImportError:
        return "install onnx to learn which layer differs"
    except Exception:  # what only explains a failure must not become one
        return None


def _read(path, artifact):
    """Returns (names of values, their figures when the file was proven)."""
    ends = [f"{artifact.file}:{end}" for end in ("names", "figures")]
    expected = dict(zip(ends, (Like("U", (None,)), Like("f", (None, len(_FIGURES)))), strict=True))
    arrays = read_npz(path.read_bytes(), _LARGEST, expected, others=Like("Uf"))
    return [arrays[end] for end in ends]


def _compare(names, then, now):
    for name, before in zip(names.tolist(), then, strict=True):
        if name not in now:
            return f"the first layer that differs is {name}, which is no longer there"
        allowed = np.maximum(
            _TOLERANCE * (before[3] - before[2]), _ROUNDINGS * np.spacing(np.float32(np.abs(before).max()))
        )
        if not np.all(np.abs(now[name] - before) <= allowed):
            worst = int(np.argmax(np.abs(now[name] - before)))
            told = f"{_FIGURES[worst]} {now[name][worst]:.6g}, was {before[worst]:.6g}"
            return f"the first layer that differs is {name}: {told}"
    return None


def _is_traced(artifact):
    float32 = (artifact.format, artifact.precision) == ("onnx", "float32")
    return float32 and artifact.size_bytes < _LARGEST


def _figures(folder, artifact, golden):
    """Returns {value of the graph: (5,) float64} in the order of the nodes.

    Mean, standard deviation, smallest and largest value, and a projection onto fixed random signs, which
    sees a change of places that leaves the others alone.
    """
    import onnx
    import onnxruntime

    model = onnx.load(pathlib.Path(folder) / artifact.file)
    given = {tensor.name for tensor in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name]
    model.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in given
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it warns of outputs without a type
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    size, first = fixed_batch(artifact.inputs[0]) or _EXAMPLES, channels_first(artifact.inputs)
    inputs = {}
    for row in artifact.inputs:
        array = golden[row.golden]
        array = np.resize(array[:_EXAMPLES], (size, *array.shape[1:]))
        inputs[row.name] = np.moveaxis(array, -1, 1) if row.name in first else array
    figures = {}
    for name, value in zip(names, session.run(names, inputs), strict=True):
        if value.dtype.kind not in "fiub" or not value.size:
            continue
        flat = value.astype("float64").ravel()
        flat = np.where(np.isnan(flat), 0.0, flat)  # behind the ends of series, where nothing is compared
        signs = np.random.Generator(np.random.Philox(0)).integers(0, 2, flat.size) * 2 - 1
        projection = (flat * signs).sum() / np.sqrt(flat.size)
        figures[name] = np.asarray([flat.mean(), flat.std(), flat.min(), flat.max(), projection])
    return figures
