"""Recurrent layers as the operators that ONNX has for them, which take their steps first: (T, B, F).

The states they begin with are always written out, as some readers know no default for them.
"""

import dataclasses
from typing import Any

import numpy as np

from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.emitters.activations import as_float32
from aezoo.export.to_onnx.graph import Graph, NotEmittable, Tensor
from aezoo.export.to_onnx.table import emits

keras = import_keras()
layers = keras.layers

_ACTIVATIONS = {keras.activations.sigmoid: "Sigmoid", keras.activations.tanh: "Tanh"}

# How the gates that Keras has side by side are ordered in ONNX.
_GATES = {
    layers.LSTM: (0, 3, 1, 2),  # input, forget, cell, output -> input, output, forget, cell
    layers.GRU: (0, 1, 2),  # update, reset, candidate
    layers.SimpleRNN: (0,),
}


@dataclasses.dataclass(frozen=True)
class _Run:
    """What one operator computes: the names of (T, B, units) in the order of time, and of the states."""

    steps: str
    states: tuple


@emits(layers.LSTM, layers.GRU, layers.SimpleRNN)
def recurrent(graph: Graph, layer: Any, x: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, ...]:
    """The last step, or all of them in the order in which Keras has gone through them."""
    run = _run(graph, layer, _steps_first(graph, x), states)
    y = run.states[0]
    if layer.return_sequences:
        y = run.steps
        if layer.go_backwards:
            y = graph.node("Gather", [y, graph.indices("backwards", range(x.shape[1])[::-1])], axis=0)
        y = _batch_first(graph, y, layer.units, x.shape[1])
    y = graph.result(y)
    if not layer.return_state:
        return y
    return y, *(graph.result(name, output=index) for index, name in enumerate(run.states, 1))


@emits(layers.Bidirectional)
def bidirectional(graph: Graph, layer: Any, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
    """Two operators; the one that goes backwards keeps the order of time, as Keras turns its steps back."""
    both = layer.forward_layer, layer.backward_layer
    for inner in both:
        if type(inner) not in _GATES:
            raise _refused(graph, f"Bidirectional({type(inner).__name__}(...))", "an LSTM, GRU or SimpleRNN")
    steps, half, scope = _steps_first(graph, x), len(states) // 2, graph.scope
    runs = []
    for inner, given in zip(both, (states[:half], states[half:]), strict=True):
        graph.scope = f"{scope}/{inner.name}"
        runs.append(_run(graph, inner, steps, given))
    graph.scope = scope
    if layer.return_sequences:
        sides = [_batch_first(graph, run.steps, both[0].units, x.shape[1]) for run in runs]
    else:
        sides = [run.states[0] for run in runs]
    merged = [graph.result(name) for name in _joined(graph, layer.merge_mode, sides)]
    if layer.return_state:
        names = [name for run in runs for name in run.states]
        merged += [graph.result(name, output=len(merged) + index) for index, name in enumerate(names)]
    return tuple(merged)


def _joined(graph, mode, sides):
    if mode is None:
        return sides
    if mode == "concat":
        return [graph.node("Concat", sides, axis=-1)]
    y = graph.node("Mul" if mode == "mul" else "Add", sides)
    return [graph.node("Mul", [y, graph.scalar(0.5)]) if mode == "ave" else y]


def _run(graph, layer, steps, states):
    """Adds the operator.

    Args:
        layer: LSTM, GRU or SimpleRNN.
        steps: name of the sequence, (T, B, F).
        states: Tensors (B, units) to begin with, or none.
    """
    kind, units = type(layer), layer.units
    names = _activations(graph, layer)
    if layer.stateful:
        raise _refused(graph, "stateful=True", "a layer that begins anew with each example")
    reset_after = kind is layers.GRU and layer.reset_after
    weights = [_gates(graph, layer, "kernel"), _gates(graph, layer, "recurrent_kernel")]
    weights.append(_bias(graph, layer, reset_after) if layer.use_bias else "")
    if states:
        axis = graph.indices("axis", (0,))
        begin = [graph.node("Unsqueeze", [state, axis], name="initial") for state in states]
    else:
        begin = [_zeros(graph, steps, units)] * (2 if kind is layers.LSTM else 1)
    steps, *last = graph.node(
        {layers.LSTM: "LSTM", layers.GRU: "GRU", layers.SimpleRNN: "RNN"}[kind],
        [steps, *weights, "", *begin],
        outputs=("Y", "Y_h", "Y_c") if kind is layers.LSTM else ("Y", "Y_h"),
        hidden_size=units,
        direction="reverse" if layer.go_backwards else "forward",
        activations=names,
        linear_before_reset=1 if reset_after else None,
    )
    axis = graph.indices("axis", (0,))
    states = tuple(graph.node("Squeeze", [name, axis]) for name in last)
    return _Run(graph.node("Squeeze", [steps, graph.indices("direction", (1,))]), states)


def _activations(graph, layer):
    """The operator's activations, or None where they are its own: sigmoid inside, tanh outside."""
    pairs = [("activation", layer.activation)]
    if type(layer) is not layers.SimpleRNN:
        pairs.insert(0, ("recurrent_activation", layer.recurrent_activation))
    for option, function in pairs:
        if function not in _ACTIVATIONS:
            got = f"{option}={getattr(function, '__name__', function)!r}"
            raise _refused(graph, got, "sigmoid or tanh")
    names = [_ACTIVATIONS[function] for _, function in pairs]
    if type(layer) is layers.LSTM:
        names.append(names[-1])
    return None if names in (["Sigmoid", "Tanh", "Tanh"], ["Sigmoid", "Tanh"], ["Tanh"]) else names


def _ordered(layer, array):
    order = _GATES[type(layer)]
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[gate] for gate in order], axis=-1)


def _gates(graph, layer, name):
    """(inputs, gates * units) in Keras is (1, gates * units, inputs) in ONNX."""
    return graph.constant(name, _ordered(layer, as_float32(getattr(layer.cell, name))).T[None])


def _bias(graph, layer, reset_after):
    """Biases of the inputs and of the states in one; only GRU with reset_after has the latter."""
    bias = _ordered(layer, as_float32(layer.cell.bias))
    both = bias if reset_after else np.stack([bias, np.zeros_like(bias)])
    return graph.constant("bias", both.reshape(1, -1))


def _zeros(graph, steps, units):
    """(1, B, units) without a question for the size of the batch: the first value of each, times 0."""
    window = {"starts": (0, 0), "ends": (1, 1), "axes": (0, 2)}
    given = [graph.indices(name, values) for name, values in window.items()]
    value = graph.node("Slice", [steps, *given], name="initial")
    return graph.node("Mul", [value, graph.constant("zeros", np.zeros((1, 1, units), np.float32))])


def _steps_first(graph, x):
    return graph.transposed(x.name, x.shape, (1, 0, 2))


def _batch_first(graph, steps, units, times):
    return graph.transposed(steps, (times, None, units), (1, 0, 2))


def _refused(graph, got, expected):
    return NotEmittable(
        f"no function writes the options of {graph.scope!r} as ONNX",
        got=got,
        expected=expected,
        fix="pass route='tf2onnx', or leave the option out",
    )
