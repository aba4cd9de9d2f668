"""Puts QuantizeLinear and DequantizeLinear into a graph: weights as int8, what they meet as uint8.

Weights are symmetric, with a scale for each output channel; activations have one scale and one zero point
each, from the ranges that real examples gave. Only products with constant weights are made so; whatever
lies between them stays float32, and is what it was.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv:1712.05877.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from aezoo.export.budget import VERDICT
from aezoo.export.to_onnx.precision import subpixel
from aezoo.export.to_onnx.precision.rounding import scale_of, weights_of

# Operators that hand values through unchanged: what lies behind them has the same scale.
PASSING = {
    *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice"),
    *("DepthToSpace", "MaxPool", "Identity"),
}

# Beyond these a logit changes its sigmoid by less than 1/2000: eight bits are better spent inside.
_SIGMOID_ENDS = 8.0


# A ConvTranspose of fewer channels on either side is slower as a Conv of 8 bits than as it is in float32:
# measured over that, 32 to 3 channels take 1.4 to 2.1 times as long, 32 to 1 1.5 to 2.0, 4 to 2 1.5 to 1.7,
# 8 to 4 0.9 to 1.15, but 16 to 16 0.2 to 0.4, 64 to 32 0.4 to 0.9, 32 to 48 0.8 (kernels 2 to 7, batch 1
# and 64). What it does is moving values then, and its weights are few.
_FEWEST_CHANNELS = 8


Ends = tuple[float, float]  # the smallest and the largest value of a tensor


@dataclasses.dataclass(frozen=True)
class Layer:
    """A node that can be quantised.

    Attributes:
        name: of the node.
        op_type: Conv, ConvTranspose, Gemm or MatMul.
        value: what it computes, the name of its first output.
        axis: of the weights, along which the output channels lie.
        axes: of `subpixel.plan`, for a ConvTranspose that becomes a Conv, else None.
    """

    name: str
    op_type: str
    value: str
    axis: int
    axes: tuple | None = None


def prepare(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy in which no BatchNormalization follows a product: its numbers join the weights.

    onnxruntime does so by itself, but not where a DequantizeLinear lies between the two.
    """
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    graph = proto.graph
    arrays, makers, readers = subpixel.arrays_of(graph), _makers(graph), _readers(graph)
    outputs = {tensor.name for tensor in graph.output}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        product = makers.get(norm.input[0])
        alone = len(readers.get(norm.input[0], [])) == 1 and norm.input[0] not in outputs
        if product is None or not alone or not set(norm.input[1:]) <= set(arrays):
            continue
        axis = _channel_axis(product, arrays)
        if axis is None or product.op_type == "MatMul" or _number_of(product, "group", 1) != 1:
            continue
        epsilon = _number_of(norm, "epsilon", 1e-5)
        gamma, beta, mean, variance = (arrays[name].astype("float64") for name in norm.input[1:])
        factor = gamma / np.sqrt(variance + epsilon)
        weights = arrays[product.input[1]]
        along = [1] * weights.ndim
        along[axis] = -1
        bias = arrays[product.input[2]] if len(product.input) > 2 else np.zeros(len(factor))
        stem = product.name or product.output[0]
        for place, suffix, array in (
            (1, "normalized_kernel", weights * factor.reshape(along)),
            (2, "normalized_bias", (bias - mean) * factor + beta),
        ):
            name = f"{stem}/{suffix}"
            graph.initializer.append(numpy_helper.from_array(array.astype("float32"), name))
            if len(product.input) > place:
                product.input[place] = name
            else:
                product.input.append(name)
        product.output[0] = norm.output[0]
        graph.node.remove(norm)
    drop_unread(graph)
    return proto


def layers_of(proto: onnx.ModelProto) -> list[Layer]:
    """Returns the `Layer`s of a prepared model, in the graph's order."""
    arrays, shapes = subpixel.arrays_of(proto.graph), _shapes(proto)
    found = []
    for node in proto.graph.node:
        axis = _channel_axis(node, arrays)
        if axis is None or node.name.startswith(VERDICT):
            continue
        axes = None
        if node.op_type == "ConvTranspose":
            axes = subpixel.plan(node, arrays[node.input[1]].shape, shapes.get(node.input[0]))
            if axes is None or min(arrays[node.input[1]].shape[:2]) < _FEWEST_CHANNELS:
                continue  # it would gain nothing, only lose by roundings
        found.append(Layer(node.name or node.output[0], node.op_type, node.output[0], axis, axes))
    return found


def observed(proto: onnx.ModelProto, layers: Sequence[Layer]) -> list[str]:
    """Returns the names of the tensors whose ranges `insert` must know."""
    graph = proto.graph
    makers = _makers(graph)
    by_value = {node.output[0]: node for node in graph.node if node.output}
    names = dict.fromkeys(_root(by_value[layer.value].input[0], makers)[0] for layer in layers)
    readers, outputs = _readers(graph), {tensor.name for tensor in graph.output}
    for layer in layers:
        if layer.op_type in ("Conv", "ConvTranspose"):
            names[_rectified(by_value[layer.value], readers, outputs)[0]] = None
    return list(names)


def insert(proto: onnx.ModelProto, layers: Sequence[Layer], ranges: Mapping[str, Ends]) -> onnx.ModelProto:
    """Returns a copy of a prepared model in which the given layers compute with 8 bits.

    Args:
        proto: of `prepare`.
        layers: of `layers_of`, those to be quantised.
        ranges: {tensor: (smallest, largest)} of `observed`.
    """
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    editor = _Editor(proto.graph, ranges)
    chosen = {layer.value: layer for layer in layers}
    editor.place(chosen)
    drop_unread(proto.graph)
    return proto


class _Editor:
    """Rewrites the nodes of one graph, from its inputs to its outputs."""

    def __init__(self, graph: onnx.GraphProto, ranges: Mapping[str, Ends]) -> None:
        self.graph, self.ranges = graph, ranges
        self.arrays = subpixel.arrays_of(graph)
        self.makers, self.readers = _makers(graph), _readers(graph)
        self.outputs = {tensor.name for tensor in graph.output}
        self.bytes = {t.name for t in graph.input if t.type.tensor_type.elem_type == TensorProto.UINT8}
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, str] = {}  # tensor -> what replaces it for those that read it
        self.wanted: dict[str, str] = {}  # tensor -> the root whose scale it has
        self.integers: set[str] = set()  # roots that a Conv of 8 bits computes

    def place(self, chosen: Mapping[str, Layer]) -> None:
        """Rewrites the graph; `chosen` is {value: `Layer`}."""
        originals = list(self.graph.node)
        for node in originals:
            if node.output and node.output[0] in chosen:
                self._want(node, chosen[node.output[0]])
        taken_in = set()
        for node in originals:
            if tuple(node.output) in taken_in:
                continue
            layer = chosen.get(node.output[0]) if node.output else None
            source = self.wanted.get(node.input[0]) if node.input else None
            self._read(node, layer is not None)
            if layer is not None:
                taken_in |= self._quantise(node, layer, source)
            elif node.op_type == "Cast" and node.input[0] in self.bytes and node.output[0] in self.wanted:
                # Bytes are what a QuantizeLinear would make of them, with a scale of 1.
                self.stored[node.output[0]] = node.output[0]
                self._dequantise(node.input[0], node.output[0], np.float32(1), np.uint8(0), node.output[0])
            else:
                self.nodes.append(node)
            for value in node.output:
                self._store(value)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _want(self, node, layer):
        root, path = _root(node.input[0], self.makers)
        self.wanted.update(dict.fromkeys((root, *path), root))
        if layer.op_type in ("Conv", "ConvTranspose"):
            value, _ = _rectified(node, self.readers, self.outputs)
            self.wanted.setdefault(value, value)
            self.integers.add(value)

    def _read(self, node, quantised):
        """Lets a node read what is stored of its inputs; those of the graph are stored now.

        Where float32 values are at hand, whoever computes with float32 reads those.
        """
        for place, value in enumerate(node.input):
            if value in self.wanted and value not in self.stored and value not in self.makers:
                self._store(value)
            passing = node.op_type in PASSING and bool(node.output) and node.output[0] in self.wanted
            if quantised or passing or self.wanted.get(value) in self.integers:
                node.input[place] = self.stored.get(value, value)

    def _store(self, value, moving=()):
        """Adds the pair that rounds a value, once. The graph's own outputs are rounded by a Conv alone.

        What `moving` does to the value is done to its bytes, between the two. A product that reads an output
        reads it rounded even where the output itself is not: float32 values with 8-bit weights become a
        MatMulNBits in onnxruntime, which rounds them in its own way on processors with AVX2 alone.
        """
        if value not in self.wanted or value in self.stored:
            return
        source, target, integers = value, f"{value}/rounded", f"{value}/bytes"
        rounded = value in self.outputs and value in self.integers
        if rounded:
            target = value
        if moving or rounded:
            # The name now belongs to what comes out behind, or to nothing.
            source = f"{value}/float"
            last = moving[0].input[0] if moving else value
            maker = next(node for node in reversed(self.nodes) if last in node.output)
            maker.output[list(maker.output).index(last)] = source
        scale, zero = self._scale(self.wanted[value])
        parameters = self._parameters(self.wanted[value], scale, zero)
        first = f"{value}/phases" if moving else integers
        name = f"{value}/QuantizeLinear"
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *parameters], [first], name=name))
        if moving:
            moving[0].input[0], moving[-1].output[0] = first, integers
            self.nodes.extend(moving)
        self.stored[value] = target
        self._dequantise(integers, target, scale, zero, self.wanted[value])

    def _dequantise(self, source, target, scale, zero, root):
        inputs = [source, *self._parameters(root, scale, zero)]
        self.nodes.append(
            helper.make_node("DequantizeLinear", inputs, [target], name=f"{source}/DequantizeLinear")
        )

    def _parameters(self, root, scale, zero):
        return self._constant(f"{root}/scale", scale), self._constant(f"{root}/zero_point", zero)

    def _scale(self, root):
        maker = self.makers.get(root)
        if maker is not None and maker.op_type == "Cast" and maker.input[0] in self.bytes:
            return np.float32(1), np.uint8(0)
        return scale_of(*self.ranges[root])

    def _quantise(self, node, layer, source):
        """Adds the node with stored weights; returns the outputs of the nodes that it has taken in."""
        weights = self.arrays[node.input[1]]
        bias = self.arrays[node.input[2]] if len(node.input) > 2 and node.input[2] else None
        input_scale = self._scale(source)[0]
        if layer.axes is None:
            node.input[1], bias_name = self._weights(layer, weights, bias, input_scale)
            if bias is not None:
                node.input[2] = bias_name
            self.nodes.append(node)
            return set()
        final, relu = _rectified(node, self.readers, self.outputs)
        new = subpixel.rewrite(node, layer.axes, weights, bias, final=final, relu=relu is not None)
        kernel, bias = new.arrays.pop(new.kernel), new.arrays.pop(new.bias, None)
        names = self._weights(dataclasses.replace(layer, axis=0), kernel, bias, input_scale)
        for name, array in new.arrays.items():
            self._constant(name, array)
        for one in new.computing:
            self.nodes.append(one)
            if one.op_type == "Conv":
                one.input[1:] = [name for name in names if name is not None]
            elif one.op_type == "Slice":  # the input's window has its scale
                self.wanted[one.output[0]] = source
                self._store(one.output[0])
                new.computing[1].input[0] = self.stored[one.output[0]]
        self._store(final, new.moving)
        return {tuple(relu.output)} if relu is not None else set()

    def _weights(self, layer, weights, bias, input_scale):
        """Stores weights as int8 and the bias as int32; returns the names of their float values."""
        integers, scales = weights_of(weights, layer.axis, bias, input_scale)
        names = []
        rows = [("kernel", integers, scales, layer.axis)]
        if bias is not None:
            step = scales.astype("float64") * input_scale
            rounded = np.rint(bias / step).astype("int32")
            rows.append(("bias", rounded, step.astype("float32"), 0))
        for word, array, scale, axis in rows:
            stem = f"{layer.name}/{word}"
            inputs = [
                self._constant(f"{stem}/integers", array),
                self._constant(f"{stem}/scale", scale),
                self._constant(f"{stem}/zero_point", np.zeros(scale.shape, array.dtype)),
            ]
            name = f"{stem}/DequantizeLinear"
            self.nodes.append(helper.make_node("DequantizeLinear", inputs, [stem], name=name, axis=axis))
            names.append(stem)
        return (*names, None)[:2]

    def _constant(self, name, array):
        if name not in self.arrays:
            self.arrays[name] = np.asarray(array)
            self.graph.initializer.append(numpy_helper.from_array(self.arrays[name], name))
        return name


def drop_unread(graph: onnx.GraphProto) -> None:
    """Removes initialisers that no node reads, and what was said of inner values."""
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]


def clipped(proto: onnx.ModelProto | None, name: str, ends: Ends) -> Ends:
    """Returns the ends of a value's range that matter: those of a logit need not reach far.

    >>> clipped(None, "x", (-1.0, 1.0))
    (-1.0, 1.0)
    """
    if proto is None:
        return ends
    readers = _readers(proto.graph).get(name, [])
    if readers and all(node.op_type == "Sigmoid" for node in readers):
        return max(ends[0], -_SIGMOID_ENDS), min(ends[1], _SIGMOID_ENDS)
    return ends


def _channel_axis(node, arrays):
    """Axis of a product's weights along which its output channels lie; None for any other node."""
    if len(node.input) < 2 or node.input[1] not in arrays or node.input[0] in arrays:
        return None
    weights = arrays[node.input[1]]
    biased = len(node.input) > 2 and node.input[2] != ""
    if weights.dtype != np.float32 or (biased and node.input[2] not in arrays):
        return None
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "MatMul" and weights.ndim == 2:
        return 1
    if node.op_type == "Gemm":
        plain = _number_of(node, "alpha", 1.0) == _number_of(node, "beta", 1.0) == 1.0
        if not plain or _number_of(node, "transA", 0) or (biased and arrays[node.input[2]].ndim != 1):
            return None
        return 0 if _number_of(node, "transB", 0) else 1
    return None


def _number_of(node, name, default):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _root(value, makers):
    """Returns (the value that was computed last, the values on the way from it to this one)."""
    path = []
    while value in makers and makers[value].op_type in PASSING:
        path.append(value)
        value = makers[value].input[0]
    return value, path


def _rectified(node, readers, outputs):
    """Returns (value, Relu): what a Relu that alone reads a node makes of it, else (its output, None)."""
    value = node.output[0]
    found = readers.get(value, [])
    if len(found) == 1 and found[0].op_type == "Relu" and value not in outputs:
        return found[0].output[0], found[0]
    return value, None


def _makers(graph):
    return {value: node for node in graph.node for value in node.output}


def _readers(graph):
    readers = {}
    for node in graph.node:
        for value in node.input:
            readers.setdefault(value, []).append(node)
    return readers


def _shapes(proto):
    """Returns {tensor: (sizes, None where one is not known)}."""
    graph = shape_inference.infer_shapes(proto).graph
    return {
        value.name: tuple(
            d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim
        )
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
