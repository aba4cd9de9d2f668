"""Layers that work on maps and sequences: convolution, pooling, resizing, edges.

One function serves both: a sequence is a map of one axis. All but the edges work channels first.
"""

from typing import Any

import numpy as np

from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.emitters.activations import activate, as_float32, stored_axis
from aezoo.export.to_onnx.emitters.basic import scaled
from aezoo.export.to_onnx.graph import Graph, NotEmittable, Tensor
from aezoo.export.to_onnx.table import FACTOR, MAP, emits

keras = import_keras()
layers = keras.layers


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after an axis for padding="same": the odd one goes after.

    >>> same_padding(7, 3, 2), same_padding(28, 3, 2)
    ((1, 1), (0, 1))
    """
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _only_channels_last(graph, layer):
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise NotEmittable(
            f"the layer {graph.scope!r} works channels first in Keras",
            got=f"data_format={layer.data_format!r}",
            expected="data_format='channels_last'",
            fix="pass route='tf2onnx', or build the model channels last",
        )


def _pads(layer, x, kernel, dilation):
    """ONNX's pads of a convolution or pooling: all befores, then all afters."""
    if layer.padding == "causal":
        return ((kernel[0] - 1) * dilation[0], 0)
    if layer.padding != "same":
        return (0,) * (2 * len(kernel))
    pairs = [same_padding(*axis) for axis in zip(x.shape[1:-1], kernel, layer.strides, dilation, strict=True)]
    return tuple(before for before, _ in pairs) + tuple(after for _, after in pairs)


def _with_bias(graph, layer, *weights):
    return [*weights, graph.constant("bias", as_float32(layer.bias))] if layer.use_bias else [*weights]


def _turned(kernel):
    """The last two axes first, and in the other order: as ONNX has those of convolutions."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _convolution(graph, layer, x, weights, groups):
    y = graph.node(
        "Conv",
        [x, *weights],
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        pads=_pads(layer, x, layer.kernel_size, layer.dilation_rate),
        dilations=layer.dilation_rate,
        group=groups,
    )
    return graph.result(y, channels_first=True)


@emits(layers.Conv1D, layers.Conv2D, channels_first=True, reads=(FACTOR,))
def conv(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """(kh, kw, in / groups, out) in Keras is (out, in / groups, kh, kw) in ONNX."""
    _only_channels_last(graph, layer)
    kernel = graph.constant("kernel", _turned(scaled(as_float32(layer.kernel), x)))
    y = _convolution(graph, layer, x, _with_bias(graph, layer, kernel), layer.groups)
    return activate(graph, y, layer.activation)


def _depthwise_kernel(kernel):
    *sizes, channels, multiplier = kernel.shape
    return np.moveaxis(kernel, (-2, -1), (0, 1)).reshape(channels * multiplier, 1, *sizes)


@emits(layers.DepthwiseConv1D, layers.DepthwiseConv2D, channels_first=True, reads=(FACTOR,))
def depthwise_conv(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """A convolution with one group a channel."""
    _only_channels_last(graph, layer)
    kernel = graph.constant("kernel", _depthwise_kernel(scaled(as_float32(layer.kernel), x)))
    y = _convolution(graph, layer, x, _with_bias(graph, layer, kernel), x.shape[-1])
    return activate(graph, y, layer.activation)


@emits(layers.SeparableConv1D, layers.SeparableConv2D, channels_first=True, reads=(FACTOR,))
def separable_conv(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """A depthwise convolution without bias, then one of size 1 with it."""
    _only_channels_last(graph, layer)
    depthwise = _depthwise_kernel(scaled(as_float32(layer.depthwise_kernel), x))
    pointwise = _turned(as_float32(layer.pointwise_kernel))
    y = _convolution(graph, layer, x, [graph.constant("depthwise_kernel", depthwise)], x.shape[-1])
    weights = _with_bias(graph, layer, graph.constant("pointwise_kernel", pointwise))
    y = graph.node("Conv", [y, *weights], kernel_shape=pointwise.shape[2:])
    return activate(graph, graph.result(y, channels_first=True), layer.activation)


def _sides(pairs):
    """Both ends of each axis; Keras writes those of a sequence without the outer tuple."""
    return tuple(pairs) if isinstance(pairs[0], (list, tuple)) else (tuple(pairs),)


@emits(layers.Conv1DTranspose, layers.Conv2DTranspose, channels_first=True, reads=(FACTOR,))
def conv_transpose(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """(kh, kw, out, in) in Keras is (in, out, kh, kw) in ONNX; a cropping behind it joins the pads.

    The pads differ at the two ends for a kernel of 3 and a stride of 2. Equal pads and a Slice
    compute the same, and were 5 to 12 % slower in onnxruntime on a 64x64x3 decoder.
    """
    _only_channels_last(graph, layer)
    kernel = graph.constant("kernel", _turned(scaled(as_float32(layer.kernel), x)))
    output = graph.step.output
    cropping = ((0, 0),) * (len(x.shape) - 2)
    follower = graph.plan.only_consumer(output)
    if follower is not None and type(follower.layer) in (layers.Cropping1D, layers.Cropping2D):
        cropping = _sides(follower.layer.cropping)
        graph.absorbed.add(follower.output.number)
    befores, afters, extras = [], [], []
    for axis, (cut_before, cut_after) in enumerate(cropping):
        reach = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
        size, stride, length = x.shape[1 + axis], layer.strides[axis], output.shape[1 + axis]
        # Keras cuts for "same" as the convolution of the output is padded: the odd value after.
        before = max((size - 1) * stride + reach - length, 0) // 2
        last = before + length - cut_after
        befores.append(before + cut_before)
        afters.append(max((size - 1) * stride + reach - last, 0))
        extras.append(max(last - (size - 1) * stride - reach, 0))
    y = graph.node(
        "ConvTranspose",
        [x, *_with_bias(graph, layer, kernel)],
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        pads=(*befores, *afters),
        dilations=layer.dilation_rate,
        output_padding=extras if any(extras) else None,
    )
    return activate(graph, graph.result(y, channels_first=True), layer.activation)


@emits(layers.MaxPooling1D, layers.MaxPooling2D, channels_first=True, keeps=(FACTOR,))
def max_pooling(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Padding takes no part in the maximum."""
    return _pooling(graph, layer, x, "MaxPool")


@emits(layers.AveragePooling1D, layers.AveragePooling2D, channels_first=True, keeps=(FACTOR,))
def average_pooling(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Padding takes no part in the mean either."""
    return _pooling(graph, layer, x, "AveragePool", count_include_pad=0)


def _pooling(graph, layer, x, op_type, **attributes):
    _only_channels_last(graph, layer)
    pads = _pads(layer, x, layer.pool_size, (1,) * len(layer.pool_size))
    shape = {"kernel_shape": layer.pool_size, "strides": layer.strides, "pads": pads}
    y = graph.node(op_type, [x], **shape, **attributes)
    return graph.result(y, channels_first=True, factor=x.factor)


@emits(layers.GlobalAveragePooling1D, keeps=(FACTOR,), reads=(MAP,))
@emits(layers.GlobalAveragePooling2D, channels_first=True, keeps=(FACTOR,))
def global_average_pooling(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """The mean of each channel."""
    return _global_pooling(graph, layer, x, "GlobalAveragePool", "ReduceMean")


@emits(layers.GlobalMaxPooling1D, keeps=(FACTOR,), reads=(MAP,))
@emits(layers.GlobalMaxPooling2D, channels_first=True, keeps=(FACTOR,))
def global_max_pooling(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """The maximum of each channel."""
    return _global_pooling(graph, layer, x, "GlobalMaxPool", "ReduceMax")


def _global_pooling(graph, layer, x, op_type, reduction):
    """A sequence in Keras's layout is reduced as it lies: what follows attention is no convolution."""
    _only_channels_last(graph, layer)
    if not x.channels_first:
        y = graph.reduced(reduction, x, (1,), keepdims=layer.keepdims)
        return graph.result(y, factor=x.factor)
    y = graph.node(op_type, [x])
    if layer.keepdims:
        return graph.result(y, channels_first=True, factor=x.factor)
    return graph.result(graph.node("Flatten", [y], axis=1), factor=x.factor)


_RESIZE: dict[str, dict[str, Any]] = {
    "nearest": {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    },
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
}


@emits(layers.UpSampling1D, layers.UpSampling2D, channels_first=True, keeps=(FACTOR,))
def up_sampling(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """One Resize by whole numbers."""
    _only_channels_last(graph, layer)
    interpolation = getattr(layer, "interpolation", "nearest")
    if interpolation not in _RESIZE:
        raise NotEmittable(
            f"no function writes the interpolation of {graph.scope!r} as ONNX",
            got=f"interpolation={interpolation!r}",
            expected=f"one of {', '.join(_RESIZE)}",
            fix="pass route='tf2onnx', or use interpolation='bilinear'",
        )
    size = (layer.size,) if isinstance(layer.size, int) else layer.size
    scales = graph.constant("scales", np.array([1, 1, *size], np.float32))
    y = graph.node("Resize", [x, "", scales], **_RESIZE[interpolation])
    return graph.result(y, channels_first=True, factor=x.factor)


@emits(layers.Cropping1D, layers.Cropping2D, keeps=(MAP, FACTOR))
def cropping(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """A Slice, unless the transposed convolution before it has cut the edges off already."""
    _only_channels_last(graph, layer)
    sizes = graph.step.output.shape[1:-1]
    if graph.step.output.number in graph.absorbed:
        return graph.result(x.name, channels_first=True, factor=x.factor)
    starts = [before for before, _ in _sides(layer.cropping)]
    window = {
        "starts": starts,
        "ends": [start + size for start, size in zip(starts, sizes, strict=True)],
        "axes": [stored_axis(x, axis + 1) for axis in range(len(sizes))],
    }
    y = graph.node("Slice", [x, *(graph.indices(name, values) for name, values in window.items())])
    return graph.result(y, channels_first=x.channels_first, factor=x.factor)


@emits(layers.ZeroPadding1D, layers.ZeroPadding2D, keeps=(MAP, FACTOR))
def zero_padding(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Pad with its default of zeros."""
    _only_channels_last(graph, layer)
    pads = np.zeros((2, len(x.shape)), np.int64)
    for axis, sides in enumerate(_sides(layer.padding)):
        pads[:, stored_axis(x, axis + 1)] = sides
    y = graph.node("Pad", [x, graph.indices("pads", pads.ravel())])
    return graph.result(y, channels_first=x.channels_first, factor=x.factor)
