"""Layers that work on maps, all of them channels first: convolution, pooling, resizing, edges."""

import numpy as np

from aezoo.errors import message
from aezoo.export.to_onnx.activations import activate, as_float32
from aezoo.export.to_onnx.graph import NotEmittable
from aezoo.export.to_onnx.layers import scaled
from aezoo.export.to_onnx.table import FACTOR, emits
from aezoo.quiet import import_keras

keras = import_keras()
layers = keras.layers


def same_padding(size, kernel, stride, dilation=1):
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
            message(
                f"the layer {graph.scope!r} works channels first in Keras",
                got=f"data_format={layer.data_format!r}",
                expected="data_format='channels_last'",
                fix="pass route='tf2onnx', or build the model channels last",
            )
        )


def _pads(layer, x, kernel, dilation=(1, 1)):
    """ONNX's pads of a convolution or pooling: all befores, then all afters."""
    if layer.padding != "same":
        return (0, 0, 0, 0)
    pairs = [same_padding(*axis) for axis in zip(x.shape[1:3], kernel, layer.strides, dilation, strict=True)]
    return tuple(before for before, _ in pairs) + tuple(after for _, after in pairs)


def _with_bias(graph, layer, *weights):
    return [*weights, graph.constant("bias", as_float32(layer.bias))] if layer.use_bias else [*weights]


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


@emits(layers.Conv2D, channels_first=True, reads=(FACTOR,))
def conv_2d(graph, layer, x):
    """(kh, kw, in / groups, out) in Keras is (out, in / groups, kh, kw) in ONNX."""
    _only_channels_last(graph, layer)
    kernel = graph.constant("kernel", scaled(as_float32(layer.kernel), x).transpose(3, 2, 0, 1))
    y = _convolution(graph, layer, x, _with_bias(graph, layer, kernel), layer.groups)
    return activate(graph, y, layer.activation)


def _depthwise_kernel(kernel):
    height, width, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)


@emits(layers.DepthwiseConv2D, channels_first=True, reads=(FACTOR,))
def depthwise_conv_2d(graph, layer, x):
    """A convolution with one group a channel."""
    _only_channels_last(graph, layer)
    kernel = graph.constant("kernel", _depthwise_kernel(scaled(as_float32(layer.kernel), x)))
    y = _convolution(graph, layer, x, _with_bias(graph, layer, kernel), x.shape[-1])
    return activate(graph, y, layer.activation)


@emits(layers.SeparableConv2D, channels_first=True, reads=(FACTOR,))
def separable_conv_2d(graph, layer, x):
    """A depthwise convolution without bias, then a 1x1 convolution with it."""
    _only_channels_last(graph, layer)
    depthwise = _depthwise_kernel(scaled(as_float32(layer.depthwise_kernel), x))
    pointwise = as_float32(layer.pointwise_kernel).transpose(3, 2, 0, 1)
    y = _convolution(graph, layer, x, [graph.constant("depthwise_kernel", depthwise)], x.shape[-1])
    weights = _with_bias(graph, layer, graph.constant("pointwise_kernel", pointwise))
    y = graph.node("Conv", [y, *weights], kernel_shape=(1, 1))
    return activate(graph, graph.result(y, channels_first=True), layer.activation)


@emits(layers.Conv2DTranspose, channels_first=True, reads=(FACTOR,))
def conv_2d_transpose(graph, layer, x):
    """(kh, kw, out, in) in Keras is (in, out, kh, kw) in ONNX; a cropping behind it joins the pads.

    The pads differ at the two ends for a kernel of 3 and a stride of 2. Equal pads and a Slice
    compute the same, and were 5 to 12 % slower in onnxruntime on a 64x64x3 decoder.
    """
    _only_channels_last(graph, layer)
    kernel = graph.constant("kernel", scaled(as_float32(layer.kernel), x).transpose(3, 2, 0, 1))
    output = graph.step.output
    cropping = ((0, 0), (0, 0))
    follower = graph.plan.only_consumer(output)
    if follower is not None and type(follower.layer) is layers.Cropping2D:
        cropping = follower.layer.cropping
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


@emits(layers.MaxPooling2D, channels_first=True, keeps=(FACTOR,))
def max_pooling_2d(graph, layer, x):
    """Padding takes no part in the maximum."""
    return _pooling(graph, layer, x, "MaxPool")


@emits(layers.AveragePooling2D, channels_first=True, keeps=(FACTOR,))
def average_pooling_2d(graph, layer, x):
    """Padding takes no part in the mean either."""
    return _pooling(graph, layer, x, "AveragePool", count_include_pad=0)


def _pooling(graph, layer, x, op_type, **attributes):
    _only_channels_last(graph, layer)
    pads = _pads(layer, x, layer.pool_size)
    shape = {"kernel_shape": layer.pool_size, "strides": layer.strides, "pads": pads}
    y = graph.node(op_type, [x], **shape, **attributes)
    return graph.result(y, channels_first=True, factor=x.factor)


@emits(layers.GlobalAveragePooling2D, channels_first=True, keeps=(FACTOR,))
def global_average_pooling_2d(graph, layer, x):
    """The mean of each channel."""
    return _global_pooling(graph, layer, x, "GlobalAveragePool")


@emits(layers.GlobalMaxPooling2D, channels_first=True, keeps=(FACTOR,))
def global_max_pooling_2d(graph, layer, x):
    """The maximum of each channel."""
    return _global_pooling(graph, layer, x, "GlobalMaxPool")


def _global_pooling(graph, layer, x, op_type):
    _only_channels_last(graph, layer)
    y = graph.node(op_type, [x])
    if layer.keepdims:
        return graph.result(y, channels_first=True, factor=x.factor)
    return graph.result(graph.node("Flatten", [y], axis=1), factor=x.factor)


_RESIZE = {
    "nearest": {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    },
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
}


@emits(layers.UpSampling2D, channels_first=True, keeps=(FACTOR,))
def up_sampling_2d(graph, layer, x):
    """One Resize by whole numbers."""
    _only_channels_last(graph, layer)
    if layer.interpolation not in _RESIZE:
        raise NotEmittable(
            message(
                f"no function writes the interpolation of {graph.scope!r} as ONNX",
                got=f"interpolation={layer.interpolation!r}",
                expected=f"one of {', '.join(_RESIZE)}",
                fix="pass route='tf2onnx', or use interpolation='bilinear'",
            )
        )
    scales = graph.constant("scales", np.array([1, 1, *layer.size], np.float32))
    y = graph.node("Resize", [x, "", scales], **_RESIZE[layer.interpolation])
    return graph.result(y, channels_first=True, factor=x.factor)


@emits(layers.Cropping2D, channels_first=True, keeps=(FACTOR,))
def cropping_2d(graph, layer, x):
    """A Slice, unless the transposed convolution before it has cut the edges off already."""
    _only_channels_last(graph, layer)
    _, height, width, _ = graph.step.output.shape
    (top, _), (left, _) = layer.cropping
    if graph.step.output.number in graph.absorbed:
        return graph.result(x.name, channels_first=True, factor=x.factor)
    window = {"starts": (top, left), "ends": (top + height, left + width), "axes": (2, 3)}
    y = graph.node("Slice", [x, *(graph.indices(name, values) for name, values in window.items())])
    return graph.result(y, channels_first=True, factor=x.factor)


@emits(layers.ZeroPadding2D, channels_first=True, keeps=(FACTOR,))
def zero_padding_2d(graph, layer, x):
    """Pad with its default of zeros."""
    _only_channels_last(graph, layer)
    (top, bottom), (left, right) = layer.padding
    y = graph.node("Pad", [x, graph.indices("pads", (0, 0, top, left, 0, 0, bottom, right))])
    return graph.result(y, channels_first=True, factor=x.factor)
