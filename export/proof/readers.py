"""How an artifact of each format is opened and run, by the program that reads such files: no Keras.

A function of this module takes the path and the part's name, and returns (run, found): `run` takes
{input: array} and returns {output: array}; `found` is {"inputs": {name: dtype}, "outputs": {name: dtype}},
as the file itself says. Where the row of `FORMATS` says `threads`, it also takes how many threads one call
may use; None leaves that to the runtime.
"""

import ctypes
import math
import os
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aezoo.core.imports import need
from aezoo.export.formats import FORMATS, c_compiler
from aezoo.runtime.batching import Run
from aezoo.runtime.external_data import check_locations
from aezoo.runtime.schema import Artifact

# (run, found): {input: array} to {output: array}, and {"inputs" or "outputs": {name: dtype}}.
Opened = tuple[Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]], dict[str, dict[str, str]]]


def open_artifact(folder: str | os.PathLike[str], artifact: Artifact, **options: Any) -> Opened:
    """Opens an artifact of a bundle, given its row of the manifest; returns (run, found).

    Args:
        folder: of a draft, or of a copy that nobody else can change: a runtime opens the path it is given.
        artifact: its row of the manifest.
        options: of the format's own opener, such as `threads`.
    """
    opener = globals()[FORMATS[artifact.format].opener]
    return opener(pathlib.Path(folder) / artifact.file, artifact.part, **options)


def open_onnx(path: pathlib.Path, part: str, threads: int | None = None) -> Opened:
    """Opens an ONNX file with onnxruntime."""
    onnxruntime = need("onnxruntime", extra="train")
    from aezoo.runtime.onnx_files import sealed

    options = sealed(onnxruntime.SessionOptions())
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    check_locations(path.read_bytes(), f"{path.name}.data")
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
    )
    dtypes = {"tensor(float)": "float32"}
    found = {
        end: {t.name: dtypes.get(t.type, t.type[len("tensor(") : -1]) for t in tensors}
        for end, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs()))
    }
    names = list(found["outputs"])
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True)), found


def open_saved_model(path: pathlib.Path, part: str, threads: int | None = None) -> Opened:
    """Opens a SavedModel with TensorFlow, whose threads can only be set before its first use in a process."""
    from aezoo.core.imports import silent_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_stderr():
        tf = need("tensorflow", extra="train")
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        loaded = tf.saved_model.load(str(path))
    endpoint = loaded.signatures[part]
    found = {
        "inputs": {name: spec.dtype.name for name, spec in endpoint.structured_input_signature[1].items()},
        "outputs": {name: spec.dtype.name for name, spec in endpoint.structured_outputs.items()},
    }

    # The archive must outlive the endpoint, which does not hold its variables itself.
    def run(inputs, keep=loaded):
        return endpoint(**{name: tf.constant(array) for name, array in inputs.items()})

    return run, found


def open_litert(path: pathlib.Path, part: str, threads: int | None = None) -> Opened:
    """Opens a LiteRT file with the plain interpreter, which knows no Flex operators."""
    from aezoo.core.imports import silent_stderr

    interpreter = need("ai_edge_litert.interpreter", extra="litert").Interpreter
    with silent_stderr():  # it tells on descriptor 2 which kernels it has chosen
        signature = interpreter(str(path), num_threads=threads).get_signature_runner()
    ends = {"inputs": signature.get_input_details(), "outputs": signature.get_output_details()}
    found = {
        end: {name: np.dtype(details["dtype"]).name for name, details in tensors.items()}
        for end, tensors in ends.items()
    }

    def run(inputs):
        with silent_stderr():
            return signature(**inputs)

    return run, found


def open_openvino(path: pathlib.Path, part: str, threads: int | None = None) -> Opened:
    """Opens an OpenVINO IR, in float32 as the file says: on many processors bfloat16 would be chosen."""
    openvino = need("openvino", extra="openvino")
    core = openvino.Core()
    model = core.read_model(str(path))
    # As the file has them: compiling gives a tensor the names of those beside it that it is one with.
    found = {
        end: {", ".join(sorted(port.get_names())): port.get_element_type().to_dtype().name for port in ports}
        for end, ports in (("inputs", model.inputs), ("outputs", model.outputs))
    }
    more = {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **more})
    taken, given = (list(found[end]) for end in ("inputs", "outputs"))

    def run(inputs):
        answers = compiled({taken.index(name): array for name, array in inputs.items()})
        return {name: answers[number] for number, name in enumerate(given)}

    return run, found


_C_OPTIONS = ("-std=c99", "-O2", "-shared", "-fPIC")


def compile_c(path: pathlib.Path, library: str | os.PathLike[str]) -> None:
    """Compiles a C header into a library, a path; raises OSError with what the compiler says."""
    path = pathlib.Path(path).absolute()
    macro, _ = signature_of(path)
    program = (
        f'#define AEZOO_API extern\n#include "{path.name}"\nconst char signature[] = {macro}_SIGNATURE;\n'
    )
    done = subprocess.run(
        [c_compiler() or "cc", *_C_OPTIONS, "-x", "c", "-", "-I", path.parent, "-o", library, "-lm"],
        input=program,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        raise OSError(f"the C compiler refuses it: {done.stderr.strip()}")


def open_c(path: pathlib.Path, part: str, library: str | None = None) -> Opened:
    """Opens a C header as a library, and calls its function once for each example.

    Args:
        path: of the header.
        part: its name.
        library: of `compile_c`; None compiles one now.
    """
    macro, _ = signature_of(path)
    if library is not None:
        loaded = ctypes.CDLL(library)
    else:
        with tempfile.TemporaryDirectory() as folder:
            library = os.path.join(folder, "library.so")
            compile_c(path, library)
            loaded = ctypes.CDLL(library)  # stays open when the file is gone
    signature = (ctypes.c_char * 4096).in_dll(loaded, "signature").value.decode()
    ends = [_c_arrays(end) for end in signature.split(" -> ")]
    function = loaded[macro.lower()]

    def run(inputs):
        taken = [np.ascontiguousarray(inputs[name], dtype) for name, dtype, _ in ends[0]]
        count = len(taken[0])
        for array, (name, _, shape) in zip(taken, ends[0], strict=True):
            if array.size != count * math.prod(shape):  # it would read beyond the end
                raise ValueError(f"{name} has shape {array.shape[1:]}, and the header takes {shape}")
        given = [np.full((count, *shape), -1, dtype) for _, dtype, shape in ends[1]]
        for example in range(count):
            places = (array.ctypes.data + example * array.strides[0] for array in (*taken, *given))
            if function(*map(ctypes.c_void_p, places)):
                raise OSError("the header's function returned an error")
        return {name: array for (name, _, _), array in zip(ends[1], given, strict=True)}

    return run, {
        end: {name: dtype for name, dtype, _ in arrays}
        for end, arrays in zip(("inputs", "outputs"), ends, strict=True)
    }


def signature_of(path: pathlib.Path) -> tuple[str, str]:
    """Returns what a C header says of itself: (prefix of its macros, "name:type:sizes -> ...")."""
    found = re.search(r'#define (\w+)_SIGNATURE "(.*)"', pathlib.Path(path).read_text("utf-8"))
    if found is None:
        raise ValueError("the header does not say what it takes and gives")
    return found[1], found[2]


def _c_arrays(text):
    """Returns [(name, dtype, shape)] of one end of a header's signature."""
    rows = (array.split(":") for array in text.split(" "))
    return [(name, dtype, tuple(int(n) for n in sizes.split("x") if n)) for name, dtype, sizes in rows]


def listed(run: Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]) -> Run:
    """Returns a reader's `run` as a function of names of outputs and inputs, which returns a list."""

    def listed(wanted, inputs):
        answers = run(inputs)
        return [np.asarray(answers[name]) for name in wanted]

    return listed
