"""One function per activation, and the layers that are nothing but an activation.

Every one is elementwise or works along one axis, so it takes a tensor in whatever layout it has.
"""

import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.graph import Graph, NotEmittable, Tensor
from aezoo.export.to_onnx.table import EMITTERS, MAP, ORDER, emits

keras = import_keras()
layers = keras.layers

ACTIVATIONS = {}


def as_float32(values: Any) -> np.ndarray:
    """A weight of any float type and any backend as a float32 array."""
    with warnings.catch_warnings():
        # Keras's variables do not know the argument `copy` of NumPy 2's protocol.
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.asarray(keras.ops.convert_to_numpy(values)).astype(np.float32)


def activate(graph: Graph, x: Tensor, activation: Any) -> Tensor:
    """Adds the activation of a layer: a function of `keras.activations`, a layer, or None."""
    if activation is None:
        return x
    if isinstance(activation, layers.Layer) and {MAP, ORDER} <= _keeps(activation):
        return EMITTERS[type(activation)].function(graph, activation, x)
    options = {}
    if isinstance(activation, functools.partial) and not activation.args:
        activation, options = activation.func, activation.keywords
    function = ACTIVATIONS.get(activation)
    if function is None:
        raise NotEmittable(
            f"no function writes the activation of {graph.scope!r} as ONNX",
            got=f"{getattr(activation, '__name__', activation)!r}",
            expected=f"one of {', '.join(sorted(known.__name__ for known in ACTIVATIONS))}",
            fix="pass route='tf2onnx', or use one of these activations",
        )
    return function(graph, x, **options)


def _keeps(layer):
    return EMITTERS[type(layer)].keeps if type(layer) in EMITTERS else frozenset()


def _activation(function):
    def register(emitter):
        ACTIVATIONS[function] = emitter
        return emitter

    return register


def stored_axis(x: Tensor, axis: int) -> int:
    """Where a Keras axis of a tensor lies in its stored layout.

    >>> from aezoo.export.to_onnx.graph import Tensor
    >>> stored_axis(Tensor("t", (None, 7, 5, 3), channels_first=True), -1)
    1
    """
    rank = len(x.shape)
    axis %= rank
    return (0, *range(2, rank), 1)[axis] if x.channels_first else axis


def _along(graph, x, op_type, axis):
    if isinstance(axis, (list, tuple)):
        if len(axis) > 1:
            raise NotEmittable(
                f"ONNX has no {op_type} over several axes at once, as {graph.scope!r} wants",
                got=f"axis={tuple(axis)}",
                expected="one axis",
                fix="pass route='tf2onnx', or reshape the axes into one",
            )
        (axis,) = axis
    return graph.pointwise(x, op_type, axis=stored_axis(x, axis))


# The activations that are one node without an option.
for _function, _op_type in {
    keras.activations.sigmoid: "Sigmoid",
    keras.activations.tanh: "Tanh",
    keras.activations.selu: "Selu",
    keras.activations.softplus: "Softplus",
    keras.activations.softsign: "Softsign",
    keras.activations.exponential: "Exp",
}.items():
    ACTIVATIONS[_function] = functools.partial(
        lambda graph, x, op_type: graph.pointwise(x, op_type), op_type=_op_type
    )


@_activation(keras.activations.linear)
def linear(graph: Graph, x: Tensor) -> Tensor:
    """Nothing."""
    return x


@_activation(keras.activations.relu)
def relu(
    graph: Graph,
    x: Tensor,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Tensor:
    """x above the threshold, negative_slope * (x - threshold) below it, never above max_value."""
    if threshold == 0 and negative_slope == 0:
        if max_value is None:
            return graph.pointwise(x, "Relu")
        return graph.pointwise(x, "Clip", graph.scalar(0), graph.scalar(max_value))
    if threshold == 0:
        y = leaky_relu(graph, x, negative_slope)
        return y if max_value is None else graph.pointwise(y, "Min", graph.scalar(max_value))
    y = graph.pointwise(x, "ThresholdedRelu", alpha=float(threshold))
    if max_value is not None:
        y = graph.pointwise(y, "Clip", graph.scalar(0), graph.scalar(max_value))
    if negative_slope == 0:
        return y
    below = graph.pointwise(graph.pointwise(x, "Sub", graph.scalar(threshold)), "Min", graph.scalar(0))
    return graph.pointwise(y, "Add", graph.node("Mul", [below, graph.scalar(negative_slope)]))


@_activation(keras.activations.relu6)
def relu6(graph: Graph, x: Tensor) -> Tensor:
    """x clipped to [0, 6]."""
    return relu(graph, x, max_value=6.0)


@_activation(keras.activations.leaky_relu)
def leaky_relu(graph: Graph, x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """x, or negative_slope * x where it is negative."""
    return graph.pointwise(x, "LeakyRelu", alpha=float(negative_slope))


@_activation(keras.activations.elu)
def elu(graph: Graph, x: Tensor, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x) - 1) where it is negative."""
    return graph.pointwise(x, "Elu", alpha=float(alpha))


@_activation(keras.activations.celu)
def celu(graph: Graph, x: Tensor, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x / alpha) - 1) where it is negative."""
    return graph.pointwise(x, "Celu", alpha=float(alpha))


@_activation(keras.activations.gelu)
def gelu(graph: Graph, x: Tensor, approximate: bool = False) -> Tensor:
    """x * Phi(x), an operator of its own from opset 20 (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    if graph.opset >= 20:
        return graph.pointwise(x, "Gelu", approximate="tanh" if approximate else "none")
    half = graph.scalar(0.5)
    if approximate:
        cube = graph.pointwise(graph.pointwise(x, "Mul", x), "Mul", x)
        inner = graph.pointwise(x, "Add", graph.pointwise(cube, "Mul", graph.scalar(0.044715)))
        bell = graph.pointwise(graph.pointwise(inner, "Mul", graph.scalar(math.sqrt(2 / math.pi))), "Tanh")
    else:
        # onnxruntime fuses exactly these nodes, in this order, into one.
        bell = graph.pointwise(graph.pointwise(x, "Div", graph.scalar(math.sqrt(2))), "Erf")
    return graph.pointwise(
        graph.pointwise(x, "Mul", graph.pointwise(bell, "Add", graph.scalar(1))), "Mul", half
    )


@_activation(keras.activations.silu)
def silu(graph: Graph, x: Tensor) -> Tensor:
    """x * sigmoid(x)."""
    return graph.pointwise(x, "Mul", graph.pointwise(x, "Sigmoid"))


@_activation(keras.activations.mish)
def mish(graph: Graph, x: Tensor) -> Tensor:
    """x * tanh(softplus(x)); the operator Mish is younger than opset 17."""
    return graph.pointwise(x, "Mul", graph.pointwise(graph.pointwise(x, "Softplus"), "Tanh"))


@_activation(keras.activations.hard_sigmoid)
def hard_sigmoid(graph: Graph, x: Tensor) -> Tensor:
    """x / 6 + 1/2, clipped to [0, 1]."""
    return graph.pointwise(x, "HardSigmoid", alpha=1 / 6, beta=0.5)


@_activation(keras.activations.hard_silu)
def hard_silu(graph: Graph, x: Tensor) -> Tensor:
    """x * hard_sigmoid(x)."""
    return graph.pointwise(x, "Mul", hard_sigmoid(graph, x))


@_activation(keras.activations.hard_tanh)
def hard_tanh(graph: Graph, x: Tensor) -> Tensor:
    """x clipped to [-1, 1]."""
    return graph.pointwise(x, "Clip", graph.scalar(-1), graph.scalar(1))


@_activation(keras.activations.log_sigmoid)
def log_sigmoid(graph: Graph, x: Tensor) -> Tensor:
    """-softplus(-x), which does not underflow."""
    return graph.pointwise(graph.pointwise(graph.pointwise(x, "Neg"), "Softplus"), "Neg")


@_activation(keras.activations.tanh_shrink)
def tanh_shrink(graph: Graph, x: Tensor) -> Tensor:
    """x - tanh(x)."""
    return graph.pointwise(x, "Sub", graph.pointwise(x, "Tanh"))


@_activation(keras.activations.softmax)
def softmax(graph: Graph, x: Tensor, axis: int | Sequence[int] = -1) -> Tensor:
    """exp(x) over its sum along an axis; any order of the features serves."""
    return _along(graph, x, "Softmax", axis)


@_activation(keras.activations.log_softmax)
def log_softmax(graph: Graph, x: Tensor, axis: int | Sequence[int] = -1) -> Tensor:
    """The logarithm of softmax, without the detour."""
    return _along(graph, x, "LogSoftmax", axis)


@emits(layers.Activation, keeps=(MAP, ORDER))
def activation_layer(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """keras.layers.Activation."""
    return activate(graph, x, layer.activation)


@emits(layers.ReLU, keeps=(MAP, ORDER))
def relu_layer(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """keras.layers.ReLU with all its options."""
    return relu(graph, x, float(layer.negative_slope), layer.max_value, float(layer.threshold))


@emits(layers.LeakyReLU, keeps=(MAP, ORDER))
def leaky_relu_layer(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """keras.layers.LeakyReLU, whose slope is 0.3 by default and not the activation's 0.2."""
    return leaky_relu(graph, x, layer.negative_slope)


@emits(layers.PReLU, keeps=(MAP, ORDER))
def prelu_layer(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """keras.layers.PReLU; shared axes have size 1 in alpha and broadcast."""
    return graph.pointwise(x, "PRelu", graph.aligned(x, as_float32(layer.alpha), "alpha"))


@emits(layers.ELU, keeps=(MAP, ORDER))
def elu_layer(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """keras.layers.ELU."""
    return elu(graph, x, layer.alpha)


@emits(layers.Softmax, keeps=(MAP, ORDER))
def softmax_layer(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """keras.layers.Softmax."""
    return softmax(graph, x, layer.axis)
