"""Examples to train on: `load` a source by name or path, get a `Dataset` with three parts.

    dataset = aezoo.data.load("mnist_mini")
    dataset.train.batches(64, shuffle_seed=0)   # tf.data, float32 (B, 28, 28, 1) in [0, 1]
    dataset.test.array()                        # the same as one NumPy array
    padded([first, second])                     # series (n, F) of different lengths as one array (N, T, F)

Importing this package loads NumPy and no framework: those are imported where they are used.
"""

from aezoo.core.ragged import padded
from aezoo.data.dataset import Dataset
from aezoo.data.loading import load

__all__ = ["Dataset", "load", "padded"]
