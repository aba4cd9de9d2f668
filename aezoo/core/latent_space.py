"""`sample`, `interpolate` and `traverse`, which Keras models and loaded bundles share. NumPy only."""

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.examples import as_array, as_inputs
from aezoo.core.options import check_choice, check_positive

PATHS = ("linear", "spherical")


def between(first, second, steps=8, path="linear"):
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
    steps = check_positive("steps", steps, least=2)
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    share = np.linspace(0.0, 1.0, steps).reshape(-1, *[1] * first.ndim)
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    if path == "spherical" and min(lengths) > 0:
        angle = np.arccos(np.clip(np.vdot(first, second) / (lengths[0] * lengths[1]), -1.0, 1.0))
        if 1e-6 < angle < np.pi - 1e-6:
            weights = np.sin((1 - share) * angle), np.sin(share * angle)
            return ((weights[0] * first + weights[1] * second) / np.sin(angle)).astype("float32")
    return ((1 - share) * first + share * second).astype("float32")


class LatentSpace:
    """Sampling, interpolation and traversal over `encode`, `decode`, `latent_shape` and `prior`."""

    prior = None
    takes_labels = False

    def sample(self, n=64, seed=0, labels=None):
        """Returns n generated examples: the decoder's answer to latents of the prior.

        Args:
            n: number of examples.
            seed: 32 bits; the same seed gives the same examples in every runtime, with one release of NumPy.
            labels: (n,) for a conditional model; None goes through the labels in turn.

        Returns:
            float32 (n, ...).

        Raises:
            OptionError: the model has no prior, or labels where it takes none.
        """
        latents = self.sample_latents(n, seed)
        given = self.labels_in_turn(n) if labels is None else self._labelled(labels)
        return self.decode(latents, **given)

    def sample_latents(self, n=64, seed=0):
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

    def interpolate(self, first, second, steps=8, path="linear", labels=None):
        """Returns the examples on the way from one example to another, decoded.

        Args:
            first, second: one example each, (...) as `encode` takes them.
            steps, path: see `between`.
            labels: the one label of the way, for a conditional model.

        Returns:
            float32 (steps, ...).

        Raises:
            OptionError: another way, fewer than 2 steps, or more than one label.
            DataError: the ends are not examples of this model.
        """
        both = as_array([first, second], source="the two ends")
        pair = self.encode(both, **self._labelled(labels, 2))
        return self.decode(between(*pair, steps, path), **self._labelled(labels, steps))

    def traverse(self, example, axis, values=None, labels=None):
        """Returns one example with one latent axis set to each value, decoded.

        Args:
            example: (...) as `encode` takes it.
            axis: of the flattened latents, 0 to D - 1.
            values: what the axis is set to; None is -3 to 3 in 9 steps.
            labels: the one label, for a conditional model.

        Returns:
            float32 (values, ...).

        Raises:
            OptionError: there is no such axis, or more than one label.
            DataError: values that are no list of finite numbers, or no example of this model.
        """
        given = np.linspace(-3.0, 3.0, 9) if values is None else values
        values = as_inputs(as_array(given, source="values"), (), unit_range=False, source="values")
        size = int(np.prod(self.latent_shape))
        if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool) or not 0 <= axis < size:
            raise OptionError(
                "the latents have no such axis",
                got=f"axis={axis!r}",
                expected=f"0 to {size - 1}",
                fix="pass axis=0",
            )
        latents = self.encode(as_array(example, source="the example")[None], **self._labelled(labels, 1))
        latents = np.repeat(latents.reshape(1, -1), len(values), axis=0)
        latents[:, axis] = values
        return self.decode(latents.reshape(-1, *self.latent_shape), **self._labelled(labels, len(values)))

    def labels_in_turn(self, count):
        """Returns {"labels": (count,) int32}, each class in turn, for a conditional model, {} for others."""
        return {"labels": np.arange(count, dtype="int32") % self.classes} if self.takes_labels else {}

    def _labelled(self, labels, count=None):
        """Returns {"labels": ...}: as given, or one label `count` times; {} where none is given."""
        if labels is None:
            return {}
        labels = as_array(labels, source="labels")
        if count is None:
            return {"labels": labels}
        if labels.size != 1:
            raise OptionError(
                "all of this way has one label",
                got=f"{labels.size} labels: {labels.tolist()}"[:100],
                expected="one whole number",
                fix="go the way once for each label",
            )
        return {"labels": np.full(count, labels.reshape(()))}
