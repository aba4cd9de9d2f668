"""Layers that work on features or elementwise: Dense, reshaping, scaling, merging, and no-ops."""

import numpy as np

from aezoo.errors import message
from aezoo.export.to_onnx.activations import activate, as_float32, stored_axis
from aezoo.export.to_onnx.graph import NotEmittable, meaningful_order, reorder
from aezoo.export.to_onnx.table import FACTOR, MAP, ORDER, emits
from aezoo.layers import Corruption, Standardize, Unstandardize
from aezoo.quiet import import_keras

keras = import_keras()
layers = keras.layers


def scaled(kernel, x):
    """Folds the factor of a tensor into the weights that multiply it."""
    return kernel if x.factor == 1.0 else (kernel.astype(np.float64) * x.factor).astype(np.float32)


@emits(
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
    layers.Identity,
    Corruption,
    keeps=(MAP, ORDER, FACTOR),
)
def vanish(graph, layer, x):
    """Layers that act in training only, or never."""
    return x


@emits(layers.Dense, keeps=(MAP,), reads=(ORDER, FACTOR))
def dense(graph, layer, x):
    """Rank 2 as Gemm, a channels-first map as a 1x1 convolution, any other rank as MatMul.

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
        y = graph.node("Gemm", [x, *weights])
    elif x.channels_first:
        weights = [graph.constant("kernel", kernel.T[:, :, None, None])]
        if bias is not None:
            weights.append(graph.constant("bias", bias))
        y = graph.node("Conv", [x, *weights], kernel_shape=(1, 1))
    else:
        y = graph.node("MatMul", [x, graph.constant("kernel", kernel)])
        if bias is not None:
            y = graph.node("Add", [y, graph.constant("bias", bias)])
    y = graph.result(y, channels_first=x.channels_first, order=order)
    return activate(graph, y, layer.activation)


@emits(layers.Flatten, keeps=(FACTOR,), reads=(MAP, ORDER))
def flatten(graph, layer, x):
    """A row of features a channels-first map says so, and whoever reads it permutes its weights."""
    if len(x.shape) == 2:
        return x
    order = meaningful_order(x.shape[1:]) if x.channels_first else None
    return graph.result(graph.node("Flatten", [x], axis=1), order=order, factor=x.factor)


@emits(layers.Reshape, keeps=(FACTOR,), reads=(MAP, ORDER))
def reshape(graph, layer, x):
    """To a channels-first map where the features are in that order, or where order is all the same."""
    target = graph.step.output.shape[1:]
    if target == x.shape[1:]:
        return x
    if len(target) == 1 and len(x.shape) == 4:
        return flatten(graph, layer, x)
    to_map = len(target) == 3 and len(x.shape) == 2
    first = to_map and graph.plan.wants_channels_first(graph.step.output)
    if first and x.order == meaningful_order(target):
        height, width, channels = target
        y = graph.node("Reshape", [x, graph.indices("shape", (-1, channels, height, width))])
        return graph.result(y, channels_first=True, factor=x.factor)
    x = graph.channels_last(x)
    y = graph.node("Reshape", [x, graph.indices("shape", (-1, *target))])
    return graph.result(y, factor=x.factor)


@emits(layers.Rescaling, keeps=(MAP, ORDER))
def rescaling(graph, layer, x):
    """x * scale + offset; either may hold a value for each channel."""
    scale, offset = (np.asarray(value, np.float32) for value in (layer.scale, layer.offset))
    if np.any(scale != 1):
        x = graph.pointwise(x, "Mul", graph.aligned(x, scale, "scale"))
    if np.any(offset != 0):
        x = graph.pointwise(x, "Add", graph.aligned(x, offset, "offset"))
    return x


@emits(layers.Normalization, keeps=(MAP, ORDER))
def normalization(graph, layer, x):
    """(x - mean) / deviation, or the way back; a deviation is at least Keras's epsilon."""
    mean = as_float32(layer.mean)
    deviation = np.maximum(np.sqrt(as_float32(layer.variance)), np.float32(keras.config.epsilon()))
    return _unshift(graph, x, mean, deviation) if layer.invert else _shift(graph, x, mean, deviation)


@emits(Standardize, keeps=(MAP, ORDER))
def standardize(graph, layer, x):
    """(x - mean) / scale."""
    return _shift(graph, x, as_float32(layer.mean), as_float32(layer.scale))


@emits(Unstandardize, keeps=(MAP, ORDER))
def unstandardize(graph, layer, x):
    """x * scale + mean."""
    return _unshift(graph, x, as_float32(layer.mean), as_float32(layer.scale))


def _shift(graph, x, mean, scale):
    x = graph.pointwise(x, "Sub", graph.aligned(x, mean, "mean"))
    return graph.pointwise(x, "Div", graph.aligned(x, scale, "scale"))


def _unshift(graph, x, mean, scale):
    x = graph.pointwise(x, "Mul", graph.aligned(x, scale, "scale"))
    return graph.pointwise(x, "Add", graph.aligned(x, mean, "mean"))


def _agree(graph, tensors):
    """Brings tensors of one rank to one layout: channels first where one of them is."""
    if len({len(x.shape) for x in tensors}) > 1:
        raise NotEmittable(
            message(
                f"the layer {graph.scope!r} merges tensors of different ranks",
                got=f"shapes {', '.join(str(x.shape) for x in tensors)}",
                expected="shapes of one rank",
                fix="pass route='tf2onnx', or reshape the smaller one before the merge",
            )
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
def merge(graph, layer, *tensors):
    """Add, Subtract, Multiply, Maximum, Minimum."""
    return _merged(graph, _MERGES[type(layer)], tensors)


@emits(layers.Average, keeps=(MAP, ORDER))
def average(graph, layer, *tensors):
    """The mean of the inputs."""
    total = _merged(graph, "Add", tensors)
    return graph.pointwise(total, "Mul", graph.scalar(1 / len(tensors)))


@emits(layers.Concatenate, keeps=(MAP,))
def concatenate(graph, layer, *tensors):
    """Joins along an axis of Keras's shape."""
    tensors = _agree(graph, tensors)
    y = graph.node("Concat", tensors, axis=stored_axis(tensors[0], layer.axis))
    return graph.result(y, channels_first=tensors[0].channels_first)
