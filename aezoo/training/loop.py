"""Training: a model, a dataset and settings become a run.

`resume` continues a run that was killed, and ends at the same weights, bit for bit, as one that
was not: the order of the data is a function of the seed, operations are deterministic, and the
checkpoint of an epoch holds weights, optimiser and the state of every random generator. It is written by
time, so that short epochs are not spent on files; the epochs after it are trained again. What
early stopping and the choice of the best epoch must remember is read from history.csv, which must be that
of the checkpoint's time.
"""

import dataclasses
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import RunError
from aezoo.core.files import replacing, sha256_of, write_json
from aezoo.core.fingerprints import fingerprints, sketch
from aezoo.core.imports import meanwhile
from aezoo.core.versions import versions
from aezoo.data import Dataset
from aezoo.data.held_out import apart, normal_examples
from aezoo.nn.autoencoder import Autoencoder, jit_by_default
from aezoo.nn.keras_internals import compile_by_xla, may_compile_by_xla
from aezoo.nn.layers import keras
from aezoo.training import checkpoint
from aezoo.training.augmentation import augmented
from aezoo.training.callbacks import _Keeper, _set_precision
from aezoo.training.checks import check_fits
from aezoo.training.choosing import choose_settings
from aezoo.training.kept_examples import HELD_OUT, most_reference
from aezoo.training.optimizers import optimizer_for
from aezoo.training.own_callbacks import check_callbacks, check_resumed, names_of
from aezoo.training.records import best_epoch, epochs_done, meaning
from aezoo.training.run import Run
from aezoo.training.settings import Settings
from aezoo.training.xla import compile_quicker

_FINGERPRINTED = 256  # examples at a time
_ENOUGH = 99  # held-out examples, for a false positive rate of 0.01
_TELLING = 20  # anomalies from which a ROC area says anything
_FOR_PRIOR = 10_000  # training examples that a density of the latents is fitted to, at most
_MEASURED = 10_000  # training examples that the loss before the training is taken from, at most
_GAIN = 0.1  # of one validation example's share: less on the model before the training is luck
_VALIDATION_PAIRS = 10_000  # corrupted examples held in memory at most
# What figures and pictures need, and training does not.
_AFTERWARDS = (
    "aezoo.evaluation",
    "aezoo.plots.pictures",
    "sklearn.mixture",
    "matplotlib.backends.backend_agg",
)


def seed_everything(settings: Settings) -> None:
    """Seeds Python, NumPy and the backend; call it before the model is built."""
    keras.utils.set_random_seed(settings.seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def train(
    model: Autoencoder,
    dataset: Dataset,
    settings: Settings | None = None,
    folder: str | os.PathLike[str] = "runs/latest",
    *,
    overwrite: bool = False,
    progress: bool = True,
    evaluation: Mapping[str, Any] | None = None,
    chosen: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Trains a model and writes everything about it into a folder.

    Args:
        model: an `Autoencoder`, built by name. Its weights are trained in place.
        dataset: an `aezoo.data.Dataset` of the model's shape.
        settings: `Settings`; None takes them from the data, see `choosing.choose_settings`.
        folder: of the run; made if it is not there.
        overwrite: whether a run that lies there may be deleted.
        progress: whether a line an epoch is printed, with a bar on a terminal.
        evaluation: options of `aezoo.evaluation.evaluate`, a dict, or None.
        chosen: what of the model's options and the settings was chosen from the data, for run.json.
        callbacks: of Keras. At the end of an epoch they come before its checkpoint, which holds what they
            set; run.json holds the names of their classes, and nothing of what they remember.

    Returns:
        The finished `Run`.

    Raises:
        RunError: a run lies in the folder already.
        DataError: the dataset's shape is not the model's.
        OptionError: the dataset has more classes than the model, or a precision that it cannot use;
            augmentation of something else than images; or what is no callback.
        TrainingError: the model could not be loaded again once it is trained, which is said before the first
            epoch; or the loss is not a number.
    """
    if settings is None:
        settings, chosen = choose_settings(dataset)
    run, callbacks = Run(folder), check_callbacks(callbacks)
    run.check_free(overwrite=overwrite)
    check_fits(model, dataset, settings)
    if model.knows_its_data:
        model.adapt(dataset.train.array())
    measured = _compile(model, dataset, settings, progress)
    info = {**_describe(model, dataset, settings), "evaluation": dict(evaluation or {}), **measured}
    info["chosen"] = dict(chosen or {})
    if model.starts_linear:
        info["least_gain"] = _GAIN / len(dataset.validation)
    if names_of(callbacks):
        info["callbacks"] = names_of(callbacks)
    point = checkpoint.Point(model, [], None, meaning(info))
    with tempfile.TemporaryDirectory() as scratch:
        first = pathlib.Path(scratch) / run.checkpoint_file.name
        checkpoint.save(point, first)
        checkpoint.check_comes_back(model, first, dataset.train)
        run.folder.mkdir(parents=True, exist_ok=True)
        run.begin(info, lambda path: shutil.copyfile(first, path))  # even the first epoch can be resumed
    return _continue(run, point, dataset, settings, progress, callbacks)


def resume(
    folder: str | os.PathLike[str],
    dataset: Dataset | None = None,
    *,
    progress: bool = True,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Continues a run that was stopped or killed.

    Args:
        folder: of the run.
        dataset: None loads it again from the source that the run names.
        progress: as in `train`.
        callbacks: of the classes that the run was begun with, made anew: what those remembered is lost.

    Returns:
        The finished `Run`; one that was finished already is returned as it is.

    Raises:
        RunError: no run there, or data or callbacks are no longer those that it was begun with.
        OptionError: what is no callback.
    """
    run, callbacks = Run(folder), check_callbacks(callbacks)
    if not run.exists():
        return Run.load(folder)  # raises, in the words for a missing run
    info = run.info
    if info["status"] == "finished":
        return run
    check_resumed(info, folder, callbacks)
    settings = Settings(**info["settings"])
    seed_everything(settings)
    point = checkpoint.read(run, info)  # first: it vouches for what run.json says of the data
    if dataset is None:
        from aezoo import data

        dataset = data.load(info["data"]["source"], **info["data"]["load_options"])
    if dataset.content_hash != info["data"]["content_hash"]:
        raise RunError(
            "the data have changed since this run was begun",
            got=f"content hash {dataset.content_hash[:12]}... of {info['data']['source']}",
            expected=f"{info['data']['content_hash'][:12]}...",
            fix="train again into another folder",
        )
    check_fits(point.model, dataset, settings)
    if settings.xla == "on" or info.get("xla", {}).get("chosen"):
        compile_by_xla(point.model)
    checkpoint.write(point, run)  # the best model may be of an epoch that is trained again: no other knows it
    return _continue(run, point, dataset, settings, progress, callbacks)


def _compile(model, dataset, settings, progress):
    """Compiles a model for its training; returns what was measured of XLA, {"xla": ...}, or {}."""
    steps = -(-len(dataset.train) // settings.batch_size)

    def compiled(by_xla: bool) -> None:
        model.compile(
            optimizer_for(settings, model, steps),
            settings.loss,
            jit_compile=False if settings.xla == "off" else None,
        )
        if by_xla:
            compile_by_xla(model)

    compiled(settings.xla == "on")
    if settings.xla != "auto" or jit_by_default() or not may_compile_by_xla(model):
        return {}
    _set_precision(model, settings.precision)
    found = compile_quicker(
        model,
        compiled,
        lambda: augmented(_batches(model, dataset, settings, 0), settings, model.example_shape, first=0),
        settings.epochs * steps,
    )
    _set_precision(model, "float32")
    if found and progress:
        print(f"a step compiled by XLA: {found['step_ms']} ms, otherwise: {found['step_ms_without']} ms")
    return {"xla": found} if found else {}


def _continue(run, point, dataset, settings, progress, own):
    begun, model, done = time.monotonic(), point.model, epochs_done(point.rows)
    steps = -(-len(dataset.train) // settings.batch_size)
    validation = _validation(model, dataset, settings)
    if not point.rows:
        run.clear()
    keeper = _Keeper(run, point, settings)
    if not point.rows and model.starts_linear:
        _keep_start(keeper, dataset, validation, settings)
    callbacks = [*own, keeper]  # so that a checkpoint holds what they set
    if progress:
        from aezoo.training.callbacks import EpochLines

        callbacks.append(EpochLines(steps, settings.epochs))
    if not keeper.exhausted():
        _set_precision(model, settings.precision)
        batches = _batches(model, dataset, settings, done * steps)
        with meanwhile(*_AFTERWARDS):
            model.fit(
                augmented(batches, settings, model.example_shape, first=done * steps),
                epochs=settings.epochs,
                initial_epoch=done,
                steps_per_epoch=steps,
                validation_data=validation,
                callbacks=callbacks,
                verbose=0,
                shuffle=False,
            )
    return _finish(run, keeper, dataset, time.monotonic() - begun)


def _batches(model, dataset, settings, skip):
    """Returns the batches of all epochs; of pairs (noisy, clean), in one order."""
    parts = [dataset.train] if dataset.noisy is None else [dataset.noisy.train, dataset.train]
    batches = [
        part.batches(
            settings.batch_size,
            shuffle_seed=settings.seed,
            epochs=settings.epochs,
            skip=skip,
            labels=model.takes_labels,
        )
        for part in parts
    ]
    return batches[0] if len(batches) == 1 else type(batches[0]).zip(tuple(batches))


def _keep_start(keeper, dataset, validation, settings):
    """Keeps the model as it is before its first step: principal components, which training may not reach."""
    model, begun = keeper.point.model, time.monotonic()
    part = dataset.train.chosen(np.arange(min(len(dataset.train), _MEASURED)))
    trained = part.batches(settings.batch_size, labels=model.takes_labels)
    pairs = validation if isinstance(validation, tuple) else (validation,)
    loss, val_loss = (model.evaluate(*data, verbose=0) for data in ((trained,), pairs))
    keeper.keep(0, loss, val_loss, 0.0, time.monotonic() - begun)


def _validation(model, dataset, settings):
    """Returns what the best epoch is chosen by: for a denoiser, how well it denoises."""
    if model.corruption is None:
        return dataset.validation.batches(settings.batch_size, labels=model.takes_labels)
    clean = dataset.validation.array(_VALIDATION_PAIRS)
    if dataset.noisy is not None:
        return dataset.noisy.validation.array(_VALIDATION_PAIRS), clean
    return model.corrupt(clean, seed=settings.seed), clean


def _finish(run, keeper, dataset, seconds):
    from aezoo.evaluation import evaluate
    from aezoo.plots import pictures

    info, rows = run.info, keeper.point.rows
    info["model_sha256"] = keeper.point.model_sha256
    model = run.load_model(info["model_sha256"])
    with replacing(run.held_out_file) as path:
        np.savez_compressed(path, **_held_out(model, dataset))
    with replacing(run.reference_file) as path:
        np.savez_compressed(path, examples=_reference(dataset))
    # So that what a plain model leaves of its latent space can be drawn from; one example has no spread.
    if model.prior is None and len(dataset.train) > 1:
        model.fit_prior(dataset.train.array(_FOR_PRIOR))
        with replacing(run.model_file) as path:
            model.save(path, include_optimizer=False)
            info["model_sha256"] = sha256_of(path)
            write_json(run.info_file, info)  # before the file has its name: whoever is killed here resumes
    write_json(run.metrics_file, evaluate(model, dataset, **info["evaluation"]))
    pictures.save_all(run, model, dataset)
    info.update(
        status="finished",
        epochs=epochs_done(rows),
        best_epoch=best_epoch(rows, keeper.least_gain),
        seconds=round(sum(row["seconds"] for row in rows), 1),
        seconds_of_last_session=round(seconds, 1),
    )
    write_json(run.info_file, info)
    run.checkpoint_file.unlink(missing_ok=True)
    return run


def _held_out(model, dataset):
    """Returns the arrays of held_out.npz, see `Run.held_out`."""
    normals, from_test = normal_examples(dataset, HELD_OUT, _ENOUGH)
    held_out = {"examples": normals.array()}
    if not from_test:
        held_out["source"] = np.asarray("validation examples")
    if model.takes_labels:
        held_out["labels"] = normals.class_numbers
    else:
        _, others, _ = apart(dataset, HELD_OUT)
        if others is not None and len(others) >= _TELLING:
            held_out["anomalies"] = others.array()
    trained_on = [fingerprints(batch) for batch in dataset.train.batches(_FINGERPRINTED).as_numpy_iterator()]
    return {**held_out, "trained_on": sketch(np.concatenate(trained_on))}


def _reference(dataset):
    """Returns examples of the training part, float32 (N, ...), drawn: parts often lie in order."""
    most = most_reference(dataset.shape)
    drawn = np.random.default_rng(0).permutation(len(dataset.train))[:most]
    return dataset.train.chosen(np.sort(drawn)).array()


def _describe(model, dataset, settings):
    return {
        "status": "training",
        "model": model.model_name,
        "options": model.model_options,
        "latent_shape": list(model.latent_shape),
        "parameters": model.count_params(),
        "settings": dataclasses.asdict(settings),
        "seed": settings.seed,
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "load_options": dataset.load_options,
            "kind": dataset.kind,
            "shape": list(dataset.shape),
            "pixel_dtype": dataset.pixel_dtype,
            "unread_files": dict(dataset.unread_files),
            "feature_names": dataset.feature_names and list(dataset.feature_names),
            "content_hash": dataset.content_hash,
            "notes": list(dataset.notes),
            "train": len(dataset.train),
            "validation": len(dataset.validation),
            "test": len(dataset.test),
        },
        "versions": versions(),
        "model_sha256": None,
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
