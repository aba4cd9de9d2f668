"""A part of a dataset (train, validation or test), as one array or as batches of tf.data.

The order of every epoch is a function of (shuffle_seed, epoch) alone: neither the global seeds of
TensorFlow nor the epochs that were run before change it. That is what makes `skip` exact: a
resumed training sees the batches that the uninterrupted one would have seen.
"""

import functools
import sys

import numpy as np

from aezoo.data.options import whole_number
from aezoo.errors import need
from aezoo.quiet import import_keras, silent_stderr

ENDLESS = 2**62  # epochs; the last one that fits an int64 with room to count on


def import_tensorflow():
    """Returns the module tensorflow, imported without a word."""
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    import_keras()
    with silent_stderr():  # still to be imported where Keras runs on another backend
        return need("tensorflow", extra="train")


def unit_floats(examples):
    """Returns a float32 copy of stored examples: uint8 divided by 255, float32 as it is."""
    floats = np.array(examples, dtype=np.float32)
    if examples.dtype == np.uint8:
        floats /= np.float32(255)
    return floats


def sort_keys(tf, count, shuffle_seed, epoch):
    """Returns (count,) random int64; sorting by them gives the order of that epoch."""
    return tf.random.stateless_uniform(
        (count,), seed=(shuffle_seed, epoch), minval=None, maxval=None, dtype=tf.int64, alg="philox"
    )


class Part:
    """Examples of one part, in a fixed order, with their labels in the same order.

    Attributes:
        shape: of one example, (H, W, C) or (F,).
        labels: (N,) int64, or None.
    """

    shape = ()
    labels = None

    def __len__(self):
        raise NotImplementedError

    def array(self, limit=None):
        """Returns the first `limit` examples (None: all), float32 (N, *shape); images in [0, 1].

        Raises:
            OptionError: `limit` is no whole number of at least 1.
        """
        raise NotImplementedError

    def batches(self, batch_size, *, shuffle_seed=None, epochs=1, skip=0):
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

        Raises:
            OptionError: one of the numbers cannot be used.
        """
        batch_size = whole_number("batch_size", batch_size, at_least=1)
        skip = whole_number("skip", skip, at_least=0)
        if shuffle_seed is not None:
            shuffle_seed = whole_number("shuffle_seed", shuffle_seed, at_least=0)
        if epochs is not None:
            epochs = whole_number("epochs", epochs, at_least=1)

        tf = import_tensorflow()
        per_epoch = -(-len(self) // batch_size)
        first_epoch, first_batch = divmod(skip, per_epoch)
        last_epoch = ENDLESS if epochs is None else max(epochs, first_epoch)
        count = tf.data.INFINITE_CARDINALITY if epochs is None else max(epochs * per_epoch - skip, 0)

        with tf.device("CPU:0"):  # or the examples would be copied to a GPU, and back for each batch
            epoch_batches = self._epoch_batches(tf, batch_size, shuffle_seed)

            def from_first_batch(epoch):
                first = tf.where(epoch == first_epoch, tf.constant(first_batch, tf.int64), 0)
                return epoch_batches(epoch, first)

            batches = tf.data.Dataset.range(first_epoch, last_epoch).flat_map(from_first_batch)
            batches = batches.map(
                functools.partial(_unit_tensor, tf), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
            )
            batches = batches.apply(tf.data.experimental.assert_cardinality(count))
            options = tf.data.Options()
            options.deterministic = True
            return batches.prefetch(tf.data.AUTOTUNE).with_options(options)

    def _epoch_batches(self, tf, batch_size, shuffle_seed):
        """Returns a function (epoch, first batch) -> tf.data.Dataset of stored batches."""
        raise NotImplementedError


class ArrayPart(Part):
    """A part held in memory as one array. Shuffles over all of it.

    Args:
        examples: (N, *shape), uint8 (images) or float32.
        labels: (N,) int64, or None.
    """

    def __init__(self, examples, labels=None):
        self.examples = examples
        self.labels = labels
        self.shape = tuple(examples.shape[1:])

    def __len__(self):
        return len(self.examples)

    def __repr__(self):
        return f"ArrayPart({len(self)} examples of {self.shape})"

    def array(self, limit=None):
        """As `Part.array`: a copy, so that writing to it leaves the dataset alone."""
        if limit is not None:
            limit = whole_number("limit", limit, at_least=1)
        return unit_floats(self.examples[:limit])

    @functools.cached_property
    def _tensor(self):
        return import_tensorflow().constant(self.examples)

    def _epoch_batches(self, tf, batch_size, shuffle_seed):
        stored, count = self._tensor, len(self)

        def epoch_batches(epoch, first):
            numbers = tf.data.Dataset.range(first, -(-count // batch_size))
            if shuffle_seed is None:
                return numbers.map(lambda i: stored[i * batch_size : (i + 1) * batch_size])
            order = tf.argsort(sort_keys(tf, count, shuffle_seed, epoch), stable=True)
            return numbers.map(lambda i: tf.gather(stored, order[i * batch_size : (i + 1) * batch_size]))

        return epoch_batches


def _unit_tensor(tf, batch):
    return tf.cast(batch, tf.float32) / 255.0 if batch.dtype == tf.uint8 else batch
