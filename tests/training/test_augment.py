"""Augmentation: what it does to images, that it is a function of seed and step, and that no file holds it."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, four_lines

import aezoo
from aezoo import data, evaluation
from aezoo.core.errors import OptionError
from aezoo.plots import pictures
from aezoo.testing import smooth_examples
from aezoo.training import loop
from aezoo.training.augmentation import augmented
from aezoo.training.run import Run
from aezoo.training.settings import AUGMENTATIONS, Settings

SHAPE = (12, 10, 1)
TINY = Settings(epochs=3, batch_size=32, learning_rate=3e-3)


@pytest.fixture
def unmeasured(monkeypatch):
    """Runs end without figures and pictures, which take longer than their training."""
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **options: {})
    monkeypatch.setattr(pictures, "save_all", lambda *_: None)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, images=smooth_examples(SHAPE, 200), labels=np.arange(200) % 3)
    return data.load(path)


def batches(blobs, *names, seed=0, skip=0, labels=False):
    settings = dataclasses.replace(TINY, augment=names, seed=seed)
    plain = blobs.train.batches(32, shuffle_seed=0, epochs=2, skip=skip, labels=labels)
    return list(augmented(plain, settings, SHAPE, skip).as_numpy_iterator())


@pytest.mark.parametrize("names", [*((name,) for name in AUGMENTATIONS), AUGMENTATIONS])
def test_a_batch_is_a_function_of_seed_and_step(names, blobs):
    whole, plain = batches(blobs, *names), batches(blobs)
    assert len(whole) == len(plain)
    for one, other in zip(whole[3:], batches(blobs, *names, skip=3), strict=True):
        np.testing.assert_array_equal(one, other)
    for changed, kept in zip(whole, plain, strict=True):
        assert changed.shape == kept.shape
        assert changed.dtype == np.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert not np.array_equal(changed, kept)
    assert not np.array_equal(whole[0], batches(blobs, *names, seed=1)[0])


def test_each_image_is_changed_by_itself_and_anew_at_each_step():
    """Of equal images in equal batches, no two come out alike."""
    import tensorflow as tf

    image = smooth_examples(SHAPE, 1)[0]
    stream = tf.data.Dataset.from_tensors(np.stack([image] * 8)).repeat(2)
    for name in ("shift", "brightness", "crop"):
        settings = dataclasses.replace(TINY, augment=(name,))
        found = np.concatenate(list(augmented(stream, settings, SHAPE, 0).as_numpy_iterator()))
        several = len(np.unique(found.reshape(16, -1), axis=0))
        assert several > (3 if name == "crop" else 12), name  # there are few places for a small crop


def test_what_they_do(blobs):
    plain = batches(blobs)[0]
    flipped = batches(blobs, "flip")[0]
    turned = [np.array_equal(one, other[:, ::-1]) for one, other in zip(flipped, plain, strict=True)]
    same = [np.array_equal(one, other) for one, other in zip(flipped, plain, strict=True)]
    assert all(a or b for a, b in zip(turned, same, strict=True))
    assert 4 < sum(turned) < 28
    brighter = batches(blobs, "brightness")[0] - plain
    assert 0.1 < np.abs(brighter).max() <= 0.2 + 1e-6


def test_labels_stay_with_their_images(blobs):
    plain, changed = batches(blobs, labels=True)[0], batches(blobs, "flip", labels=True)[0]
    np.testing.assert_array_equal(plain["labels"], changed["labels"])
    assert not np.array_equal(plain["images"], changed["images"])


def tiny_model():
    loop.seed_everything(TINY)
    return aezoo.build("denoising", latent_dim=3, image_shape=SHAPE, body_options={"filters": (4,)})


@pytest.mark.usefixtures("unmeasured")
def test_an_interrupted_run_resumes_bit_for_bit(blobs, tmp_path, monkeypatch):
    """A denoiser, which corrupts what was augmented; its validation is of the images as they are."""
    settings = dataclasses.replace(TINY, augment=("flip", "crop"))
    whole = loop.train(tiny_model(), blobs, settings, tmp_path / "whole", progress=False)

    class Stopped(loop._Keeper):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_Keeper", Stopped)
        with pytest.raises(KeyboardInterrupt):
            loop.train(tiny_model(), blobs, settings, tmp_path / "killed", progress=False)
    resumed = loop.resume(tmp_path / "killed", progress=False)
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    losses = [[(row["loss"], row["val_loss"]) for row in run.history] for run in (whole, resumed)]
    assert losses[0] == losses[1]
    parts = (whole.model.encoder, whole.model.decoder)
    assert not any("Random" in type(layer).__name__ for part in parts for layer in part.layers)


def test_rows_are_refused(tmp_path):
    dataset = data.load("sklearn:wine")
    model = aezoo.build("dense", latent_dim=2, features=dataset.shape[0], units=(8,))
    settings = dataclasses.replace(TINY, augment=("flip",))
    with pytest.raises(OptionError) as error:
        loop.train(model, dataset, settings, tmp_path / "run", progress=False)
    four_lines(error, "only images are augmented", "rows of shape (13,)", "leave augment out")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("augment", "word"), [(("flap",), "did you mean 'flip'?"), ("flip", "pass augment=('flip',)")]
)
def test_wrong_names(augment, word):
    with pytest.raises(OptionError) as error:
        Settings(augment=augment)
    four_lines(error, word)


@pytest.mark.exhaustive
def test_the_command_takes_them(tmp_path, capfd):
    from aezoo.cli import main

    np.savez(tmp_path / "blobs.npz", images=smooth_examples(SHAPE, 60))
    arguments = ["train", "dense", "--data", str(tmp_path / "blobs.npz"), "-O", "units=8,", "--quick"]
    folder = str(tmp_path / "run")
    assert main.main([*arguments, "--augment", "flip,shift", "-o", folder]) == 0
    assert Run.load(folder).info["settings"]["augment"] == ["flip", "shift"]
    assert main.main(["train", "--resume", "-o", folder, "--augment", "flip,shift"]) == 0
    capfd.readouterr()
    assert main.main(["train", "--resume", "-o", folder, "--augment", "flip"]) == 2
    four_lines(capfd.readouterr().err.strip(), "augment=['flip']", "augment=['flip', 'shift']")


@pytest.mark.exhaustive
def test_batches_are_the_same_on_jax(blobs, tmp_path):
    """The stream is TensorFlow's, whatever trains: so are its random numbers."""
    pytest.importorskip("jax")
    code = f"""
import numpy as np
from aezoo import data
from aezoo.training.augmentation import augmented, keras
from aezoo.training.settings import AUGMENTATIONS, Settings
plain = data.load({blobs.source!r}).train.batches(32, shuffle_seed=0)
changed = augmented(plain, Settings(augment=AUGMENTATIONS), {SHAPE!r}, 0)
assert keras.backend.backend() == "jax"
np.save("batch.npy", next(changed.as_numpy_iterator()))
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "batch.npy"), batches(blobs, *AUGMENTATIONS)[0])
