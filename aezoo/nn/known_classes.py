"""The names in a model's config: what Keras may make of them, and nothing else.

For some packages Keras imports the module that a config names. Here every name is looked for before, and
nothing is imported by it: it is one of Keras's own layers and the like, or was registered, which the user's
own import of a module does.
"""

import importlib
import re
import sys
from collections.abc import Iterator
from typing import Any

from aezoo.nn.layers import keras

_OURS = re.compile(r"aezoo\.(nn|models)\.[a-z][a-z0-9_]*")
_VALUES = ("__keras_tensor__", "__bytes__", "__ellipsis__", "__slice__")  # that Keras makes without a class
_ARRAYS = ("__tensor__", "__numpy__")
_DTYPES = ("float16", "bfloat16", "float32", "float64", "bool") + tuple(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
)
_OF_FUNCTIONS = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints", "ops")
# Kinds of what a config describes: none of them does anything but compute, but for the next.
_KINDS = (
    keras.Operation,
    keras.Layer,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.DTypePolicy,
    keras.dtype_policies.DTypePolicyMap,
    keras.random.SeedGenerator,
    keras.quantizers.Quantizer,
)
# They run code that a file brings, or read files that a config names.
_NEVER = (
    keras.layers.TFSMLayer,
    keras.layers.TorchModuleWrapper,
    keras.layers.JaxLayer,
    keras.layers.FlaxLayer,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
    keras.layers.TextVectorization,
    keras.utils.FeatureSpace,
)


class Unknown(ValueError):
    """A config names what may not be made.

    Attributes:
        module: that it names, "" where there is none.
        importable: whether importing that module may help.
    """

    def __init__(self, what: str, module: str = "", *, importable: bool = False) -> None:
        super().__init__(what)
        self.module, self.importable = module, importable


def find_classes(config: Any) -> Any:
    """Checks every name in a model's config, and returns the model's own class.

    Modules of aezoo's models and layers are imported for it: their classes register themselves.

    Raises:
        Unknown: the first name that is neither Keras's nor registered.
    """
    nodes = list(_objects(config))
    for node, _ in nodes:
        module = node.get("module")
        if isinstance(module, str) and _OURS.fullmatch(module) and module not in sys.modules:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError:  # of another aezoo; it is named below
                continue
    for node, owner in nodes:
        try:
            _check(node)
        except Unknown as error:
            raise Unknown(f"{error}, in {owner[:60]!a}", error.module, importable=error.importable) from None
    if not isinstance(config, dict) or "class_name" not in config:
        raise Unknown("no class at all")
    return _class(config)


def _objects(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yields what Keras would make an object of, and the name of the layer that it is in."""
    waiting = [(value, "the model")]
    while waiting:
        value, owner = waiting.pop()
        if isinstance(value, dict):
            own = value.get("config")
            name = own.get("name") if isinstance(own, dict) else None
            owner = name if isinstance(name, str) else owner
            if "class_name" in value:
                yield value, owner
            waiting.extend((entry, owner) for entry in value.values())
        elif isinstance(value, list):
            waiting.extend((entry, owner) for entry in value)


def _check(node: dict[str, Any]) -> None:
    name, said = node["class_name"], node.get("config")
    if name in _ARRAYS:
        if not isinstance(said, dict) or said.get("dtype") not in _DTYPES:
            raise Unknown("an array of no dtype of Keras")
    elif name == "function":
        _check_function(node)
    elif name not in _VALUES:
        _class(node)


def _check_function(node: dict[str, Any]) -> None:
    name, module = node.get("config"), node.get("module")
    if not isinstance(name, str) or not isinstance(module, str):
        raise Unknown("a function without a name")
    if keras.saving.get_registered_object(name) is not None:
        return
    places = [f"keras.{each}" for each in _OF_FUNCTIONS]
    for place in places if module == "builtins" else [module] if module in places else []:
        if callable(_public(place, name)):
            return
    raise Unknown(f"the function {name[:60]!a} of {module[:60]!a}", module, importable=_is_foreign(module))


def _class(node: dict[str, Any]) -> Any:
    """Returns the class that Keras will take for an object of a config."""
    name, module = node["class_name"], node.get("module")
    if not isinstance(name, str) or not isinstance(module, str):
        raise Unknown(f"the class {str(name)[:60]!a} without a module")
    registered = node.get("registered_name", name)
    found = keras.saving.get_registered_object(registered) if isinstance(registered, str) else None
    if found is None and module.partition(".")[0] == "keras":
        found = _public(module, name) or vars(sys.modules.get(module, object)).get(name)
        if not (isinstance(found, type) and issubclass(found, _KINDS)):
            found = None
    if found is None:
        raise Unknown(f"the class {name[:60]!a} of {module[:60]!a}", module, importable=_is_foreign(module))
    if isinstance(found, type) and issubclass(found, _NEVER):
        raise Unknown(f"a {found.__name__}, which runs code or reads files that the model names")
    return found


def _public(module: str, name: str) -> Any:
    """Returns what Keras calls by this name, or None; nothing is imported."""
    found: Any = keras
    for part in [*module.split(".")[1:], name]:
        found = None if part.startswith("_") else vars(found).get(part)
        if found is None or isinstance(found, dict):
            return None
    return found


def _is_foreign(module: str) -> bool:
    plain = re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", module, flags=re.ASCII)
    return bool(plain) and module.partition(".")[0] not in ("keras", "aezoo", "builtins")
