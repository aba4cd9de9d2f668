"""The table: which function writes which Keras layer.

A layer of one's own brings its own line:

    from aezoo.export.to_onnx import emits

    @emits(Squared)
    def squared(graph, layer, x):
        return graph.pointwise(x, "Mul", x)

Tensors come in the order of the parameters of the layer's `call`. Of a layer with several outputs
the function returns a tuple of Tensors, made by `graph.result(name, output=1)` and so on.

The class must match exactly: a subclass may compute something else, so it needs a line of its own.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import TypeVar

# What a function may declare about the tensors that it takes; whatever is not declared is carried
# out before it is called, so that a function that declares nothing gets what Keras would give it.
MAP = "map"  # rank 3 or more, channels first or last
ORDER = "order"  # rank 2, features in the order of a channels-first map
FACTOR = "factor"  # a value that must still be multiplied by Tensor.factor
INTEGERS = "integers"  # elements of an integer type, which are otherwise made float32


@dataclasses.dataclass(frozen=True)
class Emitter:
    """A line of the table.

    Args:
        function: (graph, layer, *tensors) -> Tensor, or a tuple of them.
        keeps: of MAP, ORDER, FACTOR, INTEGERS, what the function takes and leaves as it is.
        reads: what it takes but does not hand on.
        channels_first: tensors of rank 3 or more must be given to it channels first.
    """

    function: Callable
    keeps: frozenset
    reads: frozenset
    channels_first: bool


Function = TypeVar("Function", bound=Callable)

EMITTERS: dict[type, Emitter] = {}


def emits(
    *classes: type, keeps: Iterable[str] = (), reads: Iterable[str] = (), channels_first: bool = False
) -> Callable[[Function], Function]:
    """Registers the function below it for exactly these layer classes; see `Emitter`."""

    def register(function: Function) -> Function:
        emitter = Emitter(function, frozenset(keeps), frozenset(reads), channels_first)
        EMITTERS.update(dict.fromkeys(classes, emitter))
        return function

    return register
