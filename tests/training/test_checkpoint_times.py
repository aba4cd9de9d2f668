"""A checkpoint is written by time: whatever a killed training had written, it ends at the same bits."""

import numpy as np
import pytest

from aezoo import data
from aezoo.testing import smooth_examples
from aezoo.training import Settings, callbacks, checkpoint, loop
from aezoo.training.recipe import build_for
from aezoo.training.run import Run

SETTINGS = Settings(epochs=6, batch_size=16, learning_rate=2e-2)
ALWAYS, NEVER = 1e9, 0.0
OPTIONS = {"latent_dim": 2, "units": (8,)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "set.npy"
    np.save(path, smooth_examples((8, 8, 1), 120))
    return data.load(path)


def trained(dataset, folder, **options):
    loop.seed_everything(SETTINGS)
    model = build_for("dense", OPTIONS, dataset)
    return loop.train(model, dataset, SETTINGS, folder, progress=False, **options)


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    return trained(dataset, tmp_path_factory.mktemp("whole") / "run")


def check_same(one, other):
    for ours, theirs in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    losses = [[(row["loss"], row["val_loss"]) for row in run.history] for run in (one, other)]
    assert losses[0] == losses[1]
    assert one.metrics == other.metrics
    assert not other.checkpoint_file.exists()


@pytest.mark.parametrize(("share", "expected"), [(ALWAYS, 6), (NEVER, 0)])
def test_a_share_of_the_time_goes_into_checkpoints(share, expected, dataset, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "SHARE", share)
    written, write = [], checkpoint.write
    monkeypatch.setattr(checkpoint, "write", lambda *given: [written.append(1), write(*given)])
    check_same(whole, trained(dataset, tmp_path / "run"))
    assert len(written) == expected


def test_short_epochs_are_not_spent_on_files(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "_FIRST_COST", 1e6)  # a machine on which a file takes long
    written = []
    monkeypatch.setattr(checkpoint, "write", lambda *given: written.append(1))
    trained(dataset, tmp_path / "run")
    assert not written


def killed_at(monkeypatch, place, name, times):
    """Stops the training when a function is called for the nth time, before it does anything."""
    function, calls = getattr(place, name), []

    def stopped(*given, **named):
        calls.append(1)
        if len(calls) == times:
            raise KeyboardInterrupt
        return function(*given, **named)

    monkeypatch.setattr(place, name, stopped)


@pytest.mark.parametrize(
    ("share", "place", "name", "times"),
    [
        (NEVER, loop._Keeper, "keep", 4),  # three epochs are in the history, no checkpoint knows them
        (NEVER, loop, "_finish", 1),  # and model.keras is of the best of all
        (ALWAYS, loop._Keeper, "keep", 4),
        (ALWAYS, checkpoint, "write", 3),  # after model.keras
        (ALWAYS, checkpoint, "write", 6),
        (ALWAYS, loop._Keeper, "write_best", 4),
    ],
)
def test_a_killed_run_ends_at_the_same_bits(share, place, name, times, dataset, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "SHARE", share)
        killed_at(patch, place, name, times)
        with pytest.raises(KeyboardInterrupt):
            trained(dataset, tmp_path / "run")
    check_same(whole, loop.resume(tmp_path / "run", dataset, progress=False))


def test_killed_twice(dataset, tmp_path, monkeypatch):
    """The second training comes less far than the first, whose best model lies there; none of its own is."""
    keep, write = loop._Keeper.keep, loop._Keeper.write

    def keeping(self, epoch, loss, val_loss, *rest):
        keep(self, epoch, loss, val_loss + (epoch == 3), *rest)

    monkeypatch.setattr(loop._Keeper, "keep", keeping)
    whole = trained(dataset, tmp_path / "whole")
    assert whole.info["best_epoch"] > 3
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "SHARE", ALWAYS)
        patch.setattr(loop._Keeper, "write", lambda self: len(self.point.rows) < 3 and write(self))
        killed_at(patch, loop, "_finish", 1)
        with pytest.raises(KeyboardInterrupt):
            trained(dataset, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "SHARE", NEVER)
        killed_at(patch, loop._Keeper, "keep", 2)
        with pytest.raises(KeyboardInterrupt):
            loop.resume(tmp_path / "run", dataset, progress=False)
    assert len(Run(tmp_path / "run").history) == 3
    check_same(whole, loop.resume(tmp_path / "run", dataset, progress=False))


def test_the_best_model_is_that_of_its_epoch_whenever_it_is_written(dataset, tmp_path, monkeypatch):
    keep, kept = loop._Keeper.keep, []

    def keeping(self, epoch, loss, val_loss, rate, seconds):
        kept.append([np.array(weight) for weight in self.model.get_weights()])
        keep(self, epoch, loss, val_loss if epoch != 2 else 0.0, rate, seconds)  # the second is the best

    monkeypatch.setattr(loop._Keeper, "keep", keeping)
    run = trained(dataset, tmp_path / "run")
    assert run.info["best_epoch"] == 2
    for ours, theirs in zip(run.model.get_weights(), kept[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(not np.array_equal(one, other) for one, other in zip(kept[1], kept[-1], strict=True))


def test_an_unfinished_run_gives_way(dataset, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        killed_at(patch, loop, "_finish", 1)
        with pytest.raises(KeyboardInterrupt):
            trained(dataset, tmp_path / "run")
    check_same(whole, trained(dataset, tmp_path / "run", overwrite=True))
