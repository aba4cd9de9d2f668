"""From a Keras functional model to a flat list of layer calls, and what follows each of them."""

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from aezoo.core.errors import ExportError
from aezoo.core.imports import import_keras
from aezoo.export.to_onnx.graph import NotEmittable, meaningful_order
from aezoo.export.to_onnx.table import EMITTERS, MAP, ORDER
from aezoo.nn.keras_internals import replays_graph, run_through_graph

keras = import_keras()


def walk(model: Any, inputs: Iterable[Any], call: Callable) -> list:
    """Runs values of any kind through a functional model, without a trace in the model itself.

    Args:
        model: a `keras.Model` made of inputs and outputs, or a built `keras.Sequential`.
        inputs: a value for each of `model.inputs`.
        call: called as call(layer, path, *args, **kwargs) for every layer, with the arguments of
            the model's own call; `path` tells nested models apart. Returns the layer's outputs.

    Returns:
        The values of the model's outputs, a list.

    Raises:
        ExportError: the model has no graph, or a layer is called with training=True.
    """
    return _walk(model, list(inputs), call, "")


def is_graph_of_layers(layer: Any) -> bool:
    """Whether a layer is a model whose own layers can be visited; a `call` of its own forbids it."""
    if not isinstance(layer, keras.Model) or not type(layer).call.__module__.startswith("keras."):
        return False
    return isinstance(layer, keras.Sequential) or replays_graph(layer)


def _walk(model, inputs, call, prefix):
    if not is_graph_of_layers(model):
        raise ExportError(
            f"{model.name!r} has no graph of layers to follow",
            got=f"{type(model).__name__} of Keras {keras.__version__}",
            expected="a functional or sequential model of Keras 3.12 to 3.15",
            fix="build it as keras.Model(inputs, outputs), or install keras==3.15.*",
        )
    if isinstance(model, keras.Sequential):
        (value,) = inputs
        for layer in model.layers:
            value = _visit(layer, call, prefix)(value)
        return keras.tree.flatten(value)
    outputs = run_through_graph(model, inputs, lambda layer: _visit(layer, call, prefix))
    return keras.tree.flatten(outputs)


def _visit(layer, call, prefix):
    path = prefix + layer.name

    def visit(*args, **kwargs):
        if kwargs.get("training") is True and _acts_in_training_by_default(layer):
            kwargs["training"] = False  # Keras records the default, and sets it aside outside of fit()
        if kwargs.get("training") is True:
            raise ExportError(
                f"the layer {path!r} is called with training=True inside the model",
                got=f"{type(layer).__name__}(...)(x, training=True)",
                expected="a model that computes the same from the same input",
                fix="leave training out of the call; fit() sets it",
            )
        if not is_graph_of_layers(layer):
            return call(layer, path, *args, **kwargs)
        outputs = _walk(layer, keras.tree.flatten(args or kwargs.get("inputs")), call, path + "/")
        return outputs[0] if len(outputs) == 1 else outputs

    return visit


def _acts_in_training_by_default(layer):
    """Whether a layer that is called with nothing said takes itself to be in training, as Resizing does."""
    default = inspect.signature(layer.call).parameters.get("training")
    return default is not None and default.default is True


@dataclasses.dataclass(frozen=True)
class Ref:
    """A value between two layers: a number that counts up along the walk, its Keras shape and type.

    All floating types are "float32", as they are written.
    """

    number: int
    shape: tuple
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class Step:
    """One call of one layer.

    Args:
        layer: the Keras layer.
        path: its name after the names of the nested models around it.
        inputs: a Ref for each tensor it is called with, in the order of its parameters.
        names: the parameter of its `call` that each of them belongs to.
        outputs: a Ref for each tensor it returns.
    """

    layer: Any
    path: str
    inputs: tuple
    names: tuple
    outputs: tuple

    @property
    def output(self) -> Ref:
        """The first output."""
        return self.outputs[0]


class Plan:
    """All steps of a model in the order of the walk, and answers about what follows a value.

    Attributes:
        inputs: a Ref for each input of the model.
        steps: a list of Step.
        outputs: a Ref for each output of the model.

    Raises:
        NotEmittable: a layer is not in the table, or a size other than the batch is unknown.
    """

    def __init__(self, model: Any) -> None:
        self._count = itertools.count()
        self.steps: list[Step] = []
        self.inputs = [self._ref(model.name, keras_input) for keras_input in model.inputs]
        self.outputs = walk(model, self.inputs, self._add)
        self._consumers: dict[int, list[Step]] = {}
        self._wants: dict[int, bool] = {}
        for step in self.steps:
            for ref in step.inputs:
                self._consumers.setdefault(ref.number, []).append(step)

    def consumers(self, ref: Ref) -> list[Step]:
        """The steps that read a value."""
        return self._consumers.get(ref.number, [])

    def wants_channels_first(self, ref: Ref) -> bool:
        """Whether a map reaches a layer that computes channels first, such as a convolution."""
        if ref.number not in self._wants:
            self._wants[ref.number] = any(self._passes_on(step) for step in self.consumers(ref))
        return self._wants[ref.number]

    def _passes_on(self, step):
        emitter = EMITTERS[type(step.layer)]
        return emitter.channels_first or (
            MAP in emitter.keeps and any(self.wants_channels_first(output) for output in step.outputs)
        )

    def map_of_features(self, ref: Ref) -> tuple[int, ...] | None:
        """The (H, W, C) or (T, F) that a row of features becomes by a Reshape further on, or None.

        None also where the row is an output of the model, or becomes a map that nothing wants
        channels first: then Keras's order serves better.
        """
        if ref in self.outputs:
            return None
        for step in self.consumers(ref):
            shape = step.output.shape
            if len(shape) > 2 and isinstance(step.layer, keras.layers.Reshape):
                if self.wants_channels_first(step.output):
                    return meaningful_order(shape[1:])
            elif len(shape) == 2 and ORDER in EMITTERS[type(step.layer)].keeps:
                order = self.map_of_features(step.output)
                if order is not None:
                    return order
        return None

    def only_consumer(self, ref: Ref) -> Step | None:
        """The one step that reads a value, or None where there are several or it is an output."""
        steps = self.consumers(ref)
        return steps[0] if len(steps) == 1 and ref not in self.outputs else None

    def _ref(self, path, spec):
        shape = tuple(spec.shape)
        if None in shape[1:] or not shape:
            raise NotEmittable(
                f"a size is not known at {path!r}",
                got=f"shape {shape}",
                expected="every size but the batch known when the model is built",
                fix="give keras.Input the full shape, or export with route='tf2onnx'",
            )
        dtype = keras.backend.standardize_dtype(spec.dtype)
        return Ref(next(self._count), (None, *shape[1:]), "float32" if "float" in dtype else dtype)

    def _add(self, layer, path, *args, **kwargs):
        quantized = getattr(layer, "quantization_mode", None)
        if type(layer) not in EMITTERS or quantized:
            raise _unknown(layer, path, f", quantized to {quantized}" if quantized else "")
        refs, names = [], []
        for name, value in _by_parameter(layer, args, kwargs):
            if isinstance(value, Ref) and not name.endswith("mask"):
                refs.append(value)
                names.append(name)
            elif value is not None and value is not False:
                raise _unknown(layer, path, f", called with {name}={_shown(value)}")
        args, kwargs = keras.tree.map_structure(_spec, (args, kwargs))
        kwargs.pop("training", None)
        specs = layer.compute_output_spec(*args, **kwargs)
        outputs = [self._ref(path, spec) for spec in keras.tree.flatten(specs)]
        self.steps.append(Step(layer, path, tuple(refs), tuple(names), tuple(outputs)))
        return keras.tree.pack_sequence_as(specs, outputs)


def _by_parameter(layer, args, kwargs):
    """Pairs of a parameter's name and a value, in the order in which `call` declares them."""
    bound = inspect.signature(layer.call).bind(*args, **kwargs)
    for name, given in bound.arguments.items():
        for value in keras.tree.flatten(given):
            yield name, value


def _spec(value):
    return keras.KerasTensor(value.shape, value.dtype) if isinstance(value, Ref) else value


def _shown(value):
    return f"a tensor of shape {value.shape}" if isinstance(value, Ref) else repr(value)


def _unknown(layer, path, what):
    return NotEmittable(
        f"no function writes the layer {path!r} as ONNX",
        got=f"{type(layer).__module__}.{type(layer).__name__}{what}",
        expected="a layer of the table in aezoo.export.to_onnx, matched by its exact class",
        fix="pass route='tf2onnx', or write one with @aezoo.export.to_onnx.emits(TheLayer)",
    )
