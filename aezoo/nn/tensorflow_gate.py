"""The gate of a tf.data.Dataset: each batch is checked in the graph that makes it, as it comes.

Reading the first batches ahead would fill shuffle buffers and caches twice. So the graph itself looks whether
a batch is surely good, which costs a pass over its numbers, and hands one that may not be to NumPy.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from aezoo.nn.gate import Gate


def checked_dataset(gate: "Gate", dataset: Any) -> Any:
    """Returns a tf.data.Dataset of the same batches, whose examples are float32; bad ones raise.

    Args:
        gate: a `Gate`, which says what is wrong with a batch, and keeps it.
        dataset: of batches x, (x, y) or (x, y, weights).
    """

    @tf.autograph.experimental.do_not_convert  # nothing here is Python to be rewritten, which is slow
    def passed(number, batch):
        return _passed(gate, number, batch)

    return dataset.enumerate().map(passed)


def _passed(gate, number, batch):
    from aezoo.nn.gate import unpacked

    x, y, weights = unpacked(batch)
    parts = {"x": x, "y": y if gate.targets else None, "weights": weights}
    if isinstance(x, dict):
        parts.update(x=x[gate.name], labels=x.get("labels"))
    parts = {name: part for name, part in parts.items() if part is not None}

    def look(number, *arrays):  # what it would raise, TensorFlow would log with all its calls
        return np.bool_(gate.passes(int(number), dict(zip(parts, arrays, strict=True))))

    passed = tf.cond(
        _surely_good(gate, parts),
        lambda: tf.constant(True),
        lambda: tf.numpy_function(look, [number, *parts.values()], tf.bool),
    )
    with tf.control_dependencies([tf.debugging.Assert(passed, ["a batch was refused"])]):
        kept = {name: tf.identity(part) for name, part in parts.items()}
    if not gate.exact:
        types = {"labels": "int32"}
        kept = {name: tf.cast(part, types.get(name, "float32")) for name, part in kept.items()}
    for name in {"x", "y"} & set(kept):
        kept[name] = tf.ensure_shape(kept[name], (None, *gate.shape))
    x = {gate.name: kept["x"], "labels": kept["labels"]} if "labels" in kept else kept["x"]
    if (
        "weights" in kept
    ):  # with the examples for targets, as for arrays: Keras has no weights without targets
        return x, kept.get("y", kept["x"]), kept["weights"]
    return (x, kept["y"]) if "y" in kept else x


def _surely_good(gate, parts):
    """Returns whether a batch keeps the contract, a bool tensor; it may also say no wrongly."""
    count = tf.shape(parts["x"])[0]
    good = count > 0
    for name, part in parts.items():
        if part.shape.rank is None or (name in "xy" and tuple(part.shape[1:]) != gate.shape):
            return tf.constant(False)
        good &= tf.equal(tf.shape(part)[0], count)
        if name == "labels":
            good &= part.dtype.is_integer and tf.reduce_all((part >= 0) & (part < gate.classes))
        elif name == "weights":
            good &= part.shape.rank == 1 and tf.reduce_all((part >= 0) & tf.math.is_finite(_float(part)))
        elif gate.kind != "images":
            good &= tf.reduce_all(tf.math.is_finite(_float(part)))
        elif part.dtype.is_floating:  # of images; NaN is in no range
            good &= tf.reduce_all((part >= 0) & (part <= 1))
        else:
            return tf.constant(False)
    return good


def _float(part):
    return tf.cast(part, tf.float32)
