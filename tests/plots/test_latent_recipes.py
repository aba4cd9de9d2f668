"""Recipes that look at latent spaces: what they state, and what they measure."""

import json
import types

import numpy as np
import pytest
from conftest import ROOT


def results():
    return json.loads((ROOT / "docs" / "results.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["one_latent", "unseen_latents"])
def test_recipes_state_what_they_reached(name):
    import importlib

    recipe, reached = importlib.import_module(f"aezoo.recipes.{name}"), results()[name]["metrics"]
    assert recipe.EXPECTED[reached["data"]]
    for metric, (value, tolerance) in recipe.EXPECTED[reached["data"]].items():
        found = reached
        for key in metric.split("."):
            found = found[key]
        assert abs(found - value) <= tolerance, metric
        assert f"{value:g}" in recipe.__doc__, metric
    assert (ROOT / "docs" / "images" / f"{name}.png").stat().st_size < 200_000


def test_turning_of_known_curves():
    from aezoo.recipes.one_latent import turning

    straight = types.SimpleNamespace(decode=lambda z: np.concatenate([z, 2 * z], axis=1))
    circle = types.SimpleNamespace(decode=lambda z: np.concatenate([np.cos(z), np.sin(z)], axis=1))
    latents = np.array([0.0, 1.0, 3.0])
    np.testing.assert_allclose(turning(straight, latents), 0, atol=0.5)
    np.testing.assert_allclose(turning(circle, latents), np.degrees([1, 2]) * 15 / 16, rtol=0.02)


def test_unseen_latents_lie_where_nothing_is(mini):
    from aezoo.recipes.unseen_latents import nearest, unseen

    draw = np.random.default_rng(0)
    points, others = draw.normal(size=(700, 3)), draw.normal(size=(40, 3))
    brute = np.linalg.norm(points[:, None] - others[None], axis=-1).min(axis=1)
    np.testing.assert_allclose(nearest(points, others), brute, atol=1e-6)

    class Ring:  # latents on a circle: the middle and the corners of the box are free
        @staticmethod
        def encode(images):
            angle = images.reshape(len(images), -1).sum(axis=1)
            return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    free = unseen(Ring, mini, 50)
    assert free.shape == (50, 2)
    assert np.abs(np.linalg.norm(free, axis=1) - 1).min() > 1e-3
    np.testing.assert_array_equal(free, unseen(Ring, mini, 50))


@pytest.mark.exhaustive
def test_recipes_run_quickly(tmp_path, monkeypatch):
    from aezoo.recipes import one_latent

    monkeypatch.setattr(one_latent, "ALONE", 100)
    assert one_latent.main(["--quick", "-o", str(tmp_path / "one")]) == 0
    found = json.loads((tmp_path / "one" / "metrics.json").read_text("utf-8"))
    assert found["train_mse"] < found["held_out_mse"]
    assert (tmp_path / "one" / "one_latent.png").stat().st_size > 5000
