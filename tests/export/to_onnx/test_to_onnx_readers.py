"""Runtimes that nobody here wrote must read the files, and compute the same."""

import functools

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_models import (
    both,
    convolutional_autoencoder,
    decoder,
    difference,
    encoder,
    examples,
    keras_outputs,
    layers,
    patches_decoder,
    patches_encoder,
    randomize,
    recurrent_autoencoder,
    write,
)


def reference(path, given):
    return ReferenceEvaluator(str(path)).run(None, {"in_0": given})[0]


def openvino(path, given):
    openvino = pytest.importorskip("openvino")
    compiled = openvino.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(given)[0]


def opencv(path, given):
    dnn = pytest.importorskip("cv2").dnn
    net = dnn.readNetFromONNX(str(path))
    net.setInput(given, "in_0")
    return net.forward("out_0")


def assert_read(read, model, path, batches=(1, 3)):
    for batch in batches:
        (given,) = examples(model, batch)
        (expected,) = keras_outputs(model, [given])
        assert difference(expected, np.asarray(read(path, given))) < 2e-5


@pytest.mark.parametrize("read", [reference, openvino, opencv])
@pytest.mark.parametrize(
    ("norm", "activation", "pooling"),
    [
        (None, "gelu", False),
        (None, "leaky_relu", True),
        ("batch", "relu", False),
        ("layer", "leaky_relu", False),
        ("group", "gelu", True),
    ],
    ids=str,
)
def test_readers(read, norm, activation, pooling, tmp_path):
    # Small maps, as one reader is written in Python, with odd sizes on the way.
    for build, shape in ((encoder, (6, 9, 3)), (decoder, (9, 7, 1)), (both, (9, 6, 3)), (both, (7, 5, 1))):
        model = randomize(build(shape, norm=norm, activation=activation, pooling=pooling))
        write(model, tmp_path / "model.onnx", route="direct")
        assert_read(read, model, tmp_path / "model.onnx")


@pytest.mark.parametrize("read", [reference, openvino, opencv])
@pytest.mark.parametrize("opset", [17, 20])
def test_readers_at_other_opsets(read, opset, tmp_path):
    model = randomize(both((9, 7, 3), norm="group", activation="gelu"))
    write(model, tmp_path / "model.onnx", route="direct", opset=opset)
    assert_read(read, model, tmp_path / "model.onnx", batches=(3,))


@pytest.mark.parametrize("read", [reference, openvino, opencv])
@pytest.mark.parametrize(
    "build",
    [
        convolutional_autoencoder,
        functools.partial(recurrent_autoencoder, layers.LSTM),
        functools.partial(recurrent_autoencoder, layers.GRU),
        patches_encoder,
        patches_decoder,
    ],
    ids=["convolutions", "lstm", "gru", "patches-encoder", "patches-decoder"],
)
def test_readers_of_sequences(read, build, tmp_path):
    model = build()
    write(model, tmp_path / "model.onnx", route="direct")
    assert_read(read, model, tmp_path / "model.onnx")
