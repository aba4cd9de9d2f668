"""Layers of the scorer: errors, their place among those of normal examples, and the verdict."""

import math
from typing import Any

import numpy as np

from aezoo.export.scoring.layers import (
    ErrorMap,
    IsAnomaly,
    MeanError,
    NegativeElbo,
    PValue,
    SeriesErrorMap,
    SeriesMeanError,
)
from aezoo.export.to_onnx.emitters.activations import as_float32
from aezoo.export.to_onnx.graph import Graph, Tensor
from aezoo.export.to_onnx.table import emits
from aezoo.nn.losses import SMALLEST_PROBABILITY


@emits(ErrorMap)
def error_map(graph: Graph, layer: Any, examples: Tensor, reconstructions: Tensor) -> Tensor:
    """The squared difference, averaged over the channels."""
    difference = graph.node("Sub", [reconstructions, examples])
    if layer.scale is not None:
        scale = graph.constant("scale", np.asarray(layer.scale, "float32"))
        difference = graph.node("Div", [difference, scale])
    squared = graph.node("Mul", [difference, difference])
    rank = len(examples.shape)
    return graph.result(
        squared if rank == 2 else graph.reduced("ReduceMean", squared, (rank - 1,), keepdims=False)
    )


@emits(MeanError)
def mean_error(graph: Graph, layer: Any, error_map: Tensor) -> Tensor:
    """The mean over all places."""
    axes = range(1, len(error_map.shape))
    return graph.result(graph.reduced("ReduceMean", error_map.name, axes, keepdims=False))


@emits(SeriesErrorMap)
def series_error_map(graph: Graph, layer: Any, examples: Tensor, reconstructions: Tensor) -> Tensor:
    """As `error_map`, of which the difference is 0 where the examples are NaN."""
    behind, zero = graph.node("IsNaN", [examples]), graph.scalar(0)
    known, again = (
        each.with_name(graph.node("Where", [behind, zero, each])) for each in (examples, reconstructions)
    )
    return error_map(graph, layer, known, again)


@emits(SeriesMeanError)
def series_mean_error(graph: Graph, layer: Any, error_map: Tensor, examples: Tensor) -> Tensor:
    """The mean over all steps, by the share of those that are not NaN."""
    behind = graph.node("Cast", [graph.node("IsNaN", [examples])], to=1)
    share = graph.node("Sub", [graph.scalar(1), graph.reduced("ReduceMean", behind, (1, 2), keepdims=False)])
    mean = graph.reduced("ReduceMean", error_map.name, (1,), keepdims=False)
    return graph.result(graph.node("Div", [mean, share]))


@emits(NegativeElbo)
def negative_elbo(
    graph: Graph, layer: Any, examples: Tensor, reconstructions: Tensor, mean: Tensor, log_var: Tensor
) -> Tensor:
    """Both terms in nats, each summed over an example."""
    kind, sigma = layer.likelihood["kind"], layer.likelihood["scale"]
    if kind == "bernoulli":
        ends = [graph.scalar(SMALLEST_PROBABILITY), graph.scalar(1 - SMALLEST_PROBABILITY)]
        p, one = graph.node("Clip", [reconstructions, *ends]), graph.scalar(1)
        on = graph.node("Mul", [examples, graph.node("Log", [p])])
        off = graph.node(
            "Mul", [graph.node("Sub", [one, examples]), graph.node("Log", [graph.node("Sub", [one, p])])]
        )
        nll = graph.node("Neg", [_summed(graph, graph.node("Add", [on, off]), examples)])
    else:
        difference = graph.node("Sub", [examples, reconstructions])
        scale = np.asarray(1.0 if layer.scale is None else layer.scale, "float32") * np.float32(sigma)
        difference = graph.node("Div", [difference, graph.constant("scale", np.asarray(scale))])
        half = graph.node("Mul", [graph.node("Mul", [difference, difference]), graph.scalar(0.5)])
        constant = math.prod(examples.shape[1:]) * (math.log(sigma) + 0.5 * math.log(2 * math.pi))
        nll = graph.node("Add", [_summed(graph, half, examples), graph.scalar(constant)])
    each = graph.node("Add", [graph.node("Mul", [mean, mean]), graph.node("Exp", [log_var])])
    each = graph.node("Sub", [graph.node("Sub", [each, log_var]), graph.scalar(1)])
    kl = graph.node("Mul", [_summed(graph, each, mean), graph.scalar(0.5)])
    return graph.result(graph.node("Add", [nll, kl]))


def _summed(graph, value, like):
    """Returns a value of a tensor's shape summed over everything but the batch."""
    axes = graph.indices(f"axes_{len(like.shape)}", range(1, len(like.shape)))
    return graph.node("ReduceSum", [value, axes], keepdims=0)


@emits(PValue)
def p_value(graph: Graph, layer: Any, score: Tensor) -> Tensor:
    """How many entries of the table are at least the score, in steps."""
    column = graph.node("Unsqueeze", [score, graph.indices("axis", (1,))])
    above = graph.node("LessOrEqual", [column, graph.constant("table", as_float32(layer.table)[None])])
    above = graph.node("Cast", [above], to=1)
    count = graph.node("ReduceSum", [above, graph.indices("axis", (1,))], keepdims=0)
    base, step = as_float32(layer.steps)
    count = graph.node("Mul", [count, graph.constant("step", np.asarray([step]))])
    return graph.result(graph.node("Add", [count, graph.constant("base", np.asarray([base]))]))


@emits(IsAnomaly)
def is_anomaly(graph: Graph, layer: Any, score: Tensor) -> Tensor:
    """Compared with an input of the graph that may be left out; NaN is not within it."""
    threshold = graph.optional_input("threshold", as_float32(layer.threshold))
    within = graph.node("Cast", [graph.node("LessOrEqual", [score, threshold])], to=1)
    return graph.result(graph.node("Less", [within, graph.scalar(0.5)]), dtype="bool")
