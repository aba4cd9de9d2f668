"""Every use of what Keras keeps private, by name. A release of Keras that changes one breaks here alone.

`INTERNALS` says of each what needs it and whether it is there; tests/nn/test_keras_internals.py asks.
"""

import contextlib
import inspect
import io
import math
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras


def replays_graph(model: Any) -> bool:
    """Whether a model is functional: whether its layers can be visited by `run_through_graph`."""
    return hasattr(model, "_run_through_graph")


def run_through_graph(model: Any, inputs: Any, visit: Callable[[Any], Callable[..., Any]]) -> Any:
    """Returns a functional model's outputs, its layers replaced by what `visit` makes of each.

    The public ways of replaying a model, `clone_model` and a call on symbolic tensors, both add nodes to the
    layers they visit.

    Args:
        model: functional, see `replays_graph`.
        inputs: the values of its inputs, nested as they are.
        visit: function of a layer that returns what is called in its place.
    """
    return model._run_through_graph(inputs, operation_fn=visit)


def has_compiled_metrics(model: Any) -> bool:
    """Whether a model was compiled with metrics beside its loss."""
    return model._compile_metrics is not None


def may_compile_by_xla(model: Any) -> bool:
    """Whether all layers of a model say that XLA can compile them."""
    return all(layer.supports_jit for layer in model._flatten_layers())


def compile_by_xla(model: Any) -> None:
    """Has XLA compile the steps of a model that was just compiled.

    Keras refuses that beside TensorFlow's determinism, of whose operations XLA does not know all on GPUs; on
    CPUs the same steps give the same bits.
    """
    model._jit_compile = True


def random_states(model: Any) -> list[Any]:
    """Returns the states of a model's random generators, which are told by their names alone."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


def averages(optimizer: Any) -> list[tuple[Any, Any]]:
    """Returns (weight, its moving average) of an optimiser that was built, [] where it takes none."""
    if not optimizer.use_ema:
        return []
    pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    return [(weight, average) for weight, average in pairs if average is not None]


def load_from_memory(content: bytes) -> Any:
    """Returns the model of a .keras file's bytes. The public `load_model` takes paths alone.

    What has been checked must be what is loaded, whatever becomes of the path meanwhile.
    """
    from keras.src.saving import saving_lib

    return saving_lib.load_model(io.BytesIO(content), custom_objects=None, compile=True, safe_mode=True)


class TooManyNumbers(ValueError):
    """The variables of a model hold more numbers than they may."""


@contextlib.contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Lets this thread make variables of so many numbers in all.

    Raises:
        TooManyNumbers: before memory is taken for more.
    """
    make, thread, made = keras.Variable.__init__, threading.get_ident(), 0

    def counted(self: Any, initializer: Any, shape: Any = None, *args: Any, **kwargs: Any) -> None:
        nonlocal made
        if shape is not None and threading.get_ident() == thread:
            made += math.prod(size or 1 for size in ((shape,) if isinstance(shape, int) else shape))
            if made > numbers:
                raise TooManyNumbers(f"its layers ask for {made:,} numbers or more, {numbers:,} are allowed")
        make(self, initializer, shape, *args, **kwargs)

    keras.Variable.__init__ = counted
    try:
        yield
    finally:
        keras.Variable.__init__ = make


@contextlib.contextmanager
def plain_arg_min() -> Iterator[None]:
    """Lets Keras find the smallest and largest values by TensorFlow's own operations.

    Its detour for negative zeros looks at the bits of the numbers, which becomes an operation that
    no runtime knows.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow import numpy as backend

    def plain(function: Callable[..., Any]) -> Callable[..., Any]:
        def find(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
            x = tf.convert_to_tensor(x)
            values = tf.reshape(x, (-1,)) if axis is None else x
            found = function(values, axis=axis or 0, output_type="int32")
            if not keepdims:
                return found
            return tf.reshape(found, (1,) * x.ndim) if axis is None else tf.expand_dims(found, axis)

        return find

    kept = backend.argmin, backend.argmax
    backend.argmin, backend.argmax = plain(tf.argmin), plain(tf.argmax)
    try:
        yield
    finally:
        backend.argmin, backend.argmax = kept


def patch_tf2onnx() -> None:
    """Makes tf2onnx run with NumPy 2, as Keras's own export does."""
    from keras.src.export.tf2onnx_lib import patch_tf2onnx as patch

    patch()


# -- whether they are there --------------------------------------------------------------------------


def _small() -> Any:
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dropout(0.5, seed=0)(keras.layers.Dense(2)(inputs)))


def _replays() -> bool:
    model, visited = _small(), []

    def visit(layer: Any) -> Callable[..., Any]:
        visited.append(layer.name)
        return lambda value, *args, **kwargs: value

    given = object()
    outputs = run_through_graph(model, [given], visit)
    return keras.tree.flatten(outputs) == [given] and set(visited) <= {layer.name for layer in model.layers}


def _knows_metrics() -> bool:
    found = []
    for metrics in (None, ["mae"]):
        model = _small()
        model.compile(loss="mse", metrics=metrics)
        found.append(has_compiled_metrics(model))
    return found == [False, True]


def _compiles_by_xla() -> bool:
    model = _small()
    model.compile(loss="mse", jit_compile=False)
    compile_by_xla(model)
    zeros = keras.ops.zeros((1, 2))
    model.train_on_batch(zeros, zeros)
    return may_compile_by_xla(model) and model.jit_compile


def _finds_arg_min() -> bool:
    from keras.src.backend.tensorflow import numpy as backend

    names = [list(inspect.signature(find).parameters) for find in (backend.argmin, backend.argmax)]
    with plain_arg_min():
        found = int(keras.ops.argmin(keras.ops.convert_to_tensor([3.0, 1.0])))
    return names == [["x", "axis", "keepdims"]] * 2 and found == 1


def _patches_tf2onnx() -> bool:
    from keras.src.export import tf2onnx_lib

    return not inspect.signature(tf2onnx_lib.patch_tf2onnx).parameters


def _averages() -> bool:
    model, optimizer = _small(), keras.optimizers.SGD(0.0, use_ema=True)
    model.compile(optimizer, loss="mse")
    zeros = keras.ops.zeros((1, 2))
    model.train_on_batch(zeros, zeros)
    return len(averages(optimizer)) == 2 and all(
        bool((keras.ops.convert_to_numpy(one) == keras.ops.convert_to_numpy(other)).all())
        for one, other in averages(optimizer)
    )


def _loads_from_memory() -> bool:
    model = _small()
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        with open(f"{folder}/model.keras", "rb") as file:
            again = load_from_memory(file.read())
    return bool((again.get_weights()[0] == model.get_weights()[0]).all())


def _counts_variables() -> bool:
    with at_most(8):  # 6 of the layer, 2 of the generator
        _small()
    try:
        with at_most(7):
            _small()
    except TooManyNumbers:
        return True
    return False


# name of what is private -> (what needs it, function that says whether it works)
INTERNALS: dict[str, tuple[str, Callable[[], bool]]] = {
    "Functional._run_through_graph": ("the direct route to ONNX", _replays),
    "Trainer._compile_metrics": ("metrics of rows and sequences", _knows_metrics),
    "SeedGenerator.state, a variable named seed_generator_state": (
        "a resumed training, which goes on with the noise of the first",
        lambda: len(random_states(_small())) == 1,
    ),
    "Trainer._jit_compile and Layer.supports_jit": ("`xla` of a training", _compiles_by_xla),
    "Optimizer._model_variables_moving_average": ("averages of weights, `ema` of a training", _averages),
    "keras.src.saving.saving_lib.load_model, of a file in memory": (
        "loading a .keras file",
        _loads_from_memory,
    ),
    "Variable.__init__, through which all variables are made": (
        "loading a .keras file within bounds",
        _counts_variables,
    ),
    "keras.src.backend.tensorflow.numpy.argmin and argmax": (
        "the tf2onnx route, for k-means and the largest of several",
        _finds_arg_min,
    ),
    "keras.src.export.tf2onnx_lib.patch_tf2onnx": ("the tf2onnx route with NumPy 2", _patches_tf2onnx),
}


def broken(name: str) -> str | None:
    """Returns what to say where a name of `INTERNALS` does not work in this Keras, None where it does."""
    needed_by, works = INTERNALS[name]
    try:
        reason = None if works() else "it answers otherwise"
    except Exception as error:  # whatever a name that is gone raises
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    if reason is None:
        return None
    return f"Keras {keras.__version__} changed {name} ({reason}); needed by {needed_by}"
