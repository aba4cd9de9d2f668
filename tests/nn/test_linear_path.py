"""A linear path beside a network: principal components at first, and exported as any other."""

import keras
import numpy as np
import pytest
from conftest import four_lines
from sklearn.decomposition import PCA

import aezoo
from aezoo.core.errors import OptionError
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.formats import FORMATS
from aezoo.nn.linear_path import Clip
from aezoo.testing import smooth_examples

CLIPPED = {"output_activation": "clip"}
MODELS = {
    "dense": ("dense", (12,), {"features": 12, "units": 8}),
    "dense of images": (
        "dense",
        (8, 9, 2),
        {"image_shape": (8, 9, 2), "units": 8, "output_activation": "clip"},
    ),
    "conv": ("conv", (9, 8, 1), {"image_shape": (9, 8, 1), "filters": 4, "output_activation": "clip"}),
    "conv by pooling": (
        "conv",
        (9, 8, 1),
        {
            "image_shape": (9, 8, 1),
            "filters": 4,
            "output_activation": "clip",
            "upsampling": "resize",
            "normalization": "batch",
        },
    ),
    "lstm": ("lstm", (7, 2), {"sequence_shape": (7, 2), "units": 4}),
    "conv1d": ("conv1d", (11, 2), {"sequence_shape": (11, 2), "filters": 4, "normalization": "batch"}),
}


def built(case, **options):
    name, shape, given = MODELS[case]
    return aezoo.build(name, latent_dim=3, linear_path=True, **{**given, **options}), smooth_examples(
        shape, 60
    )


def by_pca(examples, scale, count=3):
    flat = (examples / scale).reshape(len(examples), -1)
    pca = PCA(count, random_state=0).fit(flat)
    return pca.inverse_transform(pca.transform(flat)).reshape(examples.shape) * scale


@pytest.mark.parametrize("case", MODELS)
def test_it_begins_as_principal_components(case):
    model, examples = built(case)
    model.adapt(examples)
    wanted = by_pca(examples, model.error_scale)
    wanted = np.clip(wanted, 0, 1) if examples.ndim == 4 else wanted
    np.testing.assert_allclose(model.reconstruct(examples), wanted, rtol=1e-4, atol=1e-4 * np.ptp(examples))
    latents = model.encode(examples)
    np.testing.assert_allclose(
        latents.std(axis=0)[: 2 if case == "dense" else 3], 1, rtol=1e-3
    )  # of two factors
    np.testing.assert_allclose(latents.mean(axis=0), 0, atol=1e-3)


@pytest.mark.parametrize("case", ["conv", "conv1d"])
def test_fit_takes_them_by_itself_and_once(case, tmp_path):
    model, examples = built(case)
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(examples[:30], epochs=1, verbose=0)
    first = model.encode(examples)
    np.testing.assert_allclose(first[:30].std(axis=0), 1, rtol=1e-2)
    model.fit(examples, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.encode(examples), first)
    model.save(tmp_path / "model.keras")
    again = aezoo.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.encode(examples), first)
    again.adapt(examples)  # it has weights, which were perhaps trained
    np.testing.assert_array_equal(again.get_weights()[-1], model.get_weights()[-1])


def test_from_a_stream():
    import tensorflow as tf

    model, examples = built("conv")
    model.adapt(tf.data.Dataset.from_tensor_slices(examples).batch(16))
    other, _ = built("conv")
    other.adapt(examples)
    np.testing.assert_array_equal(model.encode(examples), other.encode(examples))


def test_training_improves_on_it():
    model, examples = built("dense of images")
    model.adapt(examples)
    before = model.evaluate(examples, verbose=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(examples, epochs=60, batch_size=16, verbose=0)
    assert model.evaluate(examples, verbose=0) < 0.9 * before


def test_fewer_examples_than_latents():
    model, examples = built("conv")
    model.adapt(examples[:2])
    latents = model.encode(examples[:2])
    assert np.isfinite(latents).all()
    np.testing.assert_allclose(model.reconstruct(examples[:2]), examples[:2], atol=1e-4)


def test_a_constant_is_reproduced():
    model, _ = built("dense")
    rows = np.full((20, 12), 7.0, "float32")
    model.adapt(rows)
    np.testing.assert_allclose(model.reconstruct(rows), rows)


def test_what_bends_it_is_refused():
    for options, words in (
        ({"latent_activation": "tanh"}, ("latent_activation='tanh'", "latent_activation=None")),
        ({"output_activation": "sigmoid"}, ("output_activation='sigmoid'", "output_activation='clip'")),
    ):
        with pytest.raises(OptionError) as error:
            built("conv", **options)
        four_lines(error, "no path is linear", *words)


def test_an_encoder_of_several_outputs_has_none():
    with pytest.raises(OptionError) as error:
        aezoo.build("vae", likelihood="gaussian", body_options={"linear_path": True, **CLIPPED})
    four_lines(error, "one output", "leave linear_path out")


def test_clip_leaks_in_training_alone():
    values = np.array([[-2.0, 0.25, 3.0]], "float32")
    np.testing.assert_array_equal(Clip()(values), [[0, 0.25, 1]])
    found = keras.ops.convert_to_numpy(Clip()(values, training=True))
    np.testing.assert_allclose(found, [[-2 * Clip.LEAK, 0.25, 1 + 2 * Clip.LEAK]], rtol=1e-6)


SOME = ["onnx", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in FORMATS if name != "onnx")]


@pytest.mark.parametrize(
    "case", ["dense", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("conv", "lstm"))]
)
@pytest.mark.parametrize("format", SOME)
def test_exported_in_every_format(case, format, tmp_path):
    if (case, format) == ("lstm", "c"):
        pytest.skip("C has no LSTM, with or without this path")
    model, examples = built(case)
    model.fit(examples, epochs=1, verbose=0)
    # One scale of int8 for columns of many units is too coarse for LiteRT, with or without this path.
    precisions = ["float32"] + ["int8"] * (format == "onnx" or (format, case) == ("litert", "conv"))
    options = ExportOptions(formats=[format], precisions=precisions)
    assert export_bundle(model, tmp_path / "bundle", options, examples=examples).is_dir()
