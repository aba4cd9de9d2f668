"""Models of the user's own on the command line: what registers them is imported first."""

import json
import pathlib
import sys

import numpy as np
import pytest
from conftest import run_command as run

from aezoo.models import _registry
from aezoo.nn.autoencoder import keras
from aezoo.testing import smooth_examples

MODULE = """
import aezoo
from aezoo.nn.autoencoder import Autoencoder, keras


@keras.saving.register_keras_serializable("own_models")
class Mine(Autoencoder):
    pass


def build(latent_dim=2, features=3):
    rows, latents = keras.Input((features,), name="examples"), keras.Input((latent_dim,), name="latents")
    encoder = keras.Model(rows, keras.layers.Dense(latent_dim, name="latents")(rows), name="encoder")
    decoder = keras.Model(latents, keras.layers.Dense(features)(latents), name="decoder")
    model = Mine(encoder, decoder)
    model.compile()
    return model


aezoo.register("own", build, kinds={"rows"}, summary="nobody else's")
"""


def forget():
    """Leaves the process as if the module had never been imported."""
    sys.modules.pop("own_models", None)
    keras.saving.get_custom_objects().clear()
    _registry._TABLE.pop("own", None)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(_registry, "_TABLE", dict(_registry._TABLE))
    objects = dict(keras.saving.get_custom_objects())
    pathlib.Path("own_models.py").write_text(MODULE, encoding="utf-8")
    yield tmp_path
    forget()
    keras.saving.get_custom_objects().update(objects)


def test_every_command_takes_a_model_of_ones_own(here, monkeypatch, capfd):
    mine = ["--import", "own_models"]
    np.save("rows.npy", smooth_examples((3,), 60))
    train = ["train", "own", "--data", "rows.npy", "--epochs", 1, "-o", "run"]
    assert run(*train) == 2
    assert "there is no model of this name" in capfd.readouterr().err
    assert run(*train, *mine) == 0
    forget()
    capfd.readouterr()
    assert run("sample", "run", "-n", 2) == 1
    error = capfd.readouterr().err
    assert "Mine" in error
    assert "fix:      import own_models first, by --import" in error
    for command in (
        ["list", "own", "--json"],
        ["info", "own"],
        ["evaluate", "run"],
        ["export", "run", "-o", "bundle", "--formats", "onnx"],
        ["sample", "run", "-n", 2],
        ["interpolate", "run", "rows.npy"],
        ["traverse", "run", "rows.npy"],
    ):
        forget()
        assert run(*command, *mine) == 0, command
    forget()
    capfd.readouterr()
    monkeypatch.setenv("AEZOO_IMPORT", " own_models,json")
    assert run("list", "own", "--json") == 0
    assert [row["name"] for row in json.loads(capfd.readouterr().out)] == ["own"]


def test_modules_that_cannot_be_imported(here, capfd):
    pathlib.Path("broken.py").write_text("import json\n\njson.no_such_name\n", encoding="utf-8")
    for name, *words in (
        ("no_such_module", "--import no_such_module: ModuleNotFoundError", "PYTHONPATH"),
        ("broken", "AttributeError", "broken.py, line 3"),
        ("own_models.py", "without .py"),
    ):
        assert run("list", "--import", name) == 2
        error = capfd.readouterr().err
        assert len(error.splitlines()) == 4, error
        for word in words:
            assert word in error
