"""Models of series that end at different steps: statistics, loss, error, figures."""

import itertools

import keras
import numpy as np
import pytest
from conftest import four_lines
from series_makers import FEATURES, STEPS, series

import aezoo
from aezoo.core import ragged
from aezoo.core.errors import DataError, OptionError
from aezoo.evaluation import latents, reconstruction
from aezoo.nn import saving

OPTIONS = {
    "conv1d": {"filters": (4, 6), "linear_path": True, "normalization": "batch"},
    "lstm": {"units": (6,)},
}


def built(name, **options):
    keras.utils.set_random_seed(0)
    shape = (STEPS, FEATURES)
    return aezoo.build(name, latent_dim=3, sequence_shape=shape, ragged=True, **OPTIONS[name], **options)


@pytest.fixture(scope="module", params=OPTIONS)
def trained(request):
    model = built(request.param)
    model.fit(series(), epochs=2, batch_size=16, verbose=0)
    return model


def errors_by_hand(model, given):
    """Of each series up to its end, in standard deviations of the columns."""
    again = model.reconstruct(given)
    pairs = [(one[: len(real)], real) for one, real in zip(again, given, strict=True)]
    return np.array([np.square((one - real) / model.error_scale).mean() for one, real in pairs])


def test_statistics_are_those_of_real_steps(trained):
    rows = np.concatenate(series())
    np.testing.assert_allclose(trained.center, rows.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(trained.error_scale, rows.std(axis=0), rtol=1e-5)


def test_loss_and_error_are_means_over_real_steps(trained):
    given = series(30, seed=1)
    whole, wanted = ragged.padded(given), errors_by_hand(trained, given)
    for some in (given, whole, whole.astype("float64")):
        np.testing.assert_allclose(trained.reconstruction_error(some, batch_size=7), wanted, rtol=1e-5)
    np.testing.assert_allclose(trained.evaluate(whole, batch_size=30, verbose=0), wanted.mean(), rtol=1e-5)
    np.testing.assert_allclose(trained.test_on_batch(given), wanted.mean(), rtol=1e-5)
    weights = np.arange(30.0)
    weighted = trained.evaluate(whole, batch_size=30, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(weighted, (wanted * weights).mean(), rtol=1e-5)
    again = trained.reconstruct(given)
    np.testing.assert_allclose(
        reconstruction.mse(whole, again, trained.error_scale), wanted.mean(), rtol=1e-5
    )


def test_of_series_of_one_length_it_is_what_any_model_computes(trained):
    whole = np.stack([one for one in series(400, seed=2) if len(one) == STEPS])
    assert len(whole) > 5
    plain = aezoo.build(
        trained.model_name,
        **{**trained.model_options, "ragged": False, "sequence_shape": tuple(trained.example_shape)},
    )
    plain.set_weights(trained.get_weights())
    for call in ("encode", "reconstruct", "reconstruction_error"):
        np.testing.assert_array_equal(getattr(trained, call)(whole), getattr(plain, call)(whole))
    losses = [model.evaluate(whole, verbose=0) for model in (trained, plain)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_what_lies_behind_an_end_changes_nothing(trained):
    given = series(9, seed=3)
    again = trained.reconstruct(given)
    np.testing.assert_array_equal(np.isnan(again), np.isnan(ragged.padded(given)))
    cut = [one[:5] for one in given]
    short = np.stack([one for one in cut if len(one) == 5])  # (n, 5, F)
    longer = ragged.padded(short, STEPS)
    np.testing.assert_array_equal(trained.encode(short), trained.encode(longer))
    assert np.isfinite(trained.decode(trained.encode(given))).all()
    assert np.isfinite(trained.predict(ragged.padded(given), verbose=0)).all()  # Keras's own: all T steps


@pytest.mark.parametrize("name", OPTIONS)
def test_no_gradient_comes_from_behind_an_end(name):
    """Training on a series does not depend on what a decoder writes where the series has ended."""
    import tensorflow as tf

    model, whole = built(name), ragged.padded(series(16))
    model.adapt(whole)
    with tf.GradientTape() as tape:
        again = tf.Variable(np.random.default_rng(0).standard_normal(whole.shape).astype("float32"))
        loss = model.compute_loss(whole, None, again)
    slope = tape.gradient(loss, again).numpy()
    behind = np.isnan(whole)
    assert np.isfinite(slope).all()
    assert (slope[behind] == 0).all()
    assert (slope[~behind] != 0).all()


def test_a_loss_that_is_no_number_stays_none():
    model, whole = built("conv1d"), ragged.padded(series(4))
    model.adapt(whole)
    again = np.zeros(whole.shape, "float32")
    again[0, 0] = np.nan
    assert np.isnan(model.compute_loss(whole, None, keras.ops.convert_to_tensor(again)))
    again = np.where(np.isnan(whole), np.nan, np.float32(0))  # behind the ends it counts nowhere
    assert np.isfinite(model.compute_loss(whole, None, keras.ops.convert_to_tensor(again)))


def test_it_comes_back_from_its_file(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras")
    assert again.ragged
    np.testing.assert_array_equal(again.encode(series(5)), trained.encode(series(5)))


def test_what_is_refused(trained):
    whole = ragged.padded(series(8))
    whole[3, 0, 0] = np.nan
    calls = [trained.encode, trained.reconstruction_error, trained.evaluate, trained.fit, trained.adapt]
    for call in (*calls, lambda x: trained.fit(iter([x]), steps_per_epoch=1, verbose=0)):
        with pytest.raises(DataError) as error:
            call(whole)
        four_lines(error, "a value is not finite", "example 3, at (0, 0)")
    with pytest.raises(DataError) as error:
        trained.encode([*series(3), np.ones((0, FEATURES))])
    four_lines(error, "without steps", "example 3")
    with pytest.raises(OptionError) as error:
        trained.compile(metrics=["mae"])
    four_lines(error, "metrics of series of different lengths")
    model = built("conv1d")
    model.compile(loss=lambda y, y_pred: keras.ops.mean(keras.ops.square(y - y_pred), axis=(1, 2)))
    with pytest.raises(OptionError) as error:
        model.fit(series(), verbose=0)
    four_lines(error, "no value for each step", "a loss of 1 axes")
    plain = aezoo.build("lstm", sequence_shape=(STEPS, FEATURES))
    for given in (ragged.padded(series(3)), np.stack(series(1) * 3)[:, :-1]):
        with pytest.raises(DataError):
            plain.encode(given)


def test_models_that_cannot_be_ragged():
    from aezoo.nn.autoencoder import Autoencoder
    from aezoo.nn.layers import Standardize

    with pytest.raises(OptionError) as error:
        Standardize(ragged=True)(keras.Input((4,)))
    four_lines(error, "only series end", "shape (4,)")

    class Own(Autoencoder):
        own_objective = True

    plain = built("lstm")
    model = Own(plain.encoder, plain.decoder)
    with pytest.raises(OptionError) as error:
        model.compile()
    four_lines(error, "would count what lies behind the ends", "own_objective")


def test_streams_of_every_kind(trained):
    import tensorflow as tf

    whole = ragged.padded(series(32, seed=4))
    wanted = trained.evaluate(whole, batch_size=8, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices(whole).batch(8)
    parts = [series(32, seed=4)[start : start + 8] for start in range(0, 32, 8)]
    batches = [ragged.padded(part) for part in parts]  # each as long as its own longest
    np.testing.assert_allclose(trained.evaluate(dataset, verbose=0), wanted, rtol=1e-5)
    np.testing.assert_allclose(
        trained.evaluate(itertools.cycle(batches), steps=4, verbose=0), wanted, rtol=1e-5
    )
    other = built(trained.model_name)
    other.fit(itertools.cycle(batches), steps_per_epoch=2, epochs=2, verbose=0)
    rows = np.concatenate([one for part in parts[:2] for one in part])
    np.testing.assert_allclose(other.center, rows.mean(axis=0), rtol=1e-4)


def test_explained_variance_is_of_real_steps():
    whole = ragged.padded(series(40))
    assert latents.explained_variance(whole, whole) == 1
    mean = np.broadcast_to(ragged.mean_example(whole), whole.shape)
    assert latents.explained_variance(whole, mean) == pytest.approx(0)
