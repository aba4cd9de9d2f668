"""Whatever a model is fed with keeps the contract: arrays and streams, in training and between its epochs."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import four_lines

import aezoo
from aezoo.core.errors import DataError, OptionError
from aezoo.nn import fitting
from aezoo.nn.autoencoder import keras
from aezoo.testing import smooth_examples

SHAPE = (9, 11, 1)
IMAGES = smooth_examples(SHAPE, 24)
ROWS = smooth_examples((5,), 50)

# Keras says so at the end of every generator.
pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")


class Sequence(keras.utils.PyDataset):
    """Batches of ten; the last is shorter."""

    def __init__(self, examples, length=True, **options):
        super().__init__(**options)
        self.examples, self.length, self.epochs = examples, length, 0

    @property
    def num_batches(self):
        return -(-len(self.examples) // 10) if self.length else None

    def __getitem__(self, index):
        start = index * 10 % len(self.examples)
        return self.examples[start : start + 10]

    def on_epoch_end(self):
        self.epochs += 1


class Loader:
    """Batches of eight that can be gone through again, as of torch."""

    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return -(-len(self.examples) // 8)

    def __iter__(self):
        return generated(self.examples)


def generated(examples):
    for start in range(0, len(examples), 8):
        yield examples[start : start + 8]


def dataset(examples):
    return tf.data.Dataset.from_tensor_slices(examples).batch(8)


def unknown_length(examples):
    spec = tf.TensorSpec((None, *examples.shape[1:]), examples.dtype)
    return tf.data.Dataset.from_generator(lambda: generated(examples), output_signature=spec)


def no_shape(examples):
    stream = tf.data.Dataset.range(3)
    return stream.map(lambda i: tf.numpy_function(lambda i: examples[8 * i : 8 * i + 8], [i], tf.float32))


STREAMS = {
    "dataset": dataset,
    "unknown length": unknown_length,
    "no shape": no_shape,
    "generator": generated,
    "iterator": lambda examples: map(np.asarray, generated(examples)),
    "sequence": Sequence,
    "workers": lambda examples: Sequence(examples, workers=2),
    "loader": Loader,
    "pairs": lambda examples: (batch for batch in zip(generated(examples), generated(examples), strict=True)),
    "tensors": lambda examples: map(tf.constant, generated(examples)),
}
FEW_STREAMS = ("dataset", "generator", "sequence", "loader")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return aezoo.build("dense", latent_dim=3, image_shape=SHAPE, units=(8,))


def spoiled(examples, place, value):
    examples = examples.copy()
    examples[place].reshape(-1)[3] = value
    return examples


def unmoved(model, call):
    """Calls what must fail; returns the error. Nothing may have been trained on."""
    before = model.get_weights()
    with pytest.raises(DataError) as error:
        call()
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return error


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FEW_STREAMS else pytest.mark.exhaustive) for n in STREAMS]
)
def test_every_stream_is_taken_and_looked_at(model, name):
    """A bad first batch is not trained on; a later one stops the training, and is told by its number."""
    make = STREAMS[name]
    assert np.isfinite(model.fit(make(IMAGES), verbose=0).history["loss"][0])
    for bad, words in (
        (IMAGES * 255, ["must lie in [0, 1]", "images / 255"]),
        (spoiled(IMAGES, 0, np.nan), ["nan in example 0"]),
    ):
        error = unmoved(model, lambda bad=bad: model.fit(make(bad), verbose=0))
        four_lines(error, "images of batch 0", *words)
    with pytest.raises(DataError) as error:
        model.fit(make(spoiled(IMAGES, 23, np.nan)), verbose=0)
    four_lines(error, "images of batch 2", "not finite")


@pytest.mark.parametrize("name", [n for n in STREAMS if n not in ("pairs", "no shape", "workers", "tensors")])
def test_streams_everywhere_else(model, name):
    make, plain = STREAMS[name], model.evaluate(IMAGES, verbose=0)
    assert model.evaluate(make(IMAGES), verbose=0) == pytest.approx(plain, rel=1e-5)
    np.testing.assert_allclose(model.predict(make(IMAGES), verbose=0), model.reconstruct(IMAGES), atol=1e-6)
    for call in (model.evaluate, model.predict):
        error = unmoved(model, lambda call=call: call(make(IMAGES * 255), verbose=0))
        four_lines(error, "images of batch 0", "must lie in [0, 1]")


def test_a_generator_loses_no_batch_and_a_loader_goes_on(model):
    seen = []

    def counted():
        for batch in generated(IMAGES):
            seen.append(len(batch))
            yield batch

    steps = []
    counter = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch))
    model.fit(counted(), callbacks=[counter], verbose=0)
    assert (seen, steps) == ([8, 8, 8], [0, 1, 2])
    steps.clear()
    model.fit(Loader(IMAGES), epochs=3, callbacks=[counter], verbose=0)
    assert steps == [0, 1, 2] * 3
    sequence = Sequence(IMAGES)
    model.fit(sequence, epochs=2, verbose=0)
    assert sequence.epochs >= 2  # Keras also ends the one that it builds the loss with


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: (x * 255).astype("uint8"), ["uint8", "divide by 255"]),
        (lambda x: (x * 6 - 3).astype("int64"), ["int64", "(highest - lowest)"]),
        (lambda x: x * 2 - 1, ["(images + 1) / 2"]),
        (lambda x: spoiled(x, 5, np.inf), ["inf in example 5"]),
        (lambda x: x[..., 0], ["channel axis"]),
        (lambda x: np.ma.masked_less(x, 0.1), ["masked", "filled"]),
    ],
)
def test_arrays_everywhere(model, spoil, words):
    bad = spoil(IMAGES)
    for call in (
        lambda: model.fit(bad, verbose=0),
        lambda: model.fit(IMAGES, bad, verbose=0),
        lambda: model.fit(IMAGES, validation_data=bad, verbose=0),
        lambda: model.fit(IMAGES, validation_data=(IMAGES, bad), verbose=0),
        lambda: model.evaluate(bad, verbose=0),
        lambda: model.predict(bad, verbose=0),
        lambda: model.train_on_batch(bad),
        lambda: model.test_on_batch(bad),
        lambda: model.predict_on_batch(bad),
        lambda: model.encode(bad),
    ):
        four_lines(unmoved(model, call), *words)


def test_parts_of_different_shapes_are_refused(model):
    bad = [*IMAGES[:3], IMAGES[3][:-1]]
    for call in (model.fit, model.evaluate, model.predict, model.train_on_batch, model.encode):
        four_lines(unmoved(model, lambda call=call: call(bad)), "does not make an array")


def test_what_is_an_array_is_taken_as_one(model):
    expected = model.evaluate(IMAGES, verbose=0)
    for given in (
        list(IMAGES),
        IMAGES.tolist(),
        tf.constant(IMAGES),
        IMAGES.astype("float64"),
        np.ma.masked_array(IMAGES),
        {"images": IMAGES},
    ):
        assert model.evaluate(given, verbose=0) == pytest.approx(expected, rel=1e-6)
        model.fit(given, epochs=1, validation_split=0.25, verbose=0)
        model.set_weights(model.get_weights())
        expected = model.evaluate(IMAGES, verbose=0)
    assert model.train_on_batch(IMAGES) == pytest.approx(expected, rel=1e-5)


def test_a_loader_that_ends_early_is_told(model):
    class Short(Loader):
        def __len__(self):
            return 5

    with pytest.raises(DataError) as error:
        model.fit(Short(IMAGES), verbose=0)
    four_lines(error, "fewer batches than the length says", "3 batches of a Short", "5, as len() tells")


def test_validation_is_looked_at_once_and_used(model):
    """Keras evaluates within a fit: what was let through is not consumed, nor looked at, again."""
    for validation in (IMAGES, (IMAGES, IMAGES), dataset(IMAGES), Loader(IMAGES), Sequence(IMAGES)):
        found = model.fit(IMAGES, epochs=2, validation_data=validation, verbose=0).history["val_loss"]
        assert found[1] == pytest.approx(model.evaluate(IMAGES, verbose=0), rel=1e-4)
    history = model.fit(IMAGES, validation_data=generated(IMAGES), validation_steps=2, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()
    with pytest.raises(DataError) as error:
        model.fit(IMAGES, validation_data=dataset(IMAGES * 255), verbose=0)
    four_lines(error, "images of batch 0")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tf.data.Dataset.from_tensor_slices(IMAGES), ["one example at a time", "dataset.batch(32)"]),
        (lambda: dataset(IMAGES[..., 0]), ["wrong shape", "channel axis"]),
        (lambda: dataset(IMAGES).take(0), ["no batches"]),
        (lambda: generated(IMAGES[:0]), ["no batches", "empty generator"]),
        (lambda: Sequence(IMAGES[:0]), ["no batches"]),
        (lambda: Loader(IMAGES[:0]), ["no batches", "Loader"]),
        (lambda: dataset((IMAGES, IMAGES[:, :-1])), ["targets: wrong shape"]),
        (lambda: zip(generated(IMAGES), [np.arange(8)] * 3, strict=True), ["look like labels"]),
        (lambda: iter([(IMAGES, None, None, None)]), ["examples, targets and weights", "4 parts"]),
        (lambda: {"pictures": IMAGES}, ["names of the model's inputs", "pictures"]),
        (lambda: None, ["no array", "None"]),
        (lambda: "images.npy", ["no array", "numpy.load"]),
    ],
)
def test_what_is_no_stream_of_examples(model, make, words):
    four_lines(unmoved(model, lambda: model.fit(make(), verbose=0)), *words)


def test_targets_beside_a_stream_or_for_an_objective(model):
    with pytest.raises(OptionError) as error:
        model.fit(dataset(IMAGES), IMAGES, verbose=0)
    four_lines(error, "brings its targets")
    vae = aezoo.build("vae", latent_dim=2, image_shape=SHAPE, body_options={"units": (4,)})
    for given in ((IMAGES, IMAGES), (dataset((IMAGES, IMAGES)),), (zip([IMAGES], [IMAGES], strict=True),)):
        with pytest.raises(OptionError) as error:
            vae.fit(*given, verbose=0)
        four_lines(error, "targets beside the examples")
    with pytest.raises(DataError) as error:
        model.fit(IMAGES, IMAGES[:3], verbose=0)
    four_lines(error, "3 targets for 24 examples")


def test_labels_of_a_conditional_model():
    keras.utils.set_random_seed(0)
    model = aezoo.build(
        "conditional_vae", latent_dim=2, image_shape=SHAPE, classes=3, body_options={"units": (4,)}
    )
    labels = np.arange(24) % 3

    def given(labels):
        return {"images": IMAGES, "labels": labels}

    def batches(labels):
        for start in (0, 8, 16):
            yield {name: array[start : start + 8] for name, array in given(labels).items()}

    for make in (given, batches, lambda labels: dataset(given(labels))):
        assert np.isfinite(model.fit(make(labels), verbose=0).history["loss"][0])
        assert model.predict(make(labels), verbose=0).shape == IMAGES.shape
        for bad in (labels + 1, labels - 1, labels / 1):
            with pytest.raises(DataError) as error:
                model.fit(make(bad), verbose=0)
            four_lines(error, "0 to 2")
    for bad in (IMAGES, dataset(IMAGES), generated(IMAGES)):
        with pytest.raises(DataError) as error:
            model.fit(bad, verbose=0)
        four_lines(error, "takes a label with each example", '{"images": images, "labels": labels}')
    with pytest.raises(DataError) as error:
        model.fit(IMAGES, labels, verbose=0)
    four_lines(error, "takes a label")


# -- statistics of columns ---------------------------------------------------------------------------


def rows_model():
    return aezoo.build("dense", latent_dim=2, features=5, units=(4,))


@pytest.mark.parametrize("name", [n for n in STREAMS if n not in ("pairs", "no shape", "workers")])
def test_statistics_come_from_every_stream(name):
    model = rows_model()
    model.fit(STREAMS[name](ROWS), verbose=0)
    np.testing.assert_allclose(model.error_scale, ROWS.std(axis=0, dtype="f8"), rtol=1e-6)
    adapted = rows_model()
    adapted.adapt(STREAMS[name](ROWS))
    np.testing.assert_array_equal(adapted.error_scale, model.error_scale)


def test_statistics_are_those_of_the_numbers_that_came():
    """In float64, from what float32 would round; whole numbers and frames need no conversion."""
    large = 1e5 + np.arange(40.0)[:, None] * np.arange(1, 6)
    expected = large.std(axis=0)
    for given in (large, dataset(large), generated(large), Sequence(large), pd.DataFrame(large)):
        model = rows_model()
        model.adapt(given)
        np.testing.assert_allclose(model.error_scale, expected, rtol=1e-6)
    whole = np.arange(40)[:, None] * np.arange(1, 6)
    for given in (whole, dataset(whole), generated(whole), pd.DataFrame(whole).astype("Int64")):
        model = rows_model()
        model.fit(given, verbose=0)
        np.testing.assert_allclose(model.error_scale, whole.std(axis=0), rtol=1e-6)


def test_a_stream_without_end_is_told(monkeypatch):
    endless = dataset(ROWS).repeat(), Sequence(ROWS, length=False)
    for stream in endless:
        with pytest.raises(DataError) as error:
            rows_model().fit(stream, verbose=0)
        four_lines(error, "never ends", "model.adapt(examples)", "steps_per_epoch=100")
        model = rows_model()
        history = model.fit(stream, steps_per_epoch=7, epochs=2, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        assert (model.error_scale > 0).all()

    def forever():
        while True:
            yield ROWS

    monkeypatch.setattr(fitting, "HELD_BYTES", 10 * ROWS.nbytes)
    with pytest.raises(DataError) as error:
        rows_model().fit(forever(), verbose=0)
    four_lines(error, "a generator as long as this", "model.adapt(examples)")
    model = rows_model()
    assert len(model.fit(forever(), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]) == 2
    model.fit(forever(), steps_per_epoch=20, verbose=0)  # known by now
    monkeypatch.setattr(fitting, "READ_ROWS", 100)
    model = rows_model()
    spec = tf.TensorSpec((None, 5), "float32")
    model.adapt(tf.data.Dataset.from_generator(forever, output_signature=spec))
    np.testing.assert_allclose(model.error_scale, ROWS.std(axis=0), rtol=1e-5)


def test_statistics_are_not_taken_from_what_is_refused():
    model = rows_model()
    for bad in (
        spoiled(ROWS, 44, np.nan),
        dataset(spoiled(ROWS, 44, np.nan)),
        generated(spoiled(ROWS, 44, np.nan)),
    ):
        with pytest.raises(DataError) as error:
            model.fit(bad, verbose=0)
        four_lines(error, "not finite")
    with pytest.raises(DataError) as error:
        model.train_on_batch(ROWS)
    four_lines(error, "not known yet", "model.adapt(examples)")
    model.adapt(ROWS)
    assert np.isfinite(model.train_on_batch(ROWS))


def test_sequences_share_it():
    waves = smooth_examples((8, 2), 30)
    for stream in (dataset(waves), generated(waves), Sequence(waves)):
        model = aezoo.build("conv1d", latent_dim=2, sequence_shape=(8, 2), filters=(4,))
        model.fit(stream, verbose=0)
        np.testing.assert_allclose(model.error_scale, waves.reshape(-1, 2).std(axis=0), rtol=1e-5)
