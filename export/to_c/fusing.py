"""Fewer kernels that compute the same: less memory between them, and less to walk through."""

import re

import numpy as np

from aezoo.core.errors import ExportError
from aezoo.export.to_c.expressions import BINARY, literal
from aezoo.export.to_c.program import ARENA, Linear, Loop, Program, View

_AFFINE = {BINARY[op_type]: op_type for op_type in ("Add", "Sub", "Mul", "Div")}


def fuse(program: Program) -> None:
    """Shortens a `Program` in place, until nothing more can be joined."""
    while any(_join(program, loop) for loop in program.kernels if isinstance(loop, Loop)):
        pass


def _join(program, loop):
    """Joins a loop with a kernel before it; returns whether it could."""
    for view in loop.views:
        value = view.value
        writers = program.writers(value)
        if value.place != ARENA or len(writers) != 1 or program.readers(value) != [loop]:
            continue
        (writer,) = writers
        if isinstance(writer, Linear) and len(program.writers(loop.output.value)) == 1:
            joined = _into_weights(writer, loop) or _into_epilogue(writer, loop)
        else:
            joined = isinstance(writer, Loop) and _into_loop(writer, loop, view)
        if joined:
            # What is written keeps its place in the order, where all that it reads has been written.
            gone = loop if isinstance(writer, Linear) else writer
            program.kernels.remove(gone)
            return True
    return False


def _into_weights(linear, loop):
    """A product or sum with a constant for each channel is one with the weights and the bias."""
    op_type = _AFFINE.get(loop.expression)
    if op_type is None or linear.epilogue != "{0}" or len(loop.views) != 1:
        return False
    (view,) = loop.views
    view_first = loop.operands[0] is view
    constant = np.asarray(loop.operands[1 if view_first else 0], np.float64)
    if not _same_places(loop, view) or (op_type == "Div" and not view_first):
        return False
    lying = np.empty(view.value.size)
    lying[view.index.ravel()] = np.broadcast_to(constant, view.shape).ravel()
    by_channel = lying.reshape(-1, len(linear.bias))
    if (by_channel != by_channel[:1]).any():
        return False
    c = by_channel[0]
    ones, zeros = np.ones_like(c), np.zeros_like(c)
    factor, offset = {
        "Add": (ones, c),
        "Sub": (ones, -c) if view_first else (-ones, c),
        "Mul": (c, zeros),
        "Div": (1 / np.where(c == 0, np.nan, c), zeros),
    }[op_type]
    groups, channels = linear.weights.shape[0], linear.weights.shape[-1]
    linear.weights = linear.weights * factor.reshape(groups, 1, 1, 1, channels)
    linear.bias = linear.bias * factor + offset
    linear.output = loop.output
    return True


def _into_epilogue(linear, loop):
    """What is done to each sum alone is done before it is stored."""
    expression = loop.expression
    for number, operand in enumerate(loop.operands):
        if isinstance(operand, View):
            if operand.value is not linear.output.value or not _same_places(loop, operand):
                return False
            text = linear.epilogue
            if text != "{0}" and len(re.findall(r"\{\d+\}", expression)) > 1:
                return False
        elif np.size(operand) == 1:
            text = literal(np.ravel(operand)[0])
        else:
            return False
        expression = expression.replace(f"{{{number}}}", text.replace("{0}", "\0"))
    linear.epilogue = expression.replace("\0", "{0}")
    linear.output = loop.output
    return True


def _same_places(loop, view):
    """Whether a loop writes each value where it lay, in memory of the same size."""
    return (
        view.permutes
        and loop.output.value.size == view.value.size
        and np.array_equal(loop.output.index.ravel(), view.index.ravel())
    )


def _into_loop(first, then, view):
    """One loop for two: the first's expression takes the place of the operand that it computed."""
    (number, *others) = (n for n, x in enumerate(then.operands) if getattr(x, "value", None) is view.value)
    if others or then.expression.count(f"{{{number}}}") != 1 or view.index.size != then.output.index.size:
        return False
    places = np.empty(view.value.size, np.int64)  # where a value lies -> which one it is of the first loop
    places[first.output.index.ravel()] = np.arange(view.value.size)
    chosen = places[view.index]
    if not first.copies and len(np.unique(chosen)) < chosen.size:
        return False  # what is read twice would be computed twice
    as_it_is = view.shape == first.output.shape and np.array_equal(view.index, first.output.index)
    operands = [operand for operand in then.operands if operand is not view]
    names = {n: n - (n > number) for n in range(len(then.operands)) if n != number}
    inner = first.expression
    for n, operand in enumerate(first.operands):
        if isinstance(operand, View):
            index = np.broadcast_to(operand.index, first.output.shape).ravel()[chosen]
            operand = View(operand.value, index.reshape(then.output.shape))
        elif np.size(operand) > 1 and not as_it_is:
            return False
        inner = inner.replace(f"{{{n}}}", f"[{len(operands)}]")
        operands.append(operand)
    outer = re.sub(r"\{(\d+)\}", lambda m: f"[{names.get(int(m[1]), 'inner')}]", then.expression)
    expression = outer.replace("[inner]", inner)
    joined = Loop(then.output, operands, re.sub(r"\[(\d+)\]", r"{\1}", expression))
    try:
        joined.walk()
    except ExportError:  # a cut through repeated values, for example: these stay two loops
        return False
    then.expression, then.operands = joined.expression, operands
    return True
