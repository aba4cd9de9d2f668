"""What latents are good for: neighbours, linear probes, explained variance, sparsity.

Latents of more than one vector an example, maps (N, h, w, D) or sequences (N, T, D), are averaged
over their positions before a classifier or a neighbourhood sees them: (N, D), see `pooled`.
"""

import warnings

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.imports import need
from aezoo.core.ragged import behind_ends, has_ends, mean_example

MOST_TRAINED = 10_000  # examples that a classifier of latents learns from
MOST_NEIGHBOURS = 2_000  # examples whose distances to each other are all computed
_ROUNDS = 300


def pooled(latents: np.ndarray) -> np.ndarray:
    """Returns latents (N, ..., D) averaged over their positions, float64 (N, D); (N, D) stays as it is."""
    latents = np.asarray(latents, "float64")
    return latents.reshape(len(latents), -1, latents.shape[-1]).mean(axis=1)


def knn_accuracy(
    train_latents: np.ndarray,
    train_labels: np.ndarray,
    test_latents: np.ndarray,
    test_labels: np.ndarray,
    neighbours: int = 5,
) -> float:
    """Share of test examples whose nearest neighbours in the latent space vote for the right class.

    Latents are pooled and brought to mean 0 and standard deviation 1 of the train part. The first
    10,000 of that part are searched, by Euclidean distance.

    Args:
        train_latents, test_latents: (N, ..., D) and (M, ..., D).
        train_labels, test_labels: (N,) and (M,).
        neighbours: how many of them vote.

    Returns:
        float in [0, 1].

    Raises:
        DataError: fewer than two classes, or labels that do not go with the latents.
    """
    train, labels, test = _standardised(train_latents, train_labels, test_latents, test_labels)
    classifier = need("sklearn.neighbors", extra="train").KNeighborsClassifier(min(neighbours, len(train)))
    return float(classifier.fit(train, labels).score(test, np.asarray(test_labels)))


def linear_probe_accuracy(
    train_latents: np.ndarray, train_labels: np.ndarray, test_latents: np.ndarray, test_labels: np.ndarray
) -> float:
    """Share of test examples that a logistic regression on the latents classifies rightly.

    Latents as for `knn_accuracy`; scikit-learn's regularisation (C=1), at most 300 rounds.

    Source: Alain & Bengio 2016, arXiv:1610.01644.

    Args:
        train_latents, train_labels, test_latents, test_labels: as for `knn_accuracy`.

    Returns:
        float in [0, 1].

    Raises:
        DataError: as for `knn_accuracy`.
    """
    train, labels, test = _standardised(train_latents, train_labels, test_latents, test_labels)
    probe = need("sklearn.linear_model", extra="train").LogisticRegression(max_iter=_ROUNDS)
    convergence = need("sklearn.exceptions", extra="train").ConvergenceWarning
    with warnings.catch_warnings():
        # A probe that still creeps after so many rounds gains nothing that the second digit shows.
        warnings.simplefilter("ignore", convergence)
        probe.fit(train, labels)
    return float(probe.score(test, np.asarray(test_labels)))


def trustworthiness(examples: np.ndarray, latents: np.ndarray, neighbours: int = 5) -> float:
    """How far neighbours in the latent space are neighbours among the examples, in [0, 1]; 1 is perfect.

    Source: Venna & Kaski 2001, doi:10.1007/3-540-44668-0_68, by scikit-learn.

    Args:
        examples: (N, ...), in the units in which distances mean something; the first 2,000 are used.
        latents: (N, ..., D), pooled first.
        neighbours: in the latent space, of each example; fewer where N is less than twice as many.

    Raises:
        DataError: fewer than three examples.
    """
    examples = np.asarray(examples[:MOST_NEIGHBOURS], "float64")
    if len(examples) < 3:
        raise DataError(
            "neighbourhoods need neighbours",
            got=f"{len(examples)} examples",
            expected="at least 3",
            fix="pass more examples",
        )
    neighbours = min(neighbours, (len(examples) - 1) // 2)  # scikit-learn's limit: fewer than half
    function = need("sklearn.manifold", extra="train").trustworthiness
    flat = examples.reshape(len(examples), -1)
    return float(function(flat, pooled(latents[:MOST_NEIGHBOURS]), n_neighbors=neighbours))


def explained_variance(
    examples: np.ndarray, reconstructions: np.ndarray, scale: float | np.ndarray | np.float32 = 1.0
) -> float:
    """Share of the examples' variance that their reconstructions hold: 1 - residual / total.

    Both sums of squares go over all values of all examples, the total about the mean example; of series
    that end early over those up to the end, about the mean of the series that come so far.
    PCA maximises it among linear models, of examples of one length; a model may go below 0.

    Args:
        examples, reconstructions: (N, ...), the same shape.
        scale: what differences are divided by first, (F,) for raw rows.

    Returns:
        float of at most 1; 0 where the examples do not vary.

    >>> explained_variance([[0.0], [2.0]], [[0.5], [1.5]])
    0.75
    """
    examples, reconstructions = np.asarray(examples, "float64"), np.asarray(reconstructions, "float64")
    about, apart = examples - mean_example(examples), examples - reconstructions
    if has_ends(examples):
        behind = behind_ends(examples)[..., None]
        about, apart = np.where(behind, 0.0, about), np.where(behind, 0.0, apart)
    total = np.square(about / scale).sum()
    return float(1 - np.square(apart / scale).sum() / total) if total > 0 else 0.0


def dead_units(latents: np.ndarray) -> float:
    """Share of latent units that no example moves, in [0, 1].

    A unit is an entry of the last axis; of maps (N, h, w, D) it is dead where it is the same at
    every position of every example.

    Args:
        latents: (N, ..., D).

    >>> dead_units([[0.0, 1.0], [0.0, 2.0]])
    0.5
    """
    latents = np.asarray(latents, "float64")
    units = latents.reshape(-1, latents.shape[-1])
    # A sigmoid that has saturated still trembles in its last digit.
    still = np.ptp(units, axis=0) <= 1e-6 * np.maximum(1.0, np.abs(units).max(axis=0))
    return float(still.mean())


def sparsity(latents: np.ndarray) -> float:
    """Mean share of latents that are exactly 0, in [0, 1].

    Args:
        latents: (N, ..., D).

    >>> sparsity([[0.0, 1.0], [0.0, 0.0]])
    0.75
    """
    return float(np.mean(np.asarray(latents) == 0))


def _standardised(train_latents, train_labels, test_latents, test_labels):
    """Returns (train latents, train labels, test latents), at the train part's mean and deviation."""
    train, test = pooled(train_latents[:MOST_TRAINED]), pooled(test_latents)
    labels = np.asarray(train_labels)[:MOST_TRAINED]
    if len(labels) != len(train) or len(test_labels) != len(test) or len(np.unique(labels)) < 2:
        raise DataError(
            "latents are classified by labels of at least two classes",
            got=f"{len(train)} train latents with {len(labels)} labels of {len(np.unique(labels))} "
            f"classes, {len(test)} test latents with {len(test_labels)} labels",
            expected="one label for each example, and two classes or more among the train labels",
            fix="load a dataset with labels",
        )
    deviation = train.std(axis=0)
    deviation[deviation == 0] = 1.0
    mean = train.mean(axis=0)
    return (train - mean) / deviation, labels, (test - mean) / deviation
