"""Symbolic tensors and the builder that turns them into an ONNX graph.

Keras keeps maps as (B, H, W, C), ONNX's convolutions want (B, C, H, W). A `Tensor` therefore says
in which of the two its name is stored, and a row of features that was flattened from a
channels-first map says so too. Whoever adds a per-feature constant asks `Graph.aligned` for it,
which puts the constant in the tensor's own order: this is what keeps Transpose nodes out of the
middle of a graph.
"""

import dataclasses
import math

import numpy as np
from onnx import helper, numpy_helper

from aezoo.errors import ExportError


class NotEmittable(ExportError):
    """A layer, or an option of one, that the direct emitter does not know."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value of the graph under construction.

    Args:
        name: what ONNX calls it.
        shape: as in Keras, channels last, None for the batch.
        channels_first: the value of this name is stored as (B, C, H, W); rank 4 only.
        order: (H, W, C) where the last axis holds such a map flattened channels first, else None.
        factor: what the stored value must still be multiplied by; 1/255 for pixels as bytes.
    """

    name: str
    shape: tuple
    channels_first: bool = False
    order: tuple | None = None
    factor: float = 1.0

    def with_name(self, name):
        """Returns the same tensor under another name."""
        return dataclasses.replace(self, name=name)


def meaningful_order(shape):
    """Returns (H, W, C), or None where flattening is the same with channels first or last.

    >>> meaningful_order((7, 7, 64)), meaningful_order((7, 7, 1)), meaningful_order((1, 1, 64))
    ((7, 7, 64), None, None)
    """
    height, width, channels = shape
    return None if channels == 1 or height * width == 1 else (height, width, channels)


def reorder(array, order, *, axis):
    """Permutes an axis of H*W*C features from channels last to channels first.

    >>> reorder(np.arange(8), (2, 2, 2), axis=0)
    array([0, 2, 4, 6, 1, 3, 5, 7])
    """
    if order is None:
        return array
    indices = np.arange(math.prod(order)).reshape(order).transpose(2, 0, 1).ravel()
    return np.take(array, indices, axis=axis)


class Graph:
    """Nodes and initialisers in the making, with readable and repeatable names.

    Attributes:
        opset: the ONNX opset that the nodes must be of.
        scope: path of the layer being emitted; the names of its nodes and weights begin with it.
        plan: what comes after the layer being emitted, see `walk.Plan`.
        step: the layer call being emitted, see `walk.Step`.
        absorbed: numbers of the values that an earlier layer has computed in passing.
    """

    def __init__(self, opset, *, reserved=()):
        self.opset = opset
        self.scope = ""
        self.plan = None
        self.step = None
        self.absorbed = set()
        self.nodes = []
        self._initializers = {}
        self._taken = set(reserved)
        self._conversions = {}

    def node(self, op_type, inputs, *, name=None, **attributes):
        """Adds a node of one output and returns the output's name.

        Args:
            op_type: ONNX's name of the operator.
            inputs: names of tensors or initialisers, or Tensors; "" leaves an optional one out.
            name: last part of the node's name; the operator's where it is None.
            attributes: the operator's; those that are None are left out.
        """
        output = self._unique(f"{self.scope}/{name or op_type}")
        names = [value.name if isinstance(value, Tensor) else value for value in inputs]
        self.nodes.append(helper.make_node(op_type, names, [output], name=output, **attributes))
        return output

    def pointwise(self, tensor, op_type, *others, **attributes):
        """Adds a node that leaves shape and layout alone; returns the tensor after it."""
        return tensor.with_name(self.node(op_type, [tensor, *others], **attributes))

    def constant(self, name, array):
        """Adds an initialiser of the layer being emitted; equal ones of one name are shared."""
        array = np.ascontiguousarray(array)
        return self._initializer(f"{self.scope}/{name}", array)

    def scalar(self, value):
        """Adds a float32 of rank 0, named after its value and shared by the whole graph."""
        value = np.float32(value)
        return self._initializer(f"constant/{value:g}", np.asarray(value))

    def indices(self, name, values):
        """Adds an int64 vector: a shape, axes, starts."""
        return self.constant(name, np.asarray(values, dtype=np.int64))

    def aligned(self, tensor, array, name):
        """Adds a float32 initialiser that broadcasts against a tensor as `array` does in Keras.

        Args:
            tensor: what the constant meets; its layout and order decide those of the constant.
            array: broadcastable to `tensor.shape` from the right.
            name: of the initialiser, within the layer's scope.
        """
        array = np.asarray(array, dtype=np.float32)
        # A leading batch axis of 1 says nothing, and some readers broadcast equal ranks only.
        array = array.reshape(array.shape[max(array.ndim - len(tensor.shape) + 1, 0) :])
        if tensor.channels_first and array.ndim:
            array = array.reshape((1,) * (3 - array.ndim) + array.shape).transpose(2, 0, 1)
        elif tensor.order and array.ndim and array.shape[-1] > 1:
            array = reorder(array, tensor.order, axis=-1)
        return self.constant(name, array)

    def per_feature(self, tensor, vector, name):
        """Adds a (C,) initialiser for operators that know the feature axis by themselves."""
        return self.constant(name, reorder(np.asarray(vector, dtype=np.float32), tensor.order, axis=0))

    def result(self, name, *, channels_first=False, order=None, factor=1.0):
        """Returns what the layer being emitted gives, stored under `name`."""
        return Tensor(name, self.step.output.shape, channels_first, order, factor)

    def channels_first(self, tensor):
        """Returns a rank-4 tensor stored as (B, C, H, W); other ranks as they are."""
        if len(tensor.shape) != 4 or tensor.channels_first:
            return tensor
        _, height, width, channels = tensor.shape
        name = self._moved(tensor, (0, 3, 1, 2), (channels, height, width))
        return dataclasses.replace(tensor, name=name, channels_first=True)

    def channels_last(self, tensor):
        """Returns a tensor stored as Keras has it, whatever its rank."""
        if tensor.channels_first:
            name = self._moved(tensor, (0, 2, 3, 1), tensor.shape[1:])
            return dataclasses.replace(tensor, name=name, channels_first=False)
        if tensor.order is not None:
            name = self._once(tensor, lambda: self._in_keras_order(tensor))
            return dataclasses.replace(tensor, name=name, order=None)
        return tensor

    def multiplied(self, tensor):
        """Returns the tensor with its factor carried out."""
        if tensor.factor == 1.0:
            return tensor
        name = self._once(tensor, lambda: self.node("Mul", [tensor, self.scalar(tensor.factor)]), "Mul")
        return dataclasses.replace(tensor, name=name, factor=1.0)

    def _moved(self, tensor, permutation, stored_shape):
        """Moves the channel axis; by a Reshape where no value changes its place."""

        def move():
            if meaningful_order(tensor.shape[1:]) is None:
                return self.node("Reshape", [tensor, self.indices("shape", (-1, *stored_shape))])
            return self.node("Transpose", [tensor], perm=permutation)

        return self._once(tensor, move)

    def _in_keras_order(self, tensor):
        height, width, channels = tensor.order
        rows = self.node("Reshape", [tensor, self.indices("map", (-1, channels, height, width))])
        rows = self.node("Transpose", [rows], perm=(0, 2, 3, 1))
        return self.node("Reshape", [rows, self.indices("features", (-1, tensor.shape[-1]))])

    def _once(self, tensor, make, kind="layout"):
        """Converts a tensor once for all its consumers."""
        key = tensor.name, kind
        if key not in self._conversions:
            self._conversions[key] = make()
        return self._conversions[key]

    def finish(self, tensors, names):
        """Gives the graph's outputs their names, stored as Keras has them."""
        produced = []
        for tensor, name in zip(tensors, names, strict=True):
            self.scope = name
            produced.append(self.channels_last(self.multiplied(tensor)).name)
        made = {node.output[0]: node for node in self.nodes}
        renamed = {}
        for old, name in zip(produced, names, strict=True):
            if old in renamed or old not in made:
                # One value under two names, or an input that is handed through.
                source = renamed.get(old, old)
                self.nodes.append(helper.make_node("Identity", [source], [name], name=f"{name}/Identity"))
                continue
            made[old].output[0] = renamed[old] = name
        for node in self.nodes:
            node.input[:] = [renamed.get(value, value) for value in node.input]

    def initializers(self):
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
