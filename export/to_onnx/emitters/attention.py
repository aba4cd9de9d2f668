"""Attention between the steps of sequences (Vaswani et al. 2017, arXiv:1706.03762)."""

from typing import Any

import numpy as np

from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.emitters.activations import as_float32
from aezoo.export.to_onnx.graph import Graph, NotEmittable, Tensor
from aezoo.export.to_onnx.table import emits

layers = import_keras().layers


@emits(layers.MultiHeadAttention)
def multi_head_attention(
    graph: Graph, layer: Any, query: Tensor, value: Tensor, key: Tensor | None = None
) -> Tensor:
    """Three products with weights, two with each other, one more: (B, T, D) and (B, S, D) to (B, T, D).

    The division of the scores by the root of the key's size is done in the weights of the query.
    """
    key = value if key is None else key
    config = layer.get_config()
    # Those of later versions of Keras are not in the config of an earlier one.
    options = {name: config.get(name) for name in ("use_gate", "sliding_window") if config.get(name)}
    ranks = {len(x.shape) for x in (query, value, key)} | {len(graph.step.output.shape)}
    if options or ranks != {3} or len(graph.step.outputs) > 1:
        raise NotEmittable(
            f"no function writes the options of {graph.scope!r} as ONNX",
            got=f"{options or ''} query of shape {query.shape}, output of {graph.step.output.shape}",
            expected="attention along the one axis of sequences (B, T, D), without a gate or a window",
            fix="pass route='tf2onnx', or reshape to sequences before",
        )
    scale = config["key_dim"] ** -0.5
    queries = _heads(graph, layer.query_dense, query, "query", (0, 2, 1, 3), scale)
    keys = _heads(graph, layer.key_dense, key, "key", (0, 2, 3, 1))
    values = _heads(graph, layer.value_dense, value, "value", (0, 2, 1, 3))
    scores = graph.node("Softmax", [graph.node("MatMul", [queries, keys])], axis=-1)
    y = graph.node("MatMul", [scores, values])
    times, heads, size = query.shape[1], config["num_heads"], config["value_dim"] or config["key_dim"]
    y = graph.transposed(y, (None, heads, times, size), (0, 2, 1, 3))
    y = graph.node("Reshape", [y, graph.indices("joined", (-1, times, heads * size))])
    kernel = as_float32(layer.output_dense.kernel).reshape(heads * size, -1)
    return graph.result(_product(graph, y, kernel, layer.output_dense.bias, "output"))


def _heads(graph, dense, x, name, permutation, scale=1.0):
    """(B, T, D) to (B, T, heads, size), its axes permuted."""
    features, heads, size = dense.kernel.shape
    kernel = as_float32(dense.kernel).reshape(features, heads * size)
    y = _product(graph, x, kernel, dense.bias, name, scale)
    times = x.shape[1]
    y = graph.node("Reshape", [y, graph.indices(f"{name}_heads", (-1, times, heads, size))])
    return graph.transposed(y, (None, times, heads, size), permutation)


def _product(graph, x, kernel, bias, name, scale=1.0):
    kernel = (kernel.astype(np.float64) * scale).astype(np.float32)
    y = graph.node("MatMul", [x, graph.constant(f"{name}_kernel", kernel)])
    if bias is None:
        return y
    bias = (as_float32(bias).ravel().astype(np.float64) * scale).astype(np.float32)
    return graph.node("Add", [y, graph.constant(f"{name}_bias", bias)])
