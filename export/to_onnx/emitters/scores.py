"""Layers of the scores that compare with training: distances, and what is made of maps of them."""

from typing import Any

import numpy as np

from aezoo.export.scoring.layers import LargestError, Mahalanobis, Placed
from aezoo.export.scoring.memory import (
    EPSILON,
    LOCAL,
    WIDTH,
    InOwnUnits,
    Nearest,
    PatchMemory,
    Standout,
    Surprise,
)
from aezoo.export.to_onnx.emitters.activations import as_float32
from aezoo.export.to_onnx.graph import Graph, Tensor
from aezoo.export.to_onnx.table import emits


@emits(LargestError)
def largest_error(graph: Graph, layer: Any, error_map: Tensor) -> Tensor:
    """The largest of the means over squares or steps."""
    value, rank = error_map.name, len(error_map.shape)
    if layer.size > 1:
        value = graph.node("Unsqueeze", [value, graph.indices("channel", (1,))])
        value = graph.node("AveragePool", [value], kernel_shape=(layer.size,) * (rank - 1))
        value = graph.node("Squeeze", [value, graph.indices("channel", (1,))])
    largest, mean = (
        graph.reduced(op_type, value, range(1, rank), keepdims=False)
        for op_type in ("ReduceMax", "ReduceMean")
    )
    return graph.result(graph.node("Add", [largest, graph.node("Mul", [mean, graph.scalar(0)])]))


@emits(Mahalanobis)
def mahalanobis(graph: Graph, layer: Any, latents: Tensor) -> Tensor:
    """The length of the whitened latents."""
    flat = latents.name
    if len(latents.shape) > 2:
        flat = graph.node("Reshape", [latents, graph.indices("flat", (-1, layer.width))])
    weights = [
        graph.constant("kernel", as_float32(layer.kernel)),
        graph.constant("bias", as_float32(layer.bias)),
    ]
    return graph.result(graph.node("Sqrt", [_squared_length(graph, graph.node("Gemm", [flat, *weights]))]))


@emits(InOwnUnits)
def in_own_units(graph: Graph, layer: Any, vectors: Tensor) -> Tensor:
    """The difference from the mean, by its root mean square."""
    difference = graph.node("Sub", [vectors, graph.reduced("ReduceMean", vectors, (1,))])
    spread = graph.reduced("ReduceMean", graph.node("Mul", [difference, difference]), (1,))
    spread = graph.node("Add", [graph.node("Sqrt", [spread]), graph.scalar(EPSILON)])
    return graph.result(graph.node("Div", [difference, spread]))


@emits(Nearest)
def nearest(graph: Graph, layer: Any, vectors: Tensor) -> Tensor:
    """The nearest, found by a product and measured again, by what those around have to their own."""
    scaled = graph.node("Sub", [vectors, graph.constant("center", as_float32(layer.center))])
    scaled = graph.node("Div", [scaled, graph.constant("scale", as_float32(layer.scale))])
    squared, again = _measured_again(graph, layer, scaled, 1)
    count = graph.indices("near", (layer.near,))
    closest, _ = graph.node("TopK", [again, count], outputs=("values", "places"), axis=-1, largest=0)
    near = graph.reduced("ReduceMean", graph.node("Sqrt", [closest]), (1,))
    width = graph.node("Mul", [graph.node("Mul", [near, near]), graph.scalar(WIDTH)])
    width = graph.node("Add", [width, graph.constant("spacing", as_float32(layer.spacing))])
    weights = graph.node("Softmax", [graph.node("Neg", [graph.node("Div", [squared, width])])], axis=-1)
    own = graph.node("MatMul", [weights, graph.constant("own", as_float32(layer.own))])
    local = graph.node("Div", [near, graph.node("Pow", [own, graph.scalar(LOCAL)])])
    return graph.result(graph.node("Squeeze", [local, graph.indices("axis", (1,))]))


@emits(PatchMemory, channels_first=True)
def patch_memory(graph: Graph, layer: Any, images: Tensor) -> Tensor:
    """Local contrast normalisation, a convolution, and the smallest squared distance at each place."""
    channels = images.shape[-1]
    mean = _blurred(graph, layer, images.name, channels)
    difference = graph.node("Sub", [images, mean])
    spread = _blurred(graph, layer, graph.node("Mul", [difference, difference]), channels)
    spread = graph.node("Add", [graph.node("Sqrt", [spread]), graph.scalar(EPSILON)])
    kernel = np.moveaxis(as_float32(layer.kernel), (-1, -2), (0, 1))
    described = graph.node(
        "Conv",
        [
            graph.node("Div", [difference, spread]),
            graph.constant("kernel", kernel),
            graph.constant("bias", as_float32(layer.bias)),
        ],
        kernel_shape=kernel.shape[2:],
        strides=(layer.strides, layer.strides),
    )
    described = graph.node("Transpose", [described], perm=(0, 2, 3, 1))
    _, again = _measured_again(graph, layer, described, 3)
    return graph.result(graph.node("Sqrt", [graph.reduced("ReduceMin", again, (3,), keepdims=False)]))


def _measured_again(graph, layer, vectors, axis):
    """Returns squared distances of vectors (..., D): (..., M) by a product, and exact ones to the nearest."""
    memory = as_float32(layer.memory)
    candidates = graph.indices("candidates", (layer.candidates,))
    squared = _squared_distances(graph, vectors, memory)
    _, places = graph.node("TopK", [squared, candidates], outputs=("values", "places"), axis=-1, largest=0)
    again = graph.node("Gather", [graph.constant("rows", memory), places], axis=0)
    again = graph.node(
        "Sub", [graph.node("Unsqueeze", [vectors, graph.indices("candidate", (axis,))]), again]
    )
    squares = graph.node("Mul", [again, again])
    return squared, graph.node("ReduceSum", [squares, graph.indices("last", (-1,))], keepdims=0)


def _blurred(graph, layer, value, channels):
    """The mean in a Gaussian window, of as much of it as lies inside the image."""
    values = layer.window.astype("float32")
    reach = len(values) // 2
    for name, kernel, pads in (
        ("down", values[:, None], (reach, 0, reach, 0)),
        ("across", values[None, :], (0, reach, 0, reach)),
    ):
        weights = np.repeat(kernel[None, None], channels, axis=0)
        value = graph.node(
            "Conv",
            [value, graph.constant(name, weights)],
            kernel_shape=kernel.shape,
            pads=pads,
            group=channels,
        )
    return graph.node("Div", [value, graph.constant("cover", np.moveaxis(layer.cover, -1, 1))])


@emits(Standout)
def standout(graph: Graph, layer: Any, values: Tensor) -> Tensor:
    """The mean of the largest hundredth by the median."""
    flat = graph.node("Reshape", [values, graph.indices("flat", (-1, layer.places))])
    half = graph.indices("half", (layer.half,))
    ordered, _ = graph.node("TopK", [flat, half], outputs=("values", "places"), axis=-1)
    axis = graph.indices("axis", (1,))
    top = graph.node(
        "Slice", [ordered, graph.indices("first", (0,)), graph.indices("top", (layer.top,)), axis]
    )
    top = graph.reduced("ReduceMean", top, (1,), keepdims=False)
    last = [graph.indices("middle", (layer.half - 1,)), graph.indices("half", (layer.half,)), axis]
    median = graph.node("Squeeze", [graph.node("Slice", [ordered, *last]), axis])
    floor = graph.constant("floor", as_float32(layer.floor))
    return graph.result(graph.node("Div", [top, graph.node("Add", [median, floor])]))


@emits(Surprise)
def surprise(graph: Graph, layer: Any, values: Tensor) -> Tensor:
    """A sum of pieces, each of which begins at a knot; what is no number stays none."""
    axis = graph.indices("axis", (1,))
    column = graph.node("Unsqueeze", [values, axis])
    above = graph.node(
        "Relu", [graph.node("Sub", [column, graph.constant("knots", as_float32(layer.knots)[None])])]
    )
    pieces = graph.node("Mul", [above, graph.constant("slopes", as_float32(layer.slopes)[None])])
    total = graph.node("ReduceSum", [pieces, axis], keepdims=0)
    return graph.result(graph.node("Add", [total, graph.node("Mul", [values, graph.scalar(0)])]))


@emits(Placed)
def placed(graph: Graph, layer: Any, values: Tensor) -> Tensor:
    """Two products: down, and across."""
    down = graph.node("MatMul", [graph.constant("down", layer.down), values])
    return graph.result(graph.node("MatMul", [down, graph.constant("across", layer.across.T)]))


def _from_to(graph, value, start, end):
    """Returns the columns from start up to end of two axes."""
    ends = [graph.indices(f"to_{number}", (number,)) for number in (start, end)]
    return graph.node("Slice", [value, *ends, graph.indices("axis", (1,))])


def _squared_length(graph, value):
    """Returns the sum of the squares along the last of two axes."""
    squares = graph.node("Mul", [value, value])
    return graph.node("ReduceSum", [squares, graph.indices("axis", (1,))], keepdims=0)


def _squared_distances(graph, vectors, memory):
    """Returns the squared distances (..., M) of vectors (..., D) and memory (M, D)."""
    lengths = graph.node(
        "ReduceSum", [graph.node("Mul", [vectors, vectors]), graph.indices("last", (-1,))], keepdims=1
    )
    products = graph.node("MatMul", [vectors, graph.constant("memory", np.ascontiguousarray(-2 * memory.T))])
    known = graph.constant("lengths", np.square(memory).sum(axis=1))
    return graph.node("Add", [graph.node("Add", [lengths, products]), known])
