"""Layers of an own encoder that rest outside of training, or seem to act: exported for what they compute."""

import keras
import numpy as np
import pytest
from conftest import four_lines

import aezoo
from aezoo.core.errors import ExportError
from aezoo.export import ExportOptions, export_bundle, to_saved_model
from aezoo.testing import smooth_examples

SHAPE = (16, 12, 1)
LAYERS = {
    "Resizing": {"height": 8, "width": 8},
    "CenterCrop": {"height": 8, "width": 8},
    "RandomRotation": {"factor": 0.1},
    "RandomContrast": {"factor": 0.1, "value_range": (0, 1)},
}


def own(layer):
    images, latents = keras.Input(SHAPE), keras.Input((3,))
    encoder = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(layer(images))))
    decoded = keras.layers.Reshape(SHAPE)(keras.layers.Dense(int(np.prod(SHAPE)))(latents))
    return aezoo.Autoencoder(encoder, keras.Model(latents, decoded))


def exported(layer, folder, formats=("onnx",)):
    options = ExportOptions(formats=formats, parts=["encoder"])
    return export_bundle(own(layer), folder, options, examples=smooth_examples(SHAPE, 20))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_record_training_are_exported_at_rest(name, tmp_path):
    """Keras records training=True, the default of their call, and sets it aside outside of fit."""
    layer = getattr(keras.layers, name)(**LAYERS[name])
    assert aezoo.load(exported(layer, tmp_path / "bundle")).encode(smooth_examples(SHAPE, 2)).shape == (2, 3)


def test_what_keras_cannot_compute_is_said(tmp_path):
    with pytest.raises(ExportError) as error:
        exported(keras.layers.RandomCrop(8, 8), tmp_path / "bundle")
    four_lines(error, "outside of training", "dense")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("more", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}])
def test_every_way_to_resize(interpolation, more, tmp_path):
    layer = keras.layers.Resizing(9, 10, interpolation=interpolation, **more)
    assert exported(layer, tmp_path / "bundle", ("onnx", "saved_model")).is_dir()


def test_the_true_reason_is_told(tmp_path):
    with pytest.raises(ExportError) as error:
        exported(keras.layers.Resizing(8, 8, antialias=True), tmp_path / "bundle")
    four_lines(error, "ScaleAndTranslate")


def test_a_lookup_table_is_in_the_saved_model(tmp_path):
    import tensorflow as tf

    class Looked(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            entries = tf.lookup.KeyValueTensorInitializer(
                tf.constant([0, 1], tf.int64), tf.constant([5.0, 7.0])
            )
            self.table = tf.lookup.StaticHashTable(entries, -1.0)

        def call(self, inputs):
            return self.table.lookup(tf.cast(inputs, tf.int64))

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, "float32")

    rows = keras.Input((3,))
    part = keras.Model(rows, Looked()(rows))
    path = tmp_path / "part"
    to_saved_model.write(part, path, inputs=("rows",), outputs=("latents",), endpoint="encoder")
    answer = tf.saved_model.load(str(path)).signatures["encoder"](rows=tf.constant([[0.0, 1, 2]]))
    np.testing.assert_array_equal(answer["latents"], [[5, 7, -1]])
