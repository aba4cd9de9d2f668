"""Writes a part as a LiteRT file (.tflite) for phones and small boards: built-in operators only.

TensorFlow's converter has two ways out that are never taken here. Flex operators would need TensorFlow
on the device. Dynamic-range weights, int8 with float32 arithmetic, make a transposed convolution a
hundred times slower. A file holds operators of LiteRT's own, in float32, or in int8 throughout.

Its int8 kernels do not saturate, as onnxruntime's do (to_onnx/rounding.py): with VNNI, without it and without
AVX2 the same bits came out, also where all weights are 127.
"""

import pathlib
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import ExportError
from aezoo.core.imports import import_keras, silent_stderr
from aezoo.export.formats import Job

_CALIBRATION = 200  # examples that tell the ranges of values; one at a time, so their number is time


def write_artifact(job: Job, path: pathlib.Path) -> dict[str, Any] | None:
    """Writes a `formats.Job` as a LiteRT file."""
    write(
        job.model,
        path,
        inputs=job.input_names,
        outputs=job.output_names,
        precision=job.precision,
        input_dtype=job.inputs[0].dtype,
        batch=job.batch,
        calibration=job.calibrated_inputs() if job.precision == "int8" else None,
    )
    return {"budget": job.budget} if job.precision == "int8" else None


def write(
    part: Any,
    path: pathlib.Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    precision: str = "float32",
    input_dtype: str = "float32",
    calibration: Mapping[str, np.ndarray] | None = None,
    batch: int | None = None,
) -> None:
    """Writes a Keras model as a LiteRT file with one signature, "serving_default".

    Args:
        part: functional Keras model.
        path: file to write.
        inputs, outputs: their names in the signature, a tuple each.
        precision: "float32"; "float16", weights of half the size that are widened when the file is
            opened; "int8", weights and values, with float32 inputs and outputs.
        input_dtype: of the first input; "uint8" for bytes 0..255, which are divided by 255, or the
            part's own.
        calibration: {input: array (N, ...)}, real inputs that tell the ranges of int8.
        batch: examples in a batch, as accelerators want it; None leaves it open.

    Raises:
        ExportError: Keras does not run on TensorFlow in this process, or an operation of the model has no
            operator of LiteRT in this precision.
    """
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "a LiteRT file is written by TensorFlow's converter",
            got=f"KERAS_BACKEND={keras.backend.backend()}",
            expected="KERAS_BACKEND=tensorflow",
            fix="export in a process with KERAS_BACKEND=tensorflow, or with formats=('onnx',)",
        )
    from aezoo.export.to_onnx import tensorflow_function

    traced = tensorflow_function.trace(
        part, inputs=inputs, outputs=outputs, input_dtype=input_dtype, batch=batch, unroll=True
    )
    failure = None
    with silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = _converter(traced, precision)
        if precision == "int8":
            converter.representative_dataset = lambda: _one_by_one(calibration, batch)
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises its own, and what MLIR and its calibrator raise
            failure = error
    if failure is not None:
        raise _cannot(part, precision, str(failure)) from failure
    path.write_bytes(content)


def _converter(traced, precision):
    """Returns TensorFlow's converter of a `tf.function`, set to a precision and to built-in operators."""
    import tensorflow as tf

    concrete, holder = traced.get_concrete_function(), tf.Module()
    holder.weights = concrete.variables  # with what holds the weights, the names are kept as well
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    elif precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


def _one_by_one(calibration, batch):
    """Yields inputs of the model, {name: array (1, ...)} or of the fixed batch."""
    size = batch or 1
    count = min(len(next(iter(calibration.values()))), _CALIBRATION)
    for start in range(0, count, size):
        taken = np.arange(start, start + size) % count
        yield {name: array[taken] for name, array in calibration.items()}


def _cannot(part, precision, text):
    """Returns the ExportError of a model that the converter refuses, naming the operations."""
    named = re.findall(r"(?:TF Select|Custom) ops: (.+)", text)
    named = (
        named
        or re.findall(r"error: '?(tfl?\.\w+)'? op", text)
        or re.findall(r"legalize operation '(.+?)'", text)
    )
    names = ", ".join(dict.fromkeys(named)) or " ".join(text.split())[:200]
    return ExportError(
        f"{part.name!r} has operations that LiteRT does not have in {precision}",
        got=names,
        expected="LiteRT's built-in operators, without Flex",
        fix="export this model with formats=('onnx',), or build the layer from other keras.ops",
    )
