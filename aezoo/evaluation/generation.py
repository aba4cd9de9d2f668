"""How far generated digits are from real ones: the Fréchet digit distance.

The distance of Heusel et al. 2017 (arXiv:1706.08500) between two Gaussians, in the feature space of
a small classifier of MNIST's digits (`digit_features.onnx`, 64 features, written by
tools/make_digit_features.py, which states its accuracy in the file) in place of an Inception
network. So its values compare with each other and with nobody's FID.
"""

import functools
import pathlib
from typing import Any

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.model import Model

FILE = pathlib.Path(__file__).with_name("digit_features.onnx")
SHAPE = (28, 28, 1)
_BATCH = 512


def features(images: np.ndarray) -> np.ndarray:
    """Returns what the digit classifier sees in images: the 64 values before its last layer.

    Args:
        images: (N, 28, 28, 1) in [0, 1].

    Returns:
        float32 (N, 64), none below 0.

    Raises:
        DataError: images of another shape.
    """
    images = np.asarray(images)
    _check_shape(images.shape[1:], "images")
    run = _session().run
    starts = range(0, len(images), _BATCH)
    batches = (np.clip(images[start : start + _BATCH], 0, 1).astype("float32") for start in starts)
    return np.concatenate([run(["features"], {"images": batch})[0] for batch in batches])


def frechet(
    first_mean: np.ndarray,
    first_covariance: np.ndarray,
    second_mean: np.ndarray,
    second_covariance: np.ndarray,
) -> float:
    """Fréchet distance, squared, between two Gaussians; in the squared unit of their axes.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). The root's trace is taken over the eigenvalues of
    C1^(1/2) C2 C1^(1/2), which is symmetric, so that nothing complex comes up.

    Source: Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X.

    Args:
        first_mean, second_mean: (D,).
        first_covariance, second_covariance: (D, D), symmetric, no eigenvalue below 0.

    Returns:
        float of at least 0; 0 for equal Gaussians.

    >>> frechet(np.zeros(2), np.eye(2), np.ones(2), 4 * np.eye(2))
    4.0
    """
    values, vectors = np.linalg.eigh(first_covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ second_covariance @ root)
    traces = np.trace(first_covariance) + np.trace(second_covariance)
    distance = np.square(np.subtract(first_mean, second_mean)).sum() + traces
    return float(max(0.0, distance - 2 * np.sqrt(np.maximum(product, 0)).sum()))


def frechet_digit_distance_of_images(images: np.ndarray, others: np.ndarray) -> float:
    """Fréchet distance between two sets of digits, in the classifier's feature space.

    It grows as the sets get smaller: compare figures of equally many images only.

    Args:
        images, others: (N, 28, 28, 1) and (M, 28, 28, 1) in [0, 1], at least two of each.

    Raises:
        DataError: images of another shape, or a single one.
    """
    for array in (images, others):
        if len(array) < 2:
            raise DataError(
                "a single image has no covariance",
                got=f"{len(images)} and {len(others)} images",
                expected="at least 2 of each; some thousands for a figure that means something",
                fix="pass more images",
            )
    return frechet(*_moments(images), *_moments(others))


def frechet_digit_distance(model: Model, dataset: Any, n: int = 10000, seed: int = 0) -> float:
    """Fréchet distance between a model's samples and the test digits of a dataset.

    Args:
        model: with a prior and `sample(n, seed)`, of images (28, 28, 1).
        dataset: of digits, as "mnist" and "mnist_mini" are; its first n test images are compared with.
        n: samples; as many as there are test images where there are fewer.
        seed: 32 bits, of the samples.

    Returns:
        float of at least 0; see `generation_figures` for how low real images come.

    Raises:
        DataError: images of another shape.
    """
    _check_shape(dataset.shape, dataset.name)
    images = dataset.test.array(n)
    return frechet_digit_distance_of_images(_sampled(model, dataset, len(images), seed), images)


def generation_figures(model: Model, dataset: Any, n: int = 10000, seed: int = 0) -> dict[str, float]:
    """Compares with a dataset's test digits: samples, reconstructions of them, and train digits.

    All of equally many images, since the distance depends on how many there are. Train digits are
    the floor: the distance between two sets that come from the same source.

    Args:
        model, dataset, n, seed: as for `frechet_digit_distance`.

    Returns:
        dict: `frechet_digit_distance`, `frechet_digit_distance_of_reconstructions`,
        `frechet_digit_distance_of_train_images`, `images`.
    """
    _check_shape(dataset.shape, dataset.name)
    images = dataset.test.array(n)
    train = dataset.train.array(len(images))
    images = images[: len(train)]
    again = model.reconstruct(images, labels=dataset.test.labels_for(model, len(images)))
    compared = {
        "frechet_digit_distance": _sampled(model, dataset, len(images), seed),
        "frechet_digit_distance_of_reconstructions": again,
        "frechet_digit_distance_of_train_images": train,
    }
    real = _moments(images)
    figures = {name: frechet(*_moments(others), *real) for name, others in compared.items()}
    return {**figures, "images": len(images)}


def _sampled(model, dataset, n, seed):
    """Returns n samples; a conditional model is asked for the labels of the test part."""
    return model.sample(n, seed, labels=dataset.test.labels_for(model, n))


def _moments(images):
    seen = features(images).astype("float64")
    return seen.mean(axis=0), np.cov(seen, rowvar=False)


@functools.cache
def _session():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(FILE), options, providers=["CPUExecutionProvider"])


def _check_shape(shape, source):
    if tuple(shape) != SHAPE:
        raise DataError(
            "the Fréchet digit distance is for digits such as MNIST's",
            got=f"{source} of shape {tuple(shape)}",
            expected=f"images of shape {SHAPE}",
            fix="measure on the data mnist or mnist_mini",
        )
