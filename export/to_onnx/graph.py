"""Symbolic tensors and the builder that turns them into an ONNX graph.

Keras keeps maps as (B, H, W, C) and sequences as (B, T, F), ONNX's convolutions want (B, C, H, W)
and (B, F, T). A `Tensor` therefore says in which of the two its name is stored, and a row of
features that was flattened from a channels-first map or sequence says so too. Whoever adds a
per-feature constant asks `Graph.aligned` for it, which puts the constant in the tensor's own order:
this is what keeps Transpose nodes out of the middle of a graph.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import onnx
from onnx import helper, numpy_helper

from aezoo.core.errors import ExportError

if TYPE_CHECKING:
    from aezoo.export.to_onnx.layer_graph import Plan, Step


class NotEmittable(ExportError):
    """A layer, or an option of one, that the direct emitter does not know."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value of the graph under construction.

    Args:
        name: what ONNX calls it.
        shape: as in Keras, channels last, None for the batch.
        channels_first: the value of this name is stored as (B, C, H, W) or (B, F, T).
        order: (H, W, C) or (T, F) where the last axis holds such a map flattened channels first,
            else None.
        factor: what the stored value must still be multiplied by; 1/255 for pixels as bytes.
        dtype: of the stored value, "float32" or an integer type such as "int64".
    """

    name: str
    shape: tuple
    channels_first: bool = False
    order: tuple | None = None
    factor: float = 1.0
    dtype: str = "float32"

    def with_name(self, name: str) -> "Tensor":
        """Returns the same tensor under another name."""
        return dataclasses.replace(self, name=name)


def meaningful_order(shape: Sequence[int]) -> tuple[int, ...] | None:
    """Returns (H, W, C) or (T, F), or None where flattening is the same with channels first or last.

    >>> meaningful_order((7, 7, 64)), meaningful_order((7, 7, 1)), meaningful_order((1, 64))
    ((7, 7, 64), None, None)
    """
    *sizes, channels = shape
    return None if channels == 1 or math.prod(sizes) == 1 else (*sizes, channels)


def reorder(array: np.ndarray, order: tuple[int, ...] | None, *, axis: int) -> np.ndarray:
    """Permutes an axis of H*W*C or T*F features from channels last to channels first.

    >>> reorder(np.arange(8), (2, 2, 2), axis=0)
    array([0, 2, 4, 6, 1, 3, 5, 7])
    """
    if order is None:
        return array
    indices = np.moveaxis(np.arange(math.prod(order)).reshape(order), -1, 0).ravel()
    return np.take(array, indices, axis=axis)


def element_type(dtype: np.typing.DTypeLike) -> int:
    """Returns ONNX's number of a type of element, "int32" for example."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Graph:
    """Nodes and initialisers in the making, with readable and repeatable names.

    Attributes:
        opset: the ONNX opset that the nodes must be of.
        scope: path of the layer being emitted; the names of its nodes and weights begin with it.
        plan: what comes after the layer being emitted, see `layer_graph.Plan`.
        step: the layer call being emitted, see `layer_graph.Step`.
        absorbed: numbers of the values that an earlier layer has computed in passing.
        optional_inputs: {name: default} of inputs that a caller may leave out.
    """

    plan: "Plan"
    step: "Step"

    def __init__(self, opset: int, *, reserved: Iterable[str] = ()) -> None:
        self.opset = opset
        self.scope = ""
        self.absorbed: set[int] = set()
        self.optional_inputs: dict[str, np.ndarray] = {}
        self.nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, np.ndarray] = {}
        self._taken = set(reserved)
        self._conversions: dict[tuple[str, str], str] = {}
        self._transposes: dict[str, tuple[str, tuple[int, ...]]] = {}

    @overload
    def node(
        self,
        op_type: str,
        inputs: Sequence[str | Tensor],
        *,
        name: str | None = None,
        outputs: None = None,
        **attributes: Any,
    ) -> str: ...

    @overload
    def node(
        self,
        op_type: str,
        inputs: Sequence[str | Tensor],
        *,
        name: str | None = None,
        outputs: Sequence[str],
        **attributes: Any,
    ) -> tuple[str, ...]: ...

    def node(
        self,
        op_type: str,
        inputs: Sequence[str | Tensor],
        *,
        name: str | None = None,
        outputs: Sequence[str] | None = None,
        **attributes: Any,
    ) -> str | tuple[str, ...]:
        """Adds a node and returns the name of its output, or a tuple of names.

        Args:
            op_type: ONNX's name of the operator.
            inputs: names of tensors or initialisers, or Tensors; "" leaves an optional one out.
            name: last part of the node's name; the operator's where it is None.
            outputs: what a node of several outputs calls them, for example ("Y", "Y_h"); "" leaves
                an optional one out.
            attributes: the operator's; those that are None are left out.
        """
        own = self._unique(f"{self.scope}/{name or op_type}")
        made = [own] if outputs is None else [last and self._unique(f"{own}/{last}") for last in outputs]
        names = [value.name if isinstance(value, Tensor) else value for value in inputs]
        self.nodes.append(helper.make_node(op_type, names, made, name=own, **attributes))
        return own if outputs is None else tuple(made)

    def pointwise(self, tensor: Tensor, op_type: str, *others: str | Tensor, **attributes: Any) -> Tensor:
        """Adds a node that leaves shape and layout alone; returns the tensor after it."""
        return tensor.with_name(self.node(op_type, [tensor, *others], **attributes))

    def constant(self, name: str, array: np.ndarray) -> str:
        """Adds an initialiser of the layer being emitted; equal ones of one name are shared."""
        array = np.ascontiguousarray(array)
        return self._initializer(f"{self.scope}/{name}", array)

    def optional_input(self, name: str, array: np.ndarray) -> str:
        """Adds an input of the graph that may be left out: its default is an initialiser of that name."""
        self._taken.add(name)
        self._initializers[name] = self.optional_inputs[name] = np.ascontiguousarray(array)
        return name

    def scalar(self, value: float) -> str:
        """Adds a float32 of rank 0, named after its value and shared by the whole graph."""
        single = np.float32(value)
        return self._initializer(f"constant/{single:g}", np.asarray(single))

    def indices(self, name: str, values: Iterable[int]) -> str:
        """Adds an int64 vector: a shape, axes, starts."""
        return self.constant(name, np.asarray(values, dtype=np.int64))

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        """Returns a tensor as another type of element; itself where it is of that type."""
        if tensor.dtype == dtype:
            return tensor
        name = self._once(tensor, lambda: self.node("Cast", [tensor], to=element_type(dtype)), dtype)
        return dataclasses.replace(tensor, name=name, dtype=dtype)

    def reduced(
        self, op_type: str, value: str | Tensor, axes: Sequence[int], *, keepdims: bool = True
    ) -> str:
        """Adds ReduceMean, ReduceMax and the like over stored axes; returns the output's name."""
        # From opset 18 the axes are an input, of ReduceSum already from 13: do not write that one here.
        if self.opset < 18:
            return self.node(op_type, [value], axes=tuple(axes), keepdims=int(keepdims))
        return self.node(op_type, [value, self.indices("axes", axes)], keepdims=int(keepdims))

    def transposed(self, name: str, shape: Sequence[int | None], permutation: Sequence[int]) -> str:
        """Permutes the stored axes of a value, with the cheapest node that does.

        Nothing where an earlier Transpose is undone, a Reshape where no value changes its place.

        Args:
            name: of the value.
            shape: as stored, None for the batch, wherever that lies.
            permutation: of its axes, as ONNX's Transpose has it.

        Returns:
            The name of the result.
        """
        if name in self._transposes:
            name, first = self._transposes[name]
            permutation = tuple(first[axis] for axis in permutation)
            shape = tuple(shape[first.index(axis)] for axis in range(len(shape)))
        if permutation == tuple(range(len(shape))):
            return name
        kept = [axis for axis in permutation if shape[axis] != 1]
        if kept == sorted(kept):
            sizes = [shape[axis] for axis in permutation]
            known = [-1 if size is None else size for size in sizes]
            return self.node("Reshape", [name, self.indices("shape", known)])
        result = self.node("Transpose", [name], perm=permutation)
        self._transposes[result] = name, tuple(permutation)
        return result

    def aligned(self, tensor: Tensor, array: np.typing.ArrayLike, name: str) -> str:
        """Adds a float32 initialiser that broadcasts against a tensor as `array` does in Keras.

        Args:
            tensor: what the constant meets; its layout and order decide those of the constant.
            array: broadcastable to `tensor.shape` from the right.
            name: of the initialiser, within the layer's scope.
        """
        values: Any = np.asarray(array, dtype=np.float32)
        # A leading batch axis of 1 says nothing, and some readers broadcast equal ranks only.
        values = values.reshape(values.shape[max(values.ndim - len(tensor.shape) + 1, 0) :])
        if tensor.channels_first and values.ndim:
            missing = len(tensor.shape) - 1 - values.ndim
            values = np.moveaxis(values.reshape((1,) * missing + values.shape), -1, 0)
        elif tensor.order and values.ndim and values.shape[-1] > 1:
            values = reorder(values, tensor.order, axis=-1)
        return self.constant(name, values)

    def per_feature(self, tensor: Tensor, vector: np.typing.ArrayLike, name: str) -> str:
        """Adds a (C,) initialiser for operators that know the feature axis by themselves."""
        return self.constant(name, reorder(np.asarray(vector, dtype=np.float32), tensor.order, axis=0))

    def result(
        self,
        name: str,
        *,
        channels_first: bool = False,
        order: tuple[int, ...] | None = None,
        factor: float = 1.0,
        dtype: str = "float32",
        output: int = 0,
    ) -> Tensor:
        """Returns what the layer being emitted gives, stored under `name`; the first output by default."""
        return Tensor(name, self.step.outputs[output].shape, channels_first, order, factor, dtype)

    def channels_first(self, tensor: Tensor) -> Tensor:
        """Returns a map as (B, C, H, W) or a sequence as (B, F, T); rows as they are."""
        rank = len(tensor.shape)
        if rank < 3 or tensor.channels_first:
            return tensor
        permutation = (0, rank - 1, *range(1, rank - 1))
        name = self._once(tensor, lambda: self.transposed(tensor.name, tensor.shape, permutation))
        return dataclasses.replace(tensor, name=name, channels_first=True)

    def channels_last(self, tensor: Tensor) -> Tensor:
        """Returns a tensor stored as Keras has it, whatever its rank."""
        if tensor.channels_first:
            batch, *sizes, channels = tensor.shape
            permutation = (0, *range(2, len(tensor.shape)), 1)
            stored = batch, channels, *sizes
            name = self._once(tensor, lambda: self.transposed(tensor.name, stored, permutation))
            return dataclasses.replace(tensor, name=name, channels_first=False)
        if tensor.order is not None:
            name = self._once(tensor, lambda: self._in_keras_order(tensor))
            return dataclasses.replace(tensor, name=name, order=None)
        return tensor

    def multiplied(self, tensor: Tensor) -> Tensor:
        """Returns the tensor with its factor carried out."""
        if tensor.factor == 1.0:
            return tensor
        name = self._once(tensor, lambda: self.node("Mul", [tensor, self.scalar(tensor.factor)]), "Mul")
        return dataclasses.replace(tensor, name=name, factor=1.0)

    def _in_keras_order(self, tensor):
        *sizes, channels = tensor.order
        rows = self.node("Reshape", [tensor, self.indices("map", (-1, channels, *sizes))])
        rows = self.node("Transpose", [rows], perm=(0, *range(2, len(sizes) + 2), 1))
        return self.node("Reshape", [rows, self.indices("features", (-1, tensor.shape[-1]))])

    def _once(self, tensor, make, kind="layout"):
        """Converts a tensor once for all its consumers."""
        key = tensor.name, kind
        if key not in self._conversions:
            self._conversions[key] = make()
        return self._conversions[key]

    def finish(
        self,
        tensors: Sequence[Tensor],
        names: Sequence[str],
        dtypes: Sequence[str],
        channels_first: Sequence[bool],
    ) -> None:
        """Gives the graph's outputs their names, each channels last or first; drops what nothing reads."""
        produced = []
        for tensor, name, dtype, first in zip(tensors, names, dtypes, channels_first, strict=True):
            self.scope = name
            laid_out = self.channels_first if first else self.channels_last
            produced.append(self.cast(laid_out(self.multiplied(tensor)), dtype).name)
        self._drop_unread(produced)
        made = {output: node for node in self.nodes for output in node.output}
        renamed: dict[str, str] = {}
        for old, name in zip(produced, names, strict=True):
            if old in renamed or old not in made:
                # One value under two names, or an input that is handed through.
                source = renamed.get(old, old)
                self.nodes.append(helper.make_node("Identity", [source], [name], name=f"{name}/Identity"))
                continue
            outputs = made[old].output
            outputs[list(outputs).index(old)] = renamed[old] = name
        for node in self.nodes:
            node.input[:] = [renamed.get(value, value) for value in node.input]

    def _drop_unread(self, wanted):
        wanted, kept = set(wanted), []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(node)
        self.nodes = kept[::-1]

    def initializers(self) -> list[onnx.TensorProto]:
        """Returns the initialisers that a node reads, in the order of their making."""
        used = {name for node in self.nodes for name in node.input}
        return [
            numpy_helper.from_array(array, name) for name, array in self._initializers.items() if name in used
        ]

    def _initializer(self, name, array):
        known = self._initializers.get(name)
        if known is not None and known.dtype == array.dtype and np.array_equal(known, array):
            return name
        name = self._unique(name)
        self._initializers[name] = array
        return name

    def _unique(self, name):
        candidate, count = name, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate
