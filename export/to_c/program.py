"""What a header computes, before it is text: values in memory, and kernels that write them in order."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from aezoo.export.to_c.indexing import Nest, channels_last, nest, row_major

ARENA, INPUT, OUTPUT = "arena", "input", "output"


@dataclasses.dataclass(eq=False)
class Value:
    """Numbers of one example that lie flat in memory.

    Attributes:
        size: how many.
        name: the ONNX tensor whose range is theirs, or None.
        place: ARENA, or INPUT or OUTPUT for what the caller owns.
        ctype: the C type of one.
        scale, zero: of an int8_t, which stands for scale * (stored - zero).
        offset: bytes from the start of the arena.
        pointer: C expression of where they begin.
    """

    size: int
    name: str | None = None
    place: str = ARENA
    ctype: str = "float"
    scale: float = 1.0
    zero: int = 0
    offset: int | None = None
    pointer: str = ""

    @property
    def size_bytes(self) -> int:
        """How much memory they take."""
        return self.size * (1 if self.ctype in ("int8_t", "uint8_t") else 4)


@dataclasses.dataclass(eq=False)
class View:
    """A value as one reads it: `index` has the shape of the reading, with a batch of 1 in front."""

    value: Value
    index: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the reading."""
        return self.index.shape

    def lies(self, index: np.ndarray) -> bool:
        """Whether it is all of its value, in this order."""
        return self.value.size == index.size and np.array_equal(self.index.ravel(), index.ravel())

    @property
    def permutes(self) -> bool:
        """Whether it is all of its value, in any order."""
        return np.array_equal(np.sort(self.index, axis=None), np.arange(self.value.size))


@dataclasses.dataclass(eq=False)
class Loop:
    """output[...] = expression of the operands, value by value; constants are arrays that broadcast.

    The expression has {0}, {1}, ... for the operands, and @name for a helper function.
    """

    output: View
    operands: list["Operand"]
    expression: str

    @property
    def copies(self) -> bool:
        """Whether it changes nothing but places."""
        return self.expression == "{0}"

    @property
    def views(self) -> list[View]:
        """The operands that are no constants."""
        return [operand for operand in self.operands if isinstance(operand, View)]

    def walk(self) -> Nest:
        """Returns (bases, loops) of `indexing.nest` for the output and every operand but single numbers.

        In the order in which the output lies.

        Raises:
            ExportError: no nest of loops walks like this.
        """
        order = np.argsort(self.output.index, axis=None)
        indices = [self.output.index]
        for operand in self.operands:
            if isinstance(operand, View):
                indices.append(operand.index)
            elif np.size(operand) > 1:
                indices.append(row_major(np.shape(operand)))
        shape = self.output.shape
        return nest(*(np.broadcast_to(index, shape).ravel()[order] for index in indices))


@dataclasses.dataclass(eq=False)
class Window:
    """Where a kernel looks: sizes (H, W) of both ends, and kernel, strides, dilations, pads before.

    `transposed`: each input pixel is spread over the output, and not each output pixel gathered.
    """

    taken: tuple
    given: tuple
    kernel: tuple = (1, 1)
    strides: tuple = (1, 1)
    dilations: tuple = (1, 1)
    pads: tuple = (0, 0)
    transposed: bool = False


@dataclasses.dataclass(eq=False)
class Linear:
    """A convolution, transposed or not, or a Dense as one of 1x1: channels last at both ends.

    Attributes:
        weights: (groups, KH, KW, CI, CO) of each group; bias: (groups * CO,).
        epilogue: expression of {0}, done to each sum.
    """

    output: View
    source: View
    window: Window
    weights: np.ndarray
    bias: np.ndarray
    epilogue: str = "{0}"

    @property
    def views(self) -> list[View]:
        """What it reads."""
        return [self.source]


@dataclasses.dataclass(eq=False)
class Pool:
    """The largest value of each window, or the mean; what lies outside takes no part."""

    output: View
    source: View
    window: Window
    channels: int
    mean: bool

    @property
    def views(self) -> list[View]:
        """What it reads."""
        return [self.source]


@dataclasses.dataclass(eq=False)
class Reduce:
    """One number for many: "sum", "mean", "max", "argmin", "argmax", or the "top" values, sorted.

    `source` has a last axis over which is reduced; the others are those of the output ("top": all but
    its last).
    """

    output: View
    source: View
    kind: str

    @property
    def views(self) -> list[View]:
        """What it reads."""
        return [self.source]


@dataclasses.dataclass(eq=False)
class Gather:
    """Rows of `table`, (K, D), by the codes that `source` holds."""

    output: View
    source: View
    table: np.ndarray

    @property
    def views(self) -> list[View]:
        """What it reads."""
        return [self.source]


Operand = View | np.ndarray  # what is computed, or known when the header is written
Kernel = Loop | Linear | Pool | Reduce | Gather


class Program:
    """Kernels in the order in which they run.

    Attributes:
        inputs, outputs: [(name, Value)], the caller's.
        shapes: {name: shape of one example}.
    """

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.inputs: list[tuple[str, Value]] = []
        self.outputs: list[tuple[str, Value]] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def new(self, index: np.ndarray, name: str | None = None) -> View:
        """Returns a view of a new value in the arena, all of it, in the order of `index`."""
        return View(Value(index.size, name), index)

    def copied(self, view: View, index: np.ndarray) -> View:
        """Returns a copy of a view whose value lies in another order."""
        copy = self.new(index, view.value.name)
        self.kernels.append(Loop(copy, [view], "{0}"))
        return copy

    def in_order(self, view: View, index: np.ndarray) -> View:
        """Returns the view itself where its value lies like `index`, or a copy that does."""
        return view if view.lies(index) else self.copied(view, index)

    def as_map(self, view: View) -> View:
        """Returns a view (1, C, ...) whose value lies channels last."""
        return self.in_order(view, channels_last(view.shape))

    def loop(self, operands: Sequence[Operand], expression: str, name: str | None = None) -> View:
        """Adds a Loop over the broadcast shape of its operands; returns a view of what it writes.

        The new value lies as the first operand of that shape does, so that no layout is ever turned.
        """
        shape = np.broadcast_shapes(
            *(x.shape if isinstance(x, View) else np.shape(x) for x in operands), (1,)
        )
        index = row_major(shape)
        for operand in operands:
            if isinstance(operand, View) and operand.shape == shape and operand.permutes:
                index = operand.index
                break
        output = self.new(index, name)
        self.kernels.append(Loop(output, list(operands), expression))
        return output

    def writers(self, value: Value) -> list[Kernel]:
        """Returns the kernels that write a value."""
        return [kernel for kernel in self.kernels if kernel.output.value is value]

    def readers(self, value: Value) -> list[Kernel]:
        """Returns the kernels that read a value."""
        return [kernel for kernel in self.kernels if any(view.value is value for view in kernel.views)]

    def is_output(self, value: Value) -> bool:
        """Whether the caller gets it."""
        return value.place == OUTPUT
