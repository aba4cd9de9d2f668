"""Files of a run, and `.keras` files, that somebody made or damaged; a model that would not come back."""

import json
import os
import shutil
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from conftest import four_lines
from test_training import TINY, run, tiny_model  # noqa: F401

import aezoo
from aezoo import data
from aezoo.core.errors import OptionError, RunError, TrainingError
from aezoo.nn.saving import load_model
from aezoo.testing import smooth_examples
from aezoo.training import callbacks, loop
from aezoo.training.run import Run


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, images=smooth_examples((12, 10, 1), 100))
    return data.load(path)


@pytest.fixture
def copy(run, tmp_path):  # noqa: F811
    return Run(shutil.copytree(run.folder, tmp_path / "run"))


def rewritten(path, edit, packing=zipfile.ZIP_STORED):
    """Writes a .keras file again, each member as `edit(name, content)` gives it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in parts.items():
            archive.writestr(name, edit(name, content))


def edited_config(path, edit):
    def of_config(name, content):
        if name != "config.json":
            return content
        config = json.loads(content)
        edit(config)
        return json.dumps(config)

    rewritten(path, of_config)


# --- .keras


@pytest.mark.parametrize("module", ["keras_hub", "keras_hub.models", "evil"])
def test_nothing_is_imported_because_a_file_names_it(module, copy, tmp_path, monkeypatch):
    (tmp_path / f"{module.partition('.')[0]}.py").write_text("open('ran', 'w').close()", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def edit(config):
        config["config"]["encoder"]["config"]["layers"][1].update(module=module, class_name="Layer")

    edited_config(copy.model_file, edit)
    with pytest.raises(RunError) as error:
        load_model(copy.model_file)
    four_lines(error, "cannot be loaded", "Layer", module, "--import")
    assert not (tmp_path / "ran").exists()
    assert module not in sys.modules


@pytest.mark.parametrize("name", ["Lambda", "TFSMLayer", "StringLookup", "TorchModuleWrapper"])
def test_layers_that_run_code_or_read_files_are_refused(name, copy):
    def edit(config):
        layer = config["config"]["encoder"]["config"]["layers"][1]
        layer.update(module="keras.layers", class_name=name, registered_name=None)
        layer["config"] = {"name": "odd", "filepath": "/", "function": {}, "vocabulary": "/etc/passwd"}

    edited_config(copy.model_file, edit)
    with pytest.raises(RunError) as error:
        load_model(copy.model_file)
    four_lines(error, "cannot be loaded as an autoencoder", "expected: a .keras file")


def test_a_file_that_would_unpack_to_more_is_refused(copy, tmp_path):
    bomb = tmp_path / "weights.h5"
    with h5py.File(bomb, "w") as file:
        file.create_dataset("zeros", shape=(2**31,), dtype="f4", chunks=(2**20,), compression="gzip")
    content = bomb.read_bytes()
    assert len(content) < 10**6
    rewritten(copy.model_file, lambda name, old: content if name.endswith(".h5") else old)
    with pytest.raises(RunError) as error:
        load_model(copy.model_file)
    four_lines(error, "model.weights.h5", "in pieces or elsewhere")
    rewritten(copy.model_file, lambda name, old: old, zipfile.ZIP_DEFLATED)
    with pytest.raises(RunError) as error:
        load_model(copy.model_file)
    four_lines(error, "is compressed")


def test_a_config_of_more_weights_than_the_file_has_is_refused(copy):
    def edit(config):
        for layer in config["config"]["encoder"]["config"]["layers"]:
            if layer["class_name"] == "Dense":
                layer["config"]["units"] = 10**9

    edited_config(copy.model_file, edit)
    with pytest.raises(RunError) as error:
        load_model(copy.model_file)
    four_lines(error, "cannot be loaded as an autoencoder")


# --- the files of a run


def test_an_exchanged_model_is_found(copy):
    model = load_model(copy.model_file)
    model.set_weights([weight + 0.1 for weight in model.get_weights()])
    model.save(copy.model_file)
    with pytest.raises(RunError) as error:
        copy.model  # noqa: B018
    four_lines(error, "not the file that this training wrote")


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_cut_history_is_found(left, copy):
    lines = copy.history_file.read_text("utf-8").splitlines(keepends=True)
    copy.history_file.write_text("".join(lines[:left]), encoding="utf-8")
    with pytest.raises(RunError) as error:
        copy.history  # noqa: B018
    four_lines(error, "history", "bring")


@pytest.mark.parametrize("left", [0, 1])
def test_a_history_that_was_emptied_is_not_resumed(left, blobs, tmp_path, monkeypatch):
    """It would take whatever comes next for the best epoch."""

    class Stopped(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    real = keras.Model.fit

    def fit(self, *given, **options):
        options["callbacks"] = [*options["callbacks"], Stopped()]
        return real(self, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", fit)
        patch.setattr(callbacks, "SHARE", 1e9)  # a checkpoint after each epoch
        with pytest.raises(KeyboardInterrupt):
            loop.train(tiny_model(), blobs, TINY, tmp_path / "run", progress=False)
    history = Run(tmp_path / "run").history_file
    lines = history.read_text("utf-8").splitlines(keepends=True)
    assert len(lines) == 3
    history.write_text("".join(lines[:left]), encoding="utf-8")
    with pytest.raises(RunError) as error:
        loop.resume(tmp_path / "run", progress=False)
    four_lines(error, "history")
    history.write_text("".join(lines), encoding="utf-8")
    assert len(loop.resume(tmp_path / "run", progress=False).history) == 3


def read_all(run):  # noqa: F811
    return run.info, run.metrics, run.history, run.held_out, run.reference, run.model


@pytest.mark.parametrize(
    "name", ["run.json", "metrics.json", "history.csv", "held_out.npz", "reference.npz", "model.keras"]
)
@pytest.mark.parametrize("kind", ["pipe", "folder", "bytes"])
def test_what_is_no_file_neither_hangs_nor_ends_in_a_traceback(name, kind, copy):
    path = copy.folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff\x00\xfe" * 100)
    with pytest.raises(RunError) as error:
        read_all(copy)
    four_lines(error, "got")


# --- before the first epoch


class Forgetful(keras.layers.Layer):
    """Loses an argument when it is saved."""

    def __init__(self, times=1.0, **options):
        super().__init__(**options)
        self.times = times

    def call(self, inputs):
        return inputs * self.times

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "times"}


def own(layer):
    images = keras.Input((12, 10, 1))
    encoder = keras.Model(images, layer(keras.layers.Dense(3)(keras.layers.Flatten()(images))))
    latents = keras.Input((3,))
    decoder = keras.Model(latents, keras.layers.Reshape((12, 10, 1))(keras.layers.Dense(120)(latents)))
    return aezoo.Autoencoder(encoder, decoder)


def test_a_model_that_cannot_come_back_is_refused_before_the_first_epoch(blobs, tmp_path):
    registered = keras.saving.register_keras_serializable("tests")(Forgetful)
    for layer, words in (
        (keras.layers.Lambda(lambda x: x * 2), ["could not be loaded again", "lambda"]),
        (registered(times=3.0), ["comes back as another one", "times=3.0", "get_config"]),
    ):
        with pytest.raises(TrainingError) as error:
            loop.train(own(layer), blobs, TINY, tmp_path / "run", progress=False)
        four_lines(error, *words)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([keras.layers.Flatten()], "starts with keras.Input"),
        ([keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D()], "a size that is not known"),
        ([keras.Input((4, 12, 10, 1)), keras.layers.Flatten()], "rows, sequences or images"),
    ],
)
def test_own_models_are_looked_at_when_they_are_joined(layers, words):
    latents = keras.Input((3,))
    decoder = keras.Model(latents, keras.layers.Reshape((12, 10, 1))(keras.layers.Dense(120)(latents)))
    with pytest.raises(OptionError) as error:
        aezoo.Autoencoder(keras.Sequential([*layers, keras.layers.Dense(3)]), decoder)
    four_lines(error, words)


@pytest.mark.parametrize("name", ["dense", "lstm"])
def test_three_examples_train_and_export(name, tmp_path):
    from aezoo.export import ExportOptions, export_bundle

    np.save(tmp_path / "three.npy", smooth_examples((5, 2) if name == "lstm" else (9, 8, 1), 3))
    dataset = data.load(tmp_path / "three.npy", kind="sequences" if name == "lstm" else None)
    shape = {"sequence_shape": (5, 2)} if name == "lstm" else {"image_shape": (9, 8, 1)}
    model = aezoo.build(name, latent_dim=2, units=4 if name == "lstm" else (4,), **shape)
    finished = loop.train(model, dataset, TINY, tmp_path / "run", progress=False)
    assert len(finished.history) == 3
    options = ExportOptions(formats=["onnx"], parts=["encoder"])
    assert export_bundle(finished.model, tmp_path / "bundle", options, examples=dataset.test.array()).is_dir()
