"""`sample`, `interpolate` and `traverse`, which Keras models and loaded bundles share. NumPy only."""

import abc
import math

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.errors import DataError, OptionError
from aezoo.core.examples import as_array, as_inputs
from aezoo.core.options import check_choice, check_positive
from aezoo.core.priors import Prior

PATHS = ("linear", "spherical")
BATCH = 256  # examples at a time; larger batches only cost memory


def between(first: ArrayLike, second: ArrayLike, steps: int = 8, path: str = "linear") -> np.ndarray:
    """Returns the latents on the way from one to another, both ends included.

    Args:
        first, second: latents of one example each, the same shape.
        steps: number of latents, at least 2.
        path: "linear", or "spherical" (slerp; Shoemake 1985, doi:10.1145/325334.325242), which keeps
            to the shell where a Gaussian of many axes has its mass (White 2016, arXiv:1609.04468);
            where one end is 0, or both point the same way or against each other, it is linear.

    Returns:
        float32 (steps, ...).

    >>> between([0.0, 1.0], [2.0, 0.0], 3).tolist()
    [[0.0, 1.0], [1.0, 0.5], [2.0, 0.0]]
    """
    check_choice("path", path, PATHS)
    steps = check_positive("steps", steps, least=2, usual=8)
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    share = np.linspace(0.0, 1.0, steps).reshape(-1, *[1] * first.ndim)
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    if path == "spherical" and min(lengths) > 0:
        angle = np.arccos(np.clip(np.vdot(first, second) / (lengths[0] * lengths[1]), -1.0, 1.0))
        if 1e-6 < angle < np.pi - 1e-6:
            weights = np.sin((1 - share) * angle), np.sin(share * angle)
            return ((weights[0] * first + weights[1] * second) / np.sin(angle)).astype("float32")
    return ((1 - share) * first + share * second).astype("float32")


class LatentSpace(abc.ABC):
    """Ways through a latent space, over the `encode` and `decode` of a subclass.

    Attributes:
        latent_shape: of one example's latents, (D,), or (h, w, D) for maps.
        prior: what `sample` draws latents from, of `aezoo.core.priors`, or None.
        classes: number of labels of a conditional model, or None.
    """

    prior: Prior | None = None
    classes: int | None = None

    @property
    @abc.abstractmethod
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one example's latents without the batch axis: (D,), or (h, w, D) for maps."""

    @abc.abstractmethod
    def encode(
        self, examples: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns the latents (B, *latent_shape) of examples (B, ...)."""

    @abc.abstractmethod
    def decode(
        self, latents: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns the examples (B, ...) of latents (B, *latent_shape)."""

    def _as_one(self, example: ArrayLike, name: str) -> np.ndarray:
        """Returns one example as an array, without a batch axis; whoever knows its shape checks it."""
        return as_array(example, source=name)

    @property
    def takes_labels(self) -> bool:
        """Whether the model is conditional: whether encoder and decoder have an input `labels` (B,) int32."""
        return self.classes is not None

    def labels_in_turn(self, count: int) -> dict[str, np.ndarray]:
        """Returns {"labels": (count,) int32}, each class in turn, for a conditional model, {} for others."""
        return {} if self.classes is None else {"labels": np.arange(count, dtype="int32") % self.classes}

    def sample(
        self, n: int = 64, seed: int = 0, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns n generated examples: the decoder's answer to latents of the prior.

        Args:
            n: number of examples.
            seed: 32 bits; the same seed gives the same examples in every runtime, with one release of NumPy.
            labels: (n,) for a conditional model; None goes through the labels in turn.
            batch_size: examples at a time.

        Returns:
            float32 (n, ...).

        Raises:
            OptionError: the model has no prior, or labels where it takes none.
        """
        latents = self.sample_latents(n, seed)
        given = self.labels_in_turn(n).get("labels") if labels is None else labels
        return self.decode(latents, labels=given, batch_size=batch_size)

    def sample_latents(self, n: int = 64, seed: int = 0) -> np.ndarray:
        """Returns n latents of the prior, float32 (n, *latent_shape).

        Raises:
            OptionError: the model has no prior.
        """
        prior = self.prior
        if prior is None:
            raise OptionError(
                "this model has no prior to draw latents from",
                got="a latent space that training leaves without a density",
                expected="a variational model, or a density fitted to the latents afterwards",
                fix="model.fit_prior(images), or train it as a run, which does so at its end",
            )
        return prior.sample(n, seed)

    def interpolate(
        self,
        first: ArrayLike,
        second: ArrayLike,
        steps: int = 8,
        path: str = "linear",
        *,
        labels: ArrayLike | None = None,
        batch_size: int = BATCH,
    ) -> np.ndarray:
        """Returns the examples on the way from one example to another, decoded.

        Args:
            first, second: one example each, (...) as `encode` takes them.
            steps, path: see `between`.
            labels: the one label of the way, for a conditional model.
            batch_size: examples at a time.

        Returns:
            float32 (steps, ...).

        Raises:
            OptionError: another way, fewer than 2 steps, or more than one label.
            DataError: the ends are not examples of this model.
        """
        ends = self._as_one(first, "first"), self._as_one(second, "second")
        both = as_array(ends, source="the two ends")
        start, end = self.encode(both, labels=_repeated(labels, 2), batch_size=batch_size)
        way = between(start, end, steps, path)
        return self.decode(way, labels=_repeated(labels, steps), batch_size=batch_size)

    def traverse(
        self,
        example: ArrayLike,
        axis: int,
        values: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
        batch_size: int = BATCH,
    ) -> np.ndarray:
        """Returns one example with one latent axis set to each value, decoded.

        Args:
            example: (...) as `encode` takes it.
            axis: of the flattened latents, 0 to D - 1.
            values: what the axis is set to; None is -3 to 3 in 9 steps.
            labels: the one label, for a conditional model.
            batch_size: examples at a time.

        Returns:
            float32 (values, ...).

        Raises:
            OptionError: there is no such axis, or more than one label.
            DataError: values that are no list of finite numbers, or no example of this model.
        """
        given = _as_values(np.linspace(-3.0, 3.0, 9) if values is None else values)
        size = math.prod(self.latent_shape)
        if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool) or not 0 <= axis < size:
            raise OptionError(
                "the latents have no such axis",
                got=f"axis={axis!r}",
                expected=f"0 to {size - 1}",
                fix="pass axis=0",
            )
        one = self._as_one(example, "example")[None]
        latents = self.encode(one, labels=_repeated(labels, 1), batch_size=batch_size)
        latents = np.repeat(latents.reshape(1, -1), len(given), axis=0)
        latents[:, axis] = given
        latents = latents.reshape(-1, *self.latent_shape)
        return self.decode(latents, labels=_repeated(labels, len(given)), batch_size=batch_size)


def _as_values(values: ArrayLike) -> np.ndarray:
    """Returns what an axis is set to, float32 (values,), or raises DataError."""
    given = as_array(values, source="values")
    if given.ndim == 1 and given.dtype.kind == "f":
        finite = np.abs(given) <= np.finfo("float32").max
        if not finite.all():
            number = int(np.argmin(finite))
            raise DataError(
                "values must be finite numbers",
                got=f"values[{number}] is {given[number]}",
                expected="finite numbers that float32 holds, up to 3.4e38",
                fix="pass values=[-3, 0, 3]",
            )
    return as_inputs(given, (), unit_range=False, source="values")


def _repeated(labels: ArrayLike | None, count: int) -> np.ndarray | None:
    """Returns one label `count` times; None where none is given."""
    if labels is None:
        return None
    given = as_array(labels, source="labels")
    if given.size != 1:
        raise OptionError(
            "all of this way has one label",
            got=f"{given.size} labels: {given.tolist()}"[:100],
            expected="one whole number",
            fix="go the way once for each label",
        )
    return np.full(count, given.reshape(()))
