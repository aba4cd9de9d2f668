"""One function for each kind of layer: what it becomes in ONNX. Importing this room fills `to_onnx.table`."""

from aezoo.export.to_onnx.emitters import (
    activations,
    attention,
    basic,
    convolution,
    families,
    normalization,
    own,
    recurrent,
    scorer,
    scores,
)

__all__ = [
    "activations",
    "attention",
    "basic",
    "convolution",
    "families",
    "normalization",
    "own",
    "recurrent",
    "scorer",
    "scores",
]
