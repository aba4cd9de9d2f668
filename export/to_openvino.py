"""Writes a part as OpenVINO's IR: an .xml file of the graph, and a .bin file of the weights beside it.

It is made from our own ONNX file, which keeps the names, the open batch and the folded layouts; what
OpenVINO makes of Keras's SavedModel is larger and slower.
"""

import os
import pathlib
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from aezoo.core.imports import need
from aezoo.export import to_onnx
from aezoo.export.formats import Job


def write_artifact(job: Job, path: pathlib.Path) -> None:
    """Writes a `formats.Job` as an OpenVINO IR."""
    write(
        job.model,
        path,
        inputs=job.input_names,
        outputs=job.output_names,
        opset=job.opset,
        input_dtype="uint8" if job.inputs[0].dtype == "uint8" else "float32",
        batch=job.batch,
        channels_first=job.channels_first,
        precision=job.precision,
        metadata={**job.properties, "aezoo.part": job.part},
    )


def write(
    part: Any,
    path: str | os.PathLike[str],
    *,
    precision: str = "float32",
    metadata: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Writes a Keras model as OpenVINO's IR.

    Args:
        part: functional Keras model.
        path: the .xml file to write; the weights go beside it, under the same name with .bin.
        precision: "float32", or "float16" for weights of half the size, which are widened when the file
            is read.
        metadata: texts to keep in the file, a dict of str.
        **options: as for `to_onnx.write`.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        OptionError, ExportError: as `to_onnx.write`.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "part.onnx"
        to_onnx.write(part, file, **options)
        convert(file, path, name=part.name, precision=precision, metadata=metadata)


def convert(
    file: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    name: str,
    precision: str = "float32",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes an ONNX file of ours as OpenVINO's IR; arguments as for `write`, name is that of the graph."""
    openvino = need("openvino", extra="openvino")
    model = openvino.Core().read_model(file)
    for key, text in sorted((metadata or {}).items()):
        model.set_rt_info(text, key.split("."))
    _name(model, name)
    # Saved while the file is there: its weights are read when they are needed.
    openvino.save_model(model, path, compress_to_fp16=precision == "float16")


def _name(model, name):
    """Names a graph, and those of its operators that OpenVINO has numbered by what it read before."""
    model.set_friendly_name(name)
    for number, operator in enumerate(model.get_ordered_ops()):
        kind = operator.get_type_name()
        if kind != "Parameter" and re.fullmatch(rf"{kind}_\d+", operator.get_friendly_name()):
            operator.set_friendly_name(f"{kind}_{number}")
