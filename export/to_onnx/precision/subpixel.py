"""A ConvTranspose as a Conv and a rearrangement of its channels, for int8 files alone.

onnxruntime has no ConvTranspose of 8 bits, but a Conv of 8 bits and operators that move bytes. In float32
the same rewrite makes a decoder slower, so it never gets into such a file.

With stride s, output o = s*q + r of phase r is a sum over those taps t of the kernel that fall on inputs:
i = q + (r + p - t*d) / s, for pads p before and dilation d. The s phases of an axis are therefore s
convolutions of stride 1, here one convolution of s times the channels: their taps are shifted onto a common
window, zeros where a phase has none.

Source: Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclasses.dataclass(frozen=True)
class Axis:
    """How one axis is computed.

    Attributes:
        stride, length: of the output.
        low, high: first and last offset i - q of an input that any phase reads.
        taps: {(phase, offset - low): tap of the kernel}.
        pads: zeros before and after the input; negative ones cut it.
        shift: values that come before the first one wanted, and are cut off.
        positions: of each phase.
    """

    stride: int
    length: int
    low: int
    high: int
    taps: dict
    pads: tuple
    shift: int
    positions: int

    @property
    def window(self) -> int:
        """Width of the common window."""
        return self.high - self.low + 1


def plan_axis(size: int, kernel: int, stride: int, dilation: int, before: int, length: int) -> Axis:
    """Returns the `Axis` that costs the fewest multiplications.

    Args:
        size: of the input.
        kernel, stride, dilation: of the ConvTranspose.
        before: its pads before the axis.
        length: of the output.

    Which phase is called the first is free: with kernel 4, stride 2 and pads 1 the two phases read inputs
    -1, 0 and 0, 1, but both -1, 0 where one value more is computed before and cut off.
    """
    plans = []
    for shift in range(stride):
        taps = {}
        for phase, tap in itertools.product(range(stride), range(kernel)):
            offset, rest = divmod(phase + before - shift - tap * dilation, stride)
            if rest == 0:
                taps[phase, offset] = tap
        low, high = min(o for _, o in taps), max(o for _, o in taps)
        positions = -(-(length + shift) // stride)
        plans.append(
            Axis(
                stride,
                length,
                low,
                high,
                {(phase, offset - low): tap for (phase, offset), tap in taps.items()},
                (-low, positions - size + high),
                shift,
                positions,
            )
        )
    return min(plans, key=lambda plan: (plan.window * plan.positions, plan.shift))


def plan(
    node: onnx.NodeProto, weight_shape: Sequence[int], input_shape: Sequence[Any] | None
) -> tuple[Axis, ...] | None:
    """Returns an `Axis` for each spatial axis, or None where the rewrite does not know this node.

    Args:
        node: a ConvTranspose.
        weight_shape: (in, out / groups, *kernel).
        input_shape: (batch, in, *sizes); the sizes must be known.
    """
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    rank = len(weight_shape) - 2
    sizes = input_shape[2:] if input_shape else ()
    automatic = given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    if given.get("group", 1) != 1 or automatic or "output_shape" in given or len(sizes) != rank:
        return None
    if not all(isinstance(size, int) for size in sizes):
        return None
    strides = given.get("strides", [1] * rank)
    dilations = given.get("dilations", [1] * rank)
    pads = given.get("pads", [0] * (2 * rank))
    extras = given.get("output_padding", [0] * rank)
    axes = []
    for axis, size in enumerate(sizes):
        kernel, stride, dilation = weight_shape[2 + axis], strides[axis], dilations[axis]
        full = (size - 1) * stride + (kernel - 1) * dilation + 1
        length = full + extras[axis] - pads[axis] - pads[rank + axis]
        axes.append(plan_axis(size, kernel, stride, dilation, pads[axis], length))
    return tuple(axes)


def phase_weights(weights: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """Returns the Conv's weights (prod(strides) * out, in, *windows), all channels of a phase side by side.

    Args:
        weights: (in, out, *kernel), of the ConvTranspose.
        axes: of `plan`.
    """
    inputs, outputs, *_ = weights.shape
    strides, windows = [a.stride for a in axes], [a.window for a in axes]
    result = np.zeros((*strides, outputs, inputs, *windows), weights.dtype)
    for choice in itertools.product(*(axis.taps.items() for axis in axes)):
        phases = tuple(phase for (phase, _), _ in choice)
        places = tuple(place for (_, place), _ in choice)
        taps = tuple(tap for _, tap in choice)
        result[(*phases, slice(None), slice(None), *places)] = weights[(slice(None), slice(None), *taps)].T
    return result.reshape(math.prod(strides) * outputs, inputs, *windows)


@dataclasses.dataclass(frozen=True)
class Rewritten:
    """What replaces a ConvTranspose.

    Attributes:
        computing: nodes that compute, the last of them (or the one before its Relu) the Conv.
        moving: nodes that move the result's values, of whatever type they are, to their places.
        arrays: {name: array} that they read.
        kernel, bias: names of the Conv's among them, the bias None where there is none.
    """

    computing: list
    moving: list
    arrays: dict
    kernel: str
    bias: str | None


class _Nodes:
    """Nodes in the making, `made`, and the `arrays` that they read, all named after one node."""

    def __init__(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        self.name, self.arrays = name, arrays
        self.made: list[onnx.NodeProto] = []

    def add(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        label = f"{self.name}/{op_type}" + (f"_{len(self.made)}" if op_type != "Conv" else "")
        self.made.append(helper.make_node(op_type, inputs, [label], name=label, **attributes))
        return label

    def constant(self, word: str, values: Iterable[int]) -> str:
        self.arrays[f"{self.name}/{word}"] = np.asarray(values, np.int64)
        return f"{self.name}/{word}"


def rewrite(
    node: onnx.NodeProto,
    axes: Sequence[Axis],
    weights: np.ndarray,
    bias: np.ndarray | None,
    *,
    final: str,
    relu: bool = False,
) -> Rewritten:
    """Returns the `Rewritten` form of a ConvTranspose.

    Channels become places channels last, where those of a place lie side by side and a Transpose moves them
    as one: onnxruntime's convolutions of 8 bits work so, and the Transposes around vanish when it loads the
    file. DepthToSpace would force them to be carried out.

    Args:
        node: the ConvTranspose.
        axes: of `plan`.
        weights, bias: arrays, the bias (out,) or None.
        final: name of the last output.
        relu: whether a Relu follows the Conv, where onnxruntime joins the two.
    """
    name, source = node.name or node.output[0], node.input[0]
    rank, phases = len(axes), math.prod(axis.stride for axis in axes)
    arrays = {f"{name}/kernel": phase_weights(weights, axes)}
    computing, moving = _Nodes(name, arrays), _Nodes(name, arrays)
    # Pads below zero: the first or last inputs touch nothing that is wanted.
    cuts = [(max(-before, 0), max(-after, 0)) for before, after in (axis.pads for axis in axes)]
    if any(map(any, cuts)):
        starts = computing.constant("input_starts", [before for before, _ in cuts])
        ends = computing.constant("input_ends", [-after or np.iinfo(np.int64).max for _, after in cuts])
        along = computing.constant("input_axes", range(2, 2 + rank))
        source = computing.add("Slice", [source, starts, ends, along])
    inputs = [source, f"{name}/kernel"]
    if bias is not None:
        arrays[f"{name}/bias"] = np.tile(bias, phases)
        inputs.append(f"{name}/bias")
    value = computing.add(
        "Conv",
        inputs,
        kernel_shape=[axis.window for axis in axes],
        pads=[max(axis.pads[end], 0) for end in (0, 1) for axis in axes],
    )
    if relu:
        value = computing.add("Relu", [value])
    if phases > 1 or any(axis.shift or axis.positions != axis.length for axis in axes):
        _to_places(moving, value, axes, weights.shape[1])
    (moving.made or computing.made)[-1].output[0] = final
    named = f"{name}/bias" if bias is not None else None
    return Rewritten(computing.made, moving.made, arrays, f"{name}/kernel", named)


def _to_places(nodes, value, axes, outputs):
    """Moves the channels of every phase to their places, and cuts off what was computed beyond."""
    rank = len(axes)
    places = range(1, 1 + rank)
    value = nodes.add("Transpose", [value], perm=[0, *range(2, 2 + rank), 1])
    sizes = [*(axis.positions for axis in axes), *(axis.stride for axis in axes)]
    value = nodes.add("Reshape", [value, nodes.constant("apart", [-1, *sizes, outputs])])
    order = [axis for pair in zip(places, range(1 + rank, 1 + 2 * rank), strict=True) for axis in pair]
    value = nodes.add("Transpose", [value], perm=[0, *order, 1 + 2 * rank])
    sizes = [axis.positions * axis.stride for axis in axes]
    value = nodes.add("Reshape", [value, nodes.constant("joined", [-1, *sizes, outputs])])
    if any(axis.shift or axis.positions * axis.stride != axis.length for axis in axes):
        starts = nodes.constant("starts", [axis.shift for axis in axes])
        ends = nodes.constant("ends", [axis.shift + axis.length for axis in axes])
        value = nodes.add("Slice", [value, starts, ends, nodes.constant("axes", places)])
    nodes.add("Transpose", [value], perm=[0, 1 + rank, *places])


def arrays_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Returns {name: array} of a graph's initialisers."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
