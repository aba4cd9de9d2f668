"""What a model is measured against: PCA of the same latent size, and the median filter for noise."""

import numpy as np

from aezoo.errors import need

MOST_FITTED = 60_000  # examples; more change the fourth digit and cost memory


def fit_pca(examples, latent_dim):
    """Fits principal components, the best linear autoencoder (Baldi & Hornik 1989).

    Args:
        examples: (N, ...); at most the first 60,000 are used.
        latent_dim: D; fewer where there are not so many values or examples.

    Returns:
        A fitted `sklearn.decomposition.PCA` over flat examples.
    """
    decomposition = need("sklearn.decomposition", extra="train")
    flat = np.asarray(examples[:MOST_FITTED]).reshape(min(len(examples), MOST_FITTED), -1)
    return decomposition.PCA(min(latent_dim, *flat.shape), random_state=0).fit(flat)


def project(pca, examples):
    """Returns what is left of examples (N, ...) in the principal components, the same shape."""
    examples = np.asarray(examples)
    flat = examples.reshape(len(examples), -1)
    return pca.inverse_transform(pca.transform(flat)).reshape(examples.shape).astype("float32")


def median_filter(images, size=3):
    """Returns images (N, H, W, C) after a median over size x size pixels of each channel."""
    ndimage = need("scipy.ndimage", extra="train")
    return ndimage.median_filter(images, size=(1, size, size, 1))
