"""A Keras model as a TensorFlow function of plain operations, which converters of such functions know.

Keras writes some layers in operations that no converter knows, or as chains of nodes around the batch
size: see the functions that begin with `_call_`, and `keras_internals.plain_arg_min`.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.layer_graph import is_graph_of_layers, walk
from aezoo.nn.keras_internals import plain_arg_min

keras = import_keras()


def trace(
    part: Any,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    input_dtype: str = "float32",
    scale_input: bool = True,
    batch: int | None = None,
    unroll: bool = False,
    channels_first: Collection[str] = (),
) -> Any:
    """Returns a function of tensors that computes what a model computes, not traced yet.

    Args:
        part: functional Keras model; its float32 copy is taken where it computes in less.
        inputs, outputs: their names, a tuple each; the function returns {output: tensor}.
        input_dtype: "uint8" for a first input of bytes 0..255.
        scale_input: bytes stand for 0 to 1, so divide them by 255.
        batch: examples in a batch; None leaves it open.
        channels_first: names of the inputs and outputs (B, H, W, C) that the function has as (B, C, H, W).
        unroll: write LSTM, GRU and SimpleRNN step by step instead of as a loop.

    Returns:
        A `tf.function` with an input signature.
    """
    import tensorflow as tf

    part = _in_float32(part)
    as_bytes = input_dtype == "uint8" and "float" in part.inputs[0].dtype
    specs: list[Any] = []
    for keras_input, name in zip(part.inputs, inputs, strict=True):
        dtype = "uint8" if as_bytes and not specs else keras_input.dtype
        sizes = keras_input.shape[1:]
        sizes = (sizes[-1], *sizes[:-1]) if name in channels_first else sizes
        specs.append(tf.TensorSpec((batch, *sizes), dtype, name=name))

    def call(layer, path, *args, **kwargs):
        if unroll and isinstance(layer, (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)):
            return _call_unrolled(layer, *args, **kwargs)
        return _STAND_INS.get(type(layer), _call_itself)(layer, *args, **kwargs)

    def transposed(values, names, permutation):
        pairs = zip(values, names, strict=True)
        return [tf.transpose(x, permutation) if name in channels_first else x for x, name in pairs]

    def compute(*values):
        values = transposed(values, inputs, (0, 2, 3, 1))
        if as_bytes:
            first, *others = values
            values = [tf.cast(first, tf.float32) * (1 / 255 if scale_input else 1.0), *others]
        # What layers add as a loss here would stay in them, as a tensor of a graph that is gone.
        with keras.StatelessScope(), plain_arg_min():
            answers = transposed(walk(part, values, call), outputs, (0, 3, 1, 2))
        return dict(zip(outputs, answers, strict=True))

    return tf.function(compute, input_signature=specs)


def _call_itself(layer, *args, **kwargs):
    return layer(*args, **kwargs)


def _call_unrolled(layer, *args, **kwargs):
    # A loop gathers its steps in a list of tensors, which LiteRT does not have.
    kept, layer.unroll = layer.unroll, True
    try:
        return layer(*args, **kwargs)
    finally:
        layer.unroll = kept


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
