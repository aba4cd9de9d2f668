"""`sample_weight`: what an example counts, in every model; `class_weight` is refused."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import four_lines, mostly_exhaustive
from small_models import CASES, FEW, MAKES

import aezoo
from aezoo.core.errors import DataError, OptionError
from aezoo.nn.autoencoder import Autoencoder, keras
from aezoo.testing import smooth_examples

# Whose loss has a term of the whole batch, or an example's share looks at the others.
COUPLED = ("beta_tcvae", "factor_vae", "info_vae", "vq_vae", "wae")
VARIANTS = [
    ("sparse", {"latent_dim": 4, "features": 6, "sparsity": "kl"}),
    ("sparse", {"latent_dim": 4, "features": 6, "sparsity": "l1"}),
    ("beta_vae", {"latent_dim": 4, "features": 6, "capacity": 3.0}),
    ("rae", {"latent_dim": 4, "features": 6, "regularizer": "l2"}),
]


def couples(name, options):
    return name in COUPLED or options.get("sparsity") == "kl" or options.get("capacity") is not None


def fed(model, examples, weights, **options):
    labels = model.labels_in_turn(len(examples))
    given = {model.input_name: examples, **labels} if labels else examples
    return model.fit(
        given, sample_weight=weights, batch_size=len(examples), verbose=0, shuffle=False, **options
    )


def trained_by(name, options, examples, weights):
    """Returns the trainable weights of a small model after one step of plain descent."""
    keras.utils.set_random_seed(0)
    model = aezoo.build(name, **options)
    model.adapt(examples)
    model.compile(keras.optimizers.SGD(1e-3))
    before = [weight.copy() for weight in values(model)]
    fed(model, examples, weights)
    return [after - start for after, start in zip(values(model), before, strict=True)]


def values(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]


@pytest.mark.parametrize(
    ("name", "options"),
    mostly_exhaustive(CASES + VARIANTS, lambda case: case[0] in ("dense", "rae", "masked")),
)
def test_weights_count_or_are_refused(name, options):
    """No weight at all moves nothing; where all count twice the steps of plain descent are twice as long."""
    model = aezoo.build(name, **options)
    examples = smooth_examples(model.example_shape, 6)
    if couples(name, options):
        model.adapt(examples)
        with pytest.raises(OptionError) as error:
            fed(model, examples, np.ones(6))
        four_lines(error, "term of the whole batch", name, "numpy.repeat")
        return
    assert all(not moved.any() for moved in trained_by(name, options, examples, np.zeros(6)))
    once = trained_by(name, options, examples, np.ones(6))
    twice = trained_by(name, options, examples, np.full(6, 2.0))
    assert any(moved.any() for moved in once)
    for ours, theirs in zip(twice, once, strict=True):
        np.testing.assert_allclose(ours, 2 * theirs, rtol=2e-3, atol=2e-6 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("name", mostly_exhaustive(sorted(set(MAKES) - {"vq_vae"}), lambda name: name in FEW))
def test_a_weight_is_a_number_of_copies(name):
    """Weights 4/3 and 2/3 are two examples of which one comes twice; of models that draw nothing."""
    options = dict(CASES)[name]
    model = aezoo.build(name, **options)
    pair = smooth_examples(model.example_shape, 2)
    model.adapt(smooth_examples(model.example_shape, 30))
    if name in ("vae", "masked"):  # what they draw is that of a place in the batch
        one, other = (model.evaluate(pair[[i, i]], verbose=0) for i in (0, 1))
        first = model.evaluate(pair, sample_weight=np.array([2.0, 0.0]), verbose=0)
        second = model.evaluate(pair[::-1], sample_weight=np.array([0.0, 2.0]), verbose=0)
        assert (first + second) / 2 == pytest.approx(one, rel=1e-4)
        assert abs(one - other) > 0
        return
    copies = model.evaluate(pair[[0, 0, 1]], verbose=0)
    weighted = model.evaluate(pair, sample_weight=np.array([4 / 3, 2 / 3]), verbose=0)
    assert weighted == pytest.approx(copies, rel=1e-5)
    assert weighted != pytest.approx(model.evaluate(pair, verbose=0), rel=1e-5)


@pytest.mark.parametrize(
    "loss", ["mae", keras.losses.Huber(), lambda y, again: keras.ops.mean((y - again) ** 2, (1, 2))]
)
def test_weights_of_any_loss(loss):
    """Whether a loss comes for each example or for each place in it, weights are those of the examples."""
    model = aezoo.build("conv1d", latent_dim=2, sequence_shape=(8, 2), filters=(4,))
    examples = smooth_examples((8, 2), 3)
    model.adapt(examples)
    model.compile("sgd", loss)
    of_last = model.evaluate(examples[2:], verbose=0)
    assert model.evaluate(examples, sample_weight=[0, 0, 3.0], verbose=0) == pytest.approx(of_last, rel=1e-5)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # of Keras, at the end of any generator
def test_weights_in_every_container():
    """Weights come beside arrays, and inside a stream; the corruption goes on, as there are no targets."""
    model = aezoo.build("dense", latent_dim=2, features=3, units=(4,))
    rows, weights = smooth_examples((3,), 8), np.array([0, 0, 0, 0, 1, 1, 1, 1], "float32")
    model.adapt(rows)
    expected = model.evaluate(rows[4:], verbose=0) / 2

    def batches():
        yield rows, None, weights

    dataset = tf.data.Dataset.from_tensors((rows, weights)).map(lambda x, weight: (x, None, weight))
    for arguments in ((rows, None), (dataset,), (batches(),)):
        given = {"sample_weight": weights} if len(arguments) == 2 else {}
        assert model.evaluate(*arguments, **given, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.test_on_batch(rows, sample_weight=weights) == pytest.approx(expected, rel=1e-5)


def test_weights_leave_a_corruption_at_work():
    model = aezoo.build("denoising", latent_dim=2, features=3, level=0.9, body_options={"units": (4,)})
    rows = smooth_examples((3,), 64)
    model.adapt(rows)
    model.compile(keras.optimizers.SGD(0.0))
    clean = model.evaluate(rows, verbose=0)
    weighted = model.fit(rows, sample_weight=np.ones(64), verbose=0).history["loss"][0]
    assert abs(weighted - clean) > 1e-3 * clean


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(7), ["shape (7,)", "8 finite numbers"]),
        (np.ones((8, 1)), ["weights.reshape(8)"]),
        (np.full(8, np.nan), ["from nan to nan"]),
        (-np.ones(8), ["from -1 to -1", "at least 0"]),
        (["a"] * 8, ["no real numbers"]),
    ],
)
def test_wrong_weights(weights, words):
    model = aezoo.build("dense", latent_dim=2, features=3, units=(4,))
    with pytest.raises(DataError) as error:
        model.fit(smooth_examples((3,), 8), sample_weight=weights, verbose=0)
    four_lines(error, "sample_weight", *words)


def test_class_weight_is_refused():
    model = aezoo.build("dense", latent_dim=2, features=3, units=(4,))
    rows, labels, weights = smooth_examples((3,), 8), np.arange(8) % 2, np.array([1.0, 3.0])
    model.adapt(rows)
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(OptionError) as error:
            call(rows, class_weight={0: 1.0, 1: 3.0})
        four_lines(error, "an autoencoder has none", "sample_weight=weights[labels]")
    model.fit(rows, sample_weight=weights[labels], verbose=0)


def test_a_loss_of_the_batch_by_a_stranger_is_seen():
    """A layer that adds a number of the whole batch cannot weigh; a kernel's regulariser may stay."""

    class Adds(keras.layers.Layer):
        def call(self, x):
            self.add_loss(keras.ops.mean(keras.ops.square(x)))
            return x

    def build(*inner, **options):
        examples, latents = keras.Input((3,)), keras.Input((2,))
        x = keras.layers.Dense(2, **options)(examples)
        for layer in inner:
            x = layer(x)
        decoder = keras.Model(latents, keras.layers.Dense(3)(latents), name="decoder")
        model = Autoencoder(keras.Model(examples, x, name="encoder"), decoder)
        model.compile()
        return model

    rows = smooth_examples((3,), 8)
    with pytest.raises(OptionError) as error:
        build(Adds()).fit(rows, sample_weight=np.ones(8), verbose=0)
    four_lines(error, "term of the whole batch", "'Autoencoder'")
    build(kernel_regularizer="l2").fit(rows, sample_weight=np.ones(8), verbose=0)
