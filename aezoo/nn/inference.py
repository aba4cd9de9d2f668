"""How a Keras model answers: what `Model` asks for, by Keras's `predict` or, of few batches, by a call."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.model import BATCH, Model
from aezoo.core.priors import GaussianMixture
from aezoo.nn.layers import Standardize, keras, ops

_FEW = 8  # batches, which are done before `predict` has traced its graph


class Predicting(Model):
    """The methods of an `Autoencoder` that are called with arrays and answer with arrays."""

    encoder: Any
    decoder: Any
    encoder_outputs: tuple[str, ...]
    _standardize: Standardize | None

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one example without the batch axis: (H, W, C), (T, F) or (F,)."""
        return tuple(self.encoder.inputs[0].shape[1:])

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one example's latents without the batch axis: (D,), or (h, w, D) for maps."""
        return tuple(self.encoder.outputs[0].shape[1:])

    @property
    def error_scale(self) -> np.ndarray | np.float32:
        """What differences are divided by before they are squared: (F,) for rows, 1 for images."""
        return np.float32(1.0) if self._standardize is None else ops.convert_to_numpy(self._standardize.scale)

    @property
    def center(self) -> np.ndarray | np.float32:
        """What the values of a column vary around: (F,) for rows and sequences, 0 where that is not known."""
        return np.float32(0.0) if self._standardize is None else ops.convert_to_numpy(self._standardize.mean)

    def outputs(
        self, examples: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> list[np.ndarray]:
        """Returns all outputs of the encoder, as NumPy, in the order of `encoder_outputs`."""
        given = self._taken(examples, labels, batch_size)
        return self._encode(*given, batch_size, range(len(self.encoder_outputs)))

    def fit_prior(self, examples: ArrayLike, components: int = 10, seed: int = 0) -> None:
        """Fits a density to the latents of examples, from which `sample` then draws.

        A plain autoencoder leaves its latent space as it falls; this shows what can be drawn from it.

        Args:
            examples: (N, ...), of the training part.
            components: Gaussians in the mixture, at most.
            seed: of the fit.
        """
        self.prior = GaussianMixture.fit(self.encode(examples), components, seed)

    def _encode(
        self, examples: np.ndarray, labels: np.ndarray | None, batch_size: int, wanted: Sequence[int]
    ) -> list[np.ndarray]:
        outputs = answers(self.encoder, _given(examples, labels), batch_size)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return [outputs[number] for number in wanted]

    def _decode(self, latents: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        return answers(self.decoder, _given(latents, labels), batch_size)

    def _corrupt(self, examples: np.ndarray, level: float | None, seed: int) -> np.ndarray:
        if self._standardize is None:
            return self.corruption.corrupt(examples, level, seed)
        mean, scale = self.center, self.error_scale
        return self.corruption.corrupt((examples - mean) / scale, level, seed) * scale + mean


def _given(array: np.ndarray, labels: np.ndarray | None) -> list[np.ndarray]:
    return [array] if labels is None else [array, labels]


def answers(part: "keras.Model", given: Sequence[np.ndarray], batch_size: int = BATCH) -> Any:
    """Returns what a Keras model makes of arrays, as NumPy: what `predict` returns, without the wait for few.

    On TensorFlow, where tracing a graph takes longer than running a few batches does without one.

    Args:
        part: with one input or several.
        given: an array (N, ...) for each.
        batch_size: examples at a time.
    """
    if keras.backend.backend() == "tensorflow" and 0 < len(given[0]) <= _FEW * batch_size:
        # Where it fails the graph fails as well, and names the layer.
        with contextlib.suppress(Exception):
            return _called(part, given, batch_size)
    return part.predict(given[0] if len(given) == 1 else list(given), batch_size=batch_size, verbose=0)


def _called(part, given, batch_size):
    found: list[list[np.ndarray]] = []
    for start in range(0, len(given[0]), batch_size):
        batch = [ops.convert_to_tensor(array[start : start + batch_size]) for array in given]
        outputs = part(batch[0] if len(batch) == 1 else batch, training=False)
        several = isinstance(outputs, (list, tuple))
        found.append([ops.convert_to_numpy(each) for each in (outputs if several else [outputs])])
    whole = [np.concatenate(each) for each in zip(*found, strict=True)]
    return whole if several else whole[0]
