"""The operators that add up: convolutions, products with a matrix, pooling, reductions, lookups."""

from typing import Any

import numpy as np

from aezoo.export.to_c.expressions import BINARY, literal
from aezoo.export.to_c.indexing import channels_last, row_major
from aezoo.export.to_c.lowering import Node, lowers
from aezoo.export.to_c.program import Gather, Linear, Operand, Pool, Program, Reduce, View, Window


def _window(node, taken, given, kernel, transposed=False):
    """Returns the `Window` of a node on maps, or on sequences as maps one pixel high."""
    axes = len(kernel)
    if node.get("auto_pad", b"NOTSET") != b"NOTSET" or node.get("ceil_mode", 0) or axes > 2:
        raise node.refuse(
            f"auto_pad={node.get('auto_pad')}, ceil_mode={node.get('ceil_mode')}, {axes} axes",
            "pads that are told, on a sequence or a map",
        )

    def pair(values):
        return tuple(int(value) for value in ([1] * (2 - axes) + list(values)))

    pads = tuple(int(p) for p in (node.get("pads") or [0] * (2 * axes))[:axes])
    return Window(
        pair(taken),
        pair(given),
        pair(kernel),
        pair(node.get("strides") or [1] * axes),
        pair(node.get("dilations") or [1] * axes),
        (0,) * (2 - axes) + pads,
        transposed,
    )


def _given_sizes(node, taken, kernel, transposed=False):
    axes = len(kernel)
    strides, dilations = (node.get(name) or [1] * axes for name in ("strides", "dilations"))
    pads, extra = node.get("pads") or [0] * (2 * axes), node.get("output_padding") or [0] * axes
    sizes = []
    for n, size in enumerate(taken):
        reach, both = (kernel[n] - 1) * dilations[n] + 1, pads[n] + pads[n + axes]
        if transposed:
            sizes.append((size - 1) * strides[n] + reach - both + extra[n])
        else:
            sizes.append((size + both - reach) // strides[n] + 1)
    return sizes


@lowers("Conv", "ConvTranspose")
def convolution(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """Channels last in memory: the innermost sum is over neighbours, of weights and of values."""
    weights, bias = node.constant(1), node.constant(2)
    transposed = node.op_type == "ConvTranspose"
    groups, kernel = node.get("group", 1), weights.shape[2:]
    x = program.as_map(x)
    given = _given_sizes(node, x.shape[2:], kernel, transposed)
    window = _window(node, x.shape[2:], given, kernel, transposed)
    if transposed:  # (in, out / groups, ...) to (groups, ..., in / groups, out / groups)
        grouped = weights.reshape(groups, -1, *weights.shape[1:])
        grouped = np.moveaxis(grouped, (1, 2), (-2, -1))
        channels = groups * weights.shape[1]
    else:  # (out, in / groups, ...) likewise
        grouped = weights.reshape(groups, -1, *weights.shape[1:])
        grouped = np.moveaxis(grouped, (1, 2), (-1, -2))
        channels = weights.shape[0]
    if len(kernel) == 1:
        grouped = grouped[:, None]
    return _linear(program, x, channels_last((1, channels, *given)), window, grouped, bias, node.output)


def _linear(program, source, index, window, weights, bias, name):
    bias = np.zeros(weights.shape[0] * weights.shape[-1]) if bias is None else np.ravel(bias)
    output = program.new(index, name)
    weights, bias = weights.astype(np.float64), bias.astype(np.float64)
    program.kernels.append(Linear(output, source, window, weights, bias))
    return output


@lowers("Gemm", "MatMul")
def matmul(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """A row times a matrix; the rows of the matrix follow the order in which the values lie."""
    weights = node.constant(1)
    bias = node.constant(2)
    if node.get("transA", 0) or weights.ndim != 2 or not isinstance(x, View):
        raise node.refuse(f"operands of shapes {np.shape(x)} and {weights.shape}", "a row times a matrix")
    weights = (weights.T if node.get("transB", 0) else weights) * node.get("alpha", 1.0)
    bias = None if bias is None else np.broadcast_to(bias * node.get("beta", 1.0), (1, weights.shape[1]))
    rows = x.shape[:-1]
    count = int(np.prod(rows))
    if count == 1 and x.permutes:
        weights = weights[np.argsort(x.index.ravel())]
    else:
        x = program.in_order(x, row_major(x.shape))
    window = Window((1, count), (1, count))
    index = row_major((*rows, weights.shape[1]))
    return _linear(program, x, index, window, weights[None, None, None], bias, node.output)


@lowers("MaxPool", "AveragePool")
def pool(program: Program, node: Node, x: View) -> View:
    """What padding adds takes no part."""
    kernel = node.get("kernel_shape")
    if node.get("count_include_pad", 0):
        raise node.refuse("count_include_pad=1", "padding that takes no part in the mean")
    x = program.as_map(x)
    given = _given_sizes(node, x.shape[2:], kernel)
    window = _window(node, x.shape[2:], given, kernel)
    output = program.new(channels_last((1, x.shape[1], *given)), node.output)
    program.kernels.append(Pool(output, x, window, x.shape[1], mean=node.op_type == "AveragePool"))
    return output


# -- many to one -----------------------------------------------------------------------------------

_REDUCTIONS = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "GlobalAveragePool": "mean",
    "GlobalMaxPool": "max",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
}


@lowers(*_REDUCTIONS)
def reduction(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """Over axes that are told, or over all but batch and channels."""
    rank = len(x.shape)
    axes: Any
    if node.op_type.startswith("Arg"):
        axes = [node.get("axis", 0)]
    elif node.op_type.startswith("Global"):
        axes = range(2, rank)
    else:
        axes = node.get("axes") or node.constant(1)
    if axes is None or any(axis % rank == 0 for axis in axes):
        raise node.refuse(f"axes {axes}", "axes of one example, without the batch")
    keepdims = True if node.op_type.startswith("Global") else node.get("keepdims", 1)
    return _reduced(program, x, [int(axis) % rank for axis in axes], _REDUCTIONS[node.op_type], keepdims)


def _reduced(program, x, axes, kind, keepdims=True):
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    shape = [x.shape[axis] for axis in kept]
    index = x.index.transpose(*kept, *sorted(axes)).reshape(*shape, -1)
    output = program.new(row_major(shape))
    program.kernels.append(Reduce(output, View(x.value, index), kind))
    if not keepdims:
        return output
    return View(output.value, np.expand_dims(output.index, tuple(sorted(axes))))


@lowers("Softmax", "LogSoftmax")
def softmax(program: Program, node: Node, x: View) -> View:
    """exp(x - the largest) over its sum."""
    axes = [node.get("axis", -1) % len(x.shape)]
    shifted = program.loop([x, _reduced(program, x, axes, "max")], BINARY["Sub"])
    powers = program.loop([shifted], "expf({0})")
    total = _reduced(program, powers, axes, "sum")
    if node.op_type == "Softmax":
        return program.loop([powers, total], BINARY["Div"], node.output)
    return program.loop([shifted, total], "({0} - logf({1}))", node.output)


@lowers("LayerNormalization", "InstanceNormalization")
def normalization(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """By mean and variance over the last axes, or over each channel's map."""
    gamma, beta, rank = node.constant(1), node.constant(2), len(x.shape)
    if node.op_type == "InstanceNormalization":
        axes = list(range(2, rank))
        gamma, beta = (values.reshape(-1, *[1] * len(axes)) for values in (gamma, beta))
    else:
        axes = list(range(node.get("axis", -1) % rank, rank))
    centred = program.loop([x, _reduced(program, x, axes, "mean")], BINARY["Sub"])
    square = program.loop([centred, centred], BINARY["Mul"])
    variance = _reduced(program, square, axes, "mean")
    epsilon = literal(node.get("epsilon", 1e-5))
    y = program.loop([centred, variance], f"({{0}} / sqrtf({{1}} + {epsilon}))")
    y = program.loop([y, gamma], BINARY["Mul"])
    return y if beta is None else program.loop([y, beta], BINARY["Add"], node.output)


@lowers("TopK")
def top(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """The k largest values of the last axis, the largest first."""
    axis, rank = node.get("axis", -1), len(x.shape)
    if axis % rank != rank - 1 or not node.get("largest", 1):
        raise node.refuse(f"axis={axis}, largest={node.get('largest', 1)}", "the largest of the last axis")
    count = int(np.ravel(node.constant(1))[0])
    output = program.new(row_major((*x.shape[:-1], count)))
    program.kernels.append(Reduce(output, x, "top"))
    return output


@lowers("Gather")
def gather(program: Program, node: Node, table: np.ndarray, codes: View) -> View:
    """Rows of a table of constants, by codes that the example holds."""
    if isinstance(table, View) or not isinstance(codes, View) or node.get("axis", 0) != 0 or table.ndim != 2:
        raise node.refuse("operands of another kind", "a table of constants and codes that are computed")
    output = program.new(row_major((*codes.shape, table.shape[1])), node.output)
    program.kernels.append(Gather(output, codes, table))
    return output
