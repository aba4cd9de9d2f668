"""What answers: the one interface of a Keras model and of a loaded bundle. NumPy only.

    latents = model.encode(examples, labels=None, batch_size=256)

`aezoo.Autoencoder` and `aezoo.runtime.Bundle` are both a `Model`; evaluation, plots and commands take one and
never ask which. What the two share lies here once: checks of examples and labels, errors, scores, and ways
through the latent space. A subclass says what it is, and runs its parts.
"""

import abc
import math
import numbers
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core import ragged
from aezoo.core.errors import DataError, OptionError
from aezoo.core.examples import as_array, as_codes, as_inputs, as_labels, surely_inputs
from aezoo.core.latent_space import BATCH, LatentSpace
from aezoo.core.options import check_positive
from aezoo.core.scores import SCORES
from aezoo.core.windows import as_series, check_windows, in_rows

KINDS = {1: "rows", 2: "sequences", 3: "images"}  # by the number of axes of one example
_BATCHES_AT_ONCE = 16  # of which reconstructions are held, where only their errors are asked for
_DTYPES = {name: np.dtype(name) for name in ("float32", "uint8")}
_OF_STEPS = ("reconstructions", "error_map")
_OF_ROWS = (*SCORES, "error_map")  # of what a scorer says
# ability -> (what is wrong without it, what has it, what to type)
_ABILITIES = {
    "posterior": ("this model has no posterior", "a variational model", "model = aezoo.build('vae')"),
    "codebook": ("this model has no codebook", "a quantised model", "model = aezoo.build('vq_vae')"),
    "scorer": (
        "this model has no scorer",
        "a bundle that was exported with its scorer",
        "bundle = aezoo.runtime.load(aezoo.export.export_bundle(model, 'bundle', examples=examples))",
    ),
    "corruption": (
        "this model corrupts nothing",
        "a Keras model with a corruption",
        "model = aezoo.build('denoising', corruption='gaussian', level=0.4)",
    ),
}


class Model(LatentSpace):
    """An encoder and a decoder that are called with arrays and answer with arrays.

    Every method takes `labels` (B,), class numbers, for a conditional model alone, and `batch_size`, the
    number of examples at a time, by keyword. Examples are (B, *example_shape), float32: images in [0, 1],
    rows and sequences in their own units. A model whose `example_dtype` is "uint8" takes bytes as well; it
    rounds floats to the nearest of them.

    Attributes:
        example_shape: of one example, (H, W, C), (T, F) or (F,).
        latent_shape: of one example's latents, (D,), or (h, w, D) for maps.
        example_dtype: "float32" or "uint8", what the encoder computes from.
        ragged: whether it takes series of different lengths: NaN behind their ends, fewer steps than T, or a
            list of arrays. Reconstructions, and the error map of a score, are NaN there as well; `decode`,
            which knows no examples, fills all T steps. See `aezoo.core.ragged`.
        error_scale: what differences are divided by in `reconstruction_error`: (F,) for rows and sequences,
            1 for images.
        model_name: in the registry, or None.
        classes: number of labels of a conditional model, or None.
        codebook_size: K of a quantised model, or None.
        prior: what `sample` draws latents from, of `aezoo.core.priors`, or None.
        likelihood: how an example is distributed given its reconstruction, or None: a dict of "kind",
            "scale" and "binarize".
        corruption: what `corrupt` does, with a kind and a level, or None.
        reports_sparsity: whether its latents are meant to be sparse.
        feature_names: of the columns that it was trained on, or None.
        held_parts: names of the parts that answer here: "encoder", "decoder", "reconstructor", "scorer".
        score_name: what the scorer's verdict goes by, or None where there is no calibrated scorer.
        threshold: of that score, or None.
        false_positive_rate: share of normal examples above the threshold, or None.
    """

    example_dtype: str = "float32"
    ragged: bool = False
    model_name: str | None = None
    likelihood: dict[str, Any] | None = None
    corruption: Any = None
    reports_sparsity: bool = False
    feature_names: tuple[str, ...] | None = None
    score_name: str | None = None
    threshold: float | None = None
    false_positive_rate: float | None = None

    # -- what a subclass says and runs --------------------------------------------------------------

    @property
    @abc.abstractmethod
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one example without the batch axis: (H, W, C), (T, F) or (F,)."""

    @property
    def error_scale(self) -> np.ndarray | np.float32:
        """What differences are divided by before they are squared: (F,) for rows, 1 for images."""
        return np.float32(1.0)

    @property
    def codebook_size(self) -> int | None:
        """K, the number of codes of a quantised model, or None."""
        return None

    @property
    def held_parts(self) -> tuple[str, ...]:
        """Names of the parts that answer here."""
        return ("encoder", "decoder", "reconstructor")

    @abc.abstractmethod
    def _encode(
        self, examples: np.ndarray, labels: np.ndarray | None, batch_size: int, wanted: Sequence[int]
    ) -> list[np.ndarray]:
        """Returns the wanted outputs of the encoder for checked examples; the first is the latents."""

    @abc.abstractmethod
    def _decode(self, latents: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        """Returns the reconstructions of checked latents."""

    def _decode_codes(self, codes: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        """Returns the reconstructions of checked code_indices; for a quantised model."""
        raise NotImplementedError

    def _reconstruct(self, examples: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        """Returns the reconstructions of checked examples."""
        return self._decode(self._encode(examples, labels, batch_size, (0,))[0], labels, batch_size)

    def _score(
        self, examples: np.ndarray, labels: np.ndarray | None, batch_size: int, threshold: float | None
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of the scorer by their names; for a model with this part."""
        raise NotImplementedError

    def _corrupt(self, examples: np.ndarray, level: float | None, seed: int) -> np.ndarray:
        """Returns corrupted examples; for a model with a corruption."""
        raise NotImplementedError

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """What the model takes: "images", "sequences" or "rows"."""
        return KINDS[len(self.example_shape)]

    @property
    def input_name(self) -> str:
        """What the exported encoder calls its examples: "images" or "examples"."""
        return "images" if self.kind == "images" else "examples"

    # -- examples, latents and back -----------------------------------------------------------------

    def encode(
        self, examples: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns the latents (B, D), float32, of examples (B, ...); of a variational model the means.

        Raises:
            DataError: wrong shape, dtype or range, or NaN; labels that the model does not take.
        """
        given, labelled = self._taken(examples, labels, batch_size)
        return self._encode(given, labelled, batch_size, (0,))[0]

    def encode_batches(self, batches: Iterable[Any], *, batch_size: int = BATCH) -> Iterator[np.ndarray]:
        """Yields the latents of each batch of an iterable; memory stays flat, however many come.

        Args:
            batches: of examples (B, ...); for a conditional model of pairs (examples, labels).
            batch_size: examples at a time, of a batch.
        """
        for batch in batches:
            if not self.takes_labels:
                yield self.encode(batch, batch_size=batch_size)
            elif isinstance(batch, (tuple, list)) and len(batch) == 2:
                yield self.encode(batch[0], labels=batch[1], batch_size=batch_size)
            else:
                raise DataError(
                    "this model takes a label with each example",
                    got=f"a batch that is a {type(batch).__name__}",
                    expected="batches that are pairs (examples, labels)",
                    fix="model.encode_batches(zip(batches, labels))",
                )

    def decode(
        self, latents: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns the reconstructions (B, ...), float32, of latents (B, D).

        A quantised model takes code_indices as well, whole numbers without the last axis.

        Raises:
            DataError: wrong shape, a value that is not finite, or a code that the codebook does not have.
        """
        given = as_array(latents, source="latents")
        check_positive("batch_size", batch_size, usual=BATCH)
        if self.codebook_size is not None and given.dtype.kind in "iu":
            codes = as_codes(given, self.latent_shape[:-1], self.codebook_size)
            return self._decode_codes(codes, self._as_labels(labels, len(codes)), batch_size)
        given = as_inputs(given, self.latent_shape, unit_range=False, source="latents")
        return self._decode(given, self._as_labels(labels, len(given)), batch_size)

    def reconstruct(
        self, examples: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns the reconstructions (B, ...), float32, of examples (B, ...): decoder(encoder(examples))."""
        given, labelled = self._taken(examples, labels, batch_size)
        return ragged.ended(self._reconstruct(given, labelled, batch_size), given)

    def posterior(
        self, examples: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns (posterior_mean, posterior_log_var) of a variational model, (B, D) each, float32.

        Raises:
            OptionError: the model has no posterior.
        """
        if self.likelihood is None:
            raise self._without("posterior")
        mean, log_var = self._encode(*self._taken(examples, labels, batch_size), batch_size, (0, 1))
        return mean, log_var

    def code_indices(
        self, examples: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns the codes of a quantised model, int32 (B, h, w), each from 0 to K - 1.

        Raises:
            OptionError: the model has no codebook.
        """
        if self.codebook_size is None:
            raise self._without("codebook")
        return self._encode(*self._taken(examples, labels, batch_size), batch_size, (1,))[0]

    def corrupt(self, examples: ArrayLike, level: float | None = None, seed: int = 0) -> np.ndarray:
        """Returns the examples as this model's corruption leaves them; the same for a seed.

        Args:
            examples: (B, ...) in the model's range.
            level: None is the model's own level.
            seed: 32 bits.

        Raises:
            OptionError: the model has no corruption.
        """
        if self.corruption is None:
            raise self._without("corruption")
        return self._corrupt(self._as_inputs(examples), level, seed)

    # -- how unusual an example is ------------------------------------------------------------------

    def reconstruction_error(
        self, examples: ArrayLike, *, labels: ArrayLike | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Returns each example's anomaly score (B,), float32: its mean squared error.

        In [0, 1] units for images, those of bytes too; in standard deviations of the columns for rows and
        sequences, as in training. Of a series that ends early it is the mean up to its end.
        """
        given, labelled = self._taken(examples, labels, batch_size)
        at_once, scale, errors = _BATCHES_AT_ONCE * batch_size, self.error_scale, []
        for start in range(0, len(given), at_once):
            some = given[start : start + at_once]
            told = None if labelled is None else labelled[start : start + at_once]
            target = some / np.float32(255) if some.dtype == np.uint8 else some
            difference = self._reconstruct(some, told, batch_size) - target
            difference /= scale
            errors.append(ragged.means(np.square(difference, out=difference), some))
        return errors[0] if len(errors) == 1 else np.concatenate(errors)

    def score(
        self,
        examples: ArrayLike,
        *,
        threshold: float | None = None,
        labels: ArrayLike | None = None,
        batch_size: int = BATCH,
    ) -> dict[str, np.ndarray]:
        """Returns what the scorer says of examples (B, ...), a dict of arrays.

        `latents` (B, D), `reconstructions` (B, ...), `error_map`: (B, H, W) of images, (B, T) of sequences,
        (B, F) of rows; `reconstruction_error` (B,), for some variational models `negative_elbo` (B,) in
        nats; `p_value` (B,): the share of normal examples whose score is as high; `is_anomaly` (B,) bool.

        Args:
            examples: as for `encode`.
            threshold: of the score; None is the calibrated one.
            labels: (B,), for conditional models alone.
            batch_size: examples at a time.

        Raises:
            OptionError: the model has no scorer, or the threshold is no number.
        """
        if "scorer" not in self.held_parts:
            raise self._without("scorer")
        if threshold is not None and (
            not isinstance(threshold, numbers.Real) or not math.isfinite(threshold)
        ):
            usual = math.nan if self.threshold is None else self.threshold
            raise OptionError(
                "a threshold is a number in the units of the score",
                got=f"threshold={threshold!r}",
                expected=f"for example {usual:.6g}, the calibrated one",
                fix="leave the threshold out",
            )
        given, labelled = self._taken(examples, labels, batch_size)
        found = self._score(given, labelled, batch_size, threshold)
        return found | {name: ragged.ended(found[name], given) for name in _OF_STEPS if name in found}

    def score_series(
        self, series: ArrayLike, *, stride: int | None = None, threshold: float | None = None
    ) -> dict[str, np.ndarray]:
        """Returns what the windows of a long series say of each of its rows, a dict of arrays.

        Each is the mean over the windows that cover a row: `reconstruction_error` (T,), as `score` has it of
        examples, or another score (T,); `error_map` (T,), of the row alone. With a scorer, or a threshold,
        `is_anomaly` (T,) bool: whether the mean of the score is above the threshold.

        Args:
            series: (T, F) for a model of sequences (W, F), T at least W; (T,) where F is 1.
            stride: rows between the starts of two windows; None is an eighth of W. The last window ends
                with the series, so that every row is covered.
            threshold: of the score; None is the calibrated one.

        Raises:
            OptionError: no model of sequences, or a stride or a threshold that cannot be used.
            DataError: the series does not fit.
        """
        rows = as_series(series, self.example_shape, source="series")
        window, stride = check_windows(self.example_shape[0], stride)
        scored = threshold is not None or self.threshold is not None

        def values_of(windows):
            found = self.score(windows, threshold=threshold) if scored else self._errors_of(windows)
            return {name: found[name] for name in _OF_ROWS if name in found}

        found = in_rows(values_of, rows, window, stride)
        if scored:
            limit = self.threshold if threshold is None else threshold
            # what is no number is an anomaly
            found["is_anomaly"] = ~(found[self.score_name or _OF_ROWS[0]] <= limit)
        return found

    def _errors_of(self, windows):
        """Returns the errors of windows (n, W, F) as a scorer has them."""
        error_map = np.square((self.reconstruct(windows) - windows) / self.error_scale).mean(axis=2)
        return {"reconstruction_error": error_map.mean(axis=1), "error_map": error_map}

    # -- checks -------------------------------------------------------------------------------------

    def _taken(
        self, examples: ArrayLike, labels: ArrayLike | None, batch_size: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns (examples, labels or None) as the parts take them, or raises."""
        check_positive("batch_size", batch_size, usual=BATCH)
        given = self._as_inputs(examples)
        return given, self._as_labels(labels, len(given))

    def _as_inputs(self, examples: ArrayLike) -> np.ndarray:
        shape, unit_range = self.example_shape, self.kind == "images"
        if self.ragged:
            return ragged.as_series_inputs(examples, shape, source=self.input_name)
        if surely_inputs(examples, shape, _DTYPES[self.example_dtype], unit_range):
            return examples  # type: ignore[return-value]
        source, dtype = self.input_name, self.example_dtype
        given = as_array(examples, source=source)
        if dtype == "uint8" and given.dtype.kind == "f":  # in [0, 1], so there is no doubt about the scale
            given = as_inputs(given, shape, source=source)
            return np.rint(given * 255).astype("uint8")
        return as_inputs(given, shape, dtype=dtype, unit_range=unit_range, source=source)

    def _as_one(self, example: ArrayLike, name: str) -> np.ndarray:
        given, shape = as_array(example, source=name), tuple(self.example_shape)
        if given.shape != shape:
            raise DataError(
                f"{name} is one example, without a batch axis",
                got=f"{name} has shape {given.shape}",
                expected=f"{shape}",
                fix=f"pass {name}=x[0], of a batch x",
            )
        return given

    def _as_labels(self, labels: ArrayLike | None, count: int) -> np.ndarray | None:
        return None if labels is None and self.classes is None else as_labels(labels, count, self.classes)

    def _without(self, ability: str) -> OptionError:
        problem, expected, fix = _ABILITIES[ability]
        return OptionError(problem, got=f"model {self.model_name!r}", expected=expected, fix=fix)
