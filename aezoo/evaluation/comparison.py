"""Compares the latents of two models: can an index built from one serve the other?

found = compare(aezoo.load("new"), aezoo.load("old"), examples)
found["verdict"]  # "same", "rotation" or "different"
"""

import math
from typing import Any

import numpy as np

from aezoo.core.errors import DataError, OptionError
from aezoo.core.imports import need
from aezoo.core.model import Model
from aezoo.core.options import check_between, check_positive

# Each of two bundles was proven to within 1e-5 of the range of its Keras model.
TOLERANCE = 2e-5
# On MNIST (conv, 16 latents) a turn leaves 3e-8 of the spread, float16 3e-4, int8 9e-3, another training
# 0.3. At 1e-3 99.8 % of 10 neighbours are kept, at 1e-2 98 %.
ROTATION_LIMIT = 1e-3
VERDICTS = ("same", "rotation", "different")  # from the best
_ROWS = 256  # examples whose neighbours are gathered at a time


def compare(
    first: Model,
    second: Model,
    examples: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    neighbours: int = 10,
    tolerance: float = TOLERANCE,
    rotation_limit: float = ROTATION_LIMIT,
) -> dict[str, Any]:
    """Compares the latents, and the reconstruction errors, that two models give of the same examples.

    Args:
        first: model or bundle whose latents are to be used.
        second: model or bundle from whose latents an index was built.
        examples: (N, ...) as the models take them; bytes are divided by 255 for one that takes floats.
        labels: (N,) class numbers, for whichever is a conditional model.
        neighbours: k, how many nearest neighbours are looked at; N must be above 2 k.
        tolerance: share of the range of `second`'s latents that the largest difference may be of "same".
        rotation_limit: residual, see `procrustes`, up to which latents are a "rotation" apart.

    Returns:
        A dict: `verdict` of `VERDICTS`; `examples`; `latent_shapes` of both; `max_difference`, with what is
        `allowed`, `residual` and `rotation_residual`, see `procrustes`, as they are and turned, all None
            where the shapes differ; `cka`, see `linear_cka`;
        `neighbours`, see `neighbours_kept`; `reconstruction_error`: `medians` of both, `drift`
        (first / second - 1), and `ks_statistic`, the largest distance between the two distribution functions,
        from 0 to 1. No p-value goes with it, since both distributions are of the same examples.

    Raises:
        OptionError: examples of different shapes, or an option that cannot be used.
        DataError: examples that a model does not take, too few, or latents that do not vary.
        MissingExtraError: scikit-learn is not installed.
    """
    statistics = need("scipy.stats", extra="train")  # comes with scikit-learn
    need("sklearn", extra="train")
    check_positive("neighbours", neighbours, usual=10)
    check_between("tolerance", tolerance, 0.0, math.inf, TOLERANCE)
    check_between("rotation_limit", rotation_limit, 0.0, math.inf, ROTATION_LIMIT)
    examples = np.asarray(examples)
    _check_examples(first, second, examples, neighbours)
    # Labels that neither takes go to both, which refuse them.
    unwanted = labels is not None and not first.takes_labels and not second.takes_labels
    sides = [_answers(model, examples, labels, unwanted) for model in (first, second)]
    (latents, errors), (reference, reference_errors) = sides
    _check_latents(latents, reference)
    medians = [float(np.median(side)) for side in (errors, reference_errors)]
    return {
        **_differences(latents, reference, tolerance, rotation_limit),
        "examples": len(examples),
        "latent_shapes": [list(array.shape[1:]) for array in (latents, reference)],
        "cka": linear_cka(latents, reference),
        "neighbours": neighbours_kept(latents, reference, neighbours),
        "reconstruction_error": {
            "medians": medians,
            "drift": medians[0] / medians[1] - 1 if medians[1] else None,
            "ks_statistic": float(statistics.ks_2samp(errors, reference_errors, method="asymp").statistic),
        },
    }


def _check_examples(first: Model, second: Model, examples: np.ndarray, neighbours: int) -> None:
    if first.example_shape != second.example_shape:
        raise OptionError(
            "the two models take different examples",
            got=f"shapes {first.example_shape} and {second.example_shape}",
            expected="two models of the same data",
            fix="compare bundles that were trained on examples of one shape",
        )
    if len(examples) <= 2 * neighbours:
        raise DataError(
            "too few examples to compare neighbours",
            got=f"{len(examples)} examples, {neighbours} neighbours",
            expected=f"at least {2 * neighbours + 1}: of fewer, most would be neighbours by chance",
            fix="pass more examples",
        )


def _check_latents(*sides: np.ndarray) -> None:
    for array in sides:
        if not np.ptp(array, axis=0).any():
            raise DataError(
                "these latents do not vary, so there is nothing to compare",
                got=f"{len(array)} times the same {array.shape[1:]}",
                expected="latents that depend on the example",
                fix="see `aezoo evaluate`: a model that has collapsed reconstructs no better than a mean",
            )


def _differences(
    latents: np.ndarray, reference: np.ndarray, tolerance: float, rotation_limit: float
) -> dict[str, Any]:
    """Returns the verdict, and the figures that it goes by: of latents of two shapes they are None."""
    found: dict[str, Any] = {"verdict": "different", "max_difference": None, "allowed": None}
    found |= {"residual": None, "rotation_residual": None, "rotation_limit": rotation_limit}
    if latents.shape == reference.shape:
        found["max_difference"] = float(np.abs(latents - reference).max())
        # Of latents that hardly vary, float32 holds no such share of the range; the proof has the same floor.
        roundings = 4 * np.finfo("float32").eps * np.abs(reference).max()
        found["allowed"] = float(max(tolerance * np.ptp(reference), roundings))
        found["residual"] = _residual(latents, reference)
        found["rotation_residual"] = procrustes(latents, reference)[1]
        if found["max_difference"] <= found["allowed"]:
            found["verdict"] = "same"
        elif found["rotation_residual"] <= rotation_limit:
            found["verdict"] = "rotation"
    return found


def _answers(model, examples, labels, unwanted):
    """Returns (latents, reconstruction errors), float64, of a model."""
    if examples.dtype == np.uint8 and model.example_dtype == "float32":
        examples = examples / np.float32(255) if model.kind == "images" else examples
    given = {"labels": labels} if model.takes_labels or unwanted else {}
    return (
        np.asarray(model.encode(examples, **given), "float64"),
        np.asarray(model.reconstruction_error(examples, **given), "float64"),
    )


def say(found: dict[str, Any]) -> str:
    """Returns the verdict of `compare` in words, one line.

    >>> say({"verdict": "same"})
    'same: latents of A may be used with an index built from B'
    """
    verdict = found["verdict"]
    if verdict == "same":
        return "same: latents of A may be used with an index built from B"
    if verdict == "rotation" and found["residual"] <= found["rotation_limit"]:
        return (
            f"rotation: not even one, the difference is {found['residual']:.1g} of the spread, as lower "
            "precision leaves; --tolerance says how much an index built from B may bear"
        )
    if verdict == "rotation":
        return (
            "rotation: distances are those of B, coordinates are not; turn latents of A by "
            "aezoo.evaluation.comparison.procrustes before they meet an index built from B, or build it anew"
        )
    mine, other = found["latent_shapes"]
    why = "not even up to a rotation"
    if mine != other:
        why = f"of shapes {tuple(mine)} and {tuple(other)} not comparable coordinate by coordinate"
    return f"different: {why}; an index built from B must be built anew from latents of A"


def procrustes(latents: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the orthogonal matrix that turns latents into a reference best, and what is left over.

    Of maps (N, h, w, D) it turns the D channels, the same at every place. Reflections count as rotations;
    nothing is shifted or stretched, since either would change what is near the origin.

    Source: Schönemann 1966, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31.

    Args:
        latents, reference: (N, D) or (N, h, w, D), of one shape.

    Returns:
        (rotation (D, D) with `latents @ rotation` near `reference`, residual): the residual is the root mean
        square of the difference divided by that of the reference around its mean, in [0, ...).

    >>> turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> points = np.array([[1.0, 2.0], [3.0, 5.0], [-1.0, 0.0]])
    >>> rotation, residual = procrustes(points, points @ turn)
    >>> bool(np.allclose(rotation, turn)), round(residual, 12)
    (True, 0.0)
    """
    size = latents.shape[-1]
    flat, target = (np.asarray(array, "float64").reshape(-1, size) for array in (latents, reference))
    left, _, right = np.linalg.svd(flat.T @ target)
    rotation = left @ right
    return rotation, _residual(flat @ rotation, target)


def _residual(latents, reference):
    flat, target = (
        np.asarray(array, "float64").reshape(-1, latents.shape[-1]) for array in (latents, reference)
    )
    return float(np.linalg.norm(flat - target) / np.linalg.norm(target - target.mean(axis=0)))


def linear_cka(latents: np.ndarray, reference: np.ndarray) -> float:
    """Returns the linear centred kernel alignment of two sets of latents, in [0, 1].

    1 where they are equal up to a rotation, one scale and a shift; it needs no equal shapes.

    Source: Kornblith, Norouzi, Lee & Hinton 2019, Similarity of Neural Network Representations Revisited,
    arXiv:1905.00414, section 3.

    Args:
        latents, reference: (N, ...) each, of the same N examples.

    >>> points = np.array([[1.0, 2.0], [3.0, 5.0], [-1.0, 0.0]])
    >>> round(linear_cka(points, 3 * points[:, ::-1] + 1), 12)
    1.0
    """
    flat = [np.asarray(array, "float64").reshape(len(array), -1) for array in (latents, reference)]
    first, second = (array - array.mean(axis=0) for array in flat)
    if max(first.shape[1], second.shape[1]) <= len(first):
        cross = np.linalg.norm(first.T @ second) ** 2
        return float(cross / np.linalg.norm(first.T @ first) / np.linalg.norm(second.T @ second))
    first, second = first @ first.T, second @ second.T  # (N, N) is the smaller of the two
    return float((first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second))


def neighbours_kept(latents: np.ndarray, reference: np.ndarray, k: int = 10) -> dict[str, Any]:
    """Returns which share of nearest neighbours two sets of latents have in common, by Euclidean distance.

    Args:
        latents, reference: (N, ...) each, of the same N examples.
        k: neighbours of each example.

    Returns:
        A dict: `k`; `kept`, the share of an example's k neighbours among latents that are neighbours in the
        reference too; `across`: the same, where latents look for their neighbours in an index of the
        reference, None where the shapes differ; `by_chance`, what chance keeps. Neighbours as far as the k-th
        count as such: codes of a quantised model have many at one distance.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    search = need("sklearn.neighbors", extra="train").NearestNeighbors
    flat, target = (np.asarray(array, "float64").reshape(len(array), -1) for array in (latents, reference))
    index = search(n_neighbors=k, algorithm="brute").fit(target)
    limits = index.kneighbors()[0][:, -1]
    limits = limits + 1e-5 * np.sqrt(np.square(target - target.mean(axis=0)).sum(axis=1).mean())

    def share(found):
        hits = 0
        for start in range(0, len(found), _ROWS):
            rows = slice(start, start + _ROWS)
            distances = np.linalg.norm(target[found[rows]] - target[rows, None], axis=2)
            hits += (distances <= limits[rows, None]).sum()
        return float(hits / found.size)

    across = None
    if latents.shape == reference.shape:
        asked = index.kneighbors(flat, n_neighbors=k + 1, return_distance=False)
        # An example's own entry of the index is no neighbour; where it is not found, the last one goes.
        own = asked == np.arange(len(asked))[:, None]
        own[~own.any(axis=1), -1] = True
        across = share(asked[~own].reshape(len(asked), k))
    return {
        "k": k,
        "kept": share(search(n_neighbors=k, algorithm="brute").fit(flat).kneighbors(return_distance=False)),
        "across": across,
        "by_chance": k / (len(flat) - 1),
    }
