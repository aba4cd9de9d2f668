"""What parts, formats and precisions there are, and what the files of a bundle are called."""

import dataclasses
from typing import Literal

Part = Literal["encoder", "decoder", "reconstructor", "code_decoder", "scorer"]
Format = Literal["saved_model", "onnx", "litert", "openvino", "c"]
Precision = Literal["float32", "float16", "int8"]

MANIFEST = "manifest.json"
SIDECAR = "bundle.sha256"
CARD = "README.md"
GOLDEN = "golden.npz"
PRIOR = "prior.npz"
CALIBRATION = "calibration.npz"
TRACE = "trace.npz"


@dataclasses.dataclass(frozen=True)
class Files:
    """What the artifacts of a format are called.

    Attributes:
        names: paths in the bundle, with {part} and {precision}, "" for float32, ".int8": of the artifact
            itself, and of what may hold its weights beside it.
        precisions: that the format is written in.
        folder: whether the artifact is a folder, to which all files in it belong.
    """

    names: tuple[str, ...]
    precisions: tuple[Precision, ...]
    folder: bool = False


FILES: dict[Format, Files] = {
    "saved_model": Files(("saved_model/{part}",), ("float32",), folder=True),
    # beside it the weights of a file of over 2 GiB
    "onnx": Files(("{part}{precision}.onnx", "{part}{precision}.onnx.data"), ("float32", "float16", "int8")),
    "litert": Files(("{part}{precision}.tflite",), ("float32", "float16", "int8")),
    "openvino": Files(
        ("openvino/{part}{precision}.xml", "openvino/{part}{precision}.bin"), ("float32", "float16")
    ),
    "c": Files(("c/{part}{precision}.h",), ("float32", "int8")),
}


def artifact_files(part: Part, format: Format, precision: Precision = "float32") -> tuple[str, ...]:
    """Returns the paths of an artifact in its bundle: its own, a folder for a SavedModel, then its weights'.

    >>> artifact_files("encoder", "openvino", "float16")
    ('openvino/encoder.float16.xml', 'openvino/encoder.float16.bin')
    """
    suffix = "" if precision == "float32" else f".{precision}"
    return tuple(name.format(part=part, precision=suffix) for name in FILES[format].names)


def is_inside(name: str) -> bool:
    """Whether a text is the path of a file below a folder: relative, normalised, and so on every system.

    >>> is_inside("c/encoder.h"), is_inside("c/../../x"), is_inside("/etc/passwd"), is_inside("c//x")
    (True, False, False, False)
    """
    plain = name.isprintable() and not set(name) & set('\\:*?"<>|')
    return plain and all(part.strip(" .") for part in name.split("/"))
