"""XLA is measured where a training is long, recorded, and kept when the run is resumed."""

import numpy as np
import pytest
from conftest import four_lines

import aezoo
from aezoo import data
from aezoo.core.errors import OptionError
from aezoo.training import Settings, callbacks, loop, xla


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(60, 6)).astype("float32"))
    return data.load(path)


@pytest.fixture
def long(monkeypatch):
    """Makes every training long enough, and the measured seconds those that a test says."""
    monkeypatch.setattr(xla, "_FEWEST", 1)
    monkeypatch.setattr(xla, "_LONG", 0.0)

    def takes(plain, by_xla):
        measured = xla._step

        def step(model, batches):
            measured(model, batches)
            return by_xla if model.jit_compile else plain

        monkeypatch.setattr(xla, "_step", step)

    return takes


def trained(rows, folder, epochs=3, **settings):
    settings = Settings(epochs=epochs, batch_size=4, **settings)
    loop.seed_everything(settings)
    model = aezoo.build("dense", features=6, latent_dim=2, units=(8,))
    return loop.train(model, rows, settings, folder, progress=False), model


@pytest.mark.parametrize(("plain", "by_xla", "chosen"), [(0.010, 0.009, True), (0.010, 0.0096, False)])
def test_the_quicker_way_is_kept(rows, long, tmp_path, plain, by_xla, chosen):
    long(plain, by_xla)
    run, model = trained(rows, tmp_path / "run", xla="auto")
    assert model.jit_compile is chosen
    assert run.info["xla"] == {"chosen": chosen, "step_ms": 1000 * by_xla, "step_ms_without": 1000 * plain}


@pytest.mark.parametrize(
    "least", [0.0, 1e9]
)  # both ways are measured, or the plain one shows that it is short
def test_measuring_leaves_no_trace(rows, long, least, tmp_path, monkeypatch):
    long(0.010, 0.020)
    monkeypatch.setattr(xla, "_LONG", least)
    measured, _ = trained(rows, tmp_path / "measured", xla="auto")
    plain, _ = trained(rows, tmp_path / "plain")
    for one, other in zip(measured.model.get_weights(), plain.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_short_training_is_not_measured(rows, tmp_path):
    run, model = trained(rows, tmp_path / "run", xla="auto")
    assert "xla" not in run.info
    assert not model.jit_compile


@pytest.mark.parametrize(("asked", "compiled"), [("on", True), ("off", False)])
def test_what_is_asked_for(rows, tmp_path, asked, compiled):
    assert trained(rows, tmp_path / "run", xla=asked)[1].jit_compile is compiled


def test_a_resumed_run_keeps_it(rows, long, tmp_path, monkeypatch):
    long(0.010, 0.005)
    whole, _ = trained(rows, tmp_path / "whole", xla="auto")
    keep, kept = loop._Keeper.keep, []

    def keep_two(self, *row):
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(row)
        keep(self, *row)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "SHARE", 1e9)
        patch.setattr(loop._Keeper, "keep", keep_two)
        with pytest.raises(KeyboardInterrupt):
            trained(rows, tmp_path / "broken", xla="auto")
    long(0.010, 0.020)  # the machine has changed its mind
    resumed = loop.resume(tmp_path / "broken", rows, progress=False)
    assert resumed.info["xla"]["chosen"]
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_word():
    with pytest.raises(OptionError) as caught:
        Settings(xla="yes")
    four_lines(caught, "xla", "yes", "auto", "off")
