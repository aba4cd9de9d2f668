"""Images are changed in training, and only there: in the stream of batches, so that no model holds it.

What happens to a batch is a function of the seed and the step alone: neither the batches before it nor those
that are computed ahead change it, so that a resumed training sees what one without a break would have seen.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aezoo.core.imports import import_tensorflow
from aezoo.nn.layers import keras
from aezoo.training.settings import AUGMENTATIONS, Settings

if TYPE_CHECKING:  # TensorFlow is imported where batches are made
    import tensorflow as tf

_SHIFT = 0.1  # of a side, at most, each way
_KEPT = 0.875  # of a side, by a crop
_BRIGHTER = 0.2  # of the range from black to white, at most, each way
_DRAWS = 8  # of random numbers, at most, for each way of changing a batch


class _OfStep(keras.random.SeedGenerator):
    """Seeds that are a function of (seed, number): a generator without a state, for one step."""

    def __init__(self, tf: Any, seed: int, number: "tf.Tensor") -> None:
        # Keras's own constructor makes a variable, which a stream of batches would change out of order.
        self.tf, self.seed, self.number, self.drawn = tf, seed, number, 0

    def next(self, ordered: bool = True) -> "tf.Tensor":
        """Returns (2,) int64, another one at each call."""
        self.drawn += 1
        return self.tf.stack([self.tf.constant(self.seed, self.tf.int64), self.number + self.drawn])


def augmented(
    batches: "tf.data.Dataset", settings: Settings, shape: tuple[int, ...], first: int
) -> "tf.data.Dataset":
    """Returns batches of images in [0, 1], changed as the settings say.

    Args:
        batches: of (B, H, W, C), or dicts {"images": ..., "labels": ...}.
        settings: of the run, which name seed and augmentations.
        shape: (H, W, C).
        first: number of the step that the first batch is for.
    """
    if not settings.augment:
        return batches
    tf = import_tensorflow()
    made = {"flip": _by_layers, "shift": _by_layers, "crop": _crop, "brightness": _by_layers}
    changes = [(AUGMENTATIONS.index(name), made[name](tf, name, shape)) for name in settings.augment]

    def change(step: Any, batch: Any) -> Any:
        images = batch["images"] if isinstance(batch, dict) else batch
        for place, function in changes:
            number = (step * len(AUGMENTATIONS) + place) * _DRAWS
            images = tf.ensure_shape(function(images, _OfStep(tf, settings.seed, number)), (None, *shape))
        return {**batch, "images": images} if isinstance(batch, dict) else images

    return (
        batches.enumerate(first).map(change, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    )


def _by_layers(tf: Any, name: str, shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    """Returns a function (images, seeds) -> images of a layer of Keras that treats each image by itself."""
    layer = {
        "flip": lambda: keras.layers.RandomFlip("horizontal"),
        "shift": lambda: keras.layers.RandomTranslation(_SHIFT, _SHIFT, fill_mode="reflect"),
        "brightness": lambda: keras.layers.RandomBrightness(_BRIGHTER, value_range=(0.0, 1.0)),
    }[name]()
    layer.backend.set_backend("tensorflow")  # as Keras does for a layer in a stream, whatever trains

    def change(images: Any, seeds: Any) -> Any:
        return layer.transform_images(images, layer.get_random_transformation(images, seed=seeds))

    return change


def _crop(tf: Any, name: str, shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    """As `_by_layers`: each image's own piece, brought back to the size. Keras cuts a batch in one place."""
    height, width = (max(1, int(side * _KEPT)) for side in shape[:2])
    layer = keras.layers.RandomCrop(height, width)
    layer.backend.set_backend("tensorflow")

    def change(images: Any, seeds: Any) -> Any:
        pairs = tf.random.stateless_uniform(
            (tf.shape(images)[0],), seeds.next(), minval=None, maxval=None, dtype=tf.int64, alg="philox"
        )

        def cut(given: Any) -> Any:
            image, number = given
            number = _OfStep(tf, seeds.seed, number)
            return layer.transform_images(image, layer.get_random_transformation(image, seed=number))

        pieces = tf.map_fn(cut, (images, pairs), fn_output_signature=tf.float32)
        return tf.image.resize(tf.ensure_shape(pieces, (None, height, width, shape[2])), shape[:2])

    return change
