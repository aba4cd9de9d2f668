"""What a model is measured against: PCA of the same latent size, and the median filter for noise."""

import dataclasses
from typing import Any

import numpy as np

from aezoo.core.imports import need

MOST_FITTED = 60_000  # examples; more change the fourth digit and cost memory
_PLANE = 1_000  # points that decide about a plane; a map's latents have thousands of axes


def fit_pca(examples: np.ndarray, latent_dim: int) -> Any:
    """Fits principal components, the best linear autoencoder (Baldi & Hornik 1989).

    Args:
        examples: (N, ...); at most the first 60,000 are used.
        latent_dim: D; fewer where there are not so many values or examples.

    Returns:
        A fitted `sklearn.decomposition.PCA` over flat examples.
    """
    decomposition = need("sklearn.decomposition", extra="train")
    flat = np.asarray(examples[:MOST_FITTED]).reshape(min(len(examples), MOST_FITTED), -1)
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # shares of no variance, of one example or equal ones
        return decomposition.PCA(min(latent_dim, *flat.shape), random_state=0).fit(flat)


def project(pca: Any, examples: np.ndarray) -> np.ndarray:
    """Returns what is left of examples (N, ...) in the principal components, the same shape."""
    examples = np.asarray(examples)
    flat = examples.reshape(len(examples), -1)
    return pca.inverse_transform(pca.transform(flat)).reshape(examples.shape).astype("float32")


@dataclasses.dataclass(frozen=True)
class Plane:
    """Two directions through the middle of points.

    Attributes:
        middle: (D,), the mean.
        directions: (2, D), at right angles, of length 1.
        shares: (2,), of the variance.
    """

    middle: np.ndarray
    directions: np.ndarray
    shares: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Returns where points (N, D) fall in the plane, (N, 2)."""
        return (np.asarray(points, "float64") - self.middle) @ self.directions.T

    def lift(self, coordinates: np.ndarray) -> np.ndarray:
        """Returns the points of the plane at coordinates (N, 2), (N, D)."""
        return self.middle + np.asarray(coordinates) @ self.directions


def principal_plane(points: np.ndarray) -> "Plane":
    """Returns the `Plane` in which points (N, D) vary most, N and D at least 2; NumPy alone.

    The first 1,000 points decide. Each direction points to where its largest entry is positive, so that
    two computers do not draw each other's mirror image.
    """
    points = np.asarray(points, "float64")
    middle = points.mean(axis=0)
    few = points[:_PLANE] - points[:_PLANE].mean(axis=0)
    if few.shape[1] <= len(few):
        values, vectors = np.linalg.eigh(few.T @ few)
        values, directions = values[:-3:-1], vectors[:, :-3:-1].T
        total = np.square(few).sum()
    else:  # more axes than points: the same from the products of points
        values, vectors = np.linalg.eigh(few @ few.T)
        values, total = values[:-3:-1], np.square(few).sum()
        directions = vectors[:, :-3:-1].T @ few
        directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-30)
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.where(directions[[0, 1], largest] < 0, -1.0, 1.0)[:, None]
    return Plane(middle, directions, np.maximum(values, 0) / max(total, 1e-30))


def median_filter(images: np.ndarray, size: int = 3) -> np.ndarray:
    """Returns images (N, H, W, C) after a median over size x size pixels of each channel."""
    ndimage = need("scipy.ndimage", extra="train")
    return ndimage.median_filter(images, size=(1, size, size, 1))
