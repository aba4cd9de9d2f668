"""Callbacks that a user brings: called, named in run.json, and asked for again when a run resumes."""

import importlib.util

import numpy as np
import pytest
from conftest import four_lines

import aezoo
from aezoo import data, evaluation
from aezoo.core.errors import MissingExtraError, OptionError, RunError
from aezoo.nn.layers import keras
from aezoo.plots import pictures
from aezoo.testing import smooth_examples
from aezoo.training import callbacks, loop, own_callbacks
from aezoo.training.run import Run
from aezoo.training.settings import Settings

SHAPE = (12, 10, 1)
TINY = Settings(epochs=3, batch_size=32, learning_rate=3e-3, schedule="constant")


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """Runs end without figures and pictures, which take longer than their training."""
    figures = {"data": "blobs", "test_examples": 20, "mse": 0.1, "pca": {"components": 3, "mse": 0.2}}
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **options: figures)
    monkeypatch.setattr(pictures, "save_all", lambda *_: None)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, images=smooth_examples(SHAPE, 200))
    return data.load(path)


def tiny_model():
    loop.seed_everything(TINY)
    return aezoo.build("dense", latent_dim=3, image_shape=SHAPE, units=(8,))


class Halving(keras.callbacks.Callback):
    """Halves the learning rate after each epoch; remembers nothing. Stops after some, as Ctrl-C does."""

    def __init__(self, stop_in=None):
        super().__init__()
        self.stop_in, self.seen = stop_in, []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.stop_in:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, sorted(logs)))
        self.model.optimizer.learning_rate = self.model.optimizer.learning_rate * 0.5


def begun(blobs, folder):
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny_model(), blobs, TINY, folder, progress=False, callbacks=[Halving(stop_in=2)])


def test_a_callback_is_called_and_what_it_sets_is_resumed(blobs, tmp_path):
    callback = Halving()
    whole = loop.train(tiny_model(), blobs, TINY, tmp_path / "whole", progress=False, callbacks=[callback])
    assert callback.seen == [(epoch, ["loss", "val_loss"]) for epoch in range(3)]
    assert whole.info["callbacks"] == ["Halving"]
    begun(blobs, tmp_path / "killed")
    resumed = loop.resume(tmp_path / "killed", progress=False, callbacks=[Halving()])
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    rates = [[row["learning_rate"] for row in run.history] for run in (whole, resumed)]
    assert rates[0] == rates[1] == pytest.approx([1.5e-3, 7.5e-4, 3.75e-4])


def test_a_callback_may_stop_a_training(blobs, tmp_path):
    callback = keras.callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=1)
    done = loop.train(tiny_model(), blobs, TINY, tmp_path / "run", progress=False, callbacks=[callback])
    assert done.info["epochs"] == 2


def test_the_command_line_refuses_to_resume_without_them(blobs, tmp_path, capfd):
    from aezoo.cli import main

    begun(blobs, tmp_path / "run")
    capfd.readouterr()
    assert main.main(["train", "--resume", "-o", str(tmp_path / "run")]) == 1
    error = capfd.readouterr().err.strip()
    four_lines(error, "resumed with the callbacks", "callbacks: none", "Halving", "is not kept")
    assert f"training.resume({str(tmp_path / 'run')!r}, callbacks=[Halving(...)])" in error
    assert Run(tmp_path / "run").info["status"] == "training"


def test_no_callbacks_are_added_on_the_way(blobs, tmp_path):
    with pytest.raises(RunError) as error:
        own_callbacks.check_resumed({}, tmp_path, [Halving()])
    four_lines(error, "callbacks: Halving", "none, as run.json says", "leave callbacks out")
    own_callbacks.check_resumed({"callbacks": ["Halving"]}, tmp_path, [Halving()])
    own_callbacks.check_resumed({}, tmp_path, [keras.callbacks.TensorBoard(str(tmp_path))])


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        ([Halving], ["the class Halving", "callbacks=[Halving()]"]),
        ([print], ["builtin_function_or_method"]),
        (Halving(), ["a list of instances"]),
        ("Halving", ["str, 'Halving'"]),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, words, blobs, tmp_path):
    with pytest.raises(OptionError) as error:
        loop.train(tiny_model(), blobs, TINY, tmp_path / "run", progress=False, callbacks=callbacks)
    four_lines(error, "a list of Keras callbacks", *words)
    assert not (tmp_path / "run").exists()


def test_a_missing_tensorboard_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as error:
        own_callbacks.tensorboard(tmp_path)
    four_lines(error, "needs the package tensorboard", "pip install tensorboard")


def test_a_file_is_no_folder_of_logs(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    (tmp_path / "logs").write_text("", encoding="utf-8")
    with pytest.raises(OptionError) as error:
        own_callbacks.tensorboard(tmp_path / "logs")
    four_lines(error, "a file", "--tensorboard logs")


def test_tensorboard_from_the_command(tmp_path):
    pytest.importorskip("tensorboard")
    from aezoo.cli import main

    np.savez(tmp_path / "blobs.npz", images=smooth_examples(SHAPE, 60))
    arguments = ["train", "dense", "--data", str(tmp_path / "blobs.npz"), "-O", "units=8,", "--quick"]
    arguments += ["--tensorboard", str(tmp_path / "logs"), "-o", str(tmp_path / "run")]
    assert main.main(arguments) == 0
    assert "callbacks" not in Run(tmp_path / "run").info
    assert {path.parent.name for path in (tmp_path / "logs").rglob("events*")} == {"train", "validation"}


def test_a_run_that_only_tensorboard_watched_resumes_plainly(blobs, tmp_path, monkeypatch):
    """The command passes the callback on, with --resume as well."""
    from aezoo.cli import main

    class Watching(Halving):
        def on_epoch_end(self, epoch, logs=None):
            self.seen.append(epoch)

    watching = Watching(stop_in=2)
    monkeypatch.setattr(keras.callbacks, "TensorBoard", Watching)
    monkeypatch.setattr(own_callbacks, "tensorboard", lambda folder: watching)
    monkeypatch.setattr(callbacks, "SHARE", 1e9)  # a checkpoint after each epoch
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny_model(), blobs, TINY, tmp_path / "run", progress=False, callbacks=[watching])
    watching.stop_in = None
    assert main.main(["train", "--resume", "-o", str(tmp_path / "run"), "--tensorboard", "logs"]) == 0
    assert watching.seen == [0, 1, 2]
