"""The scorer: one graph from examples to latents, reconstructions, error map, score, p-value and verdict.

    examples (B, ...) -> encoder -> latents -> decoder -> reconstructions
        error_map             squared error: (B, H, W) of images, the mean of their channels; (B, T) of
                              sequences; (B, F) of rows, in standard deviations
        reconstruction_error  (B,) its mean; of series of different lengths up to their ends, behind which the
                              error map is 0
        negative_elbo         (B,) nats, of a variational model whose score it is
        p_value               (B,) of the score, among those of normal examples
        is_anomaly            (B,) whether the score is above the threshold, or no number

An ONNX file has a second input, `threshold` (1,), which may be left out: its default lies in the file.
"""

import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.calibration import Calibration
from aezoo.core.errors import OptionError
from aezoo.core.options import check_choice
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.inference import answers
from aezoo.nn.layers import first, keras, layers, ops
from aezoo.nn.losses import bernoulli_nll, gaussian_kl, gaussian_nll
from aezoo.runtime.schema import Score

SCORES: tuple[str, ...] = typing.get_args(Score)


@keras.saving.register_keras_serializable("aezoo")
class ErrorMap(layers.Layer):
    """Squared error at each place: examples and reconstructions (B, ..., C) to (B, ...), rows to (B, F).

    Args:
        scale: None, or what differences are divided by, a list of C.
    """

    def __init__(self, scale: ArrayLike | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.scale = None if scale is None else [float(value) for value in np.ravel(scale)]

    def call(self, examples: Any, reconstructions: Any) -> Any:
        difference = reconstructions - examples
        if self.scale is not None:
            difference = difference / ops.convert_to_tensor(np.asarray(self.scale, "float32"))
        squared = ops.square(difference)
        return squared if len(squared.shape) == 2 else ops.mean(squared, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("aezoo")
class MeanError(layers.Layer):
    """Mean of an error map (B, ...) over all its places: (B,)."""

    def call(self, error_map: Any) -> Any:
        return ops.mean(error_map, axis=tuple(range(1, len(error_map.shape))))


@keras.saving.register_keras_serializable("aezoo")
class SeriesErrorMap(ErrorMap):
    """As `ErrorMap`, of series (B, T, F) with NaN behind their ends: (B, T), 0 there."""

    def call(self, examples: Any, reconstructions: Any) -> Any:
        behind = ops.isnan(examples)
        # Both: what a decoder writes behind an end may be infinite, and counts nowhere.
        known, again = (ops.where(behind, ops.zeros_like(each), each) for each in (examples, reconstructions))
        return super().call(known, again)


@keras.saving.register_keras_serializable("aezoo")
class SeriesMeanError(layers.Layer):
    """Mean of an error map (B, T) over the steps of the examples (B, T, F) that are not NaN: (B,).

    Both are means and not sums, which a precision of few bits would lose.
    """

    def call(self, error_map: Any, examples: Any) -> Any:
        behind = ops.cast(ops.isnan(examples), error_map.dtype)
        return ops.mean(error_map, axis=1) / (1.0 - ops.mean(behind, axis=(1, 2)))

    def compute_output_shape(
        self, error_map_shape: tuple[int | None, ...], examples_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return error_map_shape[:1]


@keras.saving.register_keras_serializable("aezoo")
class NegativeElbo(layers.Layer):
    """Negative evidence lower bound with the posterior mean in place of a draw: (B,) nats.

    Source: Kingma & Welling 2014, arXiv:1312.6114, equation 10.

    Args:
        likelihood: of a `Variational` model, with a "kind" and a "scale".
        scale: None, or the standard deviations of the columns, a list.
    """

    def __init__(self, likelihood: Mapping[str, Any], scale: ArrayLike | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.likelihood = dict(likelihood)
        self.scale = None if scale is None else [float(value) for value in np.ravel(scale)]

    def call(self, examples: Any, reconstructions: Any, posterior_mean: Any, posterior_log_var: Any) -> Any:
        if self.likelihood["kind"] == "bernoulli":
            nll = bernoulli_nll(examples, reconstructions)
        else:
            if self.scale is not None:
                scale = ops.convert_to_tensor(np.asarray(self.scale, "float32"))
                examples, reconstructions = examples / scale, reconstructions / scale
            nll = gaussian_nll(examples, reconstructions, self.likelihood["scale"])
        return nll + gaussian_kl(posterior_mean, posterior_log_var)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "likelihood": self.likelihood, "scale": self.scale}


@keras.saving.register_keras_serializable("aezoo")
class PValue(layers.Layer):
    """A score's place in a table of normal scores: (B,) to (B,); see `aezoo.core.calibration`."""

    def __init__(self, entries: int, **base: Any) -> None:
        super().__init__(**base)
        self.entries = int(entries)
        self.table = self.add_weight(
            name="table", shape=(self.entries,), initializer="zeros", trainable=False
        )
        self.steps = self.add_weight(name="steps", shape=(2,), initializer="zeros", trainable=False)

    def call(self, score: Any) -> Any:
        # `table >= score` would be the same, but OpenVINO answers it with true where the score is NaN.
        above = ops.cast(score[:, None] <= self.table[None], "float32")
        return self.steps[0] + self.steps[1] * ops.sum(above, axis=1)

    def compute_output_shape(self, score_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return score_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "entries": self.entries}


@keras.saving.register_keras_serializable("aezoo")
class IsAnomaly(layers.Layer):
    """Whether a score (B,) is not within the threshold: (B,) bool. A score that is no number is not.

    The comparison becomes a number before it is turned round: `not (a <= b)` is what optimisers of graphs
    make `a > b` of, which NaN passes as normal.
    """

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.threshold = self.add_weight(name="threshold", shape=(1,), initializer="zeros", trainable=False)

    def call(self, score: Any) -> Any:
        return ops.cast(score <= self.threshold, "float32") < 0.5

    def compute_output_spec(self, score: Any) -> Any:
        return keras.KerasTensor(score.shape, dtype="bool")


def build(
    model: Autoencoder, calibration: Calibration, score: str = "reconstruction_error"
) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Returns the scorer of a model, as a row of `Autoencoder.parts()`.

    Args:
        model: an `Autoencoder`.
        calibration: a `Calibration` of its scores.
        score: of `SCORES`, what p-value and verdict go by.

    Returns:
        (functional Keras model, names of its inputs, names of its outputs).

    Raises:
        OptionError: a score that the model does not have.
    """
    inputs, outputs = _graph(model, score)
    p_value = PValue(len(calibration.table), name="p_value")
    is_anomaly = IsAnomaly(name="is_anomaly")
    outputs = {**outputs, "p_value": p_value(outputs[score]), "is_anomaly": is_anomaly(outputs[score])}
    p_value.table.assign(calibration.table)
    p_value.steps.assign(np.asarray([calibration.base, calibration.step], "float32"))
    is_anomaly.threshold.assign(np.asarray([calibration.threshold], "float32"))
    return (
        keras.Model(list(inputs.values()), list(outputs.values()), name="scorer"),
        tuple(inputs),
        tuple(outputs),
    )


def scores(
    model: Autoencoder,
    examples: np.ndarray,
    labels: Mapping[str, np.ndarray],
    score: str = "reconstruction_error",
    batch_size: int = 256,
) -> np.ndarray:
    """Returns the scores (N,) of examples (N, ...), which a calibration is made from."""
    inputs, outputs = _graph(model, score)
    given = [examples, *labels.values()]
    graph = keras.Model(list(inputs.values()), outputs[score])
    return answers(graph, given, batch_size)


def _graph(model, score):
    """Returns ({name: input}, {name: output}) up to the score."""
    check_choice("score", score, SCORES)
    names = (model.input_name, *("labels",) * model.takes_labels)
    inputs = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name, tensor in zip(names, model.encoder.inputs, strict=True)
    }
    examples, *labels = inputs.values()
    scale = None if model.kind == "images" else model.error_scale
    encoded = model.through_encoder(examples, *labels)
    reconstructions = model.through_decoder(first(encoded), *labels)
    if model.ragged:
        error_map = SeriesErrorMap(scale, name="error_map")(examples, reconstructions)
        error = SeriesMeanError(name="reconstruction_error")(error_map, examples)
    else:
        error_map = ErrorMap(scale, name="error_map")(examples, reconstructions)
        error = MeanError(name="reconstruction_error")(error_map)
    outputs = {
        "latents": first(encoded),
        "reconstructions": reconstructions,
        "error_map": error_map,
        "reconstruction_error": error,
    }
    if score == "negative_elbo":
        if model.likelihood is None or model.prior is None or model.prior.kind != "standard_normal":
            raise OptionError(
                "this model has no evidence lower bound in closed form",
                got=f"score={score!r} for model {model.model_name!r}",
                expected="a variational model whose prior is N(0, I)",
                fix="pass score='reconstruction_error'",
            )
        elbo = NegativeElbo(model.likelihood, scale, name="negative_elbo")
        outputs[score] = elbo(examples, reconstructions, *encoded)
    return inputs, outputs
