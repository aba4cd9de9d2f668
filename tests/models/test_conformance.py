"""Every registered model keeps every rule; options are drawn at random on top."""

import hypothesis
import numpy as np
import pytest
from conftest import four_lines, mostly_exhaustive
from hypothesis import strategies as st
from small_models import CASES, MAKES, small

import aezoo
from aezoo import testing
from aezoo.core.errors import OptionError
from aezoo.models import _registry
from aezoo.nn.autoencoder import Autoencoder, keras

# test_contract.py meets every model in the first run as well.
FIRST = mostly_exhaustive(CASES, lambda case: case[0] in MAKES and case[1] == small(case[0]))


@pytest.mark.parametrize(("name", "options"), FIRST, ids=lambda value: str(value))
def test_conformance(name, options):
    testing.check_model(name, **options)


def test_check_model_finds_a_broken_model(monkeypatch):
    """A suite that passes everything is worth nothing."""
    from aezoo.models import dense

    class AlwaysNoise(keras.layers.Layer):
        def call(self, latents):  # random outside training, which no exported graph may be
            return latents + keras.random.normal((1,))

    def build(latent_dim=2, image_shape=(8, 8, 1)):
        plain = dense.build(latent_dim, image_shape, units=(8,))
        inputs = keras.Input(image_shape)
        encoder = keras.Model(inputs, AlwaysNoise()(plain.encoder(inputs)), name="encoder")
        model = Autoencoder(encoder, plain.decoder)
        model.compile()
        return model

    monkeypatch.setattr(_registry, "_TABLE", dict(_registry._TABLE))
    aezoo.register("noisy", build, paper="nobody", summary="broken on purpose")
    with pytest.raises(testing.ConformanceError) as error:
        testing.check_model("noisy", checks=["repeats_itself"])
    four_lines(error, "nothing is random outside training")


@hypothesis.settings(max_examples=12, deadline=None, derandomize=True)
@hypothesis.given(
    height=st.integers(8, 23),
    width=st.integers(8, 23),
    channels=st.integers(1, 4),
    latent_dim=st.integers(1, 5),
    depths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    kernel_size=st.integers(2, 5),
    downsampling=st.sampled_from(["stride", "max_pool"]),
    upsampling=st.sampled_from(["transpose", "resize"]),
    normalization=st.sampled_from([None, "batch", "layer", "group"]),
    activation=st.sampled_from(["relu", "leaky_relu", "tanh", "gelu", "silu"]),
)
def test_conv_any_options(height, width, channels, latent_dim, depths, **options):
    shape = (height, width, channels)
    model = aezoo.build("conv", latent_dim=latent_dim, image_shape=shape, filters=tuple(depths), **options)
    images = testing.smooth_examples(shape, 3)
    assert model.encoder(images).shape == (3, latent_dim)
    again = keras.ops.convert_to_numpy(model(images))
    assert again.shape == images.shape
    assert np.isfinite(again).all()


@hypothesis.settings(max_examples=10, deadline=None, derandomize=True)
@hypothesis.given(
    features=st.integers(1, 9),
    latent_dim=st.integers(1, 4),
    units=st.lists(st.integers(1, 9), max_size=3),
    normalization=st.sampled_from([None, "batch", "layer"]),
)
def test_dense_any_options(features, latent_dim, units, normalization):
    model = aezoo.build(
        "dense", latent_dim=latent_dim, features=features, units=tuple(units), normalization=normalization
    )
    rows = testing.smooth_examples((features,), 9)
    model.adapt(rows)
    assert model(rows).shape == rows.shape
    assert model.encoder(rows).shape == (9, latent_dim)


@pytest.mark.parametrize("option", ["latent_dim", "image_shape", "features"])
@pytest.mark.parametrize("name", ["vae", "wae", "sparse", "conditional_vae"])
def test_a_body_cannot_contradict_its_model(name, option):
    with pytest.raises(OptionError) as error:
        aezoo.build(name, body_options={option: 3})
    four_lines(error, "of the model itself", f"pass {option}=3")


def test_encoder_and_decoder_must_fit():
    first, second = (aezoo.build("dense", latent_dim=size, features=3, units=(4,)) for size in (2, 5))
    with pytest.raises(OptionError) as error:
        Autoencoder(first.encoder, second.decoder)
    four_lines(error, "does not take what the encoder returns", "latent_dim")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"seed": 1.5}, "seed"),
        ({"seed": -1}, "seed"),
        ({"likelihood": "gaussian", "scale": float("inf")}, "scale"),
        ({"likelihood": "gaussian", "scale": 1e-30}, "scale"),
        ({"body_options": {"output_activation": "linear"}}, "bernoulli likelihood is of probabilities"),
    ],
    ids=str,
)
def test_options_of_variational_models_are_checked(options, word):
    with pytest.raises(OptionError) as error:
        aezoo.build("vae", **options)
    four_lines(error, word)
