"""The checkpoint of a run: loaded back before the first epoch, written after some, and resumed from."""

import dataclasses
import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from aezoo.core.errors import RunError, TrainingError
from aezoo.core.files import replacing, sha256_of
from aezoo.nn import saving
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import keras, leaves
from aezoo.training import records
from aezoo.training.records import Mark
from aezoo.training.run import Run

_TRIED = 4  # examples that a model is compared on with what was loaded of it
_PLAIN = (bool, int, float, str, type(None))


@dataclasses.dataclass
class Point:
    """How far a run has come.

    Attributes:
        model: as it is after that many epochs, compiled.
        rows: of history.csv, one an epoch.
        model_sha256: of model.keras; None before the first epoch.
        meaning: of run.json, see `records.meaning`.
    """

    model: Autoencoder
    rows: list[dict[str, Any]]
    model_sha256: str | None
    meaning: str


def save(point: Point, path: str | os.PathLike[str]) -> None:
    """Saves a model with its optimiser, and what the files beside it are at this moment."""
    point.model.save(path)
    mark = Mark(point.meaning, len(point.rows), records.digest(point.rows), point.model_sha256)
    records.write_mark(path, mark)


def write(point: Point, run: Run) -> None:
    """Saves a point as the checkpoint of its run."""
    with replacing(run.checkpoint_file) as path:
        save(point, path)


# -- before the first epoch ----------------------------------------------------------------------


def check_comes_back(model: Autoencoder, path: str | os.PathLike[str], part: Any) -> None:
    """Loads a checkpoint that was just written, and compares: what is lost is lost before any work is.

    Args:
        model: that was saved.
        path: of the checkpoint.
        part: of a dataset, whose first examples are tried.

    Raises:
        TrainingError: it cannot be loaded, or is another model; the error names the layer where it can.
    """
    try:
        again = saving.load_model(path)
    except RunError as error:
        raise TrainingError(
            "this model could not be loaded again once it is trained",
            got=error.got.removeprefix(f"{path}: "),
            expected="layers of Keras or of aezoo, or registered classes with a complete get_config",
            fix="put @keras.saving.register_keras_serializable('my_models') above the class or function; a "
            "lambda becomes a function with a name",
        ) from error
    problem = next(_forgotten(model, again), None) or _difference(model, again, part)
    if problem:
        raise TrainingError(
            "this model comes back as another one when it is saved and loaded",
            got=problem,
            expected="the same attributes, and the same outputs",
            fix="give back every argument of the constructor in get_config; what is learned is an add_weight",
        )


def _forgotten(model: Any, again: Any) -> Iterator[str]:
    """Yields what the loaded model and its layers have been constructed with otherwise."""
    for one, other in zip([model, *leaves(model)], [again, *leaves(again)], strict=False):
        for name in inspect.signature(type(one).__init__).parameters:
            was, became = (vars(each).get(name) for each in (one, other))
            if _is_plain(was) and _is_plain(became) and _as_list(was) != _as_list(became):
                yield f"{one.name!r}, a {type(one).__name__}: {name}={was!r} became {became!r}"


def _is_plain(value: Any) -> bool:
    entries = value if isinstance(value, (tuple, list)) else [value]
    return all(isinstance(entry, _PLAIN) for entry in entries)


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _difference(model: Autoencoder, again: Autoencoder, part: Any) -> str | None:
    """Returns how far the outputs of two models are apart, or None where they are the same."""
    examples = keras.ops.convert_to_tensor(part.array(_TRIED))
    labels = part.labels_for(model, _TRIED)
    labels = None if labels is None else keras.ops.convert_to_tensor(labels)
    outputs = []
    for each in (model, again):
        encoded = each.through_encoder(examples, labels)
        encoded = list(encoded) if isinstance(encoded, (list, tuple)) else [encoded]
        outputs.append([*encoded, each.through_decoder(encoded[0], labels)])
    names = (*model.encoder_outputs, "reconstructions")
    for name, *pair in zip(names, *outputs, strict=True):
        ours, theirs = (np.asarray(keras.ops.convert_to_numpy(each), "float64") for each in pair)
        if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-4, atol=1e-5, equal_nan=True):
            return f"{name} of {_TRIED} examples differ by up to {np.abs(ours - theirs).max():.3g}"
    return None


# -- resuming ------------------------------------------------------------------------------------


def read(run: Run, info: Mapping[str, Any]) -> Point:
    """Returns where a run is resumed.

    Args:
        run: that has begun.
        info: content of its run.json.

    Raises:
        RunError: no checkpoint that loads, or run.json, history.csv or model.keras are not of its time.
    """
    path = run.checkpoint_file
    file = saving.read(path)
    mark = records.read_mark(path, file.content)
    if mark.run != records.meaning(info):
        _refuse("run.json", "another model, settings or data", "what this run was begun with")
    # The last rows may belong to epochs whose checkpoint was not written any more; so may the best model.
    rows, done = run.history, mark.epoch
    if len(rows) < done or records.digest(rows[:done]) != mark.history:
        got = f"{len(rows)} epochs" if len(rows) < done else "other figures"
        _refuse("history.csv", got, f"the {done} epochs that the checkpoint was written after")
    least_gain = info.get("least_gain", 0.0)
    newer = len(rows) > done and records.best_epoch(rows, least_gain) > records.epochs_done(rows[:done])
    newer |= len(rows) > 0 == done
    found = sha256_of(run.model_file) if run.model_file.is_file() else None
    if found not in (mark.model, info["model_sha256"]) and not newer:
        _refuse("model.keras", "another file" if found else "no file", "the best model up to the checkpoint")
    return Point(saving.from_file(file, path), rows[:done], found, mark.run)


def _refuse(name: str, got: str, expected: str) -> None:
    raise RunError(
        f"{name} does not belong to the checkpoint of this run",
        got=got,
        expected=expected,
        fix=f"bring {name} back as it was, or train again into another folder",
    )
