"""The form of an error, and the errors that options cause."""

import pickle

import pytest
from conftest import four_lines

import aezoo
from aezoo.core.errors import DataError, MissingExtraError, OptionError, RunError
from aezoo.core.examples import as_inputs
from aezoo.core.imports import need
from aezoo.training.settings import Settings


def test_message_has_four_lines():
    error = OptionError("the image is too small", got="4x4", expected="8x8", fix="pad it")
    text = str(error)
    assert (error.problem, error.got, error.expected, error.fix) == tuple(error.lines.values())
    assert str(pickle.loads(pickle.dumps(error))) == text
    four_lines(text, "the image is too small", "4x4", "8x8", "pad it")


def test_need_names_the_extra():
    with pytest.raises(MissingExtraError) as error:
        need("no_such_package.inside", extra="train")
    four_lines(error, "no_such_package", 'pip install "aezoo[train]"')
    with pytest.raises(ModuleNotFoundError):  # a hole in an installed package is no missing extra
        need("json.no_such_module", extra="train")


@pytest.mark.parametrize(("given", "got"), [("foo", "str 'foo'"), (None, "None"), ({}, "dict '{}'")])
def test_what_is_no_array_at_all(given, got):
    with pytest.raises(DataError) as error:
        as_inputs(given, (3,))
    four_lines(error, "examples: this is no array", got)


def test_a_file_is_no_model(tmp_path):
    file = tmp_path / "ok.npy"
    file.touch()
    with pytest.raises(RunError) as error:
        aezoo.load(file)
    four_lines(error, "this file is no model", "ok.npy, a file", ".keras", "aezoo.data.load")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cnov", {}, ["did you mean 'conv'?", "'cnov'", "conv, conv1d, denoising, dense"]),
        ("conv", {"latent_dims": 3}, ["did you mean 'latent_dim'?", "latent_dims=3", "aezoo info conv"]),
        ("conv", {"features": 3}, ["has no option 'features'"]),
        ("conv", {"latent_dim": 0}, ["latent_dim=0", "at least 1"]),
        ("conv", {"latent_dim": 2.5}, ["latent_dim=2.5"]),
        ("conv", {"latent_dim": True}, ["latent_dim=True"]),
        ("conv", {"image_shape": (28, 28)}, ["image_shape=(28, 28)"]),
        ("conv", {"image_shape": (28, 28, 5)}, ["1 to 4 channels"]),
        ("conv", {"image_shape": (7, 28, 1)}, ["at least 8 pixels"]),
        (
            "conv",
            {"image_shape": (8, 8, 1), "filters": (4, 8, 16, 32)},
            ["too small for 4 halvings", "at least 16 pixels", "filters=(4, 8, 16)"],
        ),
        ("conv", {"filters": ()}, ["at least one halving"]),
        ("conv", {"filters": (8, 0)}, ["filters=0"]),
        ("conv", {"activation": "rellu"}, ["did you mean 'relu'?", "activation='rellu'"]),
        ("conv", {"latent_activation": "tan"}, ["latent_activation='tan'", "tanh"]),
        ("conv", {"downsampling": "maxpool"}, ["did you mean 'max_pool'?"]),
        ("conv", {"upsampling": "bilinear"}, ["'transpose', 'resize'"]),
        ("conv", {"normalization": "bach"}, ["did you mean 'batch'?"]),
        ("dense", {"normalization": "group"}, ["normalization='layer'"]),
        ("dense", {"features": 0}, ["features=0"]),
        ("dense", {"units": (8, -1)}, ["units=-1"]),
        ("denoising", {"corruption": "gausian"}, ["did you mean 'gaussian'?"]),
        ("denoising", {"corruption": "masking", "level": 1.5}, ["level=1.5", "at most 1"]),
        ("denoising", {"level": -0.1}, ["level=-0.1", "at least 0"]),
        ("denoising", {"corruption": "salt_and_pepper", "features": 4}, ["corruption='masking'"]),
        ("conv", {"filters": "abc"}, ["filters='abc'"]),
        ("conv", {"latent_dim": float("inf")}, ["latent_dim=inf"]),
        ("dense", {"units": 5.5}, ["units=5.5"]),
        ("denoising", {"level": "high"}, ["level='high'"]),
        ("denoising", {"seed": "x"}, ["seed='x'"]),
        ("denoising", {"body_options": 3}, ["body_options=3"]),
        ("conv", {"activation": "glu"}, ["activation='glu'"]),
        ("denoising", {"body": "cnv"}, ["did you mean 'conv'?"]),
    ],
)
def test_wrong_options(name, options, words):
    with pytest.raises(OptionError) as error:
        aezoo.build(name, **options)
    four_lines(error, *words)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"patience": 0}, "patience=0"),
        ({"schedule": "cosin"}, "did you mean 'cosine'?"),
        ({"loss": "msee"}, "did you mean 'mse'?"),
        ({"seed": -1}, "seed=-1"),
        ({"precision": "bfloat16"}, "did you mean 'mixed_bfloat16'?"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
    ],
)
def test_wrong_settings(options, word):
    with pytest.raises(OptionError) as error:
        Settings(**options)
    four_lines(error, word)


def test_register(monkeypatch, tmp_path):
    from aezoo.models import _registry, dense

    monkeypatch.setattr(_registry, "_TABLE", dict(_registry._TABLE))
    aezoo.register("mine", dense.build, paper="me", summary="the same")
    assert "mine" in aezoo.list_models("m*")
    assert aezoo.build("mine", latent_dim=2, units=(4,)).model_name == "mine"
    aezoo.register("bare", lambda latent_dim=2: dense.build(latent_dim, units=(4,)))
    (tmp_path / "broken_models.py").write_text(
        "def build(latent_dim=2):\n    pass\n\n1 / 0\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name, builder, *words in [
        ("nowhere", "no_such_module:build", "no_such_module:build", "ModuleNotFoundError"),
        ("nothing", "os:no_such_function", "no such build function", "check the function's name in os"),
        ("unnamed", "os:", "no such build function"),
        ("broken", "broken_models:build", "ZeroDivisionError", "broken_models.py, line 4"),
        ("none", lambda latent_dim=2: None, "does not return an Autoencoder", "NoneType"),
    ]:
        aezoo.register(name, builder)
        with pytest.raises(OptionError) as error:
            aezoo.build(name)
        four_lines(error, *words)
    for name, builder, word in [
        ("needs", lambda latent_dim: None, "does not"),
        ("any", lambda **options: None, "**options"),
        ("mine", dense.build, "registered already"),
        ("Mine", dense.build, "lower-case"),
        ("other", "no colon", "module:function"),
    ]:
        with pytest.raises(OptionError) as error:
            aezoo.register(name, builder)
        four_lines(error, word)


@pytest.mark.parametrize("path", [None, 3, "no/such/place", "no_such.keras", "images.npy"])
def test_nothing_is_loaded_from_nowhere(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError) as error:
        aezoo.load(path)
    four_lines(error, "nothing that aezoo wrote", path, "check the path")
