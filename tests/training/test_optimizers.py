"""Optimisers, weight decay and averages of the weights: what they do, and that they resume bit for bit."""

import dataclasses
import json

import numpy as np
import pytest
from conftest import four_lines

import aezoo
from aezoo import data, evaluation
from aezoo.core.errors import OptionError
from aezoo.nn.keras_internals import averages
from aezoo.nn.layers import keras
from aezoo.plots import pictures
from aezoo.testing import smooth_examples
from aezoo.training import callbacks, checkpoint, loop
from aezoo.training.optimizers import optimizer_for, swap_averages
from aezoo.training.run import Run
from aezoo.training.settings import LATER, Settings

SHAPE = (12, 10, 1)
TINY = Settings(epochs=4, batch_size=32, learning_rate=3e-3)


@pytest.fixture
def unmeasured(monkeypatch):
    """Runs end without figures and pictures, which take longer than their training."""
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **options: {})
    monkeypatch.setattr(pictures, "save_all", lambda *_: None)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, images=smooth_examples(SHAPE, 200))
    return data.load(path)


def tiny_model(name="dense", **options):
    loop.seed_everything(TINY)
    options = options or {"units": (16, 8), "normalization": "batch"}
    return aezoo.build(name, latent_dim=3, image_shape=SHAPE, **options)


def interrupted(model, blobs, settings, folder, monkeypatch, after=2):
    """Begins a run that is stopped in the epoch after that many."""

    class Stopped(loop._Keeper):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == after:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_Keeper", Stopped)
        with pytest.raises(KeyboardInterrupt):
            loop.train(model, blobs, settings, folder, progress=False)
    assert len(Run(folder).history) >= after


def held_in(weights):
    return [keras.ops.convert_to_numpy(weight).copy() for weight in weights]


def same(first, second):
    for one, other in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    names = ("loss", "val_loss", "learning_rate")
    figures = [[[row[name] for name in names] for row in run.history] for run in (first, second)]
    assert figures[0] == figures[1]


CASES = [
    {"optimizer": "adamw", "weight_decay": 0.1},
    {"optimizer": "muon", "ema": 0.9},
    pytest.param({"optimizer": "adam", "weight_decay": 0.1}, marks=pytest.mark.exhaustive),
    pytest.param({"ema": 0.9}, marks=pytest.mark.exhaustive),
]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("changes", CASES)
def test_an_interrupted_run_resumes_bit_for_bit(changes, blobs, tmp_path, monkeypatch):
    settings = dataclasses.replace(TINY, **changes)
    whole = loop.train(tiny_model(), blobs, settings, tmp_path / "whole", progress=False)
    interrupted(tiny_model(), blobs, settings, tmp_path / "killed", monkeypatch)
    same(whole, loop.resume(tmp_path / "killed", progress=False))


@pytest.mark.usefixtures("unmeasured")
def test_averages_are_what_is_validated_and_kept(blobs, tmp_path, monkeypatch):
    """With a momentum near 1 the averages stay near the first step, whatever the weights do."""
    points = []

    def kept(point, path):
        points.append((held_in(point.model.trainable_weights), len(point.rows)))
        points[-1] += (held_in(average for _, average in averages(point.model.optimizer)),)
        save(point, path)

    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", kept)
    monkeypatch.setattr(callbacks, "SHARE", 1e9)  # a checkpoint after each epoch
    settings = dataclasses.replace(TINY, ema=0.9)
    done = loop.train(tiny_model(), blobs, settings, tmp_path / "run", progress=False)
    raw, _, averaged = next(point for point in points if point[1] == done.info["best_epoch"])
    of_file = held_in(done.model.trainable_weights)
    for one, other in zip(of_file, averaged, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(one, other) for one, other in zip(of_file, raw, strict=True))
    best = min(row["val_loss"] for row in done.history)
    assert done.model.evaluate(blobs.validation.array(), verbose=0) == pytest.approx(best, rel=1e-4)


@pytest.mark.usefixtures("unmeasured")
def test_averages_leave_the_training_alone(blobs, tmp_path):
    settings = dataclasses.replace(TINY, ema=0.9)
    with_them = loop.train(tiny_model(), blobs, settings, tmp_path / "ema", progress=False)
    plain = loop.train(tiny_model(), blobs, TINY, tmp_path / "plain", progress=False)
    assert [row["loss"] for row in with_them.history] == [row["loss"] for row in plain.history]
    assert with_them.history[-1]["val_loss"] != plain.history[-1]["val_loss"]


@pytest.mark.usefixtures("unmeasured")
def test_what_starts_linear_is_kept_as_it_starts(blobs, tmp_path):
    """Before the first step there are no averages, and epoch 0 is no model of zeros."""
    model = tiny_model(units=(8,), linear_path=True, output_activation="clip")
    settings = dataclasses.replace(TINY, epochs=1, ema=0.9, learning_rate=1.0, schedule="constant")
    done = loop.train(model, blobs, settings, tmp_path / "run", progress=False)
    assert done.info["best_epoch"] == 0
    found = done.model.evaluate(blobs.validation.array(), verbose=0)
    assert found == pytest.approx(done.history[0]["val_loss"], rel=1e-4)
    assert done.history[1]["val_loss"] > found


def test_weights_and_averages_change_places_exactly():
    model = tiny_model()
    model.compile(keras.optimizers.Adam(use_ema=True))
    before = model.get_weights()
    swap_averages(model)  # there are none
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    model.fit(smooth_examples(SHAPE, 64), epochs=1, batch_size=8, verbose=0)
    for weight, average in averages(model.optimizer):
        average.assign(weight * 1e-9 + 1 / 3)
    before = model.get_weights()
    swap_averages(model)
    assert not np.array_equal(before[0], model.get_weights()[0])
    swap_averages(model)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_biases_and_scales_do_not_decay(name, tmp_path):
    """Without gradients weight decay is all that is left, after saving and loading as well."""
    settings = dataclasses.replace(TINY, optimizer=name, weight_decay=0.5, schedule="constant")
    model = tiny_model()
    model.compile(optimizer_for(settings, model, 1))
    model.save(tmp_path / "model.keras")
    for each in (model, aezoo.load(tmp_path / "model.keras")):
        for weight in each.trainable_weights:
            weight.assign(keras.ops.ones_like(weight))
        each.optimizer.apply_gradients([(keras.ops.zeros_like(w), w) for w in each.trainable_weights])
        for weight in each.trainable_weights:
            expected = 1.0 if len(weight.shape) < 2 else 1 - 0.5 * settings.learning_rate
            np.testing.assert_allclose(weight, expected, rtol=1e-6, err_msg=weight.path)


def test_muon_is_for_matrices_between_hidden_layers():
    model = tiny_model()
    optimizer = optimizer_for(dataclasses.replace(TINY, optimizer="muon"), model, 1)
    by_muon = {weight.path for weight in model.trainable_weights if not optimizer._should_use_adamw(weight)}
    kernels = [weight.path for weight in model.trainable_weights if weight.path.endswith("kernel")]
    assert len(kernels) > 3
    assert by_muon == set(kernels[:-1])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"optimizer": "adamv"}, "did you mean 'adam'?"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1"),
        ({"weight_decay": float("nan")}, "weight_decay=nan"),
        ({"ema": 1.0}, "ema=1.0"),
        ({"ema": True}, "ema=True"),
    ],
)
def test_wrong_settings(options, word):
    with pytest.raises(OptionError) as error:
        Settings(**options)
    four_lines(error, word)


def test_a_run_of_an_earlier_version_is_read(blobs, tmp_path):
    """It holds none of the newer settings, and was trained by their defaults."""
    settings = dataclasses.replace(TINY, epochs=1)
    done = loop.train(tiny_model(), blobs, settings, tmp_path / "run", progress=False)
    info = json.loads(done.info_file.read_text("utf-8"))
    for name in LATER:
        del info["settings"][name]
    done.info_file.write_text(json.dumps(info), encoding="utf-8")
    assert Run.load(tmp_path / "run").info["settings"] == info["settings"]
    from aezoo.cli import main

    again = ["train", "--resume", "-o", str(tmp_path / "run")]
    assert main.main([*again, "--optimizer", "adam"]) == 0
    assert main.main([*again, "--optimizer", "muon"]) == 2


def test_the_command_takes_them(blobs, tmp_path, capfd):
    from aezoo.cli import main

    np.savez(tmp_path / "blobs.npz", images=smooth_examples(SHAPE, 60))
    arguments = ["train", "dense", "--data", str(tmp_path / "blobs.npz"), "-O", "units=8,", "--quick"]
    arguments += ["--optimizer", "adamw", "--weight-decay", "0.01", "--ema", "0.95"]
    arguments += ["-o", str(tmp_path / "run")]
    assert main.main(arguments) == 0
    settings = Run.load(tmp_path / "run").info["settings"]
    assert (settings["optimizer"], settings["weight_decay"], settings["ema"]) == ("adamw", 0.01, 0.95)
    capfd.readouterr()
    assert main.main(["train", "--resume", "-o", str(tmp_path / "run"), "--ema", "0.9"]) == 2
    four_lines(capfd.readouterr().err.strip(), "goes on as it was begun", "ema=0.9", "ema=0.95")
