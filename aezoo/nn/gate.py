"""The one gate of whatever a model is fed with: arrays, and streams of batches in any container.

`fit`, `evaluate`, `predict` and the calls on one batch let nothing through that breaks the contract of
`aezoo.core.examples`. Arrays are looked at before the first step; of a stream each batch, before it is
trained on: that is one pass over numbers that are in memory already. Nothing is read twice for it.
"""

import contextlib
import dataclasses
import itertools
import re
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from aezoo.core.errors import AezooError, DataError, OptionError
from aezoo.core.examples import as_array, as_inputs, as_labels, as_weights, check_shape
from aezoo.core.model import Model
from aezoo.core.ragged import as_series, as_series_inputs
from aezoo.nn.layers import keras


@dataclasses.dataclass
class Fed:
    """What Keras is given: checked arrays, or a stream that checks its batches as they come.

    Attributes:
        x: examples, {input name: examples, "labels": labels}, or a stream of batches.
        y: targets, or None; the examples themselves where there are weights, which Keras drops otherwise.
        weights: of the examples, or None.
        pairs: whether the caller gave targets.
        stream: how batches are held: "dataset", "sequence" (a PyDataset) or "generator"; None for arrays.
        shuffles: whether Keras may take the batches of a stream in any order.
    """

    x: Any
    y: Any = None
    weights: Any = None
    pairs: bool = False
    stream: str | None = None
    shuffles: bool = False


class Gate:
    """Checks what one model is fed with; holds facts about the model alone, so that workers can have it.

    Args:
        model: an `Autoencoder`.
        targets: whether targets are looked at; `predict` leaves them out.
        exact: whether examples stay in the type that they came in, for statistics in float64.
    """

    def __init__(self, model: Model, *, targets: bool = True, exact: bool = False) -> None:
        self.shape, self.kind, self.name = model.example_shape, model.kind, model.input_name
        self.classes, self.targets, self.exact = model.classes, targets, exact
        self.ragged = model.ragged
        self.own_objective = bool(getattr(model, "own_objective", False))
        self.refused: AezooError | None = None
        self.validated: Any = None  # what a fit evaluates between its epochs, checked already

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Raises what a batch was refused for as it is, whatever a data pipeline made of it."""
        try:
            yield
        except Exception:
            if self.refused is not None:
                raise self.refused from None
            raise

    # -- arrays ---------------------------------------------------------------------------------

    def checked(
        self, x: Any, y: Any = None, weights: Any = None, *, source: str = ""
    ) -> tuple[Any, np.ndarray | None, np.ndarray | None]:
        """Returns (x, y, weights) as a model takes them, or raises.

        Args:
            x: array-like (B, ...), or {input name: array-like, "labels": array-like}.
            y: array-like of targets (B, ...), or None.
            weights: array-like (B,), or None.
            source: what an error adds to the names, as " of batch 3".

        Raises:
            DataError: they break the contract of shape, range and count.
            OptionError: targets for a model that has an objective of its own, which knows none.
        """
        examples, labels = x, None
        if isinstance(x, dict):
            examples, labels = x.get(self.name), x.get("labels")
            self._check_keys(x)
        elif self.classes is not None and self.targets:
            raise self._no_labels(f"{type(x).__name__} alone")
        examples = self._as_inputs(examples, self.name + source)
        count = len(examples)
        if self.classes is not None:
            labels = as_labels(labels, count, self.classes)
            x = {self.name: examples, "labels": labels}
        else:
            x = examples
        y = self._as_targets(y, count, source) if self.targets and y is not None else None
        weights = None if weights is None else as_weights(weights, count)
        return x, y, weights

    def _as_inputs(self, examples, source):
        if self.ragged:
            given = as_series_inputs(examples, self.shape, source=source)
            return as_series(examples, self.shape, source=source) if self.exact else given
        given = as_inputs(examples, self.shape, unit_range=self.kind == "images", source=source)
        return as_array(examples, source=source) if self.exact else given

    def _as_targets(self, y, count, source):
        self._check_target_shape(as_array(y, source="targets" + source).shape)
        y = self._as_inputs(y, "targets" + source)
        if len(y) != count:
            raise DataError(
                "there is one target for each example",
                got=f"{len(y)} targets for {count} examples",
                expected=f"{count} targets",
                fix="leave the targets out, or pass as many",
            )
        return y

    def _check_target_shape(self, shape):
        if len(shape) <= 2 and len(shape) != len(self.shape) + 1:
            raise DataError(
                "targets of an autoencoder have the shape of its examples; these look like labels",
                got=f"targets {shape}, examples (batch, {', '.join(str(size) for size in self.shape)})",
                expected="no targets, or clean examples for corrupted ones",
                fix=self._without_targets(),
            )
        if self.own_objective:
            raise OptionError(
                "the objective of this model compares with the examples themselves",
                got="targets beside the examples",
                expected="examples alone",
                fix=self._without_targets(),
            )

    def _without_targets(self):
        if self.classes is not None:
            given = f'{{"{self.name}": {self.name}, "labels": labels}}'
            return f"fit({given}), or dataset.map(lambda {self.name}, labels: {given})"
        return f"fit({self.name}), or dataset.map(lambda {self.name}, labels: {self.name})"

    def _check_keys(self, x):
        expected = {self.name, "labels"} if self.classes is not None else {self.name}
        if set(x) == expected:
            return
        if self.classes is not None and "labels" not in x:
            raise self._no_labels(f"a dict of {', '.join(map(str, x))}")
        raise DataError(
            "a dict of examples has the names of the model's inputs",
            got=", ".join(str(key) for key in x) or "an empty dict",
            expected=", ".join(sorted(expected)),
            fix="pass {" + ", ".join(f'"{name}": {name}' for name in sorted(expected)) + "}",
        )

    def _no_labels(self, got):
        return DataError(
            "this model takes a label with each example",
            got=got,
            expected=f"{self.name} and labels in a dict",
            fix=f'pass {{"{self.name}": {self.name}, "labels": labels}}',
        )

    # -- streams --------------------------------------------------------------------------------

    def fed(self, x: Any, y: Any = None, weights: Any = None) -> Fed:
        """Returns what Keras is given for what the caller has, arrays or a stream.

        Args:
            x: arrays as for `checked`; a tf.data.Dataset; a `keras.utils.PyDataset`; a generator or any other
                iterator; anything else that can be gone through again, as a DataLoader of torch.
            y, weights: as for `checked`; a stream brings its own, in tuples (x, y, weights), y None at will.

        Raises:
            DataError, OptionError: as `checked`; of a stream for what can be seen without reading it.
        """
        if not _is_stream(x):
            pairs = y is not None
            x, y, weights = self.checked(x, y, weights)
            if weights is not None and y is None:
                y = x[self.name] if isinstance(x, dict) else x
            return Fed(x, y, weights, pairs)
        if y is not None or weights is not None:
            raise OptionError(
                "a stream of batches brings its targets and weights itself",
                got=f"{type(x).__name__} beside {'y' if y is not None else 'sample_weight'}",
                expected="batches (x, y, sample_weight), y None at will",
                fix="leave them out, and put them into the batches",
            )
        if hasattr(x, "element_spec"):
            return self._of_dataset(x)
        if hasattr(x, "__len__") and not isinstance(x, (Iterator, keras.utils.PyDataset)):
            if not len(x):
                raise _empty(x)
            x = _Again(x)
        if isinstance(x, keras.utils.PyDataset):
            if x.num_batches == 0:
                raise _empty(x)
            pairs = unpacked(x[0])[1] is not None
            shuffles = x.num_batches is not None and not isinstance(x, _Again)
            return Fed(_CheckedBatches(x, self), pairs=pairs, stream="sequence", shuffles=shuffles)
        first, batches = _peeked(iter(x), x)
        return Fed(self.generated(batches), pairs=unpacked(first)[1] is not None, stream="generator")

    def generated(self, batches: Iterable[Any]) -> Iterator[tuple]:
        """Yields the batches, each checked, as Keras takes them from a generator."""
        for number, batch in enumerate(batches):
            yield self.batch(batch, number)

    def batch(self, batch: Any, number: int) -> tuple:
        """Returns a batch of a stream as a tuple (x,), (x, y) or (x, y, weights), or raises."""
        try:
            x, y, weights = self.checked(*unpacked(batch), source=f" of batch {number}")
        except AezooError as error:
            self.keep(error)
            raise
        if weights is None:
            return (x,) if y is None else (x, y)
        return x, y if y is not None else x[self.name] if isinstance(x, dict) else x, weights

    def _of_dataset(self, dataset):
        x, y, _ = unpacked(dataset.element_spec)
        if isinstance(x, dict):
            self._check_keys(x)
        elif self.classes is not None and self.targets:
            raise self._no_labels("batches of examples alone")
        examples = x[self.name] if isinstance(x, dict) else x
        if examples.shape.rank == len(self.shape) and examples.shape.is_compatible_with(self.shape):
            raise DataError(
                "this dataset gives one example at a time",
                got=f"elements of shape {tuple(examples.shape)}",
                expected=f"batches (batch, {', '.join(str(size) for size in self.shape)})",
                fix="dataset.batch(32)",
            )
        if int(dataset.cardinality()) == 0:
            raise _empty(dataset)
        self._check_static(examples, self.name)
        if y is not None and self.targets:
            self._check_target_shape(tuple(y.shape))
            self._check_static(y, "targets")
        from aezoo.nn.tensorflow_gate import checked_dataset

        return Fed(checked_dataset(self, dataset), pairs=y is not None, stream="dataset")

    def _check_static(self, spec, source):
        """Raises DataError where a specification of tf.data tells another shape."""
        if spec.shape.rank is not None and not spec.shape[1:].is_compatible_with(self.shape):
            sizes = [1 if size is None else size for size in spec.shape]
            check_shape(np.broadcast_to(np.float32(0), sizes), self.shape, source=source)

    def passes(self, number: int, batch: dict[str, np.ndarray]) -> bool:
        """Whether a batch of a tf.data.Dataset keeps the contract; what is wrong with the first is kept.

        Args:
            number: of the batch.
            batch: arrays by name: "x", and where they are there "labels", "y" and "weights".
        """
        x, labels = batch["x"], batch.get("labels")
        given = x if labels is None else {self.name: x, "labels": labels}
        try:
            self.checked(given, batch.get("y"), batch.get("weights"), source=f" of batch {number}")
        except AezooError as error:
            error.fix = re.sub(r"(\w+)\.astype\('(\w+)'\)", r"tf.cast(\1, '\2')", error.fix)
            error.fix = f"in a function for dataset.map: {error.fix}"
            self.keep(error)
            return False
        return True

    def keep(self, error: AezooError) -> None:
        """Notes what `telling` raises."""
        self.refused = self.refused or error  # pipelines read on after the first


def _is_stream(x):
    if x is None or isinstance(x, (str, bytes, dict, list, tuple, np.ndarray)):
        return False
    if hasattr(x, "element_spec") or isinstance(x, (keras.utils.PyDataset, types.GeneratorType)):
        return True
    array_like = any(hasattr(x, name) for name in ("__array__", "shape", "toarray", "dtype"))
    return hasattr(x, "__iter__") and not array_like


def unpacked(batch: Any) -> tuple[Any, Any, Any]:
    """Returns (x, y, weights) of what a stream gives, or of its specification; y and weights may be None."""
    batch = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    if not 1 <= len(batch) <= 3:
        raise DataError(
            "a batch is examples, targets and weights",
            got=f"{len(batch)} parts",
            expected="x, (x, y) or (x, y, sample_weight)",
            fix="yield (images,) for each batch",
        )
    x, y, weights = (*batch, None, None)[:3]
    return x, None if type(y).__name__ == "NoneTensorSpec" else y, weights


def _peeked(iterator, source):
    """Returns (first batch, all batches)."""
    for first in iterator:
        return first, itertools.chain([first], iterator)
    raise _empty(source)


def _empty(source):
    return DataError(
        "there are no batches",
        got=f"an empty {type(source).__name__}",
        expected="at least one batch of at least one example",
        fix="check what it reads; a generator that was read before is empty",
    )


class _Again(keras.utils.PyDataset):
    """Batches of something that can be gone through again and knows its length, as a DataLoader of torch.

    As a generator Keras would begin each validation with the two batches that it looked at first.
    """

    def __init__(self, batches):
        super().__init__()
        self.batches, self.iterator, self.next = batches, None, 0

    @property
    def num_batches(self):
        return len(self.batches)

    def __getitem__(self, index):
        if self.iterator is None or index != self.next:
            self.iterator, self.next = iter(self.batches), 0
            self.iterator = itertools.islice(self.iterator, index, None)
        self.next = index + 1
        for batch in self.iterator:
            return batch
        raise DataError(
            "there are fewer batches than the length says",
            got=f"{index} batches of a {type(self.batches).__name__}",
            expected=f"{len(self.batches)}, as len() tells",
            fix="mend its __len__, or pass a generator of its batches",
        )

    def on_epoch_end(self):
        self.iterator = None


class _CheckedBatches(keras.utils.PyDataset):
    """A PyDataset that checks the batches of another."""

    def __init__(self, batches, gate):
        super().__init__(batches.workers, batches.use_multiprocessing, batches.max_queue_size)
        self.batches, self.gate = batches, gate

    @property
    def num_batches(self):
        return self.batches.num_batches

    def __getitem__(self, index):
        try:
            batch = self.batches[index]
        except AezooError as error:
            self.gate.keep(error)
            raise
        return self.gate.batch(batch, index)

    def on_epoch_begin(self):
        self.batches.on_epoch_begin()

    def on_epoch_end(self):
        self.batches.on_epoch_end()
