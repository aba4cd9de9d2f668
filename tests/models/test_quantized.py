"""Quantised models: what a quantiser rounds to, how gradients pass it, how a codebook learns."""

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from conftest import ROOT, four_lines

import aezoo
from aezoo.core.errors import DataError, OptionError
from aezoo.evaluation.codebook import perplexity
from aezoo.export import to_onnx
from aezoo.export.bundling import make_golden
from aezoo.models.fsq import FiniteScalarQuantizer
from aezoo.models.vq_vae import VectorQuantizer
from aezoo.nn.autoencoder import Autoencoder, keras
from aezoo.nn.quantized import Quantized
from aezoo.testing import smooth_examples

SHAPE = (9, 11, 1)
OPTIONS = {
    "vq_vae": {"latent_dim": 3, "codebook_size": 16},
    "fsq": {"levels": (4, 3, 5)},
}
NAMES = sorted(OPTIONS)


def small(name, **options):
    keras.utils.set_random_seed(0)
    body = {"image_shape": SHAPE, "filters": (4, 6), "residual_blocks": 1}
    return aezoo.build(name, **{**body, **OPTIONS[name], **options})


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def nearest(vectors, codebook):
    return np.square(vectors[..., None, :] - codebook).sum(axis=-1).argmin(axis=-1)


# -- both --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_latents_are_rows_of_the_codebook(name):
    model = small(name)
    images = smooth_examples(SHAPE, 7)
    latents, codes = model.outputs(images)
    assert codes.dtype == np.int32
    assert codes.shape == (7, 3, 3)
    np.testing.assert_array_equal(codes, model.code_indices(images))
    assert model.codebook.dtype == np.float32
    np.testing.assert_array_equal(model.codebook[codes], latents)
    np.testing.assert_array_equal(model.decode(codes), model.decode(latents))


@pytest.mark.parametrize("name", NAMES)
def test_code_decoder_is_the_decoder_behind_the_codebook(name):
    model = small(name)
    part, inputs, outputs = model.parts()["code_decoder"]
    assert (inputs, outputs) == (("code_indices",), ("reconstructions",))
    assert part.inputs[0].dtype == "int32"
    codes = np.random.default_rng(0).integers(0, len(model.codebook), (5, 3, 3), "int32")
    expected = array(model.decoder(model.codebook[codes]))
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(array(part(codes)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_codes_that_are_not_there_are_refused(name):
    model = small(name)
    size = len(model.codebook)
    codes = np.zeros((2, 3, 3), int)
    codes[1, 2, 0] = size
    with pytest.raises(DataError) as error:
        model.decode(codes)
    four_lines(error, "no such code", f"0 to {size - 1}")
    with pytest.raises(DataError) as error:
        model.decode(np.zeros((2, 9), int))
    four_lines(error, "wrong shape", "(batch, 3, 3)")


@pytest.mark.parametrize("name", NAMES)
def test_the_prior_draws_what_was_met_at_each_position(name):
    model = small(name)
    images = smooth_examples(SHAPE, 40)
    model.fit_prior(images)
    codes = model.code_indices(images)
    drawn = model.prior.sample_indices(200, seed=1)
    for row, column in np.ndindex(3, 3):
        assert set(drawn[:, row, column]) <= set(codes[:, row, column])
    np.testing.assert_array_equal(model.sample_latents(200, seed=1), model.codebook[drawn])
    assert model.sample(4).shape == (4, *SHAPE)


@pytest.mark.parametrize(("name", "options"), [("vq_vae", {}), ("fsq", {"levels": (8, 5, 5, 5)})])
def test_many_codes_are_in_use_after_training(name, options):
    model = small(name, **options)
    images = smooth_examples(SHAPE, 256)
    model.fit(images, epochs=3, batch_size=16, verbose=0)
    codes = len(model.codebook)
    assert 5 < perplexity(model.code_indices(images), codes) <= codes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("opset", [17, 21])
def test_the_exported_encoder_gives_the_same_codes(name, opset, tmp_path):
    """Through the emitter and through tf2onnx; at both no operation that runtimes do not know."""
    model = small(name)
    if name == "vq_vae":
        model.quantizer.codebook.assign(normal(16, 3) * 0.3)
    golden = make_golden(model, smooth_examples(SHAPE, 20))
    part, inputs, outputs = model.parts()["encoder"]
    for route in ("direct", "tf2onnx") if opset == 17 else ("direct",):
        path = tmp_path / f"{route}.onnx"
        to_onnx.write(part, path, inputs=inputs, outputs=outputs, opset=opset, route=route)
        latents, codes = onnxruntime.InferenceSession(path).run(None, {"images": golden["examples"]})
        assert codes.dtype == np.int32
        np.testing.assert_array_equal(codes, golden["code_indices"])
        assert len(np.unique(codes)) > 3
        np.testing.assert_allclose(latents, golden["latents"], rtol=0, atol=1e-6)
        operators = {node.op_type for node in onnx.load(path).graph.node}
        assert operators & ({"ArgMin"} if name == "vq_vae" else {"Round"}) or route == "tf2onnx"
        assert "Bitcast" not in operators


def test_an_encoder_without_a_quantiser_is_refused():
    images = keras.Input(SHAPE)
    encoder = keras.Model(images, [images, images], name="encoder")
    with pytest.raises(OptionError) as error:
        Quantized(encoder, keras.Model(images, images, name="decoder"))
    four_lines(error, "has one quantiser", "0 of them in 'encoder'")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("vq_vae", {"codebook_size": 0}, ["codebook_size is a whole number of at least 1"]),
        ("vq_vae", {"commitment_weight": -1}, ["this commitment_weight means nothing", "at least 0"]),
        ("vq_vae", {"decay": 1.0}, ["decay=1.0", "at least 0 and below 1"]),
        ("vq_vae", {"codebook_update": "emma"}, ["did you mean 'ema'?"]),
        ("vq_vae", {"residual_blocks": -1}, ["residual_blocks"]),
        ("fsq", {"levels": (8, 2)}, ["make no codebook", "at least 3 levels"]),
        ("fsq", {"levels": (1024, 1025)}, ["1049600 codes", "at most 1048576 codes"]),
        ("fsq", {"levels": ()}, ["make no codebook"]),
        ("fsq", {"filters": (4, 4, 4, 4)}, ["too small for 4 halvings", "filters=(4, 4, 4)"]),
    ],
)
def test_options_that_cannot_be_used(name, options, words):
    with pytest.raises(OptionError) as error:
        small(name, **options)
    four_lines(error, *words)


@pytest.mark.exhaustive
def test_trains_on_jax(tmp_path):
    """The codebook's moving averages are variables that change within a step; JAX wants to know of them."""
    pytest.importorskip("jax")
    code = f"""
import numpy as np, aezoo
from aezoo.testing import smooth_examples
images = smooth_examples((9, 11, 1), 96)
for name, options in {OPTIONS!r}.items():
    model = aezoo.build(name, image_shape=(9, 11, 1), filters=(4,), residual_blocks=0, **options)
    before = model.codebook
    history = model.fit(images, epochs=8, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < history[0], history
    assert np.array_equal(before, model.codebook) == (name == "fsq")
    assert len(np.unique(model.code_indices(images))) > 3
    model.save("model.keras")
    assert np.array_equal(aezoo.load("model.keras").reconstruct(images), model.reconstruct(images))
assert aezoo.nn.autoencoder.keras.backend.backend() == "jax"
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


# -- vector quantisation -----------------------------------------------------------------------------


def test_vectors_go_to_the_nearest_code():
    layer, vectors = VectorQuantizer(12), normal(5, 2, 3, 4)
    layer.build(vectors.shape)
    layer.codebook.assign(normal(12, 4, seed=1))
    latents, codes = layer(vectors)
    np.testing.assert_array_equal(array(codes), nearest(vectors, array(layer.codebook)))
    np.testing.assert_array_equal(array(latents), array(layer.codebook)[array(codes)])


def test_gradients_pass_the_codes_as_if_they_were_not_there():
    layer, weights = VectorQuantizer(12), normal(5, 2, 3, 4, seed=2)
    vectors = tf.constant(normal(5, 2, 3, 4))
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        latents, _ = layer(vectors, training=True)
        score = tf.reduce_sum(latents * weights)
    np.testing.assert_array_equal(tape.gradient(score, vectors), weights)


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_losses_are_means_over_all_values(update):
    """The scale of a mean squared error, and each term moves one side only."""
    layer, vectors = VectorQuantizer(12, 0.3, update), tf.constant(normal(5, 2, 3, 4))
    layer.build(vectors.shape)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        _, codes = layer(vectors)
        total = tf.add_n(layer.losses)
    difference = vectors.numpy() - array(layer.codebook)[array(codes)]
    error = np.square(difference).mean()
    assert float(total) == pytest.approx(error * (0.3 if update == "ema" else 1.3), rel=1e-5)
    slope = tape.gradient(total, vectors)
    np.testing.assert_allclose(slope, 0.3 * 2 * difference / difference.size, rtol=1e-4, atol=1e-7)
    assert len(layer.trainable_variables) == (update == "gradient")


def test_the_loss_that_is_reported_is_the_sum_of_both_terms():
    model = small("vq_vae", commitment_weight=0.5)
    images = smooth_examples(SHAPE, 16)
    vectors = keras.Model(model.encoder.inputs[0], model.quantizer.input)
    commitment = np.square(array(vectors(images)) - model.encode(images)).mean()
    mse = np.square(model.reconstruct(images) - images).mean()
    reported = model.evaluate(images, verbose=0, batch_size=16)
    assert commitment > 0.01 * mse
    assert reported == pytest.approx(mse + 0.5 * commitment, rel=1e-4)


def test_the_codebook_follows_the_moving_averages_of_the_paper():
    """Appendix A.1: N = decay N + (1 - decay) n, m = decay m + (1 - decay) sum, e = m / N."""
    layer = VectorQuantizer(6, decay=0.9, revive_below=0)
    layer.build((None, 3, 3, 2))
    codebook = normal(6, 2, seed=9)
    layer.codebook.assign(codebook)
    counts, sums = np.zeros(6), np.zeros((6, 2))
    for seed in range(3):
        vectors = normal(4, 3, 3, 2, seed=seed)
        chosen = nearest(vectors, codebook).ravel()
        layer(vectors, training=True)
        one_hot = np.eye(6)[chosen]
        counts = 0.9 * counts + 0.1 * one_hot.sum(axis=0)
        sums = 0.9 * sums + 0.1 * one_hot.T @ vectors.reshape(-1, 2)
        codebook = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1e-9)[:, None], codebook)
        np.testing.assert_allclose(array(layer.usage), counts, rtol=1e-5)
        np.testing.assert_allclose(array(layer.codebook), codebook, rtol=1e-4, atol=1e-6)
    assert (counts > 0).sum() > 3
    layer(vectors)
    np.testing.assert_allclose(array(layer.usage), counts, rtol=1e-5)  # outside training nothing moves


def test_dead_codes_are_set_to_vectors_of_the_batch():
    layer, vectors = VectorQuantizer(8, revive_below=0.1), normal(20, 2, 2, 3) + 50
    layer.build(vectors.shape)
    layer.codebook.assign(np.concatenate([vectors[0, 0, :1], np.full((7, 3), -50)]))
    layer.usage.assign([30, 0.9, 0, 0, 0, 0, 0, 2])  # of 80 vectors, 10 a code: fewer than 1 is dead
    layer(vectors, training=True)
    codebook, usage = array(layer.codebook), array(layer.usage)
    np.testing.assert_allclose(usage, [0.99 * 30 + 0.8, 1, 1, 1, 1, 1, 1, 1.98], rtol=1e-5)
    np.testing.assert_allclose(codebook[7], -50)
    distances = np.linalg.norm(codebook[1:7, None] - vectors.reshape(-1, 3), axis=-1)
    assert distances.min(axis=1).max() < 0.1
    assert len(set(distances.argmin(axis=1))) == 6
    assert distances.min() > 0  # not equal to a vector, so that no two codes are equal


def test_equal_vectors_make_no_equal_codes():
    layer = VectorQuantizer(8)
    vectors = np.repeat(normal(2, 1, 1, 3), 50, axis=0)
    layer(vectors, training=True)
    assert len(np.unique(array(layer.codebook), axis=0)) == 8


def test_lower_precision_leaves_the_codebook_alone():
    layer = VectorQuantizer(8, dtype="mixed_bfloat16")
    latents, codes = layer(normal(3, 2, 2, 3), training=True)
    assert latents.dtype == "bfloat16"
    assert codes.dtype == "int32"
    assert layer.codebook.dtype == layer.usage.dtype == "float32"


# -- finite scalar quantisation ----------------------------------------------------------------------


def bounded(vectors, levels):
    """The bound of the paper's appendix A.1, by hand."""
    half = (np.array(levels) - 1) * (1 - 1e-3) / 2
    offset = np.where(np.array(levels) % 2 == 1, 0.0, 0.5)
    return np.tanh(vectors + np.tan(offset / half)) * half - offset


def test_fsq_on_the_example_of_the_paper():
    """Levels (3, 5, 4), the vector (0.25, 0.6, -7): 0, 1 and -2 are the digits 1, 3 and 0 of code 10."""
    latents, code = FiniteScalarQuantizer((3, 5, 4))(np.array([[0.25, 0.6, -7.0]], "float32"))
    np.testing.assert_array_equal(array(latents), np.array([[0.0, 0.5, -1.0]], "float32"))
    assert array(code).tolist() == [10]


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (4, 3, 7), (6,)])
def test_fsq_channels_take_exactly_their_levels(levels):
    layer = FiniteScalarQuantizer(levels)
    sweep = np.repeat(np.linspace(-12, 12, 4001, dtype="float32")[:, None], len(levels), axis=1)
    latents, codes = map(array, layer(sweep))
    for channel, count in enumerate(levels):
        expected = (np.arange(count) - count // 2) / np.float32(count // 2)
        np.testing.assert_allclose(np.unique(latents[:, channel]), expected, rtol=1e-6)
    np.testing.assert_allclose(
        latents, np.round(bounded(sweep, levels)) / (np.array(levels) // 2), rtol=1e-6, atol=1e-7
    )
    assert (codes.min(), codes.max()) == (0, np.prod(levels) - 1)


def test_fsq_codes_and_vectors_are_one_to_one():
    layer = FiniteScalarQuantizer((4, 3, 5))
    codebook = layer.codebook
    assert codebook.shape == (60, 3)
    assert len(np.unique(codebook, axis=0)) == 60
    # Vectors that are bounded to the codes themselves: the bound turned round.
    target = codebook * layer.half_width
    inside = np.clip((target + layer.offset) / layer.half_range, -0.9999, 0.9999)
    vectors = np.arctanh(inside) - layer.shift
    latents, codes = map(array, layer(vectors.astype("float32")))
    np.testing.assert_array_equal(codes, np.arange(60))
    np.testing.assert_array_equal(latents, codebook)


def test_fsq_gradients_pass_the_rounding():
    levels = (4, 3, 5)
    layer, weights = FiniteScalarQuantizer(levels), normal(6, 3, seed=2)
    vectors = tf.constant(normal(6, 3))
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        latents, _ = layer(vectors, training=True)
        score = tf.reduce_sum(latents * weights)
    step = 1e-4
    ahead, behind = (bounded(vectors.numpy().astype("float64") + s, levels) for s in (step, -step))
    expected = weights * (ahead - behind) / (2 * step) / (np.array(levels) // 2)
    np.testing.assert_allclose(tape.gradient(score, vectors), expected, rtol=1e-4)
    np.testing.assert_allclose(array(latents), array(layer(vectors)[0]), atol=1e-6)


def test_fsq_has_no_loss_of_its_own():
    model = small("fsq")
    assert isinstance(model, Autoencoder)
    images = smooth_examples(SHAPE, 16)
    mse = np.square(model.reconstruct(images) - images).mean()
    assert model.evaluate(images, verbose=0) == pytest.approx(mse, rel=1e-4)
    assert not model.losses
