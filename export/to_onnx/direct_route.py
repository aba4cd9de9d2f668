"""Writes a model layer by layer, without TensorFlow: the same file on every backend of Keras."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import onnx
from onnx import helper

from aezoo.export.to_onnx import emitters  # noqa: F401 (fills the table)
from aezoo.export.to_onnx.graph import Graph, Tensor, element_type
from aezoo.export.to_onnx.layer_graph import Plan
from aezoo.export.to_onnx.table import EMITTERS, FACTOR, INTEGERS, MAP, ORDER


def build(
    part: Any,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int,
    input_dtype: str,
    scale_input: bool,
    channels_first: Collection[str] = frozenset(),
) -> onnx.ModelProto:
    """Returns the ONNX model of a functional Keras model.

    Args:
        part, inputs, outputs, opset, input_dtype, scale_input, channels_first: as for `to_onnx.write`.

    Raises:
        NotEmittable: a layer or an option of one is not in the table.
    """
    plan = Plan(part)
    graph = Graph(opset, reserved=(*inputs, *outputs))
    graph.plan = plan
    # Bytes are what images are stored as; whatever other inputs a model has are no images.
    first = plan.inputs[0]
    as_bytes = input_dtype == "uint8" and first.dtype == "float32"
    stored = {ref.number: ref.dtype for ref in plan.inputs} | ({first.number: "uint8"} if as_bytes else {})
    values = {}
    for ref, name in zip(plan.inputs, inputs, strict=True):
        factor = 1 / 255 if as_bytes and scale_input and ref is first else 1.0
        values[ref.number] = _input(graph, ref, name, stored[ref.number], factor, name in channels_first)
    _emit(graph, plan, values)
    graph.finish(
        [values[ref.number] for ref in plan.outputs],
        outputs,
        [ref.dtype for ref in plan.outputs],
        [name in channels_first for name in outputs],
    )
    given_infos = [
        _value_info(name, ref, stored[ref.number], name in channels_first)
        for name, ref in zip(inputs, plan.inputs, strict=True)
    ]
    optional_infos = [
        helper.make_tensor_value_info(name, element_type(array.dtype), array.shape)
        for name, array in graph.optional_inputs.items()
    ]
    proto = helper.make_graph(
        graph.nodes,
        part.name,
        [*given_infos, *optional_infos],
        [
            _value_info(name, ref, ref.dtype, name in channels_first)
            for name, ref in zip(outputs, plan.outputs, strict=True)
        ],
        graph.initializers(),
    )
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", opset)])


def _emit(graph, plan, values):
    """Writes all layers of a plan; puts the tensors that they give into `values`."""
    for step in plan.steps:
        graph.step, graph.scope = step, step.path
        emitter = EMITTERS[type(step.layer)]
        given = [_prepared(graph, emitter, values[ref.number]) for ref in step.inputs]
        results = emitter.function(graph, step.layer, *given)
        results = (results,) if isinstance(results, Tensor) else results
        for ref, result in zip(step.outputs, results, strict=True):
            values[ref.number] = dataclasses.replace(result, shape=ref.shape)


def _input(graph, ref, name, dtype, factor, channels_first):
    graph.scope = name
    tensor = Tensor(name, ref.shape, channels_first, factor=factor, dtype=dtype)
    if ref.dtype == "float32":
        tensor = graph.cast(tensor, "float32")
    # At the input rather than before the first convolution, so that what lies between is
    # channels first already.
    return graph.channels_first(tensor) if graph.plan.wants_channels_first(ref) else tensor


def _prepared(graph, emitter, tensor):
    """Carries out what the layer's function does not declare that it takes."""
    takes = emitter.keeps | emitter.reads
    if INTEGERS not in takes:
        tensor = graph.cast(tensor, "float32")
    if FACTOR not in takes:
        tensor = graph.multiplied(tensor)
    if emitter.channels_first:
        return graph.channels_first(tensor)
    if (tensor.channels_first and MAP not in takes) or (tensor.order is not None and ORDER not in takes):
        return graph.channels_last(tensor)
    return tensor


def _value_info(name, ref, dtype, channels_first):
    sizes = ref.shape[1:]
    sizes = (sizes[-1], *sizes[:-1]) if channels_first else sizes
    return helper.make_tensor_value_info(name, element_type(dtype), ("batch", *sizes))
