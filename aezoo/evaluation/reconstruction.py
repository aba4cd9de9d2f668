"""How close reconstructions are to the images: mse, psnr_db, ssim."""

import numpy as np

from aezoo.core.imports import import_tensorflow
from aezoo.core.ragged import means


def mse(
    examples: np.ndarray, reconstructions: np.ndarray, scale: float | np.ndarray | np.float32 = 1.0
) -> float:
    """Mean squared error over all values of all examples; of series that end early, over those up to the end.

    Args:
        examples, reconstructions: (N, ...), the same shape. Each series counts alike, however long it is.
        scale: what differences are divided by first, (F,) for rows in raw units.

    Returns:
        float; 0 is perfect.

    >>> mse([[0.0, 1.0]], [[0.0, 0.5]])
    0.125
    """
    return float(means(_squared_error(examples, reconstructions, scale), np.asarray(examples)).mean())


def psnr_db(images: np.ndarray, reconstructions: np.ndarray) -> float:
    """Peak signal-to-noise ratio, in dB, of each image at peak 1, averaged over the images.

    A perfect image counts as 120 dB, so that the average stays a number.

    Args:
        images, reconstructions: (N, H, W, C) in [0, 1].

    >>> round(psnr_db([[[[0.0]]]], [[[[0.1]]]]), 6)
    20.0
    """
    squared = _squared_error(images, reconstructions)
    each = np.maximum(squared.reshape(len(squared), -1).mean(axis=1), 1e-12)
    return float(np.mean(-10 * np.log10(each)))


def ssim(images: np.ndarray, reconstructions: np.ndarray, batch_size: int = 1000) -> float:
    """Structural similarity, averaged over the images; 1 is perfect.

    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861, by `tf.image.ssim`: Gaussian window of 11
    pixels (of the shorter side where that is less), standard deviation 1.5, peak 1.

    Args:
        images, reconstructions: (N, H, W, C) in [0, 1].
        batch_size: images at a time.
    """
    tf = import_tensorflow()
    images, reconstructions = np.asarray(images, "float32"), np.asarray(reconstructions, "float32")
    window = min(11, *images.shape[1:3])
    total = 0.0
    for start in range(0, len(images), batch_size):
        pair = (array[start : start + batch_size] for array in (images, reconstructions))
        total += float(tf.reduce_sum(tf.image.ssim(*pair, max_val=1.0, filter_size=window)))
    return total / len(images)


def _squared_error(examples, reconstructions, scale=1.0):
    examples, reconstructions = np.asarray(examples, "float64"), np.asarray(reconstructions, "float64")
    return np.square((examples - reconstructions) / scale)
