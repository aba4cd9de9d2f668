"""Writes an artifact of a bundle as ONNX, in the precision that is asked for."""

import pathlib
from typing import Any

from aezoo.export import to_onnx
from aezoo.export.formats import Job

# From here on Gelu is one operator. As a chain around Erf it costs five times as much behind a
# DequantizeLinear: onnxruntime gives each of its two readers a copy, and no longer knows the chain again.
_INT8_OPSET = 20


def write_artifact(job: Job, path: pathlib.Path) -> dict[str, Any]:
    """Writes a `formats.Job` as an ONNX file; returns what its row of the manifest says beyond the usual."""
    opset = max(job.opset, _INT8_OPSET) if job.precision == "int8" else job.opset
    said: dict[str, Any] = {"opset": opset}

    def change(proto):
        if job.precision == "int8":
            from aezoo.export.to_onnx.precision.quantize import quantize as convert
        else:
            from aezoo.export.to_onnx.precision.float16 import halve as convert
        proto, row = convert(proto, job)
        said.update(row)
        return proto

    to_onnx.write(
        job.model,
        path,
        inputs=job.input_names,
        outputs=job.output_names,
        opset=opset,
        input_dtype="uint8" if job.inputs[0].dtype == "uint8" else "float32",
        batch=job.batch,
        channels_first=job.channels_first,
        metadata={**job.properties, "aezoo.part": job.part},
        change=None if job.precision == "float32" else change,
    )
    return said
