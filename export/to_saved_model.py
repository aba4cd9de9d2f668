"""Writes a part as a SavedModel: one endpoint, with named inputs and outputs."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from aezoo.core.errors import ExportError
from aezoo.core.imports import import_keras, silent_stderr
from aezoo.export.formats import Job


def write_artifact(job: Job, path: pathlib.Path) -> None:
    """Writes a `formats.Job` as a SavedModel whose endpoint has the part's name."""
    write(
        job.model,
        path,
        inputs=job.input_names,
        outputs=job.output_names,
        endpoint=job.part,
        input_dtype=job.inputs[0].dtype,
        batch=job.batch,
    )


def write(
    part: Any,
    path: str | os.PathLike[str],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    endpoint: str,
    input_dtype: str = "float32",
    batch: int | None = None,
) -> None:
    """Writes a Keras model as a TensorFlow SavedModel.

    Args:
        part: functional Keras model.
        path: folder to write.
        inputs, outputs: their names in the signature, a tuple each.
        endpoint: name of the signature; "serving_default" is another name of it.
        input_dtype: of the first input; "uint8" for bytes 0..255, which are divided by 255, or the
            part's own.
        batch: examples in a batch; None leaves it open.

    Raises:
        ExportError: Keras does not run on TensorFlow in this process.
    """
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "a SavedModel is written by Keras's TensorFlow backend",
            got=f"KERAS_BACKEND={keras.backend.backend()}",
            expected="KERAS_BACKEND=tensorflow",
            fix="export in a process with KERAS_BACKEND=tensorflow, or with formats=('onnx',)",
        )
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert  # layers are graph code already: rewriting them is slow
    def serve(*values):
        if input_dtype == "uint8":
            values = (tf.cast(values[0], "float32") / 255.0, *values[1:])
        given = part(list(values) if len(values) > 1 else values[0], training=False)
        return dict(zip(outputs, given if isinstance(given, (list, tuple)) else [given], strict=True))

    dtypes = [tensor.dtype for tensor in part.inputs]
    if input_dtype == "uint8":
        dtypes[0] = "uint8"
    specs = [
        tf.TensorSpec((batch, *tensor.shape[1:]), dtype, name=name)
        for tensor, dtype, name in zip(part.inputs, dtypes, inputs, strict=True)
    ]
    with silent_stderr():  # TensorFlow's C++ reports each SavedModel on descriptor 2
        _save(path, part, {"name": endpoint, "fn": serve, "input_signature": specs})


def _save(path, part, endpoint):
    """Writes an endpoint.

    What it uses is found by itself, but for lookup tables: to look for those in every layer takes longer than
    all else.
    """
    keras = import_keras()
    for tracked in (False, True):
        archive = keras.export.ExportArchive()
        if tracked:
            archive.track(part)
        else:  # as tracking does, by the same names
            for name in ("variables", "trainable_variables", "non_trainable_variables"):
                archive.add_variable_collection(name, list(getattr(part, name)))
        archive.add_endpoint(**endpoint)
        try:
            archive.write_out(str(path), verbose=False)
            return
        except AssertionError:  # "... references an 'untracked' resource"
            if tracked:
                raise
