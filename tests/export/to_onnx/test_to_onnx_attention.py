"""Attention, tables of rows, integers, and layers of several outputs, against Keras."""

import numpy as np
import onnx
import pytest
from onnx_models import (
    CLASSES,
    assert_clean,
    assert_direct,
    assert_equal_to_keras,
    assert_routes_agree,
    assert_takes_bytes,
    examples,
    keras,
    keras_outputs,
    layers,
    onnxruntime_outputs,
    ops_of,
    patches_decoder,
    patches_encoder,
    randomize,
    write,
)

from aezoo.core.errors import ExportError
from aezoo.export.to_onnx import INTEGERS, MAP, emits
from aezoo.export.to_onnx.emitters.own import nearest_rows

MHA = layers.MultiHeadAttention
OPTIONS = [
    {},
    {"use_bias": False},
    {"value_dim": 5},
    {"output_shape": 7},
    {"num_heads": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_self_attention(options, tmp_path):
    given = keras.Input((7, 6))
    x = MHA(**{"num_heads": 3, "key_dim": 2, **options})(given, given)
    operators = assert_direct(randomize(keras.Model(given, x)), tmp_path / "model.onnx")
    # Axes of size 1 need no Transpose, and one head alone leaves that of the keys.
    assert operators.count("Transpose") == (1 if options.get("num_heads") == 1 else 4)


@pytest.mark.parametrize("options", OPTIONS[:3], ids=str)
def test_attention_to_other_sequences(options, tmp_path):
    query, key, value = keras.Input((7, 6)), keras.Input((5, 3)), keras.Input((5, 4))
    x = MHA(2, 3, **options)(query=query, value=value, key=key)
    y = MHA(2, 3, **options)(query, value)
    z = MHA(2, 3, **options)(query, value, key)
    model = randomize(keras.Model([query, key, value], [x, y, z]))
    assert_direct(model, tmp_path / "model.onnx")


def test_attention_at_sizes_of_one(tmp_path):
    query, value = keras.Input((1, 2)), keras.Input((1, 1))
    model = keras.Model([query, value], MHA(2, 1)(query, value))
    assert "Transpose" not in assert_direct(randomize(model), tmp_path / "model.onnx", opsets=(18,))


@pytest.mark.parametrize(
    ("options", "called", "text"),
    [
        ({}, {"use_causal_mask": True}, "called with use_causal_mask=True"),
        ({}, {"return_attention_scores": True}, "return_attention_scores=True"),
        ({"use_gate": True}, {}, "use_gate"),
        ({"output_shape": (2, 3)}, {}, r"output of \(None, 7, 2, 3\)"),
    ],
    ids=str,
)
def test_attention_that_the_table_does_not_know(options, called, text, tmp_path):
    given = keras.Input((7, 6))
    model = keras.Model(given, MHA(2, 3, **options)(given, given, **called))
    names = tuple(f"out_{index}" for index in range(len(model.outputs)))
    with pytest.raises(ExportError, match=text) as caught:
        write(model, tmp_path / "model.onnx", route="direct", outputs=names)
    assert len(str(caught.value).splitlines()) == 4


def test_blocks_of_attention_turn_nothing_beside_their_heads(tmp_path):
    operators = assert_direct(patches_encoder(), tmp_path / "model.onnx", tolerance=2e-5)
    assert operators.count("Transpose") == 2 + 2 * 4
    assert operators.count("LayerNormalization") == 5
    operators = assert_direct(patches_decoder(), tmp_path / "model.onnx", tolerance=2e-5)
    assert operators.count("Transpose") == 1 + 4


def test_both_routes_agree_on_attention(tmp_path):
    given = keras.Input((5, 4))
    x = MHA(2, 3)(given, layers.LayerNormalization()(given))
    assert_routes_agree(randomize(keras.Model(given, x)), tmp_path / "model.onnx")


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_embeddings(shape, dtype, tmp_path):
    labels = keras.Input(shape, dtype=dtype)
    model = randomize(keras.Model(labels, layers.Embedding(CLASSES, 3)(labels)))
    assert_direct(model, tmp_path / "model.onnx", opsets=(17,) if dtype == "int32" else (18,))


def conditional(shape=(7, 5, 3)):
    """An image and a label: the part of a model that is told the class."""
    images, labels = keras.Input(shape, name="images"), keras.Input((), dtype="int32", name="labels")
    told = layers.Embedding(CLASSES, shape[0] * shape[1])(labels)
    told = layers.Reshape((*shape[:2], 1))(told)
    x = layers.Conv2D(4, 3, strides=2, padding="same")(layers.Concatenate()([images, told]))
    x = layers.Flatten()(x)
    outputs = [layers.Dense(2, name=name)(x) for name in ("posterior_mean", "posterior_log_var")]
    return randomize(keras.Model([images, labels], outputs, name="encoder"))


def test_labels_beside_images(tmp_path):
    model = conditional()
    names = {"inputs": ("images", "labels"), "outputs": ("posterior_mean", "posterior_log_var")}
    for route in ("direct", "tf2onnx"):
        proto = write(model, tmp_path / "model.onnx", route=route, **names)
        assert_clean(proto)
        assert_equal_to_keras(model, tmp_path / "model.onnx")
        found = [(value.name, value.type.tensor_type.elem_type) for value in proto.graph.input]
        assert found == [("images", onnx.TensorProto.FLOAT), ("labels", onnx.TensorProto.INT32)]
        assert [value.name for value in proto.graph.output] == ["posterior_mean", "posterior_log_var"]


@pytest.mark.parametrize("route", ["direct", "tf2onnx"])
def test_only_the_first_input_is_of_bytes(route, tmp_path):
    model = conditional()
    labels = np.array([0, 3, 1, 4, 2, 2, 0], np.int32)
    for scale in (True, False):
        options = {"input_dtype": "uint8", "scale_input": scale}
        proto = write(model, tmp_path / "model.onnx", route=route, **options)
        kinds = [value.type.tensor_type.elem_type for value in proto.graph.input]
        assert kinds == [onnx.TensorProto.UINT8, onnx.TensorProto.INT32]
        assert_takes_bytes(model, tmp_path / "model.onnx", scale, labels)


@pytest.mark.parametrize("route", ["direct", "tf2onnx"])
def test_a_first_input_of_integers_stays_what_it_is(route, tmp_path):
    words, scale = keras.Input((5,), dtype="int32"), keras.Input((3,))
    x = layers.Multiply()([layers.GlobalMaxPooling1D()(layers.Embedding(CLASSES, 3)(words)), scale])
    model = randomize(keras.Model([words, scale], x))
    proto = write(model, tmp_path / "model.onnx", route=route, input_dtype="uint8")
    kinds = [value.type.tensor_type.elem_type for value in proto.graph.input]
    assert kinds == [onnx.TensorProto.INT32, onnx.TensorProto.FLOAT]
    assert_equal_to_keras(model, tmp_path / "model.onnx")


def test_integers_pass_through_and_meet_weights(tmp_path):
    numbers = keras.Input((3, 2), dtype="int32")
    turned = layers.Reshape((2, 3))(layers.Permute((2, 1))(numbers))
    model = keras.Model(numbers, [turned, layers.Dense(2)(layers.Flatten()(numbers)), numbers])
    assert_direct(randomize(model), tmp_path / "model.onnx", opsets=(18,))


@keras.saving.register_keras_serializable("tests")
class Nearest(layers.Layer):
    """The row of a table that is nearest to each vector, and its number."""

    def __init__(self, rows=6, **options):
        super().__init__(**options)
        self.rows = rows

    def build(self, shape):
        self.table = self.add_weight(shape=(self.rows, shape[-1]), name="table")

    def call(self, x):
        ops = keras.ops
        distances = ops.sum(ops.square(self.table), axis=1) - 2 * ops.matmul(x, ops.transpose(self.table))
        indices = ops.argmin(distances, axis=-1)
        self.add_loss(ops.mean(distances))
        return ops.take(self.table, indices, axis=0), indices


@emits(Nearest, reads=(MAP,))
def nearest(graph, layer, x):
    indices, rows = nearest_rows(graph, x, keras.ops.convert_to_numpy(layer.table))
    return graph.result(rows), graph.result(indices, output=1, dtype="int64")


def quantised(shape, between=layers.Identity):
    x = given = keras.Input(shape)
    outputs = Nearest(name="nearest")(between()(x))
    return randomize(keras.Model(given, [layers.Activation("tanh")(outputs[0]), outputs[1], outputs[0]]))


@pytest.mark.parametrize("shape", [(4,), (5, 4), (3, 5, 4)], ids=str)
def test_a_layer_of_two_outputs(shape, tmp_path):
    model = quantised(shape)
    operators = assert_direct(model, tmp_path / "model.onnx")
    assert operators.count("ArgMin") == operators.count("Gather") == 1
    assert "Transpose" not in operators
    proto = onnx.load(tmp_path / "model.onnx")
    kinds = [value.type.tensor_type.elem_type for value in proto.graph.output]
    assert kinds == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.FLOAT]
    (_, numbers, _) = onnxruntime_outputs(tmp_path / "model.onnx", examples(model, 50))
    assert len(np.unique(numbers)) > 2


@pytest.mark.parametrize("route", ["direct", "tf2onnx"])
def test_no_loss_is_left_behind_in_the_layers(route, tmp_path):
    model = quantised((5, 4))
    (given,) = examples(model, 3)
    model(given)
    (before,) = model.losses
    write(model, tmp_path / "model.onnx", route=route)
    # No tensor of a graph that is gone, which whoever asks for the losses could not read.
    assert all(loss is before for loss in model.losses)


def test_channels_first_vectors_are_compared_by_a_convolution(tmp_path):
    model = quantised((9, 6, 3), lambda: layers.Conv2D(4, 3, strides=2, padding="same"))
    operators = assert_direct(model, tmp_path / "model.onnx")
    assert operators.count("Conv") == 2
    assert operators.count("Transpose") == 1
    # The rows are channels last; a convolution behind them turns them once.
    given, rows = model.inputs[0], model.outputs[2]
    model = keras.Model(given, layers.Conv2D(2, 1)(rows))
    assert assert_direct(model, tmp_path / "model.onnx").count("Transpose") == 3


def test_only_one_of_two_outputs_is_read(tmp_path):
    model = quantised((5, 4))
    indices = keras.Model(model.inputs[0], model.outputs[1])
    assert "Gather" not in assert_direct(indices, tmp_path / "model.onnx", opsets=(18,))
    rows = keras.Model(model.inputs[0], layers.Dense(2)(layers.Flatten()(model.outputs[2])))
    assert_direct(rows, tmp_path / "model.onnx", opsets=(18,))


def test_both_routes_agree_on_the_nearest(tmp_path):
    assert_routes_agree(quantised((3, 5, 4)), tmp_path / "model.onnx")
    operators = ops_of(onnx.load(tmp_path / "model.onnx"))
    assert "ArgMin" in operators
    assert "Bitcast" not in operators


@keras.saving.register_keras_serializable("tests")
class Extremes(layers.Layer):
    """Every way of asking where the largest and smallest values are."""

    def call(self, x):
        ops = keras.ops
        return [
            ops.argmax(x, axis=1),
            ops.argmin(x, axis=-1, keepdims=True),
            ops.argmax(x, axis=-1, keepdims=True),
            x + ops.cast(ops.argmin(ops.abs(ops.mean(x, axis=0))), x.dtype),
            x + ops.cast(ops.argmax(ops.mean(x, axis=0), keepdims=True), x.dtype),
        ]


def test_extremes_through_tf2onnx(tmp_path):
    given = keras.Input((4, 3))
    model = keras.Model(given, Extremes()(given))
    write(model, tmp_path / "model.onnx")
    assert_equal_to_keras(model, tmp_path / "model.onnx")
    at_zero = [np.array([[[-0.0, 0.0, 1.0]] * 4], np.float32)]
    for expected, got in zip(
        keras_outputs(model, at_zero)[3:],
        onnxruntime_outputs(tmp_path / "model.onnx", at_zero)[3:],
        strict=True,
    ):
        np.testing.assert_array_equal(expected, got)


@keras.saving.register_keras_serializable("tests")
class Counted(layers.Layer):
    """Tells integers from floats."""

    def call(self, numbers, scale):
        return keras.ops.cast(numbers, "float32") * scale


def test_parameters_come_in_the_order_of_the_call(tmp_path):
    seen = []

    @emits(Counted, reads=(INTEGERS,))
    def counted(graph, layer, numbers, scale):
        seen.append((numbers.dtype, scale.dtype, graph.step.names))
        return graph.result(graph.node("Mul", [graph.cast(numbers, "float32"), scale]))

    scale, numbers = keras.Input((3,)), keras.Input((3,), dtype="int32")
    model = keras.Model([scale, numbers], Counted()(scale=scale, numbers=numbers))
    assert_direct(model, tmp_path / "model.onnx", opsets=(18,))
    assert seen == [("int32", "float32", ("numbers", "scale"))]
