"""The points of a map of latents: which examples, their latents, and the plane in which they spread most."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.options import check_positive, check_seed
from aezoo.data.reading import read_for
from aezoo.loading import golden_examples
from aezoo.runtime import Bundle

_NUMBERS = 2_000_000  # in the latents of all points: 8 MB for the visitor


@dataclasses.dataclass
class Points:
    """Examples with their latents.

    Attributes:
        examples: (N, H, W, C) as the encoder takes them.
        latents: (N, ...) float32.
        labels: (N,) int64, numbered from 0, or None.
        label_names: of each label, a list of texts, or None.
        source: what they were read from, a text.
    """

    examples: np.ndarray
    latents: np.ndarray
    labels: np.ndarray | None
    label_names: list[str] | None
    source: str


def read_points(
    bundle: Bundle,
    data: str | pathlib.Path | None = None,
    *,
    data_dir: str | pathlib.Path | None = None,
    value_range: Sequence[float] | None = None,
    count: int = 2000,
    seed: int = 0,
) -> Points:
    """Reads examples and encodes them.

    Args:
        bundle: of `runtime.load`.
        data: a source, see `aezoo.data.reading`; None takes the bundle's golden examples.
        data_dir: where TensorFlow Datasets lie prepared.
        value_range: of images, in the place of that of the training.
        count: examples that are kept at most, drawn by the seed.
        seed: of the draw.

    Raises:
        DataError: nothing that can be read, or no labels for a conditional model.
        OptionError: `count` or `seed` is no such number.
    """
    count, seed = check_positive("points", count, usual=2000), check_seed(seed)
    if data is None:
        found = golden_examples(bundle)
    else:
        found = read_for(bundle, data, run=bundle.manifest.run, data_dir=data_dir, value_range=value_range)
    examples, labels, names, source = found.array, found.labels, found.class_names, found.source
    count = max(1, min(count, _NUMBERS // max(1, int(np.prod(bundle.latent_shape)))))
    if len(examples) > count:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(examples))[:count])
        examples, labels = examples[chosen], None if labels is None else labels[chosen]
    _check_labels(bundle, labels, names, source)
    latents = bundle.encode(examples, labels=labels if bundle.takes_labels else None)
    if not np.isfinite(latents).all():
        raise DataError(
            "some latents are no numbers",
            got=f"{source}: NaN or infinity in {np.count_nonzero(~np.isfinite(latents))} of {latents.size}",
            expected="examples like those of the training, whose latents are finite",
            fix="leave out the examples whose values are far outside of the training's",
        )
    if labels is not None:
        kept, numbers = np.unique(labels, return_inverse=True)
        if not bundle.takes_labels:  # else the number itself is what the model takes
            labels, names = numbers, [str(names[n]) if names else str(n) for n in kept]
        else:
            names = list(map(str, names or range(bundle.classes)))
    return Points(examples, latents, labels, names if labels is not None else None, source)


def _check_labels(bundle, labels, names, source):
    if bundle.takes_labels and labels is None:
        raise DataError(
            "a conditional model encodes an example with its label, and these have none",
            got=source,
            expected=f"examples with labels 0 to {bundle.classes - 1}",
            fix="numpy.savez('digits.npz', images=..., labels=...), or a folder of images for each class",
        )
    if bundle.takes_labels and names and len(names) != bundle.classes:  # else "7" alone would be class 0
        raise DataError(
            "these are not the classes of the conditional model",
            got=f"{source}: {len(names)} of them, {', '.join(map(str, names[:4]))}",
            expected=f"{bundle.classes} classes, in the order of the training",
            fix="numpy.savez('digits.npz', images=..., labels=...) with the numbers of the training",
        )


def plane(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the plane in which latents spread most: (mean (D,), axes (2, D), shares of the variance (2,)).

    Principal components by a singular value decomposition; each axis points where its largest entry is
    positive. Of two latents the axes are those of the latents, around 0. Of latents that do not differ the
    shares are 0.

    >>> plane(np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 4.0, 1.0]]))[0]
    array([0., 2., 1.])
    """
    latents = np.asarray(latents, "float64").reshape(len(latents), -1)
    spread = latents.var(axis=0)
    total = spread.sum()
    if total <= spread.size * (1e-6 * np.abs(latents).max(initial=1e-30)) ** 2:  # rounding
        spread, total = np.zeros_like(spread), np.inf
    if latents.shape[1] == 2:
        return np.zeros(2), np.eye(2), spread / total
    mean = latents.mean(axis=0)
    _, values, axes = np.linalg.svd(latents - mean, full_matrices=len(latents) < 2)
    axes = axes[:2]
    signs = np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1))
    shares = np.zeros(2)
    shares[: len(values[:2])] = values[:2] ** 2 / len(latents) / total
    return mean, axes * np.where(signs == 0, 1, signs), shares


def slider_axes(latents: np.ndarray, most: int = 64) -> list[dict[str, Any]]:
    """Returns [{"index", "low", "high"}] of latent axes, in their order.

    Of more than `most` axes those are taken that vary most. A slider goes from the smallest to the largest
    value of the points, and at least three standard deviations to each side of their mean.

    >>> slider_axes(np.array([[-4.0], [4.0]]))
    [{'index': 0, 'low': -12.0, 'high': 12.0}]
    """
    latents = np.asarray(latents, "float64").reshape(len(latents), -1)
    mean, deviation = latents.mean(axis=0), latents.std(axis=0)
    low = np.minimum(latents.min(axis=0), mean - 3 * deviation)
    high = np.maximum(latents.max(axis=0), mean + 3 * deviation)
    flat = high - low < 1e-6
    low, high = np.where(flat, mean - 1, low), np.where(flat, mean + 1, high)
    chosen = np.sort(np.argsort(-deviation, kind="stable")[:most])
    return [{"index": int(n), "low": float(f"{low[n]:.6g}"), "high": float(f"{high[n]:.6g}")} for n in chosen]
