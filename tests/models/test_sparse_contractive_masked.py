"""The families `sparse`, `contractive` and `masked`: what each promises beside the conformance suite."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import four_lines

import aezoo
from aezoo.core.errors import OptionError
from aezoo.export import to_onnx
from aezoo.models.contractive import STEP
from aezoo.models.sparse import KSparse
from aezoo.nn.autoencoder import keras
from aezoo.nn.saving import load_model
from aezoo.nn.transformer import Positions
from aezoo.testing import check_model, smooth_examples

SHAPE = (9, 11, 3)
TINY = {"width": 8, "depth": 1, "heads": 2, "decoder_width": 8, "latent_dim": 4, "image_shape": SHAPE}
QUICK = ("shapes", "is_decoder_of_encoder", "layers_give_back_their_config")


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(autouse=True)
def _same_weights():
    keras.utils.set_random_seed(0)


# -- sparse ------------------------------------------------------------------------------------------


def test_k_sparse_keeps_exactly_the_k_largest():
    latents = np.random.default_rng(0).normal(size=(40, 23)).astype("float32")
    layer = KSparse(5, alpha=1.6)
    for training, k in ((True, 5), (False, 8)):
        kept = as_numpy(layer(latents, training=training))
        largest = np.argsort(-latents, axis=1)[:, :k]
        expected = np.zeros_like(latents)
        np.put_along_axis(expected, largest, np.take_along_axis(latents, largest, 1), 1)
        np.testing.assert_array_equal(kept, expected)


def test_k_sparse_keeps_all_latents_that_equal_the_smallest_kept():
    kept = as_numpy(KSparse(2)(np.array([[1.0, 3.0, 1.0, -4.0]], "float32")))
    np.testing.assert_array_equal(kept, [[1.0, 3.0, 1.0, 0.0]])


def test_alpha_keeps_no_more_latents_than_there_are():
    model = aezoo.build("sparse", latent_dim=6, features=5, k=3, alpha=10)
    assert np.count_nonzero(model.encode(smooth_examples((5,), 4))) == 24


def test_k_sparse_in_a_model_of_more_latents_than_columns():
    model = aezoo.build("sparse", latent_dim=20, features=5, k=3)
    rows = smooth_examples((5,), 9)
    model.adapt(rows)
    np.testing.assert_array_equal(np.count_nonzero(model.encode(rows), axis=1), 3)
    assert model.reports_sparsity


def test_gradients_reach_kept_latents_alone():
    latents = tf.constant([[1.0, 5.0, 3.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(latents)
        total = tf.reduce_sum(KSparse(2)(latents, training=True))
    np.testing.assert_array_equal(tape.gradient(total, latents), [[0.0, 1.0, 1.0, 0.0]])


def test_l1_is_the_sum_of_an_example_and_kl_of_the_batch():
    latents = np.array([[0.2, 0.5], [0.4, 0.1]], "float32")
    model = aezoo.build("sparse", latent_dim=2, features=3, sparsity="l1", weight=2.0)
    np.testing.assert_allclose(model.penalty(None, latents, None, True), [1.4, 1.0], rtol=1e-6)
    model = aezoo.build("sparse", latent_dim=2, features=3, sparsity="kl", weight=2.0, target=0.3)
    # Both latents have a mean of 0.3, and so nothing to pay.
    np.testing.assert_allclose(model.penalty(None, latents, None, True), 0.0, atol=1e-6)
    expected = 2 * 2 * (0.3 * np.log(0.3 / 0.5) + 0.7 * np.log(0.7 / 0.5))
    np.testing.assert_allclose(model.penalty(None, 0 * latents + 0.5, None, True), expected, rtol=1e-5)


def test_a_penalty_makes_latents_sparser():
    rows = smooth_examples((6,), 128)
    model = aezoo.build("sparse", latent_dim=8, features=6, sparsity="l1", weight=20.0)
    model.adapt(rows)
    before = np.mean(as_numpy(model.encoder(rows)))
    model.optimizer.learning_rate = 0.02
    model.fit(rows, epochs=6, verbose=0)
    assert np.mean(as_numpy(model.encoder(rows))) < 0.5 * before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 9, "latent_dim": 8}, ["so many latents", "k=9"]),
        ({"sparsity": "l2"}, ["sparsity"]),
        ({"alpha": 0.5}, ["alpha=0.5", "at least 1"]),
        ({"sparsity": "l1", "weight": -1}, ["weight=-1"]),
        ({"sparsity": "kl", "target": 1.0}, ["target=1.0"]),
        ({"sparsity": "kl", "latent_activation": "relu"}, ["sigmoid"]),
        ({"body_options": (3,)}, ["body_options"]),
    ],
)
def test_sparse_refuses(options, words):
    with pytest.raises(OptionError) as error:
        aezoo.build("sparse", **options)
    four_lines(error, *words)


# -- contractive -------------------------------------------------------------------------------------


def squared_norms(model, examples):
    """||J||^2 of each example by TensorFlow's derivatives, per standard deviation where rows have any."""
    given = tf.constant(examples)
    with tf.GradientTape() as tape:
        tape.watch(given)
        latents = model.encoder(given)
    jacobians = as_numpy(tape.batch_jacobian(latents, given)) * model.error_scale
    return np.square(jacobians).reshape(len(examples), -1).sum(axis=1)


@pytest.mark.parametrize("activation", [None, "sigmoid", "tanh", "relu", "softplus", "elu"])
def test_the_exact_norm_is_that_of_the_derivatives(activation):
    model = aezoo.build("contractive", latent_dim=5, image_shape=SHAPE, latent_activation=activation)
    assert model.exact
    images = smooth_examples(SHAPE, 7)
    norms = model.exact_norm(model.encoder(images))
    np.testing.assert_allclose(norms, squared_norms(model, images), rtol=1e-4)


def test_rows_are_measured_in_standard_deviations():
    rows = smooth_examples((6,), 50)
    for jacobian, tolerance in (("exact", 1e-4), ("estimate", 0.1)):
        model = aezoo.build("contractive", latent_dim=4, features=6, jacobian=jacobian, directions=2000)
        model.adapt(rows)
        found = model.penalty(rows[:5], model.encoder(rows[:5]), None, False) / model.weight
        np.testing.assert_allclose(found, squared_norms(model, rows[:5]), rtol=tolerance)


@pytest.mark.parametrize("body", ["dense", "conv"])
def test_the_estimate_tends_to_the_norm(body):
    body_options = {"units": (12, 9)} if body == "dense" else {"filters": (4, 8)}
    model = aezoo.build("contractive", latent_dim=5, image_shape=SHAPE, body=body, body_options=body_options)
    assert not model.exact
    images = smooth_examples(SHAPE, 4)
    expected, errors = squared_norms(model, images), []
    for model.directions in (4, 1500):
        errors.append(np.abs(as_numpy(model.estimated_norm(images, 1)) / expected - 1).max())
    assert errors[1] < 0.08
    assert errors[1] < errors[0]


def test_the_step_suits_float32():
    """One direction, against the derivative along it: what remains is rounding and curvature."""
    model = aezoo.build(
        "contractive", latent_dim=16, image_shape=(28, 28, 1), body_options={"units": (64, 32)}
    )
    images = smooth_examples((28, 28, 1), 16)
    signs = np.sign(np.random.default_rng(0).normal(size=images.shape)).astype("float32")
    given = tf.constant(images)
    with tf.autodiff.ForwardAccumulator(given, tf.constant(signs)) as along:
        latents = model.encoder(given)
    expected = np.square(as_numpy(along.jvp(latents))).sum(axis=1)
    ends = [as_numpy(model.encoder(images + step * signs)) for step in (STEP, -STEP)]
    found = np.square((ends[0] - ends[1]) / (2 * STEP)).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_the_penalty_contracts():
    images = smooth_examples(SHAPE, 64)
    model = aezoo.build(
        "contractive", latent_dim=4, image_shape=SHAPE, weight=100.0, body_options={"units": (8,)}
    )
    before = squared_norms(model, images[:8]).mean()
    model.fit(images, epochs=8, batch_size=8, verbose=0)
    assert squared_norms(model, images[:8]).mean() < 0.5 * before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"jacobian": "exact", "body_options": {"units": (4,)}}, ["one Dense layer alone", "estimate"]),
        ({"jacobian": "exact", "latent_activation": "gelu"}, ["sigmoid, tanh"]),
        ({"jacobian": "exactly"}, ["exact"]),
        ({"weight": "much"}, ["weight='much'"]),
        ({"directions": 0}, ["directions=0"]),
    ],
)
def test_contractive_refuses(options, words):
    with pytest.raises(OptionError) as error:
        aezoo.build("contractive", **options)
    four_lines(error, *words)


def test_an_estimate_in_bfloat16_is_refused():
    model = aezoo.build("contractive", latent_dim=4, image_shape=SHAPE, jacobian="estimate")
    model.encoder.get_layer("bottleneck").dtype_policy = "mixed_bfloat16"
    with pytest.raises(OptionError) as error:
        model.estimated_norm(smooth_examples(SHAPE, 2), 1)
    four_lines(error, "bfloat16")


# -- masked ------------------------------------------------------------------------------------------


@pytest.fixture
def masked():
    return aezoo.build("masked", masked_share=0.75, patch_size=4, **TINY)


def test_the_encoder_sees_the_kept_share_in_training_alone(masked, monkeypatch):
    images, seen = smooth_examples(SHAPE, 5), []
    transformer = masked.encoder.get_layer("transformer")
    call = type(transformer).call
    monkeypatch.setattr(
        type(transformer),
        "call",
        lambda self, inputs, *args, **options: (
            seen.append(tuple(inputs.shape)) if self is transformer else None,
            call(self, inputs, *args, **options),
        )[1],
    )
    masked(images, training=True)
    assert seen == [(5, 2, 8)]  # of 3 x 3 patches a quarter
    seen.clear()
    masked.encoder(images)
    assert seen == [(5, 9, 8)]


def test_masks_differ_by_step_and_by_example_and_hide_the_same_number(masked):
    images = smooth_examples(SHAPE, 16)
    first, second = (as_numpy(masked.painted(images, True)[1]) for _ in range(2))
    assert set(np.unique(first)) == {0.0, 1.0}
    np.testing.assert_array_equal(first.sum(axis=1), 7)
    assert not np.array_equal(first, second)
    assert len(np.unique(first, axis=0)) > 4
    repeated = [as_numpy(masked.painted(images, False)[1]) for _ in range(2)]
    np.testing.assert_array_equal(*repeated)


def test_what_is_painted_depends_on_visible_patches_alone(masked):
    images = smooth_examples(SHAPE, 6)
    painted, hidden = masked.painted(images, False)
    pixels = as_numpy(masked.as_pixels(hidden))
    assert pixels.shape == (6, 9, 11, 1)
    same, _ = masked.painted(np.where(pixels == 1, 0.7, images).astype("float32"), False)
    np.testing.assert_array_equal(as_numpy(same), as_numpy(painted))
    other, _ = masked.painted(np.where(pixels == 0, 0.7, images).astype("float32"), False)
    assert np.abs(as_numpy(other) - as_numpy(painted)).max() > 1e-4


def test_tokens_return_to_their_places(masked):
    """Without blocks between, each place would get its own token: so says the layer that puts them back."""
    order = np.argsort(np.random.default_rng(0).random((3, 9)), axis=1)
    tokens = np.arange(27, dtype="float32").reshape(3, 9, 1) * np.ones(8, "float32")
    seen = np.take_along_axis(tokens, order[:, :4, None], axis=1)
    filled = as_numpy(masked.mask_token(seen, np.argsort(order, axis=1)))
    token = as_numpy(masked.mask_token.token)
    for example in range(3):
        for place in range(9):
            visible = place in order[example, :4]
            expected = tokens[example, place] if visible else token
            np.testing.assert_allclose(filled[example, place], expected, rtol=1e-6)


def test_the_error_that_counts(masked):
    images = smooth_examples(SHAPE, 6)
    painted, hidden = masked.painted(images, False)
    squares = np.square(as_numpy(painted) - images)
    share = as_numpy(masked.as_pixels(hidden))
    for masked.loss_on, counts in (("all", 1.0), ("masked", share)):
        masked(images)
        expected = (squares * counts).sum(axis=(1, 2, 3)).mean()
        assert float(as_numpy(masked.losses[0]).mean()) == pytest.approx(expected, rel=1e-5)


def test_the_mask_token_is_trained_and_saved(masked, tmp_path):
    images, token = smooth_examples(SHAPE, 16), masked.mask_token.token
    assert any(variable is token for variable in masked.trainable_variables)
    with tf.GradientTape() as tape:
        masked(images, training=True)
        (loss,) = masked.losses
    assert np.abs(as_numpy(tape.gradient(loss, token.value))).max() > 0
    token.assign(np.arange(8, dtype="float32"))
    masked.optimizer.build(masked.trainable_variables)
    masked.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(as_numpy(loaded.mask_token.token), np.arange(8))
    assert loaded.visible == masked.visible


def test_positions_tell_all_places_apart():
    table = Positions((5, 7)).table(16)
    assert table.shape == (35, 16)
    distances = np.square(table[:, None] - table[None]).sum(axis=-1) + 9 * np.eye(35)
    assert distances.min() > 0.01
    # Halves of the row and of the column.
    np.testing.assert_array_equal(table[0, :8], table[6, :8])
    np.testing.assert_array_equal(table[0, 8:], table[7, 8:])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 30}, ["width=30", "multiple of 4"]),
        ({"decoder_width": 24, "heads": 5, "width": 40}, ["decoder_width=24", "multiple of 20"]),
        ({"patch_size": 28}, ["one patch", "patch_size=28"]),
        ({"masked_share": 1.0}, ["masked_share=1.0"]),
        ({"loss_on": "some"}, ["loss_on"]),
        ({"depth": 0}, ["depth=0"]),
    ],
)
def test_masked_refuses(options, words):
    with pytest.raises(OptionError) as error:
        aezoo.build("masked", **options)
    four_lines(error, *words)


# -- all three ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sparse", {"image_shape": SHAPE, "latent_dim": 400, "k": 7, "alpha": 1.5}),
        ("sparse", {"image_shape": SHAPE, "body": "conv", "body_options": {"filters": (4, 8)}}),
        ("contractive", {"image_shape": SHAPE, "body": "conv", "body_options": {"filters": (4, 8)}}),
        ("contractive", {"features": 7, "body_options": {"units": (6,)}}),
        ("masked", {**TINY, "patch_size": 5, "loss_on": "masked"}),
    ],
)
@pytest.mark.exhaustive
def test_conformance_of_other_options(name, options):
    check_model(name, checks=QUICK, **options)


@pytest.mark.parametrize("opset", [17, 21])
def test_both_layers_are_written_as_onnx(tmp_path, opset):
    import onnx
    import onnxruntime

    inputs = keras.Input((6, 5))
    x = keras.layers.Flatten()(Positions((2, 3))(keras.layers.Dense(8)(inputs)))
    model = keras.Model(inputs, KSparse(3, alpha=2.0)(x))
    options = {"inputs": ("tokens",), "outputs": ("latents",), "opset": opset, "route": "direct"}
    to_onnx.write(model, tmp_path / "model.onnx", **options)
    written = onnx.load(tmp_path / "model.onnx")
    assert {"TopK", "Where"} <= {node.op_type for node in written.graph.node}
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 7):
        given = np.random.default_rng(count).normal(size=(count, 6, 5)).astype("float32")
        (latents,) = session.run(None, {"tokens": given})
        np.testing.assert_allclose(latents, as_numpy(model(given)), atol=1e-5)
        np.testing.assert_array_equal(np.count_nonzero(latents, axis=1), 6)
