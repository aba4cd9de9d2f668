"""Writes a model through TensorFlow's graph and tf2onnx: layers that the table does not know.

What tf2onnx writes wrongly without a word is kept from it: see the functions that begin with
`_call_`, the handler of Erfc and `_plain_arg_min`. A record at ERROR level in its log is an error here.
"""

import contextlib
import functools
import io
import logging
import warnings

import numpy as np

from aezoo.errors import ExportError, message, need
from aezoo.export.to_onnx import cleanup
from aezoo.export.to_onnx.walk import is_graph_of_layers, walk
from aezoo.quiet import import_keras, silent_stderr, verbose

keras = import_keras()

# The highest opset that tf2onnx 1.17 writes; onnx's own converter goes on from there.
HIGHEST_OPSET = 18


def build(part, *, inputs, outputs, opset, input_dtype, scale_input):
    """Returns the ONNX model of a Keras model.

    Args:
        part, inputs, outputs, opset, input_dtype, scale_input: as for `to_onnx.write`.

    Raises:
        ExportError: Keras runs on another backend, or tf2onnx cannot convert an operation.
    """
    if keras.backend.backend() != "tensorflow":
        raise _error(
            f"{part.name!r} can only be written through TensorFlow",
            got=f"Keras on the backend {keras.backend.backend()!r}",
            expected="Keras on TensorFlow, or layers that aezoo.export.to_onnx has in its table",
            fix="export in a process started with KERAS_BACKEND=tensorflow",
        )
    import tensorflow as tf

    converter = _patched()
    part = _in_float32(part)
    as_bytes = input_dtype == "uint8" and "float" in part.inputs[0].dtype
    specs = []
    for keras_input, name in zip(part.inputs, inputs, strict=True):
        dtype = "uint8" if as_bytes and not specs else keras_input.dtype
        specs.append(tf.TensorSpec((None, *keras_input.shape[1:]), dtype, name=name))

    def compute(*values):
        if as_bytes:
            first, *others = values
            values = [tf.cast(first, tf.float32) * (1 / 255 if scale_input else 1.0), *others]
        # What layers add as a loss here would stay in them, as a tensor of a graph that is gone.
        with keras.StatelessScope():
            return dict(zip(outputs, walk(part, values, _call), strict=True))

    with _quietly() as errors, _plain_arg_min():
        try:
            proto, _ = converter.convert.from_function(
                tf.function(compute, input_signature=specs),
                input_signature=specs,
                opset=min(opset, HIGHEST_OPSET),
            )
        except ExportError:
            raise
        except Exception as error:
            raise _failed(part, f"{type(error).__name__}: {error}") from error
        if errors:
            raise _failed(part, errors[0])
        try:
            return cleanup.clean(proto, inputs=inputs, outputs=outputs, opset=opset)
        except Exception as error:
            raise _failed(part, f"{type(error).__name__}: {error}") from error


def _error(problem, **lines):
    return ExportError(message(problem, **lines))


def _failed(part, got):
    return _error(
        f"tf2onnx cannot convert {part.name!r}",
        got=" ".join(str(got).split())[:300],
        expected="operations that have a counterpart in ONNX",
        fix="build the layer from other keras.ops, or write one with @aezoo.export.to_onnx.emits(TheLayer)",
    )


def _call(layer, path, *args, **kwargs):
    """Calls a layer on TensorFlow's tensors, or what stands in for it."""
    return _STAND_INS.get(type(layer), _call_itself)(layer, *args, **kwargs)


def _call_itself(layer, *args, **kwargs):
    return layer(*args, **kwargs)


def _call_up_sampling(layer, x):
    # Keras repeats rows and columns, which becomes Unsqueeze, Tile and Reshape; this becomes Resize.
    if layer.interpolation != "nearest" or layer.data_format != "channels_last":
        return layer(x)
    import tensorflow as tf

    size = [length * by for length, by in zip(x.shape[1:3], layer.size, strict=True)]
    return layer(x) if None in x.shape[1:3] else tf.image.resize(x, size, method="nearest")


def _call_normalization(layer, x):
    # Its mean and variance are tensors outside the function, which become required graph inputs.
    mean = np.asarray(layer.mean, np.float32)
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance, np.float32)), keras.config.epsilon())
    return x * deviation + mean if layer.invert else (x - mean) / deviation


def _call_reshape(layer, x):
    # Keras asks for the batch size at run time, which becomes a chain of nodes around Shape.
    import tensorflow as tf

    sizes = layer.compute_output_shape(x.shape)[1:]
    return layer(x) if None in sizes else tf.reshape(x, (-1, *sizes))


_STAND_INS = {
    keras.layers.Flatten: _call_reshape,
    keras.layers.Reshape: _call_reshape,
    keras.layers.UpSampling2D: _call_up_sampling,
    keras.layers.Normalization: _call_normalization,
}


def _in_float32(part):
    """Returns the model itself, or a copy of it where something computes in less than float32."""
    if all(layer.compute_dtype in ("float32", None) for layer in _leaves(part)):
        return part

    def in_float32(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    copy = keras.models.clone_model(part, clone_function=in_float32, recursive=True)
    copy.set_weights([np.asarray(weight).astype(np.float32) for weight in part.get_weights()])
    return copy


def _leaves(model):
    for layer in model.layers:
        if is_graph_of_layers(layer):
            yield from _leaves(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


@functools.cache
def _patched():
    """Returns tf2onnx, able to run with NumPy 2 and to convert Erfc."""
    with silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Looking for it would warn; tf2onnx 1.17 needs it, and Keras's patch sets it likewise.
        if "object" not in vars(np):
            np.object = object
        tf2onnx = need("tf2onnx", extra="train")
        from keras.src.export.tf2onnx_lib import patch_tf2onnx

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


@contextlib.contextmanager
def _plain_arg_min():
    """Lets Keras find the smallest and largest values by TensorFlow's own operations.

    Its detour for negative zeros looks at the bits of the numbers, which becomes an operation that
    no runtime knows.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow import numpy as backend

    def plain(function):
        def find(x, axis=None, keepdims=False):
            x = tf.convert_to_tensor(x)
            values = tf.reshape(x, (-1,)) if axis is None else x
            found = function(values, axis=axis or 0, output_type="int32")
            if not keepdims:
                return found
            return tf.reshape(found, (1,) * x.ndim) if axis is None else tf.expand_dims(found, axis)

        return find

    kept = backend.argmin, backend.argmax
    backend.argmin, backend.argmax = plain(tf.argmin), plain(tf.argmax)
    try:
        yield
    finally:
        backend.argmin, backend.argmax = kept


class _Errors(logging.Handler):
    """Keeps the texts of the records at ERROR level."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.texts = []

    def emit(self, record):
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
