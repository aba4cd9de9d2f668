"""Four families: what their objectives are made of, checked against NumPy, derivatives and other runtimes."""

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from conftest import four_lines

import aezoo
from aezoo.core.errors import OptionError
from aezoo.nn.autoencoder import keras
from aezoo.nn.layers import ops
from aezoo.nn.losses import MMD_SCALES
from aezoo.nn.saving import load_model
from aezoo.testing import smooth_examples

SHAPE = (9, 11, 1)


def tiny(name, **options):
    keras.utils.set_random_seed(0)
    small = {"latent_dim": 3, "image_shape": SHAPE, "body_options": {"units": (8,)}}
    return aezoo.build(name, **{**small, **options})


def as_numpy(tensors):
    return ops.convert_to_numpy(tensors)


def objective(model, inputs, training=False):
    """Returns what `call` adds, its mean over the batch, and the reconstructions."""
    reconstructions = as_numpy(model(inputs, training=training))
    return sum(float(as_numpy(added).mean()) for added in model.losses), reconstructions


def squared(examples, reconstructions):
    return np.square(examples - reconstructions).reshape(len(examples), -1).sum(axis=1)


# -- conditional_vae ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def conditional():
    return tiny("conditional_vae", classes=4)


LABELS = np.array([0, 3, 1, 2, 3], "int32")


def test_labels_reach_encoder_and_decoder(conditional):
    images, labels = tf.constant(smooth_examples(SHAPE, 5)), tf.constant(LABELS)
    assert [tuple(given.shape) for given in conditional.encoder.inputs] == [(None, *SHAPE), (None,)]
    other = tf.constant((LABELS + 1) % 4)
    outputs = conditional.through_encoder(images, labels), conditional.through_encoder(images, other)
    for ours, others in zip(*outputs, strict=True):  # mean and variance, of every example
        assert (np.abs(as_numpy(ours - others)).max(axis=1) > 1e-6).all()
    latents = outputs[0][0]
    pair = (as_numpy(conditional.through_decoder(latents, given)) for given in (labels, other))
    assert (np.abs(np.subtract(*pair)).reshape(5, -1).max(axis=1) > 1e-6).all()


def test_a_label_acts_on_its_own_example_alone(conditional):
    images = tf.constant(smooth_examples(SHAPE, 5))
    changed = LABELS.copy()
    changed[2] = 0
    pair = (
        as_numpy(conditional.through_encoder(images, tf.constant(given))[0]) for given in (LABELS, changed)
    )
    moved = np.abs(np.subtract(*pair)).max(axis=1) > 1e-6
    np.testing.assert_array_equal(moved, [False, False, True, False, False])


def test_every_weight_of_the_conditional_learns(conditional):
    given = {"images": tf.constant(smooth_examples(SHAPE, 5)), "labels": tf.constant(LABELS)}
    with tf.GradientTape() as tape:
        conditional(given, training=True)
        (added,) = conditional.losses
    gradients = tape.gradient(added, [weight.value for weight in conditional.trainable_weights])
    assert len(gradients) == 12  # two tables of labels, five dense layers of a kernel and a bias each
    for gradient in gradients:
        assert np.abs(as_numpy(tf.convert_to_tensor(gradient))).max() > 0


def test_the_conditional_bound_is_in_nats(conditional):
    images = smooth_examples(SHAPE, 5)
    given = {"images": tf.constant(images), "labels": tf.constant(LABELS)}
    added, _ = objective(conditional, given)
    inputs = given["images"], given["labels"]
    mean, log_var = (as_numpy(output) for output in conditional.through_encoder(*inputs))
    noise = as_numpy(keras.random.normal(mean.shape, seed=1))
    latents = tf.constant(mean + np.exp(log_var / 2) * noise)
    probabilities = as_numpy(conditional.through_decoder(latents, tf.constant(LABELS)))
    nll = -(images * np.log(probabilities) + (1 - images) * np.log(1 - probabilities)).reshape(5, -1).sum(1)
    kl = 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).sum(axis=1)
    assert added == pytest.approx((nll + kl).mean(), rel=1e-5)


def test_both_inputs_go_into_the_direct_onnx_files(conditional, tmp_path):
    from aezoo.export import to_onnx

    images, labels = tf.constant(smooth_examples(SHAPE, 5)), tf.constant(LABELS)
    posterior = conditional.through_encoder(images, labels)
    reconstructions = conditional.through_decoder(posterior[0], labels)
    expected = {"encoder": posterior, "decoder": [reconstructions], "reconstructor": [reconstructions]}
    for name, (part, inputs, outputs) in conditional.parts().items():
        path = tmp_path / f"{name}.onnx"
        to_onnx.write(part, path, inputs=inputs, outputs=outputs, route="direct")
        session = onnxruntime.InferenceSession(path.read_bytes())
        assert [(given.name, given.type) for given in session.get_inputs()][1] == ("labels", "tensor(int32)")
        given = {inputs[0]: as_numpy(posterior[0] if name == "decoder" else images), "labels": LABELS}
        for ours, theirs in zip(session.run(None, given), expected[name], strict=True):
            np.testing.assert_allclose(ours, as_numpy(theirs), atol=1e-5)


def test_a_conditional_is_saved_with_its_classes(conditional):
    config = conditional.get_config()
    assert config["classes"] == 4
    again = type(conditional).from_config(config)
    assert (again.classes, again.takes_labels) == (4, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_shape": (9, 11, 4)}, ["image_shape=(9, 11, 4)", "1 to 3 channels"]),
        ({"classes": 0}, ["classes=0"]),
        ({"likelihood": "poisson"}, ["likelihood='poisson'"]),
        ({"body": "conf"}, ["did you mean 'conv'?"]),
    ],
)
def test_options_that_a_conditional_refuses(options, words):
    with pytest.raises(OptionError) as error:
        tiny("conditional_vae", **options)
    four_lines(error, *words)


def test_a_conditional_of_colour_images_with_maps():
    model = tiny("conditional_vae", image_shape=(9, 11, 3), body="conv", body_options={"filters": (4, 6)})
    images = smooth_examples((9, 11, 3), 2)
    again = model({"images": tf.constant(images), "labels": tf.constant([9, 0])})
    assert tuple(again.shape) == images.shape


# -- wae ----------------------------------------------------------------------------------------


def mmd(first, second):
    """The estimate without bias, pair by pair."""
    count = len(first)

    def kernel(a, b):
        constants = 2 * len(a) * np.array(MMD_SCALES)
        return (constants / (constants + np.square(a - b).sum())).sum()

    def within(sample):
        pairs = [kernel(sample[i], sample[j]) for i in range(count) for j in range(count) if i != j]
        return sum(pairs) / (count * (count - 1))

    across = [kernel(a, b) for a in first for b in second]
    return within(first) + within(second) - 2 * sum(across) / count**2


def test_the_wae_adds_a_weighted_discrepancy():
    model, images = tiny("wae", weight=7.0), smooth_examples(SHAPE, 6)
    added, again = objective(model, images)
    drawn = as_numpy(keras.random.normal((6, 3), seed=1))
    expected = squared(images, again).mean() + 7 * mmd(as_numpy(model.encoder(images)), drawn)
    assert added == pytest.approx(expected, rel=1e-5)
    assert objective(model, images)[0] == added  # what chooses the epoch has no luck in it
    assert objective(model, images, training=True)[0] != objective(model, images, training=True)[0]


def test_the_wae_moves_the_encoder_towards_the_prior():
    model = tiny("wae", weight=1.0)
    far = tf.Variable(np.random.default_rng(0).normal(4.0, 0.1, (64, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        penalty = model.penalty(None, tf.convert_to_tensor(far), None, True)
    # Down the slope the batch as a whole goes towards 0, on every axis.
    assert (as_numpy(tape.gradient(penalty, far)).mean(axis=0) > 0).all()
    near = model.penalty(None, keras.random.normal((256, 3), seed=5), None, True)
    collapsed = model.penalty(None, ops.zeros((256, 3)), None, True)
    assert abs(float(near)) < 0.1 < min(float(penalty), float(collapsed))
    assert model.prior.kind == "standard_normal"


# -- rae ----------------------------------------------------------------------------------------


def test_the_rae_adds_latents_and_kernels():
    model = tiny("rae", latent_weight=0.3, weight=0.02)
    images = smooth_examples(SHAPE, 5)
    for layer in model.decoder.layers:
        if hasattr(layer, "bias"):
            layer.bias.assign(ops.ones_like(layer.bias))  # biases are free
    added, again = objective(model, images)
    latents = as_numpy(model.encoder(images))
    kernels = sum(np.square(as_numpy(layer.kernel)).sum() for layer in model.decoder.layers if layer.weights)
    error = squared(images, again) + 0.3 * 0.5 * np.square(latents).sum(axis=1)
    assert added == pytest.approx(error.mean() + 0.02 * kernels, rel=1e-5)
    assert objective(model, images, training=True)[0] == added  # nothing is random


@pytest.mark.parametrize("options", [{}, {"body": "conv", "body_options": {"filters": (3,)}}], ids=str)
def test_the_gradient_penalty_is_the_squared_jacobian_on_average(options):
    model = tiny("rae", regularizer="gradient_penalty", **options)
    latents = tf.constant(np.random.default_rng(1).normal(size=(3, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(latents)
        again = model.decoder(latents)
    exact = np.square(as_numpy(tape.batch_jacobian(again, latents))).reshape(3, -1).sum(axis=1)
    many = tf.repeat(latents, 4000, axis=0)
    estimates = as_numpy(model.squared_jacobian(many, seed=3)).reshape(3, 4000)
    error = estimates.std(axis=1) / np.sqrt(4000)
    assert (np.abs(estimates.mean(axis=1) - exact) < 4 * error + 1e-3 * exact).all()
    assert (estimates.std(axis=1) > 0.01 * exact).all()  # it is an estimate


def test_the_gradient_penalty_of_a_linear_decoder():
    """With D = 1 a sign has no choice, so the estimate is exact; rows are in deviations of their columns."""
    model = tiny("rae", latent_dim=1, features=4, body_options={"units": ()}, regularizer="gradient_penalty")
    rows = smooth_examples((4,), 32)
    model.adapt(rows)
    kernel = as_numpy(model.decoder.get_layer("flat_reconstructions").kernel)
    got = as_numpy(model.squared_jacobian(tf.constant([[0.5], [-2.0]]), seed=1))
    np.testing.assert_allclose(got, np.square(kernel).sum(), rtol=1e-3)


def test_the_gradient_penalty_teaches_the_decoder():
    model = tiny("rae", latent_weight=0.0, regularizer="gradient_penalty", weight=1.0)
    with tf.GradientTape() as tape:
        penalty = ops.mean(model.penalty(None, tf.ones((4, 3)), None, True))
    gradients = tape.gradient(penalty, [weight.value for weight in model.decoder.trainable_weights])
    assert all(np.abs(as_numpy(gradient)).max() > 0 for gradient in gradients)


def test_the_gradient_penalty_wants_float32():
    model = tiny("rae", regularizer="gradient_penalty")
    model.decoder.layers[1].dtype_policy = "mixed_bfloat16"
    with pytest.raises(OptionError) as error:
        model.squared_jacobian(tf.ones((2, 3)), seed=1)
    four_lines(error, "bfloat16", "precision='float32'")


def test_a_rae_samples_once_a_density_is_fitted():
    model, images = tiny("rae", regularizer="none"), smooth_examples(SHAPE, 40)
    with pytest.raises(OptionError) as error:
        model.sample(2)
    four_lines(error, "fit_prior")
    model.fit_prior(images, components=2)
    latents = model.encode(images)
    near = model.prior.log_density(latents).mean()
    assert near > model.prior.log_density(latents + 5 * latents.std(axis=0)).mean()
    np.testing.assert_allclose(model.prior.sample(4000).mean(axis=0), latents.mean(axis=0), atol=0.1)


# -- adversarial --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adversarial():
    return tiny("adversarial", weight=0.5, discriminator_units=(7, 6))


def gradients(model, loss_of):
    """Returns the gradients of a loss of (latents, drawn) to (encoder's weights, discriminator's)."""
    images, drawn = smooth_examples(SHAPE, 6), keras.random.normal((6, 3), seed=2)
    parts = [
        [weight.value for weight in part.trainable_weights] for part in (model.encoder, model.discriminator)
    ]
    with tf.GradientTape() as tape:
        loss = ops.mean(loss_of(model.encoder(images), drawn))
    return tape.gradient(loss, parts)


def test_the_discriminators_loss_leaves_the_encoder_alone(adversarial):
    to_encoder, own = gradients(adversarial, lambda *pair: adversarial.losses_of_players(*pair)[0])
    assert all(gradient is None for gradient in to_encoder)
    assert all(np.abs(as_numpy(gradient)).max() > 0 for gradient in own)


def test_the_encoders_loss_leaves_the_discriminator_alone(adversarial):
    own, to_discriminator = gradients(adversarial, lambda *pair: adversarial.losses_of_players(*pair)[1])
    for gradient in to_discriminator:
        np.testing.assert_array_equal(as_numpy(gradient), 0)  # exactly
    alone, _ = gradients(adversarial, lambda latents, _: ops.softplus(-adversarial.log_odds(latents)))
    for ours, theirs in zip(own, alone, strict=True):
        np.testing.assert_allclose(as_numpy(ours), as_numpy(theirs), rtol=1e-5, atol=1e-9)
        assert np.abs(as_numpy(ours)).max() > 0


def test_the_penalty_has_the_gradients_of_both_players(adversarial):
    def whole(latents, drawn):
        return adversarial.penalty(None, latents, None, False)

    def expected(latents, _):
        drawn = keras.random.normal((6, 3), seed=1)
        discriminates, fools = adversarial.losses_of_players(latents, drawn)
        return discriminates + 0.5 * fools

    for ours, theirs in zip(gradients(adversarial, whole), gradients(adversarial, expected), strict=True):
        for pair in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(*map(as_numpy, pair), rtol=1e-5, atol=1e-9)


def test_what_the_adversarial_shows_is_a_distance(adversarial):
    images = smooth_examples(SHAPE, 6)
    added, again = objective(adversarial, images)
    drawn = keras.random.normal((6, 3), seed=1)
    pair = (drawn, adversarial.encoder(images))
    real, fake = (1 / (1 + np.exp(-as_numpy(adversarial.discriminator(latents)))) for latents in pair)
    loss = -(np.log(real) + np.log(1 - fake)).mean()
    assert added == pytest.approx(squared(images, again).mean() + 0.5 * (2 * np.log(2) - loss), rel=1e-5)
    assert objective(adversarial, images)[0] == added


def test_the_discriminator_is_saved_and_not_exported(adversarial, tmp_path):
    adversarial.optimizer.build(adversarial.trainable_variables)
    adversarial.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    latents = keras.random.normal((5, 3), seed=4)
    np.testing.assert_array_equal(as_numpy(loaded.log_odds(latents)), as_numpy(adversarial.log_odds(latents)))
    assert np.abs(as_numpy(loaded.log_odds(latents))).max() > 0
    for part, _, _ in adversarial.parts().values():
        assert not any(layer is adversarial.discriminator for layer in part._flatten_layers())


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("wae", {"weight": -1.0}, ["weight=-1.0", "at least 0"]),
        ("wae", {"seed": -1}, ["seed=-1"]),
        ("rae", {"weight": float("nan")}, ["weight=nan"]),
        ("rae", {"latent_weight": "1"}, ["latent_weight='1'"]),
        ("rae", {"regularizer": "l3"}, ["did you mean 'l2'?"]),
        ("adversarial", {"weight": None}, ["weight=None"]),
        ("adversarial", {"discriminator_units": (8, 0)}, ["discriminator_units=0"]),
    ],
)
def test_options_that_are_refused(name, options, words):
    with pytest.raises(OptionError) as error:
        tiny(name, **options)
    four_lines(error, *words)
