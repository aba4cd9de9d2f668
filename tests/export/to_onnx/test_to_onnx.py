"""Whole models through both routes: structure, names, bytes, dtypes, and what is refused."""

import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_models import (
    assert_clean,
    assert_equal_to_keras,
    assert_no_transpose_inside,
    assert_takes_bytes,
    both,
    decoder,
    difference,
    encoder,
    examples,
    keras,
    layers,
    onnxruntime_outputs,
    ops_of,
    randomize,
    write,
)

from aezoo.core.errors import ExportError, OptionError
from aezoo.export import to_onnx

NORMS = (None, "batch", "layer", "group")
ROOT = pathlib.Path(__file__).parents[2]


@keras.saving.register_keras_serializable("tests")
class Tripled(layers.Layer):
    """A layer of somebody else's, which the table does not know."""

    def call(self, x):
        return 3 * x


@pytest.mark.parametrize("pooling", [False, True], ids=["strides", "pooling"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    "shape",
    [(13, 10, 3), *(pytest.param(shape, marks=pytest.mark.exhaustive) for shape in ((9, 9, 1), (1, 11, 2)))],
    ids=str,
)
def test_encoder_decoder_and_both(shape, norm, pooling, tmp_path):
    for build in (encoder, decoder, both):
        model = randomize(build(shape, norm=norm, pooling=pooling, activation="leaky_relu"))
        proto = write(model, tmp_path / "model.onnx", route="direct")
        assert_clean(proto)
        assert_equal_to_keras(model, tmp_path / "model.onnx")
        assert_no_transpose_inside(proto)
        ends = 2 if build is both else 1
        assert ops_of(proto).count("Transpose") == (0 if shape[-1] == 1 else ends)
        if not norm:
            assert ops_of(proto).count("Reshape") == (build is not encoder) + (ends if shape[-1] == 1 else 0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 17), st.integers(1, 17), st.integers(1, 4)),
    filters=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    norm=st.sampled_from(NORMS),
    activation=st.sampled_from(["relu", "gelu", "elu", "silu", "leaky_relu"]),
    pooling=st.booleans(),
    opset=st.integers(17, 24),
)
def test_any_convolutional_autoencoder(shape, filters, norm, activation, pooling, opset, tmp_path):
    options = {"filters": filters, "norm": norm, "activation": activation, "pooling": pooling}
    model = randomize(both(shape, **options))
    proto = write(model, tmp_path / "model.onnx", route="direct", opset=opset)
    assert_clean(proto)
    assert_no_transpose_inside(proto)
    # Normalising a map of very few values divides by almost nothing, which magnifies rounding.
    assert_equal_to_keras(model, tmp_path / "model.onnx", 1e-4 if norm in ("layer", "group") else 1e-5)


def dense_model(shape=(7, 5, 3)):
    x = images = keras.Input(shape, name="images")
    x = layers.Dense(6, activation="relu")(layers.Flatten()(x))
    x = layers.Dense(int(np.prod(shape)), activation="sigmoid")(x)
    return keras.Model(images, layers.Reshape(shape)(x), name="dense")


def test_a_dense_model_needs_no_transpose(tmp_path):
    model = randomize(dense_model())
    assert ops_of(write(model, tmp_path / "model.onnx")) == [
        "Flatten", "Gemm", "Relu", "Gemm", "Sigmoid", "Reshape",
    ]  # fmt: skip
    assert_equal_to_keras(model, tmp_path / "model.onnx")


def test_features_keep_their_order_through_what_lies_between(tmp_path):
    x = images = keras.Input((6, 5, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, strides=2, padding="same")(x))
    for between in (layers.BatchNormalization(), layers.PReLU(), layers.LayerNormalization()):
        x = between(x)
    x = layers.Softmax()(layers.Add()([x, layers.Activation("tanh")(x)]))
    x = layers.Dense(36)(x)
    for between in (layers.BatchNormalization(), layers.PReLU(), layers.LayerNormalization()):
        x = between(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(layers.Reshape((3, 3, 4))(x))
    model = randomize(keras.Model(images, x))
    proto = write(model, tmp_path / "model.onnx", route="direct")
    assert_equal_to_keras(model, tmp_path / "model.onnx")
    assert_no_transpose_inside(proto)


def test_flattened_maps_that_are_outputs_too(tmp_path):
    x = images = keras.Input((6, 5, 3))
    rows = layers.Flatten()(layers.Conv2D(4, 3)(x))
    features = layers.Dense(36)(layers.Concatenate()([rows, layers.Activation("relu")(rows)]))
    maps = layers.Conv2D(2, 1)(layers.Reshape((3, 3, 4))(features))
    model = randomize(keras.Model(images, [rows, features, maps, rows]))
    proto = write(model, tmp_path / "model.onnx", route="direct")
    assert_clean(proto)
    assert ops_of(proto).count("Transpose") == 5
    # Features that are an output themselves stay in Keras's order; the map made of them is turned.
    assert next(node for node in proto.graph.node if "out_1" in node.output).op_type == "Gemm"
    assert_equal_to_keras(model, tmp_path / "model.onnx")


def test_several_inputs_sequentials_and_shared_layers(tmp_path):
    first, second = keras.Input((7, 5, 3)), keras.Input((7, 5, 3))
    shared = keras.Sequential([keras.Input((7, 5, 3)), layers.Conv2D(4, 3, 2, "same"), layers.ReLU()])
    x = layers.Subtract()([shared(first), shared(second)])
    model = randomize(keras.Model([first, second], [layers.Dense(2)(layers.Flatten()(x)), first]))
    proto = write(model, tmp_path / "model.onnx", route="direct")
    assert sum(tensor.name.endswith("kernel") for tensor in proto.graph.initializer) == 2
    assert_equal_to_keras(model, tmp_path / "model.onnx")
    sequential = randomize(keras.Sequential([keras.Input((7, 5, 3)), layers.Conv2D(4, 3), layers.Flatten()]))
    write(sequential, tmp_path / "model.onnx", route="direct")
    assert_equal_to_keras(sequential, tmp_path / "model.onnx")


def test_names_can_be_read(tmp_path):
    x = images = keras.Input((7, 5, 3), name="images")
    x = layers.Conv2D(4, 3, activation="relu", name="conv_1")(x)
    x = layers.Dense(2, name="latents")(layers.Flatten(name="flatten")(x))
    model = keras.Model(images, x, name="encoder")
    options = {"inputs": ("images",), "outputs": ("latents",), "metadata": {"b": "2", "a": "1"}}
    proto = write(model, tmp_path / "model.onnx", **options)
    assert proto.graph.name == "encoder"
    assert [node.name for node in proto.graph.node] == [
        "images/Transpose", "conv_1/Conv", "conv_1/Relu", "flatten/Flatten", "latents/Gemm",
    ]  # fmt: skip
    assert [tensor.name for tensor in proto.graph.initializer] == [
        "conv_1/kernel", "conv_1/bias", "latents/kernel", "latents/bias",
    ]  # fmt: skip
    assert [(entry.key, entry.value) for entry in proto.metadata_props] == [("a", "1"), ("b", "2")]
    assert [value.name for value in (*proto.graph.input, *proto.graph.output)] == ["images", "latents"]


@pytest.mark.parametrize(("opset", "ir_version"), [(17, 8), (18, 8), (19, 9), (21, 10), (24, 12)])
def test_the_oldest_ir_version_that_the_opset_allows(opset, ir_version, tmp_path):
    proto = write(randomize(encoder((7, 5, 3))), tmp_path / "model.onnx", opset=opset)
    assert proto.opset_import[0].version == opset
    assert proto.ir_version == ir_version


KINDS = ("conv", "depthwise", "separable", "padded", "dense", "pixels", "batch", "two")


def bytes_model(kind, shape=(9, 7, 3)):
    images = keras.Input(shape)
    x = {
        "conv": layers.Conv2D(4, 3, 2, "same"),
        "depthwise": layers.DepthwiseConv2D(3, padding="same"),
        "separable": layers.SeparableConv2D(4, 3, padding="same"),
        "padded": layers.ZeroPadding2D(1),
        "dense": layers.Flatten(),
        "pixels": layers.Dense(4),
        "batch": layers.BatchNormalization(),
        "two": layers.Identity(),
    }[kind](images)
    if kind == "padded":
        x = layers.Conv2D(4, 3)(x)
    if kind == "two":
        x = layers.Add()([layers.Conv2D(4, 3)(x), layers.Conv2D(4, 3)(x)])
    return randomize(keras.Model(images, layers.Dense(3)(layers.Flatten()(x)), name=kind))


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_scaled_by_the_first_weights(kind, tmp_path):
    model = bytes_model(kind)
    proto = write(model, tmp_path / "model.onnx", input_dtype="uint8", route="direct")
    assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    # Only what is neither a convolution nor a Dense needs a multiplication of its own.
    scalings = [node.name for node in proto.graph.node if "constant/0.00392157" in node.input]
    assert len(scalings) == (kind == "batch")
    assert_takes_bytes(model, tmp_path / "model.onnx")
    write(model, tmp_path / "model.onnx", input_dtype="uint8", scale_input=False, route="direct")
    assert_takes_bytes(model, tmp_path / "model.onnx", scale=False)


def test_bytes_through_tf2onnx(tmp_path):
    model = bytes_model("conv")
    for scale in (True, False):
        write(model, tmp_path / "model.onnx", input_dtype="uint8", scale_input=scale, route="tf2onnx")
        assert_takes_bytes(model, tmp_path / "model.onnx", scale)


def unknown_model():
    x = images = keras.Input((7, 5, 3), name="images")
    x = Tripled(name="tripled")(layers.Conv2D(4, 3, activation="gelu")(x))
    x = layers.Normalization(mean=1.0, variance=4.0)(layers.UpSampling2D(2)(x))
    return randomize(keras.Model(images, layers.Dense(2)(layers.Flatten()(x)), name="unknown"))


@pytest.mark.parametrize("opset", [17, 18, 21, 24])
def test_an_unknown_layer_goes_through_tf2onnx(opset, tmp_path):
    model = unknown_model()
    with pytest.raises(ExportError, match=r"writes the layer 'tripled'") as caught:
        write(model, tmp_path / "model.onnx", route="direct")
    assert len(str(caught.value).splitlines()) == 4
    proto = write(model, tmp_path / "model.onnx", opset=opset)
    assert_clean(proto)
    assert_equal_to_keras(model, tmp_path / "model.onnx")
    assert "Erf" in ops_of(proto)
    assert "Resize" in ops_of(proto)
    assert "Gemm" in ops_of(proto)
    assert len(proto.graph.input) == 1


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_both_routes_agree(norm, tmp_path):
    model = randomize(both((9, 7, 3), norm=norm, activation="gelu"))
    given = examples(model, 3)
    results = []
    for route in ("direct", "tf2onnx"):
        assert_clean(write(model, tmp_path / "model.onnx", route=route))
        results.append(onnxruntime_outputs(tmp_path / "model.onnx", given)[0])
    assert difference(*results) < 1e-5


def test_tf2onnx_keeps_the_order_of_outputs(tmp_path):
    x = images = keras.Input((4,))
    model = keras.Model(images, [layers.Dense(3)(x), Tripled()(x), layers.Dense(2)(x)])
    write(randomize(model), tmp_path / "model.onnx", outputs=("z", "y", "a"))
    assert_equal_to_keras(model, tmp_path / "model.onnx")


def test_what_tf2onnx_only_logs_is_an_error(tmp_path):
    class Noisy(layers.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=1)

    images = keras.Input((4,))
    model = keras.Model(images, Noisy()(images), name="noisy")
    with pytest.raises(ExportError, match="tf2onnx cannot convert 'noisy'") as caught:
        write(model, tmp_path / "model.onnx")
    assert len(str(caught.value).splitlines()) == 4
    assert list(tmp_path.iterdir()) == []


def test_training_inside_the_model_is_refused(tmp_path):
    images = keras.Input((4,))
    model = keras.Model(images, layers.Dropout(0.5)(images, training=True))
    for route in to_onnx.ROUTES:
        with pytest.raises(ExportError, match="training=True"):
            write(model, tmp_path / "model.onnx", route=route)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("route", ["direct", "tf2onnx"])
def test_graphs_are_float32_whatever_the_policy(policy, route, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        model = randomize(encoder((9, 7, 3), norm="batch"))
    finally:
        keras.config.set_dtype_policy("float32")
    proto = write(model, tmp_path / "model.onnx", route=route)
    floats = {tensor.data_type for tensor in proto.graph.initializer} - {onnx.TensorProto.INT64}
    assert floats == {onnx.TensorProto.FLOAT}
    twin = encoder((9, 7, 3), norm="batch")
    twin.set_weights([np.asarray(weight.value).astype("float32") for weight in model.weights])
    assert_equal_to_keras(twin, tmp_path / "model.onnx")


@pytest.mark.parametrize("route", ["direct", "tf2onnx"])
def test_large_models_put_their_weights_beside(route, tmp_path, monkeypatch):
    monkeypatch.setattr(to_onnx, "LARGEST_FILE", 1000)
    x = images = keras.Input((16,), name="images")
    model = randomize(keras.Model(images, layers.Dense(64)(x), name="wide"))
    for _ in range(2):  # the second time over the first
        write(model, tmp_path / "model.onnx", route=route)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
        assert (tmp_path / "model.onnx").stat().st_size < 1500
        assert_equal_to_keras(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("route", ["direct", "tf2onnx"])
def test_nothing_is_printed(route, tmp_path, capfd):
    write(randomize(both((9, 7, 3), norm="group", activation="gelu")), tmp_path / "model.onnx", route=route)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"opset": 16}, "opset=16"),
        ({"opset": 25}, "opset=25"),
        ({"route": "dircet"}, "did you mean 'direct'"),
        ({"input_dtype": "int8"}, "input_dtype='int8'"),
        ({"inputs": ("a", "b")}, "one name"),
        ({"inputs": "a"}, "one name"),
        ({"inputs": ("a",), "outputs": ("a",)}, "must be texts that differ"),
        ({"metadata": {"epochs": 3}}, "metadata={'epochs': '3'}"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used(options, text, tmp_path):
    with pytest.raises(OptionError, match=text.replace("(", r"\(").replace("{", r"\{")) as caught:
        write(encoder((7, 5, 3)), tmp_path / "model.onnx", **options)
    assert len(str(caught.value).splitlines()) == 4


def test_what_is_no_functional_model_is_refused(tmp_path):
    with pytest.raises(OptionError, match="no model that can be written") as caught:
        to_onnx.write(layers.Dense(3), tmp_path / "model.onnx", inputs=("a",), outputs=("b",))
    assert len(str(caught.value).splitlines()) == 4


def test_the_model_is_left_alone(tmp_path):
    model = randomize(both((9, 7, 3)))
    before = [len(layer._inbound_nodes) for layer in model.layers]
    for route in ("direct", "tf2onnx"):
        write(model, tmp_path / "model.onnx", route=route)
    assert [len(layer._inbound_nodes) for layer in model.layers] == before


_DIGESTS = """
import hashlib, sys
from aezoo.core.imports import import_keras
keras = import_keras()
from aezoo.export import to_onnx
keras.layers.Dense(3)((keras.ops.ones((1, 2))))  # moves the counters of names
folder, written, *routes = sys.argv[1:]
for name, route in (*(("maps", route) for route in routes), ("sequences", "direct")):
    model = keras.models.load_model(f"{folder}/{name}.keras")
    to_onnx.write(model, written, inputs=("in_0",), outputs=("out_0",), route=route)
    print(hashlib.sha256(open(written, "rb").read()).hexdigest())
"""


def sequences_of_every_kind():
    x = given = keras.Input((9, 3))
    x = layers.GRU(4, return_sequences=True)(layers.Conv1D(4, 3, strides=2, padding="same")(x))
    x = layers.LSTM(4, return_state=True)(layers.MultiHeadAttention(2, 3)(x, x))[2]
    return randomize(keras.Model(given, layers.TimeDistributed(layers.Dense(2))(layers.RepeatVector(3)(x))))


@pytest.mark.exhaustive
def test_the_same_bytes_in_every_process_and_on_jax(tmp_path):
    pytest.importorskip("jax")
    models = {
        "maps": randomize(both((9, 7, 3), norm="batch", activation="gelu")),
        "sequences": sequences_of_every_kind(),
    }
    here = {}
    for name, route in (("maps", "direct"), ("maps", "tf2onnx"), ("sequences", "direct")):
        models[name].save(tmp_path / f"{name}.keras")
        write(models[name], tmp_path / "here.onnx", route=route)
        here[name, route] = hashlib.sha256((tmp_path / "here.onnx").read_bytes()).hexdigest()
    for backend, routes in (("tensorflow", ("direct", "tf2onnx")), ("jax", ("direct",))):
        command = [sys.executable, "-c", _DIGESTS, tmp_path, tmp_path / "it.onnx", *routes]
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
        run = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
        assert run.returncode == 0, run.stderr
        assert run.stderr == ""
        wanted = [here["maps", route] for route in routes]
        assert run.stdout.split() == [*wanted, here["sequences", "direct"]]
