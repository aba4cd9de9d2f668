"""Makes what tf2onnx writes as small and as plain as what the direct route writes."""

import math
from collections.abc import Sequence

import onnx
from onnx import helper, numpy_helper, shape_inference, version_converter

from aezoo.core.imports import need
from aezoo.export.to_onnx.graph import reorder


def clean(
    proto: onnx.ModelProto, *, inputs: Sequence[str], outputs: Sequence[str], opset: int
) -> onnx.ModelProto:
    """Returns the model at the opset asked for, without leftovers, its values named afresh.

    Args:
        proto: as tf2onnx returns it.
        inputs, outputs: names that the graph's inputs and outputs get, in this order.
        opset: of the result.
    """
    if next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")) < opset:
        proto = version_converter.convert_version(proto, opset)
    proto = need("onnxslim", extra="train").slim(proto)
    fold_flatten(proto)
    join_gemm(proto)
    _drop_unused(proto)
    _name_sizes(proto)
    _rename(proto, inputs, outputs)
    return proto


def fold_flatten(proto: onnx.ModelProto) -> None:
    """Transpose to channels last, Reshape and MatMul become Flatten and MatMul of permuted rows."""
    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes, consumers, producers = _shapes(proto), _consumers(graph), _producers(graph)
    for product in list(graph.node):
        if product.op_type != "MatMul" or product.input[1] not in constants:
            continue
        flat = producers.get(product.input[0])
        if flat is None or flat.op_type not in ("Reshape", "Flatten") or len(consumers[flat.output[0]]) > 1:
            continue
        moved = producers.get(flat.input[0])
        if moved is None or moved.op_type != "Transpose" or len(consumers[moved.output[0]]) > 1:
            continue
        weights = numpy_helper.to_array(constants[product.input[1]])
        _, *order = shapes.get(moved.output[0]) or (None,)
        permutation = next(list(item.ints) for item in moved.attribute if item.name == "perm")
        if permutation != [0, 2, 3, 1] or None in order or math.prod(order) != weights.shape[0]:
            continue
        name = product.input[1] + "/channels_first"
        graph.initializer.append(numpy_helper.from_array(reorder(weights, tuple(order), axis=0), name))
        product.input[1] = name
        replacement = helper.make_node("Flatten", [moved.input[0]], [flat.output[0]], axis=1)
        graph.node.insert(list(graph.node).index(moved), replacement)
        graph.node.remove(moved)
        graph.node.remove(flat)


def join_gemm(proto: onnx.ModelProto) -> None:
    """MatMul of rows by constant weights, and the Add of a constant bias behind it, become Gemm."""
    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes, consumers = _shapes(proto), _consumers(graph)
    results = {value.name for value in graph.output}
    for product in list(graph.node):
        if product.op_type != "MatMul" or product.input[1] not in constants:
            continue
        if len(shapes.get(product.input[0]) or ()) != 2 or product.output[0] in results:
            continue
        followers = consumers[product.output[0]]
        if len(followers) != 1 or followers[0].op_type != "Add":
            continue
        biases = [name for name in followers[0].input if name != product.output[0]]
        if len(biases) != 1 or biases[0] not in constants or len(constants[biases[0]].dims) != 1:
            continue
        joined = helper.make_node("Gemm", [*product.input, biases[0]], list(followers[0].output))
        graph.node.insert(list(graph.node).index(followers[0]), joined)
        graph.node.remove(product)
        graph.node.remove(followers[0])


def _shapes(proto):
    """Sizes of every value that can be inferred, None for the unknown ones."""
    graph = shape_inference.infer_shapes(proto).graph
    return {
        value.name: [
            dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
        ]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def _consumers(graph):
    consumers = {output: [] for node in graph.node for output in node.output}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    return consumers


def _producers(graph):
    return {output: node for node in graph.node for output in node.output}


def _drop_unused(proto):
    graph = proto.graph
    if not _has_subgraphs(graph):  # they read values of the graph around them
        wanted = {value.name for value in graph.output}
        for node in reversed(list(graph.node)):
            if wanted.intersection(node.output):
                wanted.update(node.input)
            else:
                graph.node.remove(node)
        used = {name for node in graph.node for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
    domains = {node.domain for node in graph.node} | {""}
    kept = [entry for entry in proto.opset_import if entry.domain in domains]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    del graph.value_info[:]
    proto.doc_string = graph.doc_string = ""


def _name_sizes(proto):
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value"):
                dim.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"


def _has_subgraphs(graph):
    return any(item.HasField("g") or item.graphs for node in graph.node for item in node.attribute)


def _rename(proto, inputs, outputs):
    """Names without the counters of the process: the same model gives the same file."""
    graph = proto.graph
    # tf2onnx sorts neither; both are named as the function's arguments and results are.
    for values, names in ((graph.input, inputs), (graph.output, outputs)):
        by_name = {value.name: value for value in values}
        if set(by_name) != set(names):
            raise ValueError(f"the graph has {sorted(by_name)} where {sorted(names)} was asked for")
        ordered = [by_name[name] for name in names]
        copies = [type(value).FromString(value.SerializeToString()) for value in ordered]
        del values[:]
        values.extend(copies)
    if _has_subgraphs(graph):
        return
    kept = {*inputs, *outputs, ""}
    names = {name: name for name in kept}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{index}"
        for position, name in enumerate(node.input):
            if name in weights:
                names.setdefault(name, f"{node.name}/{position}")
        for position, name in enumerate(node.output):
            names.setdefault(name, f"{node.name}:{position}")
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.doc_string = ""
    tensors = {}
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
        tensors[tensor.name] = tensor.SerializeToString()
    order = [name for node in graph.node for name in node.input if name in tensors]
    kept_tensors = [type(graph.initializer[0]).FromString(tensors[name]) for name in dict.fromkeys(order)]
    del graph.initializer[:]
    graph.initializer.extend(kept_tensors)
