"""A part of a dataset (train, validation or test), as one array or as batches of tf.data.

The order of every epoch is a function of (shuffle_seed, epoch) alone: neither the global seeds of
TensorFlow nor the epochs that were run before change it. That is what makes `skip` exact: a
resumed training sees the batches that the uninterrupted one would have seen.
"""

import functools
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.imports import import_tensorflow
from aezoo.core.latent_space import LatentSpace
from aezoo.core.options import check_positive

if TYPE_CHECKING:  # TensorFlow is imported where batches are made
    import tensorflow as tf


ENDLESS = 2**62  # epochs; the last one that fits an int64 with room to count on
_AT_ONCE = 256  # examples, where some are chosen from a stream


def unit_floats(examples: np.ndarray) -> np.ndarray:
    """Returns a float32 copy of stored examples: uint8 divided by 255, float32 as it is."""
    floats = np.array(examples, dtype=np.float32)
    if examples.dtype == np.uint8:
        floats /= np.float32(255)
    return floats


def sort_keys(tf: ModuleType, count: int, shuffle_seed: int, epoch: "int | tf.Tensor") -> "tf.Tensor":
    """Returns (count,) random int64; sorting by them gives the order of that epoch."""
    return tf.random.stateless_uniform(
        (count,), seed=(shuffle_seed, epoch), minval=None, maxval=None, dtype=tf.int64, alg="philox"
    )


class Part:
    """Examples of one part, in a fixed order, with their labels in the same order.

    Attributes:
        shape: of one example, (H, W, C), (T, F) or (F,).
        labels: (N,) int64 as the source has them, or None.
        classes: (K,) the labels that occur in any part, in rising order: label classes[k] is class
            number k. None where labels are class numbers already, since they have names.
    """

    shape: tuple[int, ...] = ()
    labels: np.ndarray | None = None
    classes: np.ndarray | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def array(self, limit: int | None = None) -> np.ndarray:
        """Returns the first `limit` examples (None: all), float32 (N, *shape); images in [0, 1].

        Raises:
            OptionError: `limit` is no whole number of at least 1.
        """
        raise NotImplementedError

    def chosen(self, numbers: np.ndarray) -> "ArrayPart":
        """Returns the examples at positions (M,), which rise, as a part in memory."""
        kept: list[np.ndarray] = []
        start = 0
        batches = self.batches(_AT_ONCE).as_numpy_iterator() if len(numbers) else ()
        for batch in batches:
            here = numbers[(numbers >= start) & (numbers < start + len(batch))] - start
            kept.append(batch[here])
            start += len(batch)
            if start > numbers[-1]:
                break
        examples = np.concatenate(kept) if kept else np.empty((0, *self.shape), np.float32)
        return ArrayPart(examples, None if self.labels is None else self.labels[numbers], self.classes)

    @property
    def class_numbers(self) -> np.ndarray:
        """(N,) int32, 0 to K - 1, in the order of `array`: what `batches` gives as labels.

        Raises:
            DataError: the part has no labels.
        """
        if self.labels is None:
            raise DataError(
                "these examples have no labels",
                got=f"{len(self)} examples of shape {self.shape} without labels",
                expected="one label for each example",
                fix="numpy.savez(path, images=..., labels=...), or a folder of images for each class",
            )
        numbers = self.labels if self.classes is None else np.searchsorted(self.classes, self.labels)
        return numbers.astype(np.int32)

    def labels_for(self, model: LatentSpace, limit: int | None = None) -> np.ndarray | None:
        """Returns the class numbers of the first examples for a conditional model, None for any other."""
        return self.class_numbers[:limit] if model.takes_labels else None

    def batches(
        self,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        epochs: int | None = 1,
        skip: int = 0,
        labels: bool = False,
    ) -> "tf.data.Dataset":
        """Returns the examples as a tf.data.Dataset of float32 batches (B, *shape).

        Every epoch ends with its own short batch if the size does not divide. Examples stay as they
        are stored (uint8 for most images) until they are batched, and are scaled then.

        Args:
            batch_size: B.
            shuffle_seed: None keeps the order of `array` and `labels`; a whole number shuffles,
                anew in each epoch, and always alike for the same seed and epoch.
            epochs: how many, one after the other; None never ends.
            skip: how many batches to leave out at the front. Whole epochs of them cost nothing,
                and of the first epoch that is given out no skipped image is scaled.
            labels: whether each batch is a dict {"images": (B, H, W, C), "labels": (B,) int32 class
                numbers}; sequences and rows are called "examples".

        Raises:
            OptionError: one of the numbers cannot be used.
            DataError: labels are asked for, and the part has none.
        """
        batch_size = check_positive("batch_size", batch_size)
        skip = check_positive("skip", skip, least=0)
        if shuffle_seed is not None:
            shuffle_seed = check_positive("shuffle_seed", shuffle_seed, least=0)
        if epochs is not None:
            epochs = check_positive("epochs", epochs)

        tf = import_tensorflow()
        per_epoch = -(-len(self) // batch_size)
        first_epoch, first_batch = divmod(skip, per_epoch)
        last_epoch = ENDLESS if epochs is None else max(epochs, first_epoch)
        count = tf.data.INFINITE_CARDINALITY if epochs is None else max(epochs * per_epoch - skip, 0)

        with tf.device("CPU:0"):  # or the examples would be copied to a GPU, and back for each batch
            epoch_batches = self._epoch_batches(tf, batch_size, shuffle_seed)
            if labels:
                epoch_labels = self._epoch_labels(tf, batch_size, shuffle_seed)

            def from_first_batch(epoch):
                first = tf.where(epoch == first_epoch, tf.constant(first_batch, tf.int64), 0)
                examples = epoch_batches(epoch, first)
                return tf.data.Dataset.zip((examples, epoch_labels(epoch, first))) if labels else examples

            name = "images" if len(self.shape) == 3 else "examples"
            # They are made of TensorFlow's operations: its rewriting of Python would find nothing, slowly.
            as_it_is = tf.autograph.experimental.do_not_convert
            batches = tf.data.Dataset.range(first_epoch, last_epoch).flat_map(as_it_is(from_first_batch))
            as_units = as_it_is(functools.partial(_unit_tensors, tf, name))
            batches = batches.map(as_units, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            batches = batches.apply(tf.data.experimental.assert_cardinality(count))
            return batches.prefetch(tf.data.AUTOTUNE).with_options(_in_order(tf))

    def _epoch_batches(self, tf, batch_size, shuffle_seed):
        """Returns a function (epoch, first batch) -> tf.data.Dataset of stored batches."""
        raise NotImplementedError

    def _order(self, tf, shuffle_seed, epoch):
        """Returns (N,) positions: the order of the examples in an epoch."""
        raise NotImplementedError

    def _epoch_labels(self, tf, batch_size, shuffle_seed):
        """As `_epoch_batches`, for the labels that go with them."""
        numbers, count = tf.constant(self.class_numbers), len(self)

        def epoch_labels(epoch, first):
            order = None if shuffle_seed is None else self._order(tf, shuffle_seed, epoch)
            ordered = numbers if order is None else tf.gather(numbers, order)
            return tf.data.Dataset.range(first, -(-count // batch_size)).map(
                lambda i: ordered[i * batch_size : (i + 1) * batch_size]
            )

        return epoch_labels


class ArrayPart(Part):
    """A part held in memory as one array. Shuffles over all of it.

    Args:
        examples: (N, *shape), uint8 (images) or float32.
        labels: (N,) int64, or None.
        classes: as in `Part`.
    """

    def __init__(
        self, examples: np.ndarray, labels: np.ndarray | None = None, classes: np.ndarray | None = None
    ) -> None:
        self.examples = examples
        self.labels = labels
        self.classes = classes
        self.shape = tuple(examples.shape[1:])

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        return f"ArrayPart({len(self)} examples of {self.shape})"

    def array(self, limit: int | None = None) -> np.ndarray:
        """As `Part.array`: a copy, so that writing to it leaves the dataset alone."""
        if limit is not None:
            limit = check_positive("limit", limit)
        return unit_floats(self.examples[:limit])

    def chosen(self, numbers: np.ndarray) -> "ArrayPart":
        """As `Part.chosen`; in the stored dtype."""
        labels = None if self.labels is None else self.labels[numbers]
        return ArrayPart(self.examples[numbers], labels, self.classes)

    @functools.cached_property
    def _tensor(self):
        return import_tensorflow().constant(self.examples)

    def _epoch_batches(self, tf, batch_size, shuffle_seed):
        stored, count = self._tensor, len(self)

        def epoch_batches(epoch, first):
            numbers = tf.data.Dataset.range(first, -(-count // batch_size))
            if shuffle_seed is None:
                return numbers.map(lambda i: stored[i * batch_size : (i + 1) * batch_size])
            order = self._order(tf, shuffle_seed, epoch)
            return numbers.map(lambda i: tf.gather(stored, order[i * batch_size : (i + 1) * batch_size]))

        return epoch_batches

    def _order(self, tf, shuffle_seed, epoch):
        return tf.argsort(sort_keys(tf, len(self), shuffle_seed, epoch), stable=True)


def _in_order(tf):
    options = tf.data.Options()
    options.deterministic = True
    return options


def _unit_tensors(tf, name, batch, labels=None):
    batch = tf.cast(batch, tf.float32) / 255.0 if batch.dtype == tf.uint8 else batch
    return batch if labels is None else {name: batch, "labels": labels}
