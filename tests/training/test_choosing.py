"""Settings that nobody gave are taken from the data; a model that begins as PCA is never left worse."""

import json
import pathlib

import numpy as np
import pytest
from conftest import run_command as run

from aezoo import data
from aezoo.models import describe, list_models
from aezoo.testing import smooth_examples
from aezoo.training import choosing, loop
from aezoo.training.choosing import MAY_BE_CHOSEN, choose_options, choose_settings
from aezoo.training.recipe import build_for
from aezoo.training.records import best_epoch
from aezoo.training.run import Run
from aezoo.training.settings import Settings

CHOSEN = ("epochs", "batch_size", "learning_rate", "patience", "xla")


def dataset_of(shape, count, folder):
    np.save(folder / "set.npy", smooth_examples(shape, count))
    return data.load(folder / "set.npy")


def noisy_rows(count, generator):
    factors = generator.normal(size=(count, 3))
    return (
        np.tanh(factors @ generator.normal(size=(3, 8))) + 0.1 * generator.normal(size=(count, 8))
    ).astype("f4")


def test_few_examples_get_steps_and_small_batches(tmp_path):
    settings, chosen = choose_settings(dataset_of((8, 8, 1), 600, tmp_path))
    assert settings.batch_size == 16
    assert 1500 <= settings.epochs * 480 / 16 <= 1600
    assert chosen == {name: getattr(settings, name) for name in CHOSEN}
    settings, chosen = choose_settings(dataset_of((8, 8, 1), 600, tmp_path), epochs=3, batch_size=7, seed=5)
    assert (settings.epochs, settings.batch_size, settings.seed) == (3, 7, 5)
    assert set(chosen) == {"learning_rate", "patience", "xla"}
    many, _ = choose_settings(data.load("mnist_mini"))
    assert (many.batch_size, many.epochs) == (128, 36)


def test_options_are_chosen_where_the_model_has_them(tmp_path):
    few = dataset_of((12, 12, 1), 60, tmp_path)
    body = {"normalization": "batch", "kernel_size": 4}
    path = {"linear_path": True, "output_activation": "clip"}
    assert choose_options("conv", few, {}) == {**body, **path}
    assert choose_options("conv", few, {"normalization": None, "kernel_size": 3}) == path
    for said in ({"linear_path": False}, {"output_activation": "sigmoid"}, {"latent_activation": "tanh"}):
        assert choose_options("conv", few, said) == body
    assert choose_options("vae", few, {}) == {}
    assert choose_options("conv", data.load("mnist_mini"), {}) == body
    assert "linear_path" in choose_options("conv", data.load("mnist_mini"), {"latent_dim": 400})
    assert choose_options("denoising", few, {}) == {"body_options": {**body, **path}}
    said = {"body_options": {"filters": (4,), "linear_path": False}}
    assert choose_options("denoising", few, said) == {"body_options": {**said["body_options"], **body}}
    assert choose_options("denoising", few, {"body_options": 3}) == {}
    rows = dataset_of((7,), 60, tmp_path)
    chosen = {"latent_dim": 3, "body_options": {"linear_path": True}}
    assert choose_options("denoising", rows, {}) == chosen
    assert choose_options("dense", rows, {}) == {"latent_dim": 3, "linear_path": True}
    assert choose_options("dense", rows, {"latent_dim": 5}) == {"linear_path": True}
    for name in list_models():  # whatever is chosen, the model can be built with
        for dataset in (few, rows):
            if dataset.kind in describe(name).kinds:
                chosen = choose_options(name, dataset, {})
                assert set(chosen) <= set(MAY_BE_CHOSEN)
                build_for(name, chosen, dataset)


def test_the_best_epoch_may_be_the_one_before_the_first(tmp_path):
    """A rate that makes everything worse leaves principal components."""
    dataset = dataset_of((6,), 80, tmp_path)
    model = build_for("dense", {"latent_dim": 1, "linear_path": True, "units": (4,)}, dataset)
    settings = Settings(epochs=2, learning_rate=30.0, batch_size=8, schedule="constant")
    done = loop.train(model, dataset, settings, tmp_path / "run", progress=False)
    assert [row["epoch"] for row in done.history] == [0, 1, 2]
    assert (done.info["best_epoch"], done.info["epochs"]) == (0, 2)
    metrics = done.metrics
    assert metrics["mse"] == pytest.approx(metrics["pca"]["mse"], rel=1e-4)


def test_it_ends_below_principal_components(tmp_path, monkeypatch):
    monkeypatch.setitem(choosing._STEPS, "rows", 600)  # this is enough
    np.save(tmp_path / "set.npy", noisy_rows(400, np.random.default_rng(1)))
    dataset = data.load(tmp_path / "set.npy")
    options = choose_options("dense", dataset, {"latent_dim": 3})
    model = build_for("dense", {"latent_dim": 3, "units": (32,), **options}, dataset)
    done = loop.train(model, dataset, folder=tmp_path / "run", progress=False)
    assert set(done.info["chosen"]) == {*CHOSEN} - {"xla"}
    assert done.info["best_epoch"] > 0
    assert done.metrics["mse"] < done.metrics["pca"]["mse"]


@pytest.mark.parametrize("after", [0, 1])
def test_a_run_with_an_epoch_0_resumes(after, tmp_path, monkeypatch):
    dataset = dataset_of((6,), 80, tmp_path)
    settings = Settings(epochs=3, batch_size=16, learning_rate=1e-3)

    def trained(folder):
        loop.seed_everything(settings)
        model = build_for("dense", {"latent_dim": 2, "linear_path": True, "units": (4,)}, dataset)
        return loop.train(model, dataset, settings, folder, progress=False)

    whole = trained(tmp_path / "whole")
    keep = loop._Keeper.keep

    def killed(self, epoch, *figures):
        if epoch > after:
            raise KeyboardInterrupt
        keep(self, epoch, *figures)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Keeper, "keep", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "killed")
    assert len(Run(tmp_path / "killed").history) == after + 1
    resumed = loop.resume(tmp_path / "killed", progress=False)
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    losses = [[row["val_loss"] for row in each.history] for each in (whole, resumed)]
    assert losses[0] == losses[1]


def test_the_command_says_what_it_chose_and_whether_it_was_worth_it(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.save("noisy.npy", noisy_rows(300, np.random.default_rng(1)))
    assert run("train", "dense", "--data", "noisy.npy", "--epochs", 1, "--learning-rate", 1, "-o", "run") == 0
    printed = capfd.readouterr().out
    assert "chosen from the data: batch_size=16, patience=10, latent_dim=4, linear_path=True" in printed
    assert "not better than PCA: mse" in printed.splitlines()[-1]
    info = json.loads(pathlib.Path("run/run.json").read_text("utf-8"))
    assert info["chosen"] == {"batch_size": 16, "patience": 10, "latent_dim": 4, "linear_path": True}
    assert run("train", "dense", "--data", "noisy.npy", "--latent-dim", 3, "--epochs", 25, "-o", "other") == 0
    assert "not better than PCA" not in capfd.readouterr().out


def test_the_start_gives_way_only_to_a_gain_that_is_no_luck():
    rows = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate((1.0, 1.2, 0.95, 0.97))]
    assert best_epoch(rows) == best_epoch(rows, 0.04) == 2
    assert best_epoch(rows, 0.1) == 0
    assert best_epoch(rows[1:], 0.1) == 2  # a run without an epoch 0 has nothing to beat
