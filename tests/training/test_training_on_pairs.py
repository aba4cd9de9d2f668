"""A denoiser is trained, chosen and measured on the pairs that it is given."""

import dataclasses

import numpy as np
import pytest
from conftest import four_lines, run_command

import aezoo
from aezoo import data, training
from aezoo.core.errors import OptionError
from aezoo.testing import smooth_examples
from aezoo.training import loop
from aezoo.training.settings import Settings

SHAPE = (8, 8, 1)
SETTINGS = Settings(epochs=3, batch_size=16, learning_rate=3e-3)


@pytest.fixture
def pairs(tmp_path):
    """Images, and their negatives: what no corruption of the model's own would teach it to undo."""
    clean = smooth_examples(SHAPE, 200)
    np.save(tmp_path / "clean.npy", clean)
    np.save(tmp_path / "noisy.npy", 1 - clean)
    return data.load(tmp_path / "clean.npy", noisy=tmp_path / "noisy.npy")


def small():
    return aezoo.build(
        "denoising", latent_dim=8, image_shape=SHAPE, body="dense", body_options={"units": (64,)}
    )


def test_it_learns_from_the_pairs_and_is_measured_on_them(pairs, tmp_path):
    training.seed_everything(SETTINGS)
    settings = Settings(epochs=25, batch_size=16, learning_rate=3e-3)
    run = training.train(small(), pairs, settings, tmp_path / "run", progress=False)
    figures = run.metrics["denoising"]
    clean, noisy = pairs.test.array(), pairs.noisy.test.array()
    assert (figures["kind"], figures["level"]) == ("given", None)
    assert figures["corrupted"]["mse"] == pytest.approx(np.square(noisy - clean).mean(), rel=1e-4)
    assert figures["model"]["mse"] < figures["corrupted"]["mse"] / 3
    assert run.info["data"]["load_options"]["noisy"].endswith("noisy.npy")


def test_a_resumed_training_ends_at_the_same_weights(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("aezoo.training.callbacks.SHARE", 1e9)  # a checkpoint after each epoch
    training.seed_everything(SETTINGS)
    whole = training.train(small(), pairs, SETTINGS, tmp_path / "whole", progress=False)

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    keep = loop._Keeper.keep
    monkeypatch.setattr(
        loop._Keeper, "keep", lambda self, epoch, *rest: (keep(self, epoch, *rest), epoch == 2 and stop())
    )
    training.seed_everything(SETTINGS)
    with pytest.raises(Stop):
        training.train(small(), pairs, SETTINGS, tmp_path / "halved", progress=False)
    monkeypatch.setattr(loop._Keeper, "keep", keep)
    resumed = training.resume(tmp_path / "halved", progress=False)
    for ours, theirs in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_others_take_no_pairs(pairs, tmp_path):
    with pytest.raises(OptionError) as caught:
        training.train(aezoo.build("dense", image_shape=SHAPE), pairs, SETTINGS, tmp_path / "run")
    four_lines(caught.value, "noisy.npy", "denoising")
    settings = dataclasses.replace(SETTINGS, augment=("flip",))
    with pytest.raises(OptionError) as caught:
        training.train(small(), pairs, settings, tmp_path / "run")
    four_lines(caught.value, "flip", "leave augment out")


def test_the_command(pairs, tmp_path, capsys):
    clean, noisy, folder = pairs.source, pairs.noisy.source, str(tmp_path / "run")
    asked = ["train", "denoising", "--data", clean, "--latent-dim", "4", "--epochs", "1", "-o", folder]
    assert run_command(*asked, "--noisy", noisy) == 0
    assert "given, model" in capsys.readouterr().out
    assert run_command(*asked, "--resume", "--noisy", clean) != 0
    four_lines(capsys.readouterr().err.strip(), f"noisy={clean!r}", noisy)
