"""Layers of aezoo itself, and what several of them need."""

from typing import Any

import numpy as np

from aezoo.export.to_onnx.emitters.activations import as_float32, stored_axis
from aezoo.export.to_onnx.emitters.basic import shift, unshift, vanish
from aezoo.export.to_onnx.graph import Graph, Tensor
from aezoo.export.to_onnx.table import FACTOR, INTEGERS, MAP, ORDER, emits
from aezoo.models.fsq import FiniteScalarQuantizer
from aezoo.models.vq_vae import VectorQuantizer
from aezoo.nn.layers import Corruption, Standardize, Unstandardize
from aezoo.nn.linear_path import Clip

emits(Corruption, keeps=(MAP, ORDER, FACTOR, INTEGERS))(vanish)


@emits(Standardize, keeps=(MAP, ORDER))
def standardize(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """(x - mean) / scale; 0 behind the ends of series, where x is NaN."""
    y = shift(graph, x, as_float32(layer.mean), as_float32(layer.scale))
    if not layer.ragged:
        return y
    # Behind the scaling, so that a file of float16 still scales in float32 beside its input.
    behind = graph.node("IsNaN", [x])
    return y.with_name(graph.node("Where", [behind, graph.scalar(0), y]))


@emits(Unstandardize, keeps=(MAP, ORDER))
def unstandardize(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """x * scale + mean."""
    return unshift(graph, x, as_float32(layer.mean), as_float32(layer.scale))


@emits(Clip, keeps=(MAP, ORDER))
def clip(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Values cut to [0, 1]."""
    return graph.pointwise(x, "Clip", graph.scalar(0), graph.scalar(1))


def nearest_rows(graph: Graph, x: Tensor, table: np.ndarray) -> tuple[str, str]:
    """Finds the row of a table that is nearest to each vector of features.

    The squared length of a vector is the same for all rows, so ||row||^2 - 2 <x, row> is compared:
    one product with the table, as a convolution where the features are channels first. The
    emitter that calls this should declare `reads=(MAP,)`.

    Args:
        x: Tensor of shape (B, ..., D).
        table: (K, D) array.

    Returns:
        Names of the int64 indices (B, ...) and of the rows (B, ..., D), channels last.
    """
    table = np.asarray(table, np.float32)
    products, lengths = -2 * table, np.square(table).sum(axis=-1)
    if x.channels_first:
        ones = (1,) * (len(x.shape) - 2)
        kernel = graph.constant("products", products.reshape(*products.shape, *ones))
        weights = [kernel, graph.constant("lengths", lengths)]
        distances, axis = graph.node("Conv", [x, *weights], kernel_shape=ones), 1
    elif len(x.shape) == 2:
        weights = [graph.constant("products", products.T), graph.constant("lengths", lengths)]
        distances, axis = graph.node("Gemm", [x, *weights]), -1
    else:
        distances = graph.node("MatMul", [x, graph.constant("products", products.T)])
        distances, axis = graph.node("Add", [distances, graph.constant("lengths", lengths)]), -1
    indices = graph.node("ArgMin", [distances], axis=axis, keepdims=0)
    return indices, graph.node("Gather", [graph.constant("table", table), indices], axis=0)


@emits(VectorQuantizer, reads=(MAP,))
def vector_quantizer(graph: Graph, layer: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest code at each position, and its number."""
    indices, rows = nearest_rows(graph, x, as_float32(layer.codebook))
    return graph.result(rows), graph.result(indices, output=1, dtype="int64")


@emits(FiniteScalarQuantizer, keeps=(MAP,))
def finite_scalar_quantizer(graph: Graph, layer: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Bounded by Tanh and rounded; the digits of each position are summed to its code's number."""
    x = graph.pointwise(x, "Add", graph.aligned(x, layer.shift, "shift"))
    x = graph.pointwise(graph.pointwise(x, "Tanh"), "Mul", graph.aligned(x, layer.half_range, "half_range"))
    x = graph.pointwise(x, "Sub", graph.aligned(x, layer.offset, "offset"))
    x = graph.pointwise(x, "Round")
    width = graph.aligned(x, layer.half_width, "half_width")
    latents = graph.pointwise(x, "Div", width)
    digits = graph.pointwise(x, "Add", width)
    parts = graph.pointwise(digits, "Mul", graph.aligned(x, layer.basis, "basis"))
    axis = graph.indices("axis", (stored_axis(x, -1),))
    indices = graph.node("ReduceSum", [parts, axis], keepdims=0)
    return (
        graph.result(latents.name, channels_first=x.channels_first),
        graph.result(indices, output=1),
    )
