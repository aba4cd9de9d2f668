"""Writes a model layer by layer, without TensorFlow: the same file on every backend of Keras."""

import dataclasses

from onnx import TensorProto, helper

from aezoo.export.to_onnx import activations, layers, layers_conv, layers_norm  # noqa: F401 (they fill the table)
from aezoo.export.to_onnx.graph import Graph, Tensor
from aezoo.export.to_onnx.table import EMITTERS, FACTOR, MAP, ORDER
from aezoo.export.to_onnx.walk import Plan


def build(part, *, inputs, outputs, opset, input_dtype, scale_input):
    """Returns the ONNX model of a functional Keras model.

    Args:
        part, inputs, outputs, opset, input_dtype, scale_input: as for `to_onnx.write`.

    Raises:
        NotEmittable: a layer or an option of one is not in the table.
    """
    plan = Plan(part)
    graph = Graph(opset, reserved=(*inputs, *outputs))
    graph.plan = plan
    element = TensorProto.UINT8 if input_dtype == "uint8" else TensorProto.FLOAT
    factor = 1 / 255 if input_dtype == "uint8" and scale_input else 1.0
    values = {}
    for ref, name in zip(plan.inputs, inputs, strict=True):
        values[ref.number] = _input(graph, ref, name, element, factor)
    for step in plan.steps:
        graph.step, graph.scope = step, step.path
        emitter = EMITTERS[type(step.layer)]
        given = [_prepared(graph, emitter, values[ref.number]) for ref in step.inputs]
        result = emitter.function(graph, step.layer, *given)
        values[step.output.number] = dataclasses.replace(result, shape=step.output.shape)
    graph.finish([values[ref.number] for ref in plan.outputs], outputs)
    proto = helper.make_graph(
        graph.nodes,
        part.name,
        [_value_info(name, ref, element) for name, ref in zip(inputs, plan.inputs, strict=True)],
        [_value_info(name, ref, TensorProto.FLOAT) for name, ref in zip(outputs, plan.outputs, strict=True)],
        graph.initializers(),
    )
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", opset)])


def _input(graph, ref, name, element, factor):
    graph.scope = name
    tensor = Tensor(name, ref.shape, factor=factor)
    if element != TensorProto.FLOAT:
        tensor = graph.pointwise(tensor, "Cast", to=TensorProto.FLOAT)
    # At the input rather than before the first convolution, so that what lies between is
    # channels first already.
    return graph.channels_first(tensor) if graph.plan.wants_channels_first(ref) else tensor


def _prepared(graph, emitter, tensor):
    """Carries out what the layer's function does not declare that it takes."""
    takes = emitter.keeps | emitter.reads
    if FACTOR not in takes:
        tensor = graph.multiplied(tensor)
    if emitter.channels_first:
        return graph.channels_first(tensor)
    if (tensor.channels_first and MAP not in takes) or (tensor.order is not None and ORDER not in takes):
        return graph.channels_last(tensor)
    return tensor


def _value_info(name, ref, element):
    return helper.make_tensor_value_info(name, element, ("batch", *ref.shape[1:]))
