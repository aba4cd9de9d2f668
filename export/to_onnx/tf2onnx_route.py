"""Writes a model through TensorFlow's graph and tf2onnx: layers that the table does not know.

What tf2onnx writes wrongly without a word is kept from it: see `tensorflow_function` and the handler of
Erfc. A record at ERROR level in its log is an error here.
"""

import contextlib
import functools
import io
import logging
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx

from aezoo.core.errors import ExportError
from aezoo.core.imports import import_keras, need, silent_stderr, verbose
from aezoo.export.to_onnx import cleanup, tensorflow_function
from aezoo.nn.keras_internals import patch_tf2onnx

keras = import_keras()

# The highest opset that tf2onnx 1.17 writes; onnx's own converter goes on from there.
HIGHEST_OPSET = 18


def build(
    part: Any,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int,
    input_dtype: str,
    scale_input: bool,
    channels_first: Collection[str] = frozenset(),
) -> onnx.ModelProto:
    """Returns the ONNX model of a Keras model.

    Args:
        part, inputs, outputs, opset, input_dtype, scale_input, channels_first: as for `to_onnx.write`.

    Raises:
        ExportError: Keras runs on another backend, or tf2onnx cannot convert an operation.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"{part.name!r} can only be written through TensorFlow",
            got=f"Keras on the backend {keras.backend.backend()!r}",
            expected="Keras on TensorFlow, or layers that aezoo.export.to_onnx has in its table",
            fix="export in a process started with KERAS_BACKEND=tensorflow",
        )
    converter = _patched()
    traced = tensorflow_function.trace(
        part,
        inputs=inputs,
        outputs=outputs,
        input_dtype=input_dtype,
        scale_input=scale_input,
        channels_first=channels_first,
    )
    with _quietly() as errors:
        try:
            proto, _ = converter.convert.from_function(
                traced,
                input_signature=traced.input_signature,
                opset=min(opset, HIGHEST_OPSET),
            )
        except Exception as error:
            if own := _own(error):
                raise own from None
            raise _failed(part, f"{type(error).__name__}: {error}") from error
        if errors:
            raise _failed(part, errors[0])
        try:
            return cleanup.clean(proto, inputs=inputs, outputs=outputs, opset=opset)
        except Exception as error:
            raise _failed(part, f"{type(error).__name__}: {error}") from error


def _own(error):
    """Returns the refusal of ours that an error is, or that TensorFlow has wrapped into one of its own."""
    while error is not None and not isinstance(error, ExportError):
        error = error.__cause__ or error.__context__
    return error


def _failed(part, got):
    return ExportError(
        f"tf2onnx cannot convert {part.name!r}",
        got=" ".join(str(got).split())[:300],
        expected="operations that have a counterpart in ONNX",
        fix="build the layer from other keras.ops, or write one with @aezoo.export.to_onnx.emits(TheLayer)",
    )


@functools.cache
def _patched():
    """Returns tf2onnx, able to run with NumPy 2 and to convert Erfc."""
    with silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Looking for it would warn; tf2onnx 1.17 needs it, and Keras's patch sets it likewise.
        if "object" not in vars(np):
            np.object = object
        tf2onnx = need("tf2onnx", extra="train")
        patch_tf2onnx()
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        """1 - erf(x): tf2onnx passes the operation of exact gelu on as it is."""

        @classmethod
        def version_9(cls, ctx, node, **kwargs):
            """Replaces the node by Erf and Sub."""
            output, shape, dtype = (
                node.output[0],
                ctx.get_shape(node.output[0]),
                ctx.get_dtype(node.output[0]),
            )
            ctx.remove_node(node.name)
            erf = ctx.make_node("Erf", node.input, shapes=[shape], dtypes=[dtype])
            one = ctx.make_const(tf2onnx.utils.make_name("one"), np.array(1, np.float32))
            inputs = [one.output[0], erf.output[0]]
            ctx.make_node("Sub", inputs, outputs=[output], shapes=[shape], dtypes=[dtype])

    return tf2onnx


class _Errors(logging.Handler):
    """Keeps the texts of the records at ERROR level."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextlib.contextmanager
def _quietly():
    """Holds back tf2onnx's log, and gives the list of the errors in it."""
    logger, handler = logging.getLogger("tf2onnx"), _Errors()
    propagate, level = logger.propagate, logger.level
    logger.addHandler(handler)
    if not verbose():
        logger.propagate = False
        logger.setLevel(logging.ERROR)
    stdout = contextlib.nullcontext() if verbose() else contextlib.redirect_stdout(io.StringIO())
    try:
        with silent_stderr(), warnings.catch_warnings(), stdout:
            if not verbose():
                warnings.simplefilter("ignore")
            yield handler.texts
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
        logger.setLevel(level)
