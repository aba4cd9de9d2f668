"""Layers that work on sequences (B, T, F) against Keras, at lengths that divide by nothing."""

import functools

import pytest
from conftest import mostly_exhaustive
from onnx_models import (
    CLASSES,
    assert_direct,
    assert_no_transpose_inside,
    assert_routes_agree,
    convolutional_autoencoder,
    keras,
    layers,
    randomize,
    recurrent_autoencoder,
    write,
)

from aezoo.core.errors import ExportError

SEQUENCE = (11, 3)

PER_SEQUENCE = {
    f"{function.__name__}-{index}": functools.partial(function, **options)
    for function, all_options in {
        layers.Conv1D: [
            {"filters": 4, "kernel_size": 3},
            {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"},
            {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same", "use_bias": False},
            {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
            {"filters": 4, "kernel_size": 4, "padding": "causal", "strides": 2},
            {"filters": 6, "kernel_size": 2, "padding": "same", "dilation_rate": 3, "groups": 3},
        ],
        layers.DepthwiseConv1D: [
            {"kernel_size": 3, "depth_multiplier": 2, "padding": "same", "activation": "tanh"},
        ],
        layers.SeparableConv1D: [
            {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
        ],
        layers.Conv1DTranspose: [
            {"filters": 4, "kernel_size": kernel, "strides": strides, "padding": padding}
            for kernel in (2, 3, 4, 5)
            for strides in (1, 2, 3)
            for padding in ("valid", "same")
        ]
        + [
            {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
        ],
        layers.MaxPooling1D: [{"pool_size": 2}, {"pool_size": 3, "strides": 2, "padding": "same"}],
        layers.AveragePooling1D: [{"pool_size": 2}, {"pool_size": 3, "strides": 2, "padding": "same"}],
        layers.GlobalAveragePooling1D: [{}, {"keepdims": True}],
        layers.GlobalMaxPooling1D: [{}, {"keepdims": True}],
        layers.UpSampling1D: [{"size": 2}, {"size": 3}],
        layers.Cropping1D: [{"cropping": (1, 2)}, {"cropping": (0, 3)}, {"cropping": 2}],
        layers.ZeroPadding1D: [{"padding": (1, 2)}, {"padding": 3}],
        layers.BatchNormalization: [{}, {"axis": 1}],
        layers.LayerNormalization: [{}, {"center": False}, {"axis": (1, 2)}],
        layers.RMSNormalization: [{}, {"axis": (1, 2)}],
        layers.GroupNormalization: [{"groups": 3}],
        layers.PReLU: [{}, {"shared_axes": [1]}],
        layers.Softmax: [{}, {"axis": 1}],
        layers.Activation: [{"activation": "gelu"}],
        layers.SpatialDropout1D: [{"rate": 0.5}],
        layers.Rescaling: [{"scale": [1.0, 2.0, 3.0], "offset": -1.0}],
        layers.Dense: [{"units": 4, "activation": "tanh"}],
        layers.Permute: [{"dims": (2, 1)}, {"dims": (1, 2)}],
        layers.Flatten: [{}],
        layers.Reshape: [{"target_shape": (3, 11)}, {"target_shape": (1, 11, 3)}, {"target_shape": (-1,)}],
    }.items()
    for index, options in enumerate(all_options)
}


def between_convolutions(layer):
    # There a layer meets sequences stored channels first, alone Keras's own layout.
    given = keras.Input(SEQUENCE)
    x = layer(layers.Conv1D(3, 1)(given))
    last = {2: layers.Dense(2), 3: layers.Conv1D(2, 1), 4: layers.Conv2D(2, 1)}[len(x.shape)]
    return randomize(keras.Model(given, last(x), name="one"))


def alone(layer, shape=SEQUENCE):
    given = keras.Input(shape)
    return randomize(keras.Model(given, layer(given), name="one"))


@pytest.mark.parametrize("build", [alone, between_convolutions])
@pytest.mark.parametrize("name", mostly_exhaustive(PER_SEQUENCE, lambda name: name.endswith("-0")))
def test_layers_on_sequences(name, build, tmp_path):
    model = build(PER_SEQUENCE[name]())
    assert_direct(model, tmp_path / "one.onnx")
    if build is between_convolutions:
        proto = write(model, tmp_path / "one.onnx", route="direct")
        if not name.startswith(("Permute", "Reshape")):
            assert_no_transpose_inside(proto)


@pytest.mark.parametrize(
    "name",
    ["Conv1D-1", "Conv1D-3", "Conv1DTranspose-9", "MaxPooling1D-1", "UpSampling1D-0", "RMSNormalization-0"],
)
def test_both_routes_agree(name, tmp_path):
    assert_routes_agree(between_convolutions(PER_SEQUENCE[name]()), tmp_path / "one.onnx")


@pytest.mark.parametrize(("length", "features"), [(13, 3), (6, 1), (1, 2)])
def test_a_convolutional_autoencoder_turns_its_ends_only(length, features, tmp_path):
    model = convolutional_autoencoder(length, features)
    operators = assert_direct(model, tmp_path / "model.onnx")
    assert_no_transpose_inside(write(model, tmp_path / "model.onnx", route="direct"))
    assert operators.count("Transpose") == (2 if length > 1 and features > 1 else 0)
    assert "Slice" not in operators


def test_a_cropping_joins_the_transposed_convolution(tmp_path):
    for cropping in ((0, 1), (2, 1), (1, 0)):
        given = keras.Input(SEQUENCE)
        x = layers.Conv1DTranspose(4, 3, strides=2, padding="same", activation="gelu")(given)
        model = randomize(keras.Model(given, layers.Cropping1D(cropping)(x)))
        assert "Slice" not in assert_direct(model, tmp_path / "model.onnx", opsets=(18,))


@pytest.mark.parametrize("merge", [layers.Add, layers.Multiply, layers.Concatenate])
def test_merges_of_sequences(merge, tmp_path):
    given = [keras.Input(SEQUENCE), keras.Input(SEQUENCE)]
    x = merge()([layers.Conv1D(3, 1)(given[0]), given[1]])
    assert_direct(randomize(keras.Model(given, x)), tmp_path / "model.onnx", opsets=(18,))
    if merge is layers.Concatenate:
        x = merge(axis=1)([layers.Conv1D(3, 2)(given[0]), given[1]])
        assert_direct(randomize(keras.Model(given, x)), tmp_path / "model.onnx", opsets=(18,))


RECURRENT = {
    "lstm": functools.partial(layers.LSTM, 4),
    "gru": functools.partial(layers.GRU, 4),
    "gru-before": functools.partial(layers.GRU, 4, reset_after=False),
    "rnn": functools.partial(layers.SimpleRNN, 4),
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_state": True},
        {"return_sequences": True, "return_state": True, "use_bias": False},
        {"go_backwards": True},
        {"go_backwards": True, "return_sequences": True},
        {"activation": "sigmoid", "return_sequences": True},
    ],
    ids=lambda options: "-".join(options) or "last",
)
@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers(kind, options, tmp_path):
    given = keras.Input((7, 3))
    model = randomize(keras.Model(given, RECURRENT[kind](**options)(given)))
    operators = assert_direct(model, tmp_path / "model.onnx", opsets=(17, 21))
    assert operators.count("Transpose") == 1 + options.get("return_sequences", False)


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers_begin_with_given_states(kind, tmp_path):
    examples = keras.Input((7, 3))
    states = [keras.Input((4,)) for _ in range(2 if kind == "lstm" else 1)]
    x, *last = RECURRENT[kind](return_sequences=True, return_state=True)(examples, initial_state=states)
    x = RECURRENT[kind]()(x, initial_state=last)
    model = randomize(keras.Model([examples, *states], [x, *last]))
    assert assert_direct(model, tmp_path / "model.onnx").count("Transpose") == 1


def test_recurrent_activations_that_are_not_the_usual(tmp_path):
    for layer in (
        layers.LSTM(3, recurrent_activation="tanh"),
        layers.GRU(3, recurrent_activation="tanh", activation="sigmoid"),
    ):
        assert_direct(alone(layer), tmp_path / "model.onnx", opsets=(18,))


@pytest.mark.parametrize("inner", [layers.LSTM, layers.GRU])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_sequences": True, "merge_mode": "ave"},
        {"merge_mode": "mul", "return_state": True},
        {"merge_mode": None, "return_sequences": True, "return_state": True},
    ],
    ids=str,
)
def test_bidirectional(inner, options, tmp_path):
    merge = {"merge_mode": options["merge_mode"]} if "merge_mode" in options else {}
    options = {name: value for name, value in options.items() if name != "merge_mode"}
    given = keras.Input((7, 3))
    model = keras.Model(given, layers.Bidirectional(inner(4, **options), **merge)(given))
    assert_direct(randomize(model), tmp_path / "model.onnx", opsets=(18,))


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_both_routes_agree_on_recurrent_layers(kind, tmp_path):
    given = keras.Input((5, 3))
    model = keras.Model(given, kind(2, return_sequences=True)(given))
    assert_routes_agree(randomize(model), tmp_path / "model.onnx")


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_steps_stay_first_between_recurrent_layers(kind, tmp_path):
    operators = assert_direct(recurrent_autoencoder(kind), tmp_path / "model.onnx")
    assert operators.count(kind.__name__) == 4
    assert operators.count("Transpose") == 2


@pytest.mark.parametrize(("length", "features"), [(1, 3), (5, 1), (1, 1)])
def test_recurrent_layers_at_sizes_of_one(length, features, tmp_path):
    model = recurrent_autoencoder(layers.GRU, length, features, layers_each=1)
    operators = assert_direct(model, tmp_path / "model.onnx", opsets=(18,))
    assert operators.count("Transpose") == (0 if length == 1 else 2)


@pytest.mark.parametrize("following", [layers.Conv1D(3, 2), layers.LSTM(2), layers.Dense(3)])
def test_repeat_vector(following, tmp_path):
    rows = keras.Input((4,))
    model = randomize(keras.Model(rows, following(layers.RepeatVector(5)(rows))))
    operators = assert_direct(model, tmp_path / "model.onnx", opsets=(18,))
    assert "Transpose" not in operators or isinstance(following, layers.Conv1D)
    model = randomize(keras.Model(rows, layers.RepeatVector(5)(rows)))
    assert assert_direct(model, tmp_path / "model.onnx") == ["Unsqueeze", "Expand"]


def test_repeat_vector_for_two_readers(tmp_path):
    rows = keras.Input((4,))
    x = layers.RepeatVector(5)(rows)
    model = keras.Model(rows, [layers.GRU(2)(x), layers.Conv1D(3, 2)(x), x])
    assert_direct(randomize(model), tmp_path / "model.onnx", opsets=(18,))


@pytest.mark.parametrize("dims", [(1, 2, 3), (3, 1, 2), (2, 1, 3), (3, 2, 1), (2, 3, 1), (1, 3, 2)])
def test_permute(dims, tmp_path):
    given = keras.Input((5, 4, 3))
    model = keras.Model(given, layers.Conv2D(2, 1)(layers.Permute(dims)(layers.Conv2D(3, 1)(given))))
    assert_direct(randomize(model), tmp_path / "model.onnx", opsets=(18,))
    operators = assert_direct(alone(layers.Permute(dims), (5, 4, 3)), tmp_path / "model.onnx", opsets=(18,))
    assert operators == (["Identity"] if dims == (1, 2, 3) else ["Transpose"])


def test_one_permutation_after_another_is_one(tmp_path):
    given = keras.Input((2, 1, 3))
    turned = layers.Permute((3, 1, 2))(given)
    model = keras.Model(given, layers.Permute((2, 1, 3))(turned))
    # Only the axis of size 1 has moved in the end.
    assert assert_direct(model, tmp_path / "model.onnx", opsets=(18,)) == ["Reshape"]
    model = keras.Model(given, layers.Permute((3, 2, 1))(turned))
    assert assert_direct(model, tmp_path / "model.onnx", opsets=(18,)) == ["Reshape"]


def test_a_nested_model_may_leave_sizes_open(tmp_path):
    open_input = keras.Input((None, 4))
    x = layers.Conv1D(4, 3, strides=2, padding="same")(layers.LayerNormalization()(open_input))
    inner = keras.Model(open_input, layers.Add()([x, layers.Dense(4)(x)]), name="block")
    given = keras.Input((9, 4))
    model = randomize(keras.Model(given, layers.Flatten()(inner(inner(given)))))
    assert_direct(model, tmp_path / "model.onnx", opsets=(18,))
    with pytest.raises(ExportError, match="a size is not known at 'block'"):
        write(inner, tmp_path / "model.onnx", route="direct")


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (layers.LSTM(2, recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (layers.GRU(2, activation="relu"), "activation='relu'"),
        (layers.TimeDistributed(layers.Conv1D(2, 1)), "TimeDistributed"),
        (layers.Conv1D(2, 1, data_format="channels_first"), "data_format='channels_first'"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_options_that_the_table_does_not_know(layer, text, tmp_path):
    shape = (4, 5, 3) if isinstance(layer, layers.TimeDistributed) else (5, 3)
    with pytest.raises(ExportError, match=text) as caught:
        write(alone(layer, shape), tmp_path / "model.onnx", route="direct")
    assert len(str(caught.value).splitlines()) == 4


def test_masks_are_refused(tmp_path):
    examples, mask = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
    model = keras.Model([examples, mask], layers.GRU(2)(examples, mask=mask))
    with pytest.raises(ExportError, match=r"called with mask=a tensor of shape \(None, 5\)"):
        write(model, tmp_path / "model.onnx", route="direct")
    steps = keras.Input((5,), dtype="int32")
    model = keras.Model(steps, layers.Embedding(CLASSES, 3, mask_zero=True)(steps))
    with pytest.raises(ExportError, match="mask_zero=True"):
        write(model, tmp_path / "model.onnx", route="direct")
