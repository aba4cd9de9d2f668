"""Normalisation layers: batch, layer and group, on rows of features and on channels-first maps."""

from typing import Any

import numpy as np

from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.emitters.activations import as_float32, stored_axis
from aezoo.export.to_onnx.graph import Graph, NotEmittable, Tensor
from aezoo.export.to_onnx.table import MAP, ORDER, emits

layers = import_keras().layers


@emits(layers.BatchNormalization, keeps=(MAP, ORDER))
def batch_normalization(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Moving statistics, never those of the batch; runtimes fold the operator into a convolution."""
    features = x.shape[layer.axis]
    statistics = {
        "gamma": as_float32(layer.gamma) if layer.scale else np.ones(features, np.float32),
        "beta": as_float32(layer.beta) if layer.center else np.zeros(features, np.float32),
        "moving_mean": as_float32(layer.moving_mean),
        "moving_variance": as_float32(layer.moving_variance),
    }
    if stored_axis(x, layer.axis) == 1:
        weights = [graph.per_feature(x, values, name) for name, values in statistics.items()]
        return graph.pointwise(x, "BatchNormalization", *weights, epsilon=float(layer.epsilon))
    # ONNX's operator knows axis 1 alone.
    gamma, beta, mean, variance = (values.astype(np.float64) for values in statistics.values())
    scale = gamma / np.sqrt(variance + layer.epsilon)
    broadcast = [1] * len(x.shape)
    broadcast[layer.axis] = features
    x = graph.pointwise(x, "Mul", graph.aligned(x, scale.reshape(broadcast), "scale"))
    return graph.pointwise(x, "Add", graph.aligned(x, (beta - mean * scale).reshape(broadcast), "offset"))


@emits(layers.LayerNormalization, keeps=(MAP, ORDER))
def layer_normalization(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """ONNX's operator over the last stored axis; over any others the formula, in the layout at hand."""
    rank = len(x.shape)
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    axes = [axis % rank for axis in axes]
    if layer.rms_scaling or 0 in axes:
        raise NotEmittable(
            f"no function writes the options of {graph.scope!r} as ONNX",
            got=f"axis={axes}, rms_scaling={layer.rms_scaling}",
            expected="a normalisation of each example by its mean and variance",
            fix="pass route='tf2onnx', or use axis=-1",
        )
    broadcast = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    sizes = [x.shape[axis] for axis in axes]
    gamma = as_float32(layer.gamma) if layer.scale else np.ones(sizes, np.float32)
    beta = as_float32(layer.beta) if layer.center else np.zeros(sizes, np.float32)
    if axes == [rank - 1] and not x.channels_first:
        scale = graph.aligned(x, gamma, "gamma")
        shift = [graph.aligned(x, beta, "beta")] if layer.center else []
        return graph.pointwise(x, "LayerNormalization", scale, *shift, axis=-1, epsilon=float(layer.epsilon))
    stored = sorted(stored_axis(x, axis) for axis in axes)
    centred = graph.node("Sub", [x, _mean(graph, x, stored)])
    variance = _mean(graph, graph.node("Mul", [centred, centred]), stored)
    deviation = graph.node("Sqrt", [graph.node("Add", [variance, graph.scalar(layer.epsilon)])])
    y = x.with_name(graph.node("Div", [centred, deviation]))
    if layer.scale:
        y = graph.pointwise(y, "Mul", graph.aligned(x, gamma.reshape(broadcast), "gamma"))
    if layer.center:
        y = graph.pointwise(y, "Add", graph.aligned(x, beta.reshape(broadcast), "beta"))
    return y


def _mean(graph, x, axes):
    return graph.reduced("ReduceMean", x, axes)


@emits(layers.RMSNormalization, keeps=(MAP, ORDER))
def rms_normalization(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """x over its root mean square, times a scale (Zhang & Sennrich 2019, arXiv:1910.07467).

    ONNX has an operator for it from opset 23 only.
    """
    rank = len(x.shape)
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    axes = [axis % rank for axis in axes]
    square = _mean(graph, graph.node("Mul", [x, x]), sorted(stored_axis(x, axis) for axis in axes))
    root = graph.node("Sqrt", [graph.node("Add", [square, graph.scalar(layer.epsilon)])])
    y = graph.pointwise(x, "Div", root)
    return graph.pointwise(y, "Mul", graph.aligned(x, as_float32(layer.scale), "scale"))


@emits(layers.GroupNormalization, channels_first=True)
def group_normalization(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Each group as one channel of an InstanceNormalization, then a scale and an offset a channel.

    The operator GroupNormalization changed its meaning between opset 18 and 21, and OpenCV reads
    it wrong; these nodes are the same from opset 17 to 24.
    """
    rank = len(x.shape)
    if rank < 3 or layer.axis not in (-1, rank - 1):
        raise NotEmittable(
            f"no function writes the options of {graph.scope!r} as ONNX",
            got=f"axis={layer.axis} on a tensor of rank {rank}",
            expected="axis=-1 on a map (B, H, W, C) or a sequence (B, T, F)",
            fix="pass route='tf2onnx', or use LayerNormalization",
        )
    _, *sizes, channels = x.shape
    ones, zeros = np.ones(layer.groups, np.float32), np.zeros(layer.groups, np.float32)
    name = graph.node("Reshape", [x, graph.indices("groups", (0, layer.groups, -1))])
    unit = graph.constant("ones", ones), graph.constant("zeros", zeros)
    name = graph.node("InstanceNormalization", [name, *unit], epsilon=float(layer.epsilon))
    name = graph.node("Reshape", [name, graph.indices("map", (-1, channels, *sizes))])
    y = x.with_name(name)
    if layer.scale:
        y = graph.pointwise(y, "Mul", graph.aligned(y, as_float32(layer.gamma), "gamma"))
    if layer.center:
        y = graph.pointwise(y, "Add", graph.aligned(y, as_float32(layer.beta), "beta"))
    return y
