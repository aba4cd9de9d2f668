"""Training: what a run holds, that the best epoch is kept, and that a killed one resumes bit for bit."""

import dataclasses
import os
import shlex
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import ROOT, four_lines
from interruptible import command_line

import aezoo
from aezoo import data
from aezoo.core.errors import DataError, OptionError, RunError, TrainingError
from aezoo.core.files import read_json, replacing
from aezoo.testing import smooth_examples
from aezoo.training import loop
from aezoo.training.run import Run
from aezoo.training.settings import Settings

SHAPE = (12, 10, 1)
TINY = Settings(epochs=3, batch_size=32, learning_rate=3e-3)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """A file of images, and the Dataset of it."""
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    labels = np.arange(400) % 3
    np.savez(path, images=smooth_examples(SHAPE, 400), labels=labels)
    return data.load(path)


def tiny_model(seed=0):
    loop.seed_everything(dataclasses.replace(TINY, seed=seed))
    return aezoo.build("conv", latent_dim=3, image_shape=SHAPE, filters=(4, 8), normalization="batch")


@pytest.fixture(scope="module")
def run(blobs, tmp_path_factory):
    return loop.train(tiny_model(), blobs, TINY, tmp_path_factory.mktemp("runs") / "run", progress=False)


def test_a_run_holds_what_it_should(run, blobs):
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "run.json",
        "model.keras",
        "history.csv",
        "metrics.json",
        "held_out.npz",
        "reference.npz",
        "reconstructions.png",
        "latents.png",
        "samples.png",
        "loss.png",
    }
    info = run.info
    assert info["status"] == "finished"
    assert info["model"] == "conv"
    assert info["options"]["filters"] == [4, 8]
    assert info["data"]["content_hash"] == blobs.content_hash
    assert info["parameters"] == run.model.count_params()
    assert Settings(**info["settings"]) == TINY
    assert set(info["settings"]) == set(dataclasses.asdict(TINY))
    assert {"aezoo", "keras", "tensorflow", "numpy", "python"} <= set(info["versions"])
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert set(run.history[0]) == {"epoch", "loss", "val_loss", "learning_rate", "seconds"}
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    np.testing.assert_array_equal(run.held_out["examples"], blobs.test.array(256))


def test_metrics_are_those_of_the_saved_model_on_the_test_part(run, blobs):
    images = blobs.test.array()
    metrics = run.metrics
    assert metrics["test_examples"] == len(images)
    error = np.mean(np.square(run.model.reconstruct(images).astype("float64") - images))
    assert metrics["mse"] == pytest.approx(error, rel=1e-4)
    assert metrics["pca"]["components"] == 3
    assert metrics["pca"]["mse"] < images.var()
    assert -1 <= metrics["ssim"] <= 1


def test_the_best_epoch_is_kept(blobs, tmp_path):
    """With a rate that is far too high at the end, the last epoch is not the best one."""
    model = tiny_model()

    class Spoil(loop._Keeper):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == 2:
                for weight in self.model.trainable_variables:
                    weight.assign(weight * 0)

    keeper, loop._Keeper = loop._Keeper, Spoil
    try:
        done = loop.train(model, blobs, TINY, tmp_path / "run", progress=False)
    finally:
        loop._Keeper = keeper
    assert done.info["best_epoch"] == 2
    best = done.model.evaluate(blobs.validation.array(), verbose=0)
    assert best == pytest.approx(done.history[1]["val_loss"], rel=1e-3)


def test_early_stopping(blobs, tmp_path):
    settings = dataclasses.replace(TINY, epochs=30, patience=1, learning_rate=1e-12, schedule="constant")
    done = loop.train(tiny_model(), blobs, settings, tmp_path / "run", progress=False)
    assert len(done.history) < 30
    assert done.info["epochs"] == len(done.history)


def test_schedule_goes_up_and_down(blobs, tmp_path):
    settings = dataclasses.replace(TINY, epochs=4)
    rates = [
        row["learning_rate"]
        for row in loop.train(tiny_model(), blobs, settings, tmp_path / "run", progress=False).history
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.01 * settings.learning_rate, rel=0.05)


def test_mixed_precision_is_saved_as_float32(blobs, tmp_path):
    settings = dataclasses.replace(TINY, epochs=1, precision="mixed_bfloat16")
    done = loop.train(tiny_model(), blobs, settings, tmp_path / "run", progress=False)
    model = done.model
    assert {layer.compute_dtype for part in (model.encoder, model.decoder) for layer in part.layers} == {
        "float32"
    }
    assert model.reconstruct(blobs.test.array(4)).dtype == np.float32


@pytest.mark.exhaustive
def test_same_seed_same_weights_other_seed_other_weights(run, blobs, tmp_path):
    again = loop.train(tiny_model(), blobs, TINY, tmp_path / "again", progress=False)
    for first, second in zip(run.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    for name in ("reconstructions.png", "latents.png"):
        assert (run.folder / name).read_bytes() == (again.folder / name).read_bytes()
    other = loop.train(
        tiny_model(1), blobs, dataclasses.replace(TINY, seed=1), tmp_path / "other", progress=False
    )
    assert not np.array_equal(run.model.get_weights()[0], other.model.get_weights()[0])


def start(arguments, folder):
    return subprocess.Popen(
        command_line("train", *arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.exhaustive
def test_a_killed_run_resumes_bit_for_bit(tmp_path):
    """A denoiser, whose generator of noise must be restored as well as weights, optimiser and data."""
    np.savez(tmp_path / "blobs.npz", images=smooth_examples(SHAPE, 3000))
    arguments = [
        "denoising",
        "--data",
        "blobs.npz",
        "--latent-dim",
        "3",
        "--epochs",
        "5",
        "--batch-size",
        "16",
    ]
    arguments += ["-O", "body_options={'filters': (4, 8), 'normalization': 'batch'}"]
    whole = start([*arguments, "-o", "whole"], tmp_path)
    output, _ = whole.communicate()
    assert whole.returncode == 0, output
    killed = start([*arguments, "-o", "killed"], tmp_path)
    run = Run(tmp_path / "killed")
    until = time.monotonic() + 120
    while len(run.history) < 3 and time.monotonic() < until and killed.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)  # into the next epoch
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    done = run.history[-1]["epoch"]  # the first row is of the model before its training
    assert 2 <= done < 5
    assert run.info["status"] == "training"
    with pytest.raises(RunError) as error:
        Run.load(run.folder)
    four_lines(error, f"{done} of 5 epochs", "--resume")
    resumed = start(["--resume", "-o", "killed"], tmp_path)
    output, _ = resumed.communicate()
    assert resumed.returncode == 0, output
    assert "epoch   5/5" in output  # which of the others are trained again is a matter of time
    first, second = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    for one, other in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    losses = [[(row["loss"], row["val_loss"]) for row in r.history] for r in (first, second)]
    assert losses[0] == losses[1]
    assert first.metrics == second.metrics


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--epochs", "9"], "epochs=9"),
        (["dense"], "model='dense'"),
        (["--latent-dim", "7"], "latent_dim=7"),
        (["--data", "mnist_mini"], "data="),
    ],
)
def test_resume_as_something_else_is_refused(arguments, word, run, capfd):
    from aezoo.cli import main

    assert main.main(["train", *arguments, "--resume", "-o", str(run.folder)]) == 2
    error = capfd.readouterr().err.strip()
    four_lines(error, "goes on as it was begun", word)
    assert (
        main.main(["train", "conv", "--latent-dim", "3", "--epochs", "3", "--resume", "-o", str(run.folder)])
        == 0
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--start-from", "other"], ["resumed or begun", "leave --start-from out"]),
        (["--overwrite"], ["resumed or begun", "leave --overwrite out"]),
        (["--validation-fraction", "0.3"], ["goes on as it was begun", "leave --validation-fraction out"]),
        (["--image-shape", "9x9x1"], ["goes on as it was begun", "leave --image-shape out"]),
        (["--quick", "--batch-size", "32"], ["epochs=1"]),
    ],
)
def test_resume_drops_no_option(arguments, words, run, capfd):
    from aezoo.cli import main

    assert main.main(["train", *arguments, "--resume", "-o", str(run.folder)]) == 2
    four_lines(capfd.readouterr().err.strip(), *words)


def test_the_fix_for_more_epochs_trains_on(run, blobs, tmp_path, capfd):
    """`--resume --epochs` of a finished run names the command that goes on from its weights, which is run."""
    from aezoo.cli import main

    folder = shutil.copytree(run.folder, tmp_path / "a run")
    assert main.main(["train", "--resume", "--epochs", "5", "-o", str(folder)]) == 2
    error = capfd.readouterr().err.strip()
    four_lines(error, "epochs=5", "--start-from")
    command = shlex.split(error[error.index("aezoo train") :])
    assert main.main(command[1:]) == 0
    longer = Run(f"{folder}-longer")
    assert longer.info["epochs"] == 5
    assert longer.model.model_options == run.model.model_options
    assert longer.history[0]["loss"] < run.history[0]["loss"]


@pytest.mark.exhaustive
def test_ctrl_c_leaves_a_run_that_resumes(tmp_path):
    np.savez(tmp_path / "blobs.npz", images=smooth_examples(SHAPE, 3000))
    arguments = ["dense", "--data", "blobs.npz", "--epochs", "2000", "-O", "units=8,", "-o", "run"]
    process = start(arguments, tmp_path)
    run = Run(tmp_path / "run")
    until = time.monotonic() + 120
    while not run.history and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "aezoo train --resume -o run" in output
    assert "Traceback" not in output
    assert run.checkpoint_file.is_file()


def stopped(*given):
    raise KeyboardInterrupt


def test_resume_refuses_changed_data(tmp_path, monkeypatch):
    path = tmp_path / "images.npy"
    np.save(path, smooth_examples(SHAPE, 60))
    settings = dataclasses.replace(TINY, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_finish", stopped)
        with pytest.raises(KeyboardInterrupt):
            loop.train(tiny_model(), data.load(path), settings, tmp_path / "run", progress=False)
    np.save(path, smooth_examples(SHAPE, 60, seed=5))
    with pytest.raises(RunError) as error:
        loop.resume(tmp_path / "run")
    four_lines(error, "data have changed")


def test_refusals(run, blobs, tmp_path):
    with pytest.raises(RunError) as error:
        loop.train(tiny_model(), blobs, TINY, run.folder)
    four_lines(error, "lies in this folder already", "overwrite=True")
    with pytest.raises(RunError) as error:
        loop.resume(tmp_path / "nowhere")
    four_lines(error, "no run in this folder", "does not exist")
    other = aezoo.build("conv", image_shape=(8, 8, 1), filters=(4,))
    with pytest.raises(DataError) as error:
        loop.train(other, blobs, TINY, tmp_path / "run")
    four_lines(error, "(12, 10, 1)", "(8, 8, 1)", "image_shape=(12, 10, 1)")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError) as error:
        read_json(tmp_path / "run.json")
    four_lines(error, "run.json")


def test_overwriting_takes_the_run_and_nothing_else(run, blobs, tmp_path):
    import shutil

    shutil.copytree(run.folder, tmp_path / "run")
    done = loop.train(tiny_model(), blobs, TINY, tmp_path / "run", overwrite=True, progress=False)
    assert done.info["status"] == "finished"
    (tmp_path / "run" / "thesis.txt").write_text("years of work", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(RunError) as error:
            loop.train(tiny_model(), blobs, TINY, tmp_path / "run", overwrite=overwrite, progress=False)
        four_lines(error, "something else than a run", "thesis.txt")
    (tmp_path / "run" / "thesis.txt").unlink()
    other = aezoo.build("conv", image_shape=(8, 8, 1), filters=(4,))
    with pytest.raises(DataError):  # and the old run stays where the new one cannot even begin
        loop.train(other, blobs, TINY, tmp_path / "run", overwrite=True, progress=False)
    assert Run.load(tmp_path / "run").metrics == done.metrics


def test_damaged_runs(run, tmp_path):
    import shutil

    shutil.copytree(run.folder, tmp_path / "run")
    damaged = Run(tmp_path / "run")
    damaged.held_out_file.write_bytes(damaged.held_out_file.read_bytes()[:100])
    with pytest.raises(RunError) as error:
        _ = damaged.held_out
    four_lines(error, "held_out.npz")
    damaged.info_file.write_text("{}", encoding="utf-8")
    with pytest.raises(RunError) as error:
        Run.load(damaged.folder)
    four_lines(error, "does not describe a run")


def test_bfloat16_leaves_raw_units_and_results_alone():
    model = aezoo.build("dense", latent_dim=2, features=3, units=(8,))
    loop._set_precision(model, "mixed_bfloat16")
    policies = {
        layer.name: layer.compute_dtype for part in (model.encoder, model.decoder) for layer in part.layers
    }
    assert policies["standardize"] == policies["reconstructions"] == "float32"
    assert policies["down_1"] == "bfloat16"


def test_divergence_is_said(blobs, tmp_path):
    settings = dataclasses.replace(TINY, learning_rate=1e30)
    with pytest.raises(TrainingError) as error:
        loop.train(tiny_model(), blobs, settings, tmp_path / "run", progress=False)
    four_lines(error, "no longer a number", "lower learning rate")


def test_replacing_keeps_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")

    def write_half():
        with replacing(path) as new:
            new.write_text("half", encoding="utf-8")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text("utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize(
    ("name", "options", "settings", "words"),
    [
        ("conditional_vae", {"classes": 3}, {}, ["more classes than the model", "classes=10"]),
        (
            "rae",
            {"regularizer": "gradient_penalty"},
            {"precision": "mixed_bfloat16"},
            ["lost in lower precision", "leave out precision"],
        ),
        (
            "contractive",
            {"body_options": {"units": (8, 8)}},
            {"precision": "mixed_bfloat16"},
            ["lost in lower precision"],
        ),
    ],
)
def test_what_cannot_be_trained_is_told_before_the_folder_is_made(name, options, settings, words, tmp_path):
    model = aezoo.build(name, latent_dim=2, **options)
    settings = dataclasses.replace(TINY, **settings)
    with pytest.raises(OptionError) as error:
        loop.train(model, data.load("mnist_mini"), settings, tmp_path / "run", progress=False)
    four_lines(error, *words)
    assert not (tmp_path / "run").exists()


def test_labels_are_checked_before_they_are_trained_on():
    model = aezoo.build("conditional_vae", latent_dim=2, image_shape=(8, 8, 1), classes=3)
    images = smooth_examples((8, 8, 1), 4)
    with pytest.raises(DataError) as error:
        model.fit({"images": images, "labels": np.array([0, 1, 2, 3])}, verbose=0)
    four_lines(error, "no such class")
