"""Layers that work on features or elementwise: Dense, reshaping, scaling, merging, and no-ops."""

from typing import Any

import numpy as np

from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.emitters.activations import activate, as_float32, stored_axis
from aezoo.export.to_onnx.graph import Graph, NotEmittable, Tensor, meaningful_order, reorder
from aezoo.export.to_onnx.table import FACTOR, INTEGERS, MAP, ORDER, emits

keras = import_keras()
layers = keras.layers


# What takes a sequence step by step, the steps first: (T, B, F).
RECURRENT = (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Bidirectional)


def scaled(kernel: np.ndarray, x: Tensor) -> np.ndarray:
    """Folds the factor of a tensor into the weights that multiply it."""
    return kernel if x.factor == 1.0 else (kernel.astype(np.float64) * x.factor).astype(np.float32)


@emits(
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
    layers.Identity,
    keeps=(MAP, ORDER, FACTOR, INTEGERS),
)
def vanish(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Layers that act in training only, or never."""
    return x


@emits(layers.Dense, keeps=(MAP,), reads=(ORDER, FACTOR))
def dense(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Rank 2 as Gemm, what is channels first as a convolution of size 1, anything else as MatMul.

    Rows of the kernel follow the order in which the features come; columns and bias the order in
    which a Reshape further on wants them.
    """
    kernel = scaled(reorder(as_float32(layer.kernel), x.order, axis=0), x)
    bias = as_float32(layer.bias) if layer.use_bias else None
    order = graph.plan.map_of_features(graph.step.output) if len(x.shape) == 2 else None
    kernel = reorder(kernel, order, axis=1)
    if len(x.shape) == 2:
        weights = [graph.constant("kernel", kernel)]
        if bias is not None:
            weights.append(graph.constant("bias", reorder(bias, order, axis=0)))
        name = graph.node("Gemm", [x, *weights])
    elif x.channels_first:
        ones = (1,) * (len(x.shape) - 2)
        weights = [graph.constant("kernel", kernel.T.reshape(*kernel.T.shape, *ones))]
        if bias is not None:
            weights.append(graph.constant("bias", bias))
        name = graph.node("Conv", [x, *weights], kernel_shape=ones)
    else:
        name = graph.node("MatMul", [x, graph.constant("kernel", kernel)])
        if bias is not None:
            name = graph.node("Add", [name, graph.constant("bias", bias)])
    y = graph.result(name, channels_first=x.channels_first, order=order)
    return activate(graph, y, layer.activation)


@emits(layers.TimeDistributed, keeps=(MAP,), reads=(FACTOR,))
def time_distributed(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """A Dense works on the last axis by itself."""
    if type(layer.layer) is not layers.Dense:
        raise NotEmittable(
            f"no function writes what {graph.scope!r} does at every step as ONNX",
            got=f"TimeDistributed({type(layer.layer).__name__}(...))",
            expected="TimeDistributed(Dense(...))",
            fix="pass route='tf2onnx', or use a layer that works on sequences",
        )
    return dense(graph, layer.layer, x)


@emits(layers.Embedding, reads=(INTEGERS,))
def embedding(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """A row of the table for each index."""
    if layer.mask_zero:
        raise NotEmittable(
            f"the layer {graph.scope!r} hands on a mask",
            got="mask_zero=True",
            expected="layers that see every step",
            fix="pass route='tf2onnx', or leave mask_zero out",
        )
    table = graph.constant("embeddings", as_float32(layer.embeddings))
    return graph.result(graph.node("Gather", [table, graph.cast(x, "int64")], axis=0))


@emits(layers.Flatten, keeps=(FACTOR, INTEGERS), reads=(MAP, ORDER))
def flatten(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """A row of features a channels-first map says so, and whoever reads it permutes its weights."""
    if len(x.shape) == 2:
        return x
    order = meaningful_order(x.shape[1:]) if x.channels_first else None
    if len(x.shape) == 1:
        y = graph.node("Reshape", [x, graph.indices("shape", (-1, 1))])
    else:
        y = graph.node("Flatten", [x], axis=1)
    return graph.result(y, order=order, factor=x.factor, dtype=x.dtype)


@emits(layers.Reshape, keeps=(FACTOR, INTEGERS), reads=(MAP, ORDER))
def reshape(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """To channels first where the features are in that order, or where order is all the same."""
    target = graph.step.output.shape[1:]
    if target == x.shape[1:]:
        return x
    if len(target) == 1:
        return flatten(graph, layer, x)
    *sizes, channels = target
    if graph.plan.wants_channels_first(graph.step.output):
        in_order = len(x.shape) == 2 and x.order == meaningful_order(target)
        if in_order or (x.channels_first and x.shape[-1] == channels):
            y = graph.node("Reshape", [x, graph.indices("shape", (-1, channels, *sizes))])
            return graph.result(y, channels_first=True, factor=x.factor, dtype=x.dtype)
    x = graph.channels_last(x)
    y = graph.node("Reshape", [x, graph.indices("shape", (-1, *target))])
    return graph.result(y, factor=x.factor, dtype=x.dtype)


@emits(layers.Permute, keeps=(FACTOR, INTEGERS), reads=(MAP,))
def permute(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """From the layout at hand to the one that is wanted."""
    rank = len(x.shape)
    first = rank > 2 and graph.plan.wants_channels_first(graph.step.output)
    axes = (0, *layer.dims)
    axes = (0, axes[-1], *axes[1:-1]) if first else axes
    stored = (None, x.shape[-1], *x.shape[1:-1]) if x.channels_first else x.shape
    y = graph.transposed(x.name, stored, tuple(stored_axis(x, axis) for axis in axes))
    return graph.result(y, channels_first=first, factor=x.factor, dtype=x.dtype)


@emits(layers.RepeatVector, keeps=(FACTOR, INTEGERS))
def repeat_vector(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Expand, stored as whoever comes next wants it."""
    output = graph.step.output
    first = graph.plan.wants_channels_first(output)
    times, features = output.shape[1:]
    by_step = any(isinstance(step.layer, RECURRENT) for step in graph.plan.consumers(output))
    axis = 2 if first else 0 if by_step else 1
    shape = [1, 1, 1]
    shape[axis] = times
    y = graph.node("Unsqueeze", [x, graph.indices("axes", (axis,))])
    y = graph.node("Expand", [y, graph.indices("shape", shape)])
    if axis == 0:
        # Whoever reads this wants it the other way round, and then nothing is left of it.
        y = graph.transposed(y, (times, None, features), (1, 0, 2))
    return graph.result(y, channels_first=first, factor=x.factor, dtype=x.dtype)


@emits(layers.Rescaling, keeps=(MAP, ORDER))
def rescaling(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """x * scale + offset; either may hold a value for each channel."""
    scale, offset = (np.asarray(value, np.float32) for value in (layer.scale, layer.offset))
    if np.any(scale != 1):
        x = graph.pointwise(x, "Mul", graph.aligned(x, scale, "scale"))
    if np.any(offset != 0):
        x = graph.pointwise(x, "Add", graph.aligned(x, offset, "offset"))
    return x


@emits(layers.Normalization, keeps=(MAP, ORDER))
def normalization(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """(x - mean) / deviation, or the way back; a deviation is at least Keras's epsilon."""
    mean = as_float32(layer.mean)
    deviation = np.maximum(np.sqrt(as_float32(layer.variance)), np.float32(keras.config.epsilon()))
    return unshift(graph, x, mean, deviation) if layer.invert else shift(graph, x, mean, deviation)


def shift(graph: Graph, x: Tensor, mean: np.ndarray, scale: np.ndarray) -> Tensor:
    """(x - mean) / scale."""
    x = graph.pointwise(x, "Sub", graph.aligned(x, mean, "mean"))
    return graph.pointwise(x, "Div", graph.aligned(x, scale, "scale"))


def unshift(graph: Graph, x: Tensor, mean: np.ndarray, scale: np.ndarray) -> Tensor:
    """x * scale + mean."""
    x = graph.pointwise(x, "Mul", graph.aligned(x, scale, "scale"))
    return graph.pointwise(x, "Add", graph.aligned(x, mean, "mean"))


def _agree(graph, tensors):
    """Brings tensors of one rank to one layout: channels first where one of them is."""
    if len({len(x.shape) for x in tensors}) > 1:
        raise NotEmittable(
            f"the layer {graph.scope!r} merges tensors of different ranks",
            got=f"shapes {', '.join(str(x.shape) for x in tensors)}",
            expected="shapes of one rank",
            fix="pass route='tf2onnx', or reshape the smaller one before the merge",
        )
    if any(x.channels_first for x in tensors):
        return [graph.channels_first(x) for x in tensors]
    if len({(x.order, x.shape) for x in tensors}) > 1:
        return [graph.channels_last(x) for x in tensors]
    return tensors


def _merged(graph, op_type, tensors):
    """A chain of two-operand nodes, which more runtimes read than one of many operands."""
    first, *others = _agree(graph, tensors)
    name = first.name
    for other in others:
        name = graph.node(op_type, [name, other])
    return graph.result(name, channels_first=first.channels_first, order=first.order)


_MERGES = {
    layers.Add: "Add",
    layers.Subtract: "Sub",
    layers.Multiply: "Mul",
    layers.Maximum: "Max",
    layers.Minimum: "Min",
}


@emits(*_MERGES, keeps=(MAP, ORDER))
def merge(graph: Graph, layer: Any, *tensors: Tensor) -> Tensor:
    """Add, Subtract, Multiply, Maximum, Minimum."""
    return _merged(graph, _MERGES[type(layer)], tensors)


@emits(layers.Average, keeps=(MAP, ORDER))
def average(graph: Graph, layer: Any, *tensors: Tensor) -> Tensor:
    """The mean of the inputs."""
    total = _merged(graph, "Add", tensors)
    return graph.pointwise(total, "Mul", graph.scalar(1 / len(tensors)))


@emits(layers.Concatenate, keeps=(MAP,))
def concatenate(graph: Graph, layer: Any, *tensors: Tensor) -> Tensor:
    """Joins along an axis of Keras's shape."""
    tensors = _agree(graph, tensors)
    y = graph.node("Concat", tensors, axis=stored_axis(tensors[0], layer.axis))
    return graph.result(y, channels_first=tensors[0].channels_first)
