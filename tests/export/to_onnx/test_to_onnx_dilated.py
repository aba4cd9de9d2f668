"""Dilated transposed convolutions against NumPy, since Keras cannot compute them on every processor.

TensorFlow has them for CPUs in oneDNN alone. It turns that on by itself on processors with VNNI, aezoo
does on all, and TF_ENABLE_ONEDNN_OPTS=0 off.
"""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, four_lines
from onnx_models import assert_direct, difference, examples, keras, keras_outputs, layers, randomize

MAP, SEQUENCE = (7, 5, 3), (11, 3)


def transposed_convolution(layer, x):
    """What a Conv1DTranspose or Conv2DTranspose computes: every value adds the kernel, times itself.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 4.
    """
    kernel = np.asarray(layer.kernel, "float64")  # (*taps, out, in)
    *taps, channels, _ = kernel.shape
    lengths = layer.compute_output_shape(x.shape)[1:-1]
    axes = list(zip(x.shape[1:-1], taps, layer.strides, layer.dilation_rate, strict=True))
    reached = [(size - 1) * stride + (count - 1) * rate + 1 for size, count, stride, rate in axes]
    y = np.zeros((len(x), *map(max, reached, lengths), channels))
    for tap in np.ndindex(*taps):
        places = [
            slice(at * rate, at * rate + (size - 1) * stride + 1, stride)
            for at, (size, _, stride, rate) in zip(tap, axes, strict=True)
        ]
        y[:, *places] += x @ kernel[tap].T
    # "same" cuts at both ends, the odd value at the later one
    begins = [max(reach - length, 0) // 2 for reach, length in zip(reached, lengths, strict=True)]
    y = y[:, *(slice(begin, begin + length) for begin, length in zip(begins, lengths, strict=True))]
    y = y + np.asarray(layer.bias) if layer.use_bias else y
    return np.asarray(layer.activation(y.astype("float32")))


def outputs_by_numpy(model, given):
    """What a chain of layers computes, its transposed convolutions in NumPy, the others in Keras."""
    (x,) = given
    for layer in model.layers[1:]:
        is_transposed = isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose))
        x = transposed_convolution(layer, x) if is_transposed else np.asarray(layer(x))
    return [x]


def chain(*parts, shape):
    x = given = keras.Input(shape)
    for part in parts:
        x = part(x)
    return randomize(keras.Model(given, x, name="chain"))


KINDS = {
    "map": (layers.Conv2DTranspose, layers.Conv2D, MAP),
    "sequence": (layers.Conv1DTranspose, layers.Conv1D, SEQUENCE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_is_keras_where_nothing_is_dilated(kind):
    transposed, _, shape = KINDS[kind]
    for kernel, strides, padding in itertools.product((2, 3, 4, 5), (1, 2, 3), ("valid", "same")):
        model = chain(transposed(4, kernel, strides=strides, padding=padding), shape=shape)
        given = examples(model, 3)
        assert difference(*keras_outputs(model, given), *outputs_by_numpy(model, given)) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_is_keras_with_zeros_between_the_taps(kind):
    transposed, _, shape = KINDS[kind]
    for taps, rate, padding in itertools.product((2, 3), (2, 3), ("valid", "same")):
        dilated = chain(transposed(4, taps, dilation_rate=rate, padding=padding), shape=shape)
        spread = chain(transposed(4, (taps - 1) * rate + 1, padding=padding), shape=shape)
        kernel, bias = (np.asarray(weight) for weight in dilated.layers[1].weights)
        zeros = np.zeros(spread.layers[1].kernel.shape, "float32")
        zeros[(slice(None, None, rate),) * (len(shape) - 1)] = kernel
        spread.layers[1].set_weights([zeros, bias])
        given = examples(dilated, 3)
        assert difference(*keras_outputs(spread, given), *outputs_by_numpy(dilated, given)) < 1e-5


DILATED = {
    "valid": {"kernel_size": 3, "dilation_rate": 2, "use_bias": False, "activation": "relu"},
    "same": {"kernel_size": 3, "dilation_rate": 2, "padding": "same", "activation": "gelu"},
    "even": {"kernel_size": 4, "dilation_rate": 3, "padding": "same"},
    "odd": {"kernel_size": 2, "dilation_rate": 3, "padding": "same"},
}


@pytest.mark.parametrize("surrounded", [False, True], ids=["alone", "between"])
@pytest.mark.parametrize("name", DILATED)
@pytest.mark.parametrize("kind", KINDS)
def test_dilated_transposed_convolutions(kind, name, surrounded, tmp_path):
    # Between two convolutions they meet values stored channels first, alone Keras's own layout.
    transposed, convolution, shape = KINDS[kind]
    layer = transposed(4, **DILATED[name])
    around = [convolution(3, 1), layer, convolution(2, 1)] if surrounded else [layer]
    operators = assert_direct(chain(*around, shape=shape), tmp_path / "one.onnx", outputs=outputs_by_numpy)
    assert "ConvTranspose" in operators


def test_rates_of_each_axis(tmp_path):
    model = chain(layers.Conv2DTranspose(4, (2, 3), dilation_rate=(1, 2)), shape=MAP)
    assert_direct(model, tmp_path / "one.onnx", outputs=outputs_by_numpy)


WITHOUT_ONEDNN = """
import sys
import numpy as np
import aezoo
from aezoo.nn.autoencoder import Autoencoder, keras

layers = keras.layers
images, latents = keras.Input((6, 6, 1), name="images"), keras.Input((2,), name="latents")
encoder = keras.Model(images, layers.Dense(2, name="latents")(layers.Flatten()(images)), name="encoder")
x = layers.Reshape((2, 2, 2))(layers.Dense(8)(latents))
decoder = keras.Model(latents, layers.Conv2DTranspose(1, 3, dilation_rate=2)(x), name="decoder")


def build(latent_dim=2, image_shape=(6, 6, 1)):
    model = Autoencoder(encoder, decoder)
    model.compile()
    return model


aezoo.register("own", build, kinds={"images"}, summary="dilated")
if __name__ == "__main__":
    from aezoo.core.errors import ExportError
    from aezoo.export import export_bundle

    for examples in (None, np.zeros((200, 6, 6, 1), "float32")):
        try:
            export_bundle(build(), sys.argv[1], examples=examples)
        except ExportError as error:
            print(error)
"""


def test_a_model_that_tensorflow_cannot_compute_is_refused_in_four_lines(tmp_path):
    (tmp_path / "own.py").write_text(WITHOUT_ONEDNN, encoding="utf-8")
    np.save(tmp_path / "images.npy", np.zeros((50, 6, 6, 1), "float32"))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, "TF_ENABLE_ONEDNN_OPTS": "0"}

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8")

    exported = run("own.py", "bundle")
    assert exported.returncode == 0, exported.stderr
    lines = exported.stdout.splitlines()
    assert len(lines) == 8
    four_lines("\n".join(lines[:4]), "conv2d_transpose", "dilation rates", "TF_ENABLE_ONEDNN_OPTS=1")
    four_lines("\n".join(lines[4:]), "conv2d_transpose", "dilation rates", "TF_ENABLE_ONEDNN_OPTS=1")
    assert sorted(file.name for file in tmp_path.iterdir() if file.name != "__pycache__") == [
        "images.npy",
        "own.py",
    ]
    trained = run(
        *("-m", "aezoo", "train", "own", "--import", "own"),
        *("--data", "images.npy", "--epochs", "1", "-o", "run"),
    )
    assert trained.returncode == 1
    four_lines(trained.stderr, "Conv2DTranspose: ", "dilation rates", "TF_ENABLE_ONEDNN_OPTS=1")
