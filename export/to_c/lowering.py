"""From the nodes of an ONNX graph to a `Program`: one function an operator, in one table."""

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import onnx
from onnx import helper, numpy_helper

from aezoo.core.errors import ExportError
from aezoo.export.to_c.expressions import BINARY, UNARY, literal
from aezoo.export.to_c.indexing import channels_last, row_major
from aezoo.export.to_c.program import ARENA, INPUT, OUTPUT, Loop, Operand, Program, Value, View
from aezoo.runtime.schema import Tensor

Lowering = TypeVar("Lowering", bound=Callable[..., Operand])

LOWERED: dict[str, Callable[..., Operand]] = {}
CTYPES = {"float32": "float", "uint8": "uint8_t", "int32": "int32_t"}


class Node:
    """One node of the graph: its operator, its name, its operands (views and constants), its attributes."""

    def __init__(self, proto: onnx.NodeProto, values: Mapping[str, Operand]) -> None:
        self.op_type, self.name = proto.op_type, proto.name
        self.operands = [values.get(name) for name in proto.input]
        self.outputs = list(proto.output)
        self.output = proto.output[0]
        self._attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}

    def get(self, name: str, default: Any = None) -> Any:
        """Returns an attribute."""
        return self._attributes.get(name, default)

    def refuse(self, got: str, expected: str) -> ExportError:
        """Returns the error of what a header cannot hold."""
        return ExportError(
            f"the format c cannot write {self.op_type} of {self.name!r}",
            got=got,
            expected=expected,
            fix="export this model with formats=('onnx',)",
        )

    def constant(self, number: int) -> Any:
        """Returns an operand that must be known when the header is written, an array, or None without it."""
        operand = self.operands[number] if number < len(self.operands) else None
        if isinstance(operand, View):
            raise self.refuse(f"an operand {number + 1} that is computed", "a constant")
        return operand


def lower(graph: onnx.GraphProto, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Program:
    """Returns the `Program` of an ONNX graph, for one example.

    Args:
        graph: `onnx.GraphProto` whose first axes are the batch.
        inputs, outputs: rows of the manifest, in order.

    Raises:
        ExportError: an operator, or a use of one, that is not written as C.
    """
    program = Program()
    values: dict[str, Any] = {init.name: numpy_helper.to_array(init) for init in graph.initializer}
    for row in inputs:
        shape = (1, *typing.cast(tuple[int, ...], row.shape[1:]))  # only a batch may be open
        value = Value(int(np.prod(shape)), row.name, INPUT, _ctype(row), pointer=row.name)
        program.inputs.append((row.name, value))
        program.shapes[row.name] = shape[1:]
        values[row.name] = View(value, row_major(shape))
    for proto in graph.node:
        node = Node(proto, values)
        if missing := [name for name in proto.input if name and name not in values]:
            raise node.refuse(
                f"{missing[0]!r}, a further output of an operator", "an operator's first output"
            )
        if node.op_type == "Constant":
            values[node.output] = numpy_helper.to_array(node.get("value"))
            continue
        if proto.domain not in ("", "ai.onnx") or node.op_type not in LOWERED:
            raise node.refuse(
                f"the operator {node.op_type}",
                f"one of the {len(LOWERED)} operators in docs/reference/c_header.md",
            )
        values[node.output] = LOWERED[node.op_type](program, node, *node.operands)
    for row in outputs:
        _give(program, row, values[row.name])
    return program


def _ctype(row):
    return CTYPES[row.dtype]


def _give(program, row, view):
    """Lets the caller own what holds an output, or a copy of it."""
    ctype, value = _ctype(row), view.value
    if value.place != ARENA or not view.lies(row_major(view.shape)):
        view = program.copied(view, row_major(view.shape))
        value = view.value
    value.place, value.ctype, value.pointer = OUTPUT, ctype, row.name
    program.outputs.append((row.name, value))
    program.shapes[row.name] = view.shape[1:]


def lowers(*op_types: str) -> Callable[[Lowering], Lowering]:
    """Registers a function of (program, node, *operands) that returns a view of the node's first output."""

    def register(function: Lowering) -> Lowering:
        LOWERED.update(dict.fromkeys(op_types, function))
        return function

    return register


# -- value by value ---------------------------------------------------------------------------------


@lowers(*UNARY)
def unary(program: Program, node: Node, x: Operand) -> View:
    """An activation, most of the time."""
    return program.loop([x], UNARY[node.op_type](node), node.output)


@lowers(*BINARY)
def binary(program: Program, node: Node, *operands: Operand) -> Operand:
    """Two or more operands, constants among them."""
    first, *others = operands
    for other in others:
        first = program.loop([first, other], BINARY[node.op_type], node.output)
    return first


@lowers("Clip")
def clip(
    program: Program, node: Node, x: View, low: Operand | None = None, high: Operand | None = None
) -> View:
    """Between two constants, either of which may be missing."""
    bounds = (node.constant(1), -np.inf), (node.constant(2), np.inf)
    least, most = (literal(default if bound is None else bound) for bound, default in bounds)
    return program.loop([x], f"@clip({{0}}, {least}, {most})", node.output)


@lowers("Where")
def where(program: Program, node: Node, condition: Operand, yes: Operand, no: Operand) -> View:
    """The one or the other."""
    return program.loop([condition, yes, no], "({0} != 0.0f ? {1} : {2})", node.output)


@lowers("Cast")
def cast(program: Program, node: Node, x: View) -> View:
    """To floats nothing, since a float is what every value is read as; to whole numbers the fraction goes.

    Whole numbers of a graph are codes and labels, far below 2^24, up to which a float holds them.
    """
    whole = node.get("to") not in (helper.TensorProto.FLOAT,)
    known = x.value.ctype in ("int32_t", "uint8_t")
    return program.loop([x], "(float)(int32_t){0}" if whole and not known else "{0}", node.output)


@lowers("BatchNormalization")
def batch_normalization(
    program: Program,
    node: Node,
    x: View,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
) -> View:
    """One product and one sum a channel, which `fusing` puts into the weights before it."""
    factor = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + node.get("epsilon", 1e-5))
    broadcast = (-1, *[1] * (len(x.shape) - 2))
    y = program.loop([x, factor.reshape(broadcast)], BINARY["Mul"])
    return program.loop([y, (beta - mean * factor).reshape(broadcast)], BINARY["Add"], node.output)


# -- layouts: most of them cost nothing -------------------------------------------------------------


@lowers("Identity", "Dropout")
def identity(program: Program, node: Node, x: Operand, *_: Operand | None) -> Operand:
    """Nothing."""
    return x


@lowers("Transpose")
def transpose(program: Program, node: Node, x: View) -> View:
    """Another view."""
    if node.get("perm")[0] != 0:
        raise node.refuse(f"perm={node.get('perm')}", "the batch first")
    return View(x.value, x.index.transpose(node.get("perm")))


@lowers("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """Another view; one of constants may stay a constant."""
    index = x.index
    if node.op_type == "Reshape":
        shape = [index.shape[n] if size == 0 else int(size) for n, size in enumerate(node.constant(1))]
        index = index.reshape(shape)
    elif node.op_type == "Flatten":
        index = index.reshape(int(np.prod(index.shape[: node.get("axis", 1)])), -1)
    elif node.op_type == "Squeeze":
        index = index.squeeze(tuple(int(axis) for axis in node.constant(1)))
    else:
        index = np.expand_dims(index, tuple(int(axis) for axis in node.constant(1)))
    if index.ndim == 0 or index.shape[0] != 1:
        raise node.refuse(f"the shape {index.shape} of one example", "the batch first")
    return View(x.value, index)


@lowers("Slice")
def slice_(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """Another view."""
    starts, ends = node.constant(1), node.constant(2)
    axes, steps = node.constant(3), node.constant(4)
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    window = [slice(None)] * x.index.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # An end before the first value is a very small number in ONNX, and None in Python.
        stop = None if step < 0 and end <= -x.shape[axis] else int(end)
        window[int(axis)] = slice(int(start), stop, int(step))
    return View(x.value, x.index[tuple(window)])


@lowers("Concat")
def concat(program: Program, node: Node, *operands: Operand) -> View:
    """Each operand into its place."""
    axis = node.get("axis")
    views = [x if isinstance(x, View) else program.loop([x], "{0}") for x in operands]
    shape = list(views[0].shape)
    shape[axis] = sum(x.shape[axis] for x in views)
    whole = program.new(row_major(shape), node.output)
    start = 0
    for x in views:
        place = [slice(None)] * len(shape)
        place[axis] = slice(start, start + x.shape[axis])
        start += x.shape[axis]
        _put(program, View(whole.value, whole.index[tuple(place)]), [x], "{0}")
    return whole


@lowers("Pad")
def pad(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """Zeros, and then the values into their place."""
    pads = np.asarray(node.constant(1)).reshape(2, -1)
    fill = node.constant(2)
    if node.get("mode", b"constant") != b"constant" or (pads < 0).any() or node.constant(3) is not None:
        raise node.refuse(f"mode={node.get('mode')}, pads={pads.tolist()}", "values added around all axes")
    shape = [size + before + after for size, before, after in zip(x.shape, *pads, strict=True)]
    whole = program.new(channels_last(shape) if len(shape) > 2 else row_major(shape), node.output)
    _put(program, whole, [], literal(0 if fill is None else fill))
    window = tuple(slice(before, before + size) for before, size in zip(pads[0], x.shape, strict=True))
    _put(program, View(whole.value, whole.index[window]), [x], "{0}")
    return whole


def _put(program, place, operands, expression):
    program.kernels.append(Loop(place, operands, expression))


@lowers("Resize")
def resize(program: Program, node: Node, x: View, *_: Operand | None) -> View:
    """By whole numbers: each value repeated, or the straight line between two centres of pixels."""
    scales = np.ones(len(x.shape)) if node.constant(2) is None else np.asarray(node.constant(2))
    mode = node.get("mode", b"nearest").decode(), node.get("coordinate_transformation_mode", b"").decode()
    known = {("nearest", "asymmetric"), ("linear", "half_pixel")}
    if mode not in known or (scales != np.rint(scales)).any() or node.constant(2) is None:
        raise node.refuse(f"mode={mode}, scales={scales.tolist()}", f"whole scales, {sorted(known)}")
    for axis, scale in enumerate(scales.astype(int)):
        if scale == 1:
            continue
        if mode[0] == "nearest":
            x = View(x.value, np.repeat(x.index, scale, axis=axis))
            continue
        # A pixel's neighbours count as far as the place inside it lies away from its centre.
        size, places = x.shape[axis], (np.arange(scale) + 0.5) / scale - 0.5
        shape = [-1 if n == axis else 1 for n in range(len(scales))]
        low, high = (np.tile(np.maximum(w, 0), size).reshape(shape) for w in (-places, places))
        before, here, after = (
            _shifted(program, x, np.clip(np.arange(size) + step, 0, size - 1), axis, scale)
            for step in (-1, 0, 1)
        )
        x = program.loop(
            [before, low, here, 1 - low - high, after, high],
            "({0} * {1} + {2} * {3} + {4} * {5})",
            node.output,
        )
    return x if mode[0] == "linear" else _settled(program, x)


def _shifted(program, x, at, axis, scale):
    """Returns x moved by one along an axis, its edge repeated, each value `scale` times."""
    edges = np.flatnonzero(np.diff(at) == 0)
    parts = np.split(np.arange(len(at)), edges + 1) if len(edges) else [np.arange(len(at))]
    shape = list(x.shape)
    shape[axis] *= scale
    whole = program.new(channels_last(shape), None)
    for part in parts:
        taken = np.repeat(np.take(x.index, at[part], axis=axis), scale, axis=axis)
        places = np.arange(part[0] * scale, (part[-1] + 1) * scale)
        _put(
            program, View(whole.value, np.take(whole.index, places, axis=axis)), [View(x.value, taken)], "{0}"
        )
    return whole


def _settled(program, x):
    """Returns a copy: a cut through repeated values would have no even steps."""
    return program.copied(x, channels_last(x.shape))
