"""Layers of single families: positions of patches, and the k largest of the latents."""

from typing import Any

from aezoo.export.to_onnx.graph import Graph, Tensor
from aezoo.export.to_onnx.table import MAP, emits
from aezoo.models.sparse import KSparse
from aezoo.nn.transformer import Positions


@emits(Positions, keeps=(MAP,))
def positions(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """One Add of a constant."""
    return graph.pointwise(x, "Add", graph.aligned(x, layer.table(x.shape[-1]), "table"))


@emits(KSparse)
def k_sparse(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """What is below the k-th largest becomes 0; latents that equal it are all kept, as in Keras."""
    k = layer.kept(x.shape[-1])
    largest, _ = graph.node(
        "TopK", [x, graph.indices("k", (k,))], outputs=("values", "indices"), axis=-1, largest=1, sorted=1
    )
    last = [graph.indices(name, (value,)) for name, value in (("first", k - 1), ("end", k), ("axes", 1))]
    smallest = graph.node("Slice", [largest, *last])
    kept = graph.node("GreaterOrEqual", [x, smallest])
    return graph.pointwise(x.with_name(kept), "Where", x, graph.scalar(0))
