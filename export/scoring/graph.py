"""The scorer: one graph from examples to latents, reconstructions, error map, score, p-value and verdict.

    examples (B, ...) -> encoder -> latents -> decoder -> reconstructions
        error_map             squared error: (B, H, W) of images, the mean of their channels; (B, T) of
                              sequences; (B, F) of rows, in standard deviations
        reconstruction_error  (B,) its mean; of series of different lengths up to their ends, behind which the
                              error map is 0
        anomaly_map           (B, H, W) of images whose score is memory_distance
        ...                   (B,) the score, by its name, where it is another one; see `scores`
        p_value               (B,) of the score, among those of normal examples
        is_anomaly            (B,) whether the score is above the threshold, or no number

An ONNX file has a second input, `threshold` (1,), which may be left out: its default lies in the file.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aezoo.core.calibration import Calibration
from aezoo.export.scoring.layers import (
    ErrorMap,
    IsAnomaly,
    MeanError,
    PValue,
    SeriesErrorMap,
    SeriesMeanError,
)
from aezoo.export.scoring.scores import Score
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.inference import answers
from aezoo.nn.layers import first, keras


def build(
    model: Autoencoder, calibration: Calibration, score: Score
) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Returns the scorer of a model, as a row of `Autoencoder.parts()`.

    Args:
        model: an `Autoencoder`.
        calibration: a `Calibration` of its scores.
        score: what p-value and verdict go by.

    Returns:
        (functional Keras model, names of its inputs, names of its outputs).
    """
    inputs, outputs = _graph(model, score)
    p_value = PValue(len(calibration.table), name="p_value")
    is_anomaly = IsAnomaly(name="is_anomaly")
    scored = outputs[score.name]
    outputs = {**outputs, "p_value": p_value(scored), "is_anomaly": is_anomaly(scored)}
    p_value.table.assign(calibration.table)
    p_value.steps.assign(np.asarray([calibration.base, calibration.step], "float32"))
    is_anomaly.threshold.assign(np.asarray([calibration.threshold], "float32"))
    return (
        keras.Model(list(inputs.values()), list(outputs.values()), name="scorer"),
        tuple(inputs),
        tuple(outputs),
    )


def score_examples(
    model: Autoencoder,
    examples: np.ndarray,
    labels: Mapping[str, np.ndarray],
    score: Score,
    batch_size: int = 256,
) -> np.ndarray:
    """Returns the scores (N,) of examples (N, ...), which a calibration is made from."""
    inputs, outputs = _graph(model, score)
    given = [examples, *labels.values()]
    graph = keras.Model(list(inputs.values()), outputs[score.name])
    return answers(graph, given, batch_size)


def _graph(model, score):
    """Returns ({name: input}, {name: output}) up to the score."""
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
    outputs |= score.outputs({**outputs, "examples": examples, "encoded": encoded})
    return inputs, outputs
