"""Writes an artifact of a bundle as ONNX."""

from aezoo.export import to_onnx


def write_artifact(job, path):
    """Writes a `formats.Job` as an ONNX file."""
    to_onnx.write(
        job.model,
        path,
        inputs=job.input_names,
        outputs=job.output_names,
        opset=job.opset,
        input_dtype="uint8" if job.inputs[0]["dtype"] == "uint8" else "float32",
        batch=job.batch,
        channels_first=job.channels_first,
        metadata={**job.properties, "aezoo.part": job.part},
    )
