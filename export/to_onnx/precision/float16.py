"""Makes an ONNX model compute in float16: half the size, for devices that have such arithmetic.

Inputs and outputs stay float32. So do the steps next to them that only shift and scale columns of rows or
sequences: in raw units a column can be larger than float16's 65504, or vary less than its eleven bits show.

Source: IEEE 754-2008, binary16: 11 significant bits, a rounding of at most 2^-11 = 4.9e-4 of a value.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aezoo.core.errors import ExportError
from aezoo.export.budget import VERDICT
from aezoo.export.formats import Job

# Operators that choose: a rounding moves a few examples to another choice, by any distance.
CHOOSING = {"ArgMax", "ArgMin", "TopK", "Round", "Floor", "Ceil", "Hardmax"}

# onnxruntime 1.31.1 dies (segmentation fault) at loading the float16 decoder of `lstm` on a CPU, also where
# the recurrent node itself is left in float32.
_RECURRENT = {"LSTM", "GRU", "RNN"}

_AFFINE = {"Add", "Sub", "Mul", "Div"}
_LARGEST = float(np.finfo("float16").max)
# Inputs that ONNX wants as float32, whatever the others are: Resize's scales and region.
_FLOAT32_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}


def halve(proto: Any, job: Job) -> tuple[Any, dict[str, Any]]:
    """Returns (model in float16, what the artifact's row of the manifest says of it).

    The row of a part that chooses among codes or places gets "budget", the share of the job: no tolerance
    on values says anything of a code that is another one.

    Args:
        proto: a float32 `onnx.ModelProto`.
        job: a `formats.Job`.

    Raises:
        ExportError: a layer is recurrent, a weight is too large for float16, or a node holds a graph of
            its own.
    """
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    graph = proto.graph
    kept = _beside_the_ends(graph) | {_key(node) for node in graph.node if node.name.startswith(VERDICT)}
    _check(graph, job.part, kept)
    halving = _Halving(proto)
    for node in list(graph.node):
        if _key(node) in kept:
            halving.keep(node)
        else:
            halving.halve(node)
    nodes = halving.nodes
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(weights)
    chooses = any(node.op_type in CHOOSING for node in nodes)
    return proto, {"budget": job.budget} if chooses else {}


class _Halving:
    """The nodes of a graph in float16, as far as they have been made; weights are added to the graph itself.

    Attributes:
        nodes: made so far, in order.
        made: {value: type} of what they give.
        halves, widened: {value: name of it in float16, in float32}.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.graph, self.inner = proto.graph, _floats(proto)
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        types = {t.name: t.type.tensor_type.elem_type for t in (*self.graph.input, *self.graph.output)}
        self.ends = {name for name, kind in types.items() if kind == TensorProto.FLOAT}
        self.outputs = {tensor.name for tensor in self.graph.output}
        self.nodes: list[onnx.NodeProto] = []
        self.made: dict[str, int] = {}
        self.halves: dict[str, str] = {}
        self.widened: dict[str, str] = {}

    def keep(self, node: onnx.NodeProto) -> None:
        """Takes a node over as it is, with its inputs widened."""
        for place, value in enumerate(node.input):
            if self.made.get(value) == TensorProto.FLOAT16:
                if value not in self.widened:
                    self.widened[value] = self._cast(value, TensorProto.FLOAT, f"{value}/float")
                node.input[place] = self.widened[value]
        self.made.update(dict.fromkeys(node.output, TensorProto.FLOAT))
        self.nodes.append(node)

    def halve(self, node: onnx.NodeProto) -> None:
        """Makes a node compute in float16; outputs of the graph stay float32."""
        exempt: Collection[int] = _FLOAT32_INPUTS.get(node.op_type, ())
        if node.op_type == "Resize" and len(node.input) > 2:
            exempt = range(1, len(node.input))
        for place, value in enumerate(node.input):
            if value in self.inner and place not in exempt:
                node.input[place] = self._as_half(value)
        _halve_attributes(node)
        self.nodes.append(node)
        for place, value in enumerate(node.output):
            if value not in self.inner:
                continue
            if value in self.outputs and value in self.ends:
                node.output[place] = self.halves[value] = f"{value}/half"
                self._cast(node.output[place], TensorProto.FLOAT, value)
                self.made[value] = self.made[node.output[place]] = TensorProto.FLOAT16
            else:
                self.made[value] = TensorProto.FLOAT16

    def _cast(self, value, kind, name):
        self.nodes.append(helper.make_node("Cast", [value], [name], name=name, to=kind))
        return name

    def _as_half(self, value):
        """The float16 value of this name, whose maker was or was not changed."""
        if value in self.constants:
            if value not in self.halves:
                array = numpy_helper.to_array(self.constants[value]).astype("float16")
                self.halves[value] = f"{value}/half"
                self.graph.initializer.append(numpy_helper.from_array(array, self.halves[value]))
            return self.halves[value]
        is_float32 = self.made.get(value) == TensorProto.FLOAT
        if is_float32 or (value in self.ends and value not in self.made):
            if value not in self.halves:
                self.halves[value] = self._cast(value, TensorProto.FLOAT16, f"{value}/half")
            return self.halves[value]
        return self.halves.get(value, value)


def _halve_attributes(node):
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        elif attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(attribute.t).astype("float16")
            attribute.t.CopyFrom(numpy_helper.from_array(array))


def _key(node):
    """What a node is known by: an object of protobuf's has no lasting identity, its outputs have names."""
    return tuple(node.output)


def _floats(proto):
    """Returns the names of all float32 values of a model."""
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    return {
        value.name
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    } | {tensor.name for tensor in inferred.initializer if tensor.data_type == TensorProto.FLOAT}


def _beside_the_ends(graph):
    """Returns the keys of the nodes next to inputs and outputs that shift and scale by constants."""
    constants = {tensor.name for tensor in graph.initializer}
    makers = {value: node for node in graph.node for value in node.output}
    kept = set()

    def is_affine(node):
        return node.op_type in _AFFINE and any(name in constants for name in node.input)

    values = {t.name for t in graph.input if t.type.tensor_type.elem_type == TensorProto.FLOAT}
    for node in graph.node:
        if is_affine(node) and values.intersection(node.input):
            kept.add(_key(node))
            values.update(node.output)
    for tensor in graph.output:
        node = makers.get(tensor.name)
        while node is not None and (is_affine(node) or node.op_type in ("Reshape", "Transpose")):
            kept.add(_key(node))
            node = next((makers[name] for name in node.input if name in makers), None)
    return kept


def _check(graph, part, kept):
    problem = None
    halved = {name for node in graph.node if _key(node) not in kept for name in node.input}
    for node in graph.node:
        if node.op_type in _RECURRENT:
            problem = f"the recurrent layer {node.name}", "layers whose float16 files onnxruntime can load"
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
            problem = f"{node.name or node.op_type} holds a graph of its own", "nodes without a graph inside"
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name in halved:
            array = numpy_helper.to_array(tensor)
            finite = array[np.isfinite(array)]
            if finite.size and np.abs(finite).max() > _LARGEST:
                problem = f"{np.abs(finite).max():g} in {tensor.name}", f"at most {_LARGEST:g} everywhere"
    if problem:
        raise ExportError(
            f"the {part} cannot be written in float16",
            got=problem[0],
            expected=problem[1],
            fix="leave float16 out",
        )
