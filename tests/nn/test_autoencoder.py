"""`Autoencoder`: every way of fitting it, what it refuses, and what corruption and rows change."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, four_lines

import aezoo
from aezoo.core.errors import DataError, OptionError
from aezoo.nn.autoencoder import Autoencoder, keras
from aezoo.nn.layers import CORRUPTIONS, Corruption
from aezoo.testing import smooth_examples

SHAPE = (16, 12, 1)


@pytest.fixture
def small():
    keras.utils.set_random_seed(0)
    return aezoo.build("conv", latent_dim=3, image_shape=SHAPE, filters=(4, 8))


@pytest.fixture
def denoiser():
    keras.utils.set_random_seed(0)
    return aezoo.build("denoising", latent_dim=3, image_shape=SHAPE, body_options={"filters": (4, 8)})


def test_fit_takes_images_datasets_and_pairs(small):
    images = smooth_examples(SHAPE, 32)
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(8)
    for arguments in ((images,), (dataset,), (images, images), (tf.data.Dataset.zip(dataset, dataset),)):
        history = small.fit(*arguments, verbose=0, shuffle=False)
        assert np.isfinite(history.history["loss"][0])
    history = small.fit(images, validation_data=images, verbose=0)
    assert np.isfinite(history.history["val_loss"][0])


def test_compile_again_with_another_loss(small):
    images = smooth_examples(SHAPE, 32)
    small.compile(optimizer="sgd", loss="mae", metrics=["mse"])
    history = small.fit(images, verbose=0).history
    assert set(history) == {"loss", "mse"}
    expected = np.abs(images - small.reconstruct(images)).mean()
    evaluated = small.evaluate(images, verbose=0, return_dict=True)["loss"]
    assert evaluated == pytest.approx(expected, rel=1e-4)


def test_labels_are_not_targets(small):
    images = smooth_examples(SHAPE, 16)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(16))).batch(8)
    with pytest.raises(DataError) as error:
        small.fit(dataset, verbose=0, shuffle=False)
    four_lines(error, "look like labels", "dataset.map(lambda images, labels: images)")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: (x * 255).astype("uint8"), ["uint8", "/ 255"]),
        (lambda x: x * 255, ["must lie in [0, 1]", "divide by 255"]),
        (lambda x: np.where(np.arange(len(x))[:, None, None, None] == 5, np.nan, x), ["nan in example 5"]),
        (lambda x: x[..., 0], ["add the channel axis"]),
        (lambda x: x[0], ["add the batch axis"]),
        (lambda x: x[:, :-1], ["(32, 15, 12, 1)", "(batch, 16, 12, 1)"]),
        (lambda x: x[:0], ["no examples"]),
    ],
)
def test_refuses_what_breaks_the_contract(small, spoil, words):
    images = spoil(smooth_examples(SHAPE, 32))
    for use in (
        lambda x: small.fit(x, verbose=0),
        small.encode,
        small.reconstruct,
        small.reconstruction_error,
    ):
        with pytest.raises(DataError) as error:
            use(images)
        four_lines(error, *words)


def test_bytes_in_a_dataset_are_refused(small):
    images = np.zeros((8, *SHAPE), "uint8")
    with pytest.raises(DataError) as error:
        small.fit(tf.data.Dataset.from_tensor_slices(images).batch(4), verbose=0, shuffle=False)
    four_lines(error, "uint8", "tf.cast")


def test_encoder_and_decoder_must_meet():
    encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)], name="encoder")
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(7)], name="decoder")
    with pytest.raises(OptionError) as error:
        Autoencoder(encoder, decoder)
    four_lines(error, "(None, 7)", "(None, 8)")


def test_reconstruction_error_is_the_mean_square(small):
    images = smooth_examples(SHAPE, 5)
    by_hand = [
        np.mean((image - again) ** 2) for image, again in zip(images, small.reconstruct(images), strict=True)
    ]
    np.testing.assert_allclose(small.reconstruction_error(images), by_hand, rtol=1e-5)


# -- corruption --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruption_acts_in_training_only(kind):
    layer = Corruption(kind, 0.3, seed=1)
    images = smooth_examples(SHAPE, 8)
    same = keras.ops.convert_to_numpy(layer(images, training=False))
    np.testing.assert_array_equal(same, images)
    first, second = (keras.ops.convert_to_numpy(layer(images, training=True)) for _ in range(2))
    assert not np.array_equal(first, images)
    assert not np.array_equal(first, second)
    again = Corruption(kind, 0.3, seed=1)(images, training=True)
    np.testing.assert_array_equal(first, keras.ops.convert_to_numpy(again))
    assert first.min() >= 0
    assert first.max() <= 1


def test_levels_mean_what_they_say():
    grey = np.full((50, 16, 16, 1), 0.5, "float32")
    assert Corruption("gaussian", 0.1).corrupt(grey).std() == pytest.approx(0.1, rel=0.03)
    assert Corruption("speckle", 0.1).corrupt(grey).std() == pytest.approx(0.05, rel=0.03)
    assert (Corruption("masking", 0.3).corrupt(grey) == 0).mean() == pytest.approx(0.3, abs=0.02)
    pepper = Corruption("salt_and_pepper", 0.3).corrupt(grey)
    assert (pepper == 0).mean() == pytest.approx(0.15, abs=0.02)
    assert (pepper == 1).mean() == pytest.approx(0.15, abs=0.02)


def test_corrupt_is_public_and_repeats(denoiser):
    images = smooth_examples(SHAPE, 8)
    np.testing.assert_array_equal(denoiser.corrupt(images, 0.2, 5), denoiser.corrupt(images, 0.2, 5))
    assert not np.array_equal(denoiser.corrupt(images, 0.2, 5), denoiser.corrupt(images, 0.2, 6))
    np.testing.assert_array_equal(denoiser.corrupt(images, level=0.0), images)
    with pytest.raises(OptionError) as error:
        aezoo.build("conv", image_shape=SHAPE, filters=(4,)).corrupt(images)
    four_lines(error, "corrupts nothing", "denoising")


def test_denoiser_is_trained_against_the_clean_images():
    """A wide denoiser whose loss were against its corrupted inputs would learn to keep the noise."""
    keras.utils.set_random_seed(0)
    options = {"body": "dense", "body_options": {"units": (64,)}, "level": 0.3}
    model = aezoo.build("denoising", latent_dim=8, image_shape=SHAPE, **options)
    images = smooth_examples(SHAPE, 512)
    model.fit(images, epochs=60, verbose=0)
    noisy = model.corrupt(images, seed=3)
    before, after = np.mean((noisy - images) ** 2), np.mean((model.reconstruct(noisy) - images) ** 2)
    assert after < before / 3


def test_corruption_rests_while_pairs_are_given(denoiser):
    images = smooth_examples(SHAPE, 16)
    denoiser.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")  # so that only noise could change it
    clean = float(np.mean((denoiser.reconstruct(images) - images) ** 2))
    paired = denoiser.fit(images, images, verbose=0).history["loss"][0]
    assert paired == pytest.approx(clean, rel=1e-4)
    dataset = tf.data.Dataset.from_tensor_slices((images, images)).batch(8)
    assert denoiser.fit(dataset, verbose=0, shuffle=False).history["loss"][0] == pytest.approx(
        clean, rel=1e-4
    )
    assert float(denoiser.corruption.active) == 1.0
    assert denoiser.fit(images, verbose=0).history["loss"][0] != pytest.approx(clean, rel=1e-6)


# -- rows --------------------------------------------------------------------------------------------


def test_rows_are_taken_and_given_in_raw_units():
    keras.utils.set_random_seed(0)
    rows = smooth_examples((5,), 512)
    rows[:, 4] = 7.0  # a column that never varies
    model = aezoo.build("dense", latent_dim=2, features=5, units=(32,))
    model.fit(rows, epochs=120, verbose=0)
    again = model.reconstruct(rows)
    share_left = np.square(again - rows)[:, :4].mean(axis=0) / rows[:, :4].var(axis=0)
    assert share_left.max() < 0.05
    np.testing.assert_allclose(again[:, 4], 7.0, atol=0.5)
    assert model.reconstruction_error(rows).mean() < 0.05


def test_statistics_are_taken_once_and_saved(tmp_path):
    rows = smooth_examples((3,), 64)
    model = aezoo.build("dense", latent_dim=2, features=3, units=(4,))
    model.fit(rows, verbose=0)
    scale = model.error_scale.copy()
    np.testing.assert_allclose(scale, rows.std(axis=0), rtol=1e-4)
    model.save(tmp_path / "rows.keras")
    loaded = aezoo.load(tmp_path / "rows.keras")
    loaded.fit(rows * 10, verbose=0)
    np.testing.assert_array_equal(loaded.error_scale, scale)


def test_rows_from_a_dataset_and_nan(tmp_path):
    rows = smooth_examples((3,), 64)
    model = aezoo.build("dense", latent_dim=2, features=3, units=(4,))
    model.fit(tf.data.Dataset.from_tensor_slices(rows).batch(16), verbose=0, shuffle=False)
    np.testing.assert_allclose(model.error_scale, rows.std(axis=0), rtol=1e-4)
    rows[9, 1] = np.nan
    with pytest.raises(DataError) as error:
        model.encode(rows)
    four_lines(error, "row 9, column 1")


def test_load_names_what_is_wrong(tmp_path):
    from aezoo.core.errors import RunError

    (tmp_path / "broken.keras").write_bytes(b"no zip")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    for name, word in (
        ("broken.keras", "broken.keras"),
        ("other.keras", "Sequential"),
        ("none", "does not exist"),
    ):
        with pytest.raises(RunError) as error:
            aezoo.load(tmp_path / name)
        four_lines(error, word)


def test_a_family_is_loaded_in_a_process_that_has_not_imported_it(tmp_path):
    aezoo.build("vae", latent_dim=2, image_shape=(8, 8, 1), body_options={"units": 4}).save(
        tmp_path / "vae.keras"
    )
    code = f"import aezoo; print(type(aezoo.load({str(tmp_path / 'vae.keras')!r})).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "Variational"
