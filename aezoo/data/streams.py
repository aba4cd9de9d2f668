"""A part of a prepared TensorFlow Datasets set, read as a stream.

    files -> encoded images -> decode -> memory -> shuffle -> batch -> scale      up to CACHED_BYTES
    files -> encoded images -> shuffle -> skip -> decode -> batch -> scale        above

The shuffle works on windows of WINDOW examples: each is permuted as a whole, and they follow each
other. TensorFlow Datasets shuffles once more when it prepares a set, so that the windows are alike.
"""

import functools
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.imports import import_tensorflow, need, silent_stderr, verbose
from aezoo.core.options import check_positive
from aezoo.data.parts import Part, sort_keys, unit_floats

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder


WINDOW = 20_000  # examples
CACHED_BYTES = 512 * 2**20  # of decoded images of one part


def import_tfds() -> ModuleType:
    """Returns the module tensorflow_datasets, imported without a word, and without progress bars."""
    if "tensorflow_datasets" in sys.modules:
        return sys.modules["tensorflow_datasets"]
    import_tensorflow()
    with silent_stderr(), warnings.catch_warnings():
        if not verbose():
            warnings.simplefilter("ignore")
        tfds = need("tensorflow_datasets", extra="train")
    if not verbose():
        tfds.disable_progress_bar()
    return tfds


class StreamPart(Part):
    """Examples `start` to `stop` of one split of a prepared set.

    Args:
        builder: of TensorFlow Datasets; its set is prepared.
        split: its name, for example "train".
        start, stop: positions in the split.
        image_key, label_key: names of the features; label_key may be None.
        image_shape: (H, W, C) to which images are resized and converted, or that they have.
    """

    def __init__(
        self,
        builder: "DatasetBuilder",
        split: str,
        start: int,
        stop: int,
        *,
        image_key: str,
        label_key: str | None,
        image_shape: Sequence[int],
    ) -> None:
        self.builder = builder
        self.split = split
        self.start = start
        self.stop = stop
        self.image_key = image_key
        self.label_key = label_key
        self.shape = tuple(image_shape)

    def __len__(self) -> int:
        return self.stop - self.start

    def __repr__(self) -> str:
        return f"StreamPart({self.builder.name} {self.split}[{self.start}:{self.stop}], {self.shape})"

    @functools.cached_property
    def labels(self) -> np.ndarray | None:  # type: ignore[override]
        """(N,) int64 in the order of `array`, or None; read once, without the images."""
        if self.label_key is None:
            return None
        batches = self._features({self.label_key: True}).batch(WINDOW)
        return np.concatenate([batch[self.label_key] for batch in self._read(batches)]).astype(np.int64)

    def array(self, limit: int | None = None) -> np.ndarray:
        """As `Part.array`. Decodes no more images than are asked for."""
        limit = len(self) if limit is None else min(len(self), check_positive("limit", limit))
        images = np.empty((limit, *self.shape), np.float32)
        start = 0
        for batch in self._read(self._decoded(self._encoded().take(limit)).batch(256)):
            images[start : start + len(batch)] = unit_floats(batch)
            start += len(batch)
        return images

    def _features(self, wanted, decoders=None):
        """Returns the stream of some features, always in the order of the files."""
        tfds = import_tfds()
        where = tfds.core.ReadInstruction(self.split, from_=self.start, to=self.stop, unit="abs")
        return self.builder.as_dataset(
            split=where,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(wanted, decoders=decoders),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )

    def _encoded(self):
        """Returns the stream of images as the bytes of their files."""
        skip_decoding = {self.image_key: import_tfds().decode.SkipDecoding()}
        return self._features({self.image_key: True}, skip_decoding).map(
            lambda example: example[self.image_key]
        )

    def _decoded(self, encoded):
        tf = import_tensorflow()
        return encoded.map(self._decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _decode(self, encoded):
        """Returns one image, uint8 (H, W, C)."""
        tf = import_tensorflow()
        feature = self.builder.info.features[self.image_key]
        image = feature.decode_example(encoded)
        channels = self.shape[-1]
        if feature.shape[-1] == 3 and channels == 1:
            image = tf.image.rgb_to_grayscale(image)
        elif feature.shape[-1] == 1 and channels == 3:
            image = tf.image.grayscale_to_rgb(image)
        elif feature.shape[-1] == 4 and channels == 3:
            image = image[..., :3]
        if tuple(feature.shape[:2]) != self.shape[:2]:
            image = tf.image.resize(image, self.shape[:2], method="lanczos3", antialias=True)
            image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        return tf.ensure_shape(image, self.shape)

    def _read(self, stream):
        """Yields the NumPy values of a stream, or raises DataError for damaged files."""
        tf = import_tensorflow()
        try:
            yield from stream.as_numpy_iterator()
        except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError) as error:
            raise DataError(
                f"{self.builder.name}: a prepared file cannot be read",
                got=f"{self.builder.data_path}: {str(error).splitlines()[0]}",
                expected="the files as TensorFlow Datasets wrote them",
                fix="delete that folder and prepare the set again",
            ) from error

    @property
    def _is_cached(self):
        return len(self) * int(np.prod(self.shape)) <= CACHED_BYTES

    @functools.cached_property
    def _windows(self):
        """The stream of windows; kept in memory, decoded, once it was read to its end."""
        if self._is_cached:
            return self._decoded(self._encoded()).batch(WINDOW).cache()
        return self._encoded().batch(WINDOW)

    def _order(self, tf, shuffle_seed, epoch):
        keys = sort_keys(tf, len(self), shuffle_seed, epoch)
        windows = range(0, len(self), WINDOW)
        return tf.concat([w + tf.argsort(keys[w : w + WINDOW], stable=True) for w in windows], axis=0)

    def _epoch_batches(self, tf, batch_size, shuffle_seed):
        windows, count = self._windows, len(self)

        def epoch_batches(epoch, first):
            def examples_of(number, window):
                keys = order_keys[number * WINDOW : (number + 1) * WINDOW]
                return tf.data.Dataset.from_tensor_slices(tf.gather(window, tf.argsort(keys, stable=True)))

            if shuffle_seed is None:
                examples = windows.unbatch()
            else:
                order_keys = sort_keys(tf, count, shuffle_seed, epoch)
                examples = windows.enumerate().flat_map(examples_of)
            examples = examples.skip(first * batch_size)
            return (examples if self._is_cached else self._decoded(examples)).batch(batch_size)

        return epoch_batches
