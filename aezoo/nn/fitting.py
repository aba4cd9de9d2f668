"""How a model takes examples: Keras's `fit`, `evaluate`, `predict`, and single batches, behind one gate."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from aezoo.core.digits import check_digits
from aezoo.core.errors import DataError, OptionError
from aezoo.nn.gate import Fed, Gate, unpacked
from aezoo.nn.layers import Tensor, keras, ops
from aezoo.nn.linear_path import MOST, LinearPath

HELD_BYTES = 2**28  # of the batches of a generator that are kept while statistics are taken from them
READ_ROWS = 2**20  # for statistics, of a dataset that does not know its length


class Fitting(keras.Model):
    """The methods of an `Autoencoder` that Keras trains and evaluates by.

    Whatever brings the examples, they keep the contract of `aezoo.core.examples`, or nothing is trained on
    them: arrays, lists, tensors and DataFrames; a tf.data.Dataset, a `keras.utils.PyDataset`, a generator, or
    anything else that can be gone through batch by batch. Only a direct call, `model(images)`, checks
    nothing: it is also how graphs are built.
    """

    _standardize: Any  # layers, or None for a model of images
    _unstandardize: Any
    _linear_path: LinearPath | None
    feature_names: Any
    corruption: Any
    _gate: Gate | None = None  # of a fit that is in progress

    def fit(
        self,
        x: Tensor = None,
        y: Tensor = None,
        batch_size: int | None = None,
        epochs: int = 1,
        **options: Any,
    ) -> Tensor:
        """As `keras.Model.fit`, with no targets needed.

        A conditional model takes {"images": ..., "labels": ...}. A model of rows or sequences takes their
        statistics on the first call, see `adapt`. With targets the model's own corruption rests.
        `sample_weight` (N,) multiplies what each example adds to the loss, whose mean is over all examples.

        Args:
            x: examples (N, ...), or a stream of batches x, (x, y) or (x, y, sample_weight), y None at will.
            y: targets (N, ...), clean examples for corrupted ones, or None.
            batch_size: examples in a batch, of arrays.
            epochs: how many.
            **options: of `keras.Model.fit`, `validation_data`, `sample_weight` and `callbacks` among them.

        Raises:
            DataError: examples, targets, labels or weights break the contract of shape and range.
            OptionError: targets for a model that has an objective of its own, which knows none; class_weight;
                sample_weight for an objective with a term of the whole batch.
        """
        _check_no_class_weight(options.pop("class_weight", None))
        steps, gate = options.get("steps_per_epoch"), Gate(self)
        with gate.telling():
            if self._wants_statistics and isinstance(x, Iterator):
                x = self._read_ahead(x, steps)
            fed = gate.fed(x, y, options.pop("sample_weight", None))
            if self._wants_statistics:
                self.adapt(x, steps)
            if fed.stream is not None and not fed.shuffles:
                options["shuffle"] = False  # it comes in its own order; Keras warns that it cannot
            validation = options.get("validation_data")
            if validation is not None:
                checked = gate.fed(*unpacked(validation))
                options["validation_data"] = (checked.x, checked.y, checked.weights)
                gate.validated = checked.x
            given = {"sample_weight": fed.weights, "batch_size": batch_size, "epochs": epochs, **options}
            self._gate = gate
            rests = fed.pairs and self.corruption is not None
            try:
                if rests:
                    self.corruption.active.assign(0.0)
                return super().fit(fed.x, fed.y, **given)
            finally:
                self._gate = None
                if rests:
                    self.corruption.active.assign(1.0)

    def evaluate(
        self, x: Tensor = None, y: Tensor = None, batch_size: int | None = None, **options: Any
    ) -> Tensor:
        """As `keras.Model.evaluate`; takes what `fit` takes."""
        if self._gate is not None and x is self._gate.validated:  # Keras's own, in the middle of a fit
            return super().evaluate(x, y, batch_size=batch_size, **options)
        gate = Gate(self)
        with gate.telling():
            fed = gate.fed(x, y, options.pop("sample_weight", None))
            return super().evaluate(fed.x, fed.y, batch_size=batch_size, sample_weight=fed.weights, **options)

    def predict(self, x: Tensor, batch_size: int | None = None, **options: Any) -> Tensor:
        """As `keras.Model.predict`: reconstructions. Takes what `fit` takes, and leaves out targets."""
        gate = Gate(self, targets=False)
        with gate.telling():
            fed = gate.fed(x)
            return super().predict(fed.x, batch_size=batch_size, **options)

    def train_on_batch(
        self,
        x: Tensor,
        y: Tensor = None,
        sample_weight: Tensor = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Tensor:
        """As `keras.Model.train_on_batch`, for examples that keep the contract.

        Raises:
            DataError: as `fit`; also a model of rows or sequences that knows no statistics yet, since one
                batch is no measure of all.
        """
        _check_no_class_weight(class_weight)
        if self._wants_statistics:
            raise DataError(
                "the means and scales of the columns are not known yet",
                got="train_on_batch before adapt or fit",
                expected="statistics of all examples",
                fix="model.adapt(examples), once",
            )
        x, y, weights = Gate(self).checked(x, y, sample_weight)
        return super().train_on_batch(x, y, sample_weight=weights, return_dict=return_dict)

    def test_on_batch(
        self, x: Tensor, y: Tensor = None, sample_weight: Tensor = None, return_dict: bool = False
    ) -> Tensor:
        """As `keras.Model.test_on_batch`, for examples that keep the contract."""
        x, y, weights = Gate(self).checked(x, y, sample_weight)
        return super().test_on_batch(x, y, sample_weight=weights, return_dict=return_dict)

    def predict_on_batch(self, x: Tensor) -> Tensor:
        """As `keras.Model.predict_on_batch`, for examples that keep the contract."""
        return super().predict_on_batch(Gate(self, targets=False).checked(x)[0])

    # -- statistics of columns ------------------------------------------------------------------

    def adapt(self, examples: Tensor, steps: int | None = None) -> None:
        """Takes what a model knows of its data before it is trained; one that knows nothing ignores it.

        That is the mean and standard deviation of each column of rows and sequences, and the principal
        components of a linear path that has no weights yet.

        Args:
            examples: (N, ...) array-like, or a stream of batches as for `fit`; a generator is read to its
                end, or as far as `steps`.
            steps: batches of the stream to read; one that never ends wants it.

        Raises:
            DataError: examples that break the contract, a stream that never ends, or a column whose digits
                float32 does not keep; see `aezoo.core.digits`.
        """
        path = self._linear_path if self._linear_path and not self._linear_path.started else None
        if self._standardize is None and path is None:
            return
        few: list[np.ndarray] = []
        gate = Gate(self, targets=False, exact=True)
        with gate.telling():
            batches = _batches(gate.fed(examples), steps)
            batches = batches if path is None else _keeping(batches, few, whole=self._standardize is not None)
            if self._standardize is None:
                for _ in batches:
                    pass
            else:
                self._assign(check_digits(batches, source="examples", names=self.feature_names))
        if path is not None:
            examples = np.concatenate(few).astype("float32")
            path.start(ops.convert_to_numpy(self._standardize(examples)) if self._standardize else examples)

    def _assign(self, found):
        # A column that never varies is exactly reproduced by its mean: any scale but 0 will do.
        scale = np.where(found["deviation"] > 0, found["deviation"], 1.0)
        for layer in (self._standardize, self._unstandardize):
            layer.assign(found["mean"].astype("float32"), scale.astype("float32"))

    @property
    def knows_its_data(self) -> bool:
        """Whether `adapt` has anything to do."""
        return self._standardize is not None or self._linear_path is not None

    @property
    def starts_linear(self) -> bool:
        """Whether the model is something before it is trained: principal components."""
        return self._linear_path is not None

    @property
    def _wants_statistics(self):
        if self._linear_path is not None and not self._linear_path.started:
            return True
        return self._standardize is not None and not int(ops.convert_to_numpy(self._standardize.adapted))

    def _read_ahead(self, batches, steps):
        """Takes the statistics of an epoch of a generator; returns an iterator of all its batches."""
        held = list(_held(batches, steps))
        if held:
            self.adapt(iter(held))
        return itertools.chain(held, batches)


def _check_no_class_weight(class_weight):
    if class_weight is not None:
        raise OptionError(
            "class_weight is for targets that are classes; an autoencoder has none",
            got=f"class_weight={class_weight!r}",
            expected="sample_weight, a number for each example",
            fix="sample_weight=weights[labels], where weights holds a number for each class",
        )


def _examples(batch):
    x = unpacked(batch)[0]
    return next(value for name, value in x.items() if name != "labels") if isinstance(x, dict) else x


def _batches(fed: Fed, steps: int | None) -> Iterator[np.ndarray]:
    """Yields the examples of a checked stream, batch by batch, or those of arrays at once."""
    if fed.stream is None:
        yield _examples((fed.x,))
        return
    batches, length = fed.x, None  # as tf.data tells it: -1 for no end, -2 for a length that is not known
    if fed.stream == "dataset":
        batches, length = fed.x.as_numpy_iterator(), int(fed.x.cardinality())
    elif fed.stream == "sequence" and fed.x.num_batches is None:
        length = -1
    if length == -1 and steps is None:
        raise DataError(
            "the statistics of the columns cannot be taken from a stream that never ends",
            got=f"a {type(fed.x).__name__.strip('_')} without end",
            expected="a number of batches, or statistics that were taken before",
            fix="model.adapt(examples), or pass steps_per_epoch=100",
        )
    read = 0
    has_end = fed.stream != "generator" and (length is None or length >= 0)
    for batch in itertools.islice(batches, None if has_end else steps):
        yield _examples(batch)
        read += len(_examples(batch))
        if length == -2 and steps is None and read >= READ_ROWS:
            return


def _keeping(batches: Iterable[Any], few: list[np.ndarray], *, whole: bool) -> Iterator[Any]:
    """Yields batches, and keeps the first of them for principal components; then ends, unless `whole`."""
    values = 0
    for batch in batches:
        if values < MOST:
            few.append(np.asarray(batch))
            values += few[-1].size
        elif not whole:
            return
        yield batch


def _held(batches: Iterable[Any], steps: int | None) -> Iterator[Any]:
    """Yields the batches of an epoch of a generator, which a caller keeps; raises where they are too many."""
    held = 0
    for batch in itertools.islice(batches, steps):
        held += np.asarray(_examples(batch)).nbytes
        if held > HELD_BYTES:
            raise DataError(
                "the statistics of the columns cannot be taken from a generator as long as this",
                got=f"more than {HELD_BYTES / 2**20:.0f} MiB of examples in an epoch",
                expected="something that can be read twice, or statistics that were taken before",
                fix="model.adapt(examples), or pass a tf.data.Dataset or a keras.utils.PyDataset",
            )
        yield batch
