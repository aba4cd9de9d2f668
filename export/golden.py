"""The proof's arrays: real inputs, and what Keras makes of them. They travel in the bundle as golden.npz."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from aezoo.core import ragged
from aezoo.core.calibration import Calibration
from aezoo.core.errors import ExportError
from aezoo.export.budget import SURE
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.inference import answers

_GOLDEN = 64  # examples that the files are proven on
_LARGEST = 2**28  # bytes of them, beside which as much again is computed from them


def most_golden(example_shape: Sequence[int]) -> int:
    """Returns how many examples files are proven on: 64, or fewer of large images; one is a proof as well."""
    return max(1, min(_GOLDEN, _LARGEST // (4 * math.prod(example_shape))))


def make_golden(
    model: Autoencoder,
    examples: np.ndarray | None = None,
    input_dtype: str = "float32",
    limit: int | None = _GOLDEN,
    labels: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Returns the proof's arrays: real inputs, and what Keras makes of them.

    Examples that lie on the border between two codes of a quantised model, or two places of a k-sparse
    one, are left out: a rounding decides there, and every runtime rounds in its own way.

    Args:
        model: an `Autoencoder`.
        examples: (N, ...) float32; None draws 64 from a seed.
        input_dtype: of the exported inputs.
        limit: examples that are used at most; None is all.
        labels: (N,) of a conditional model; None is each class in turn.

    Returns:
        {"examples": as the exported encoder takes them, "latents": the encoder's first output,
        "reconstructions": float32}; further outputs by their names, and "labels" for a conditional model.
    """
    if not model.built:  # somebody's own, which was never compiled
        model.build((None, *model.example_shape))
    if examples is None:
        draw = np.random.Generator(np.random.Philox(0))
        examples = draw.random((_GOLDEN, *model.example_shape), dtype="float32")
        if model.kind != "images":
            examples = (model.center + model.error_scale * (examples * 4 - 2)).astype("float32")
    stored, examples = stored_examples(examples[:limit], input_dtype)
    if model.ragged and not ragged.has_ends(examples):  # or nothing would show that files see an end
        stored = examples = ragged.shortened(examples)
    given: dict[str, Any] = (
        model.labels_in_turn(len(examples)) if labels is None else {"labels": labels[:limit]}
    )
    if model.codebook is not None or model.reports_sparsity:
        sure = _away_from_borders(model, examples)
        stored, examples = stored[sure], examples[sure]
        given = {name: array[sure] for name, array in given.items()}
    try:
        latents, *others = model.outputs(examples, **given)
    except ValueError as error:  # RandomCrop, for one, gives another shape in training
        told = next((line for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise ExportError(
            "Keras cannot compute this model outside of training",
            got=re.sub(r"\x1b\[[\d;]*m", "", told)[:200],
            expected="layers that give the same shapes in training and after it",
            fix="try model.predict(examples), and take out the layer that it names",
        ) from error
    return {
        "examples": stored,
        **given,
        "latents": latents,
        **dict(zip(model.encoder_outputs[1:], others, strict=True)),
        "reconstructions": model.decode(latents, **given),
    }


def with_scores(
    golden: dict[str, np.ndarray],
    keras_scorer: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    calibration: Calibration,
    score: str,
) -> dict[str, np.ndarray]:
    """Returns golden arrays with the scorer's outputs, and which examples are not on the border of a verdict.

    Args:
        golden: of `make_golden`.
        keras_scorer, inputs, outputs: of `scoring.build`.
        calibration: what the verdict goes by.
        score: of `scoring.SCORES`.
    """
    examples = golden["examples"]
    examples = examples / np.float32(255) if examples.dtype == np.uint8 else examples
    given = [examples, *(golden[name] for name in inputs[1:])]
    found = dict(zip(outputs, answers(keras_scorer, given), strict=True))
    golden = {**golden, **{name: found[name] for name in outputs if name not in golden}}
    return {**golden, SURE: calibration.is_sure(found[score])}


def stored_examples(examples: np.ndarray, input_dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns examples as the exported encoder takes them, and as the model does, float32."""
    examples = np.asarray(examples, "float32")
    if input_dtype != "uint8":
        return examples, examples
    stored = np.rint(examples * 255).astype("uint8")
    return stored, stored / np.float32(255)


def _away_from_borders(model, examples):
    """Returns which examples (N,) keep their codes, or their places of zeros, under a few roundings."""
    chosen = _choices(model, examples)
    sure = np.ones(len(examples), bool)
    for factor in (1 - 2e-5, 1 - 2e-6, 1 + 2e-6, 1 + 2e-5):  # a border may lie between two of them
        nearby = np.clip(examples * np.float32(factor), 0, 1) if model.kind == "images" else examples * factor
        same = _choices(model, nearby.astype("float32")) == chosen
        sure &= same.reshape(len(examples), -1).all(axis=1)
    return sure if sure.any() else np.ones(len(examples), bool)


def _choices(model, examples):
    """Returns what a model decides on for each example, in whole numbers."""
    return model.code_indices(examples) if model.codebook is not None else model.encode(examples) != 0
