"""Each layer of the table against Keras, at sizes that divide by nothing."""

import functools

import numpy as np
import pytest
from conftest import mostly_exhaustive
from onnx_models import assert_clean, assert_equal_to_keras, keras, layers, ops_of, randomize, write

from aezoo.core.errors import ExportError
from aezoo.export.to_onnx import emits
from aezoo.export.to_onnx.table import EMITTERS
from aezoo.nn.layers import Corruption, Standardize, Unstandardize

MAP = (7, 5, 3)


def one_layer(layer, shape=MAP):
    given = keras.Input(shape)
    return randomize(keras.Model(given, layer(given), name="one"))


def check(model, path, opset=18):
    proto = write(model, path, route="direct", opset=opset)
    assert_clean(proto)
    assert_equal_to_keras(model, path)
    return proto


PER_MAP = {
    f"{function.__name__}-{index}": functools.partial(function, **options)
    for function, all_options in {
        layers.Conv2D: [
            {"filters": 4, "kernel_size": 3},
            {"filters": 4, "kernel_size": (2, 3), "strides": 2, "padding": "same", "activation": "relu"},
            {"filters": 4, "kernel_size": 3, "padding": "same", "dilation_rate": 2, "use_bias": False},
            {"filters": 6, "kernel_size": 3, "strides": (2, 3), "padding": "same", "groups": 3},
            {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same"},
        ],
        layers.DepthwiseConv2D: [
            {"kernel_size": 3, "depth_multiplier": 2, "padding": "same", "activation": "tanh"},
            {"kernel_size": (2, 3), "strides": 2, "use_bias": False},
        ],
        layers.SeparableConv2D: [
            {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
            {"filters": 5, "kernel_size": 2, "use_bias": False, "activation": "elu"},
        ],
        layers.Conv2DTranspose: [
            {"filters": 4, "kernel_size": kernel, "strides": strides, "padding": padding}
            for kernel in (2, 3, 4, 5)
            for strides in (1, 2, 3)
            for padding in ("valid", "same")
        ]
        + [
            {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
            {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
            {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "valid", "output_padding": 1},
            {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 2},
        ],
        layers.MaxPooling2D: [
            {"pool_size": 2},
            {"pool_size": 3, "strides": 2, "padding": "same"},
            {"pool_size": (3, 2), "strides": 1, "padding": "same"},
        ],
        layers.AveragePooling2D: [
            {"pool_size": 2},
            {"pool_size": 3, "strides": 2, "padding": "same"},
            {"pool_size": 2, "padding": "same"},
            {"pool_size": (2, 4), "strides": 1, "padding": "same"},
        ],
        layers.GlobalAveragePooling2D: [{}, {"keepdims": True}],
        layers.GlobalMaxPooling2D: [{}, {"keepdims": True}],
        layers.UpSampling2D: [
            {"size": 2},
            {"size": (2, 3)},
            {"size": 2, "interpolation": "bilinear"},
            {"size": (3, 1), "interpolation": "bilinear"},
        ],
        layers.Cropping2D: [{"cropping": ((1, 2), (0, 1))}],
        layers.ZeroPadding2D: [{"padding": ((1, 2), (0, 3))}],
        layers.BatchNormalization: [{}, {"scale": False}, {"center": False, "epsilon": 0.1}, {"axis": 1}],
        layers.LayerNormalization: [
            {},
            {"scale": False, "center": False},
            {"axis": (1, 2, 3)},
            {"axis": (1, 2)},
        ],
        layers.GroupNormalization: [{"groups": 3}, {"groups": 1, "scale": False}, {"groups": -1}],
        layers.Activation: [{"activation": "softmax"}],
        layers.ReLU: [
            {},
            {"max_value": 0.5},
            {"negative_slope": 0.1},
            {"negative_slope": 0.1, "max_value": 0.5},
            {"threshold": 0.3},
            {"threshold": 0.3, "negative_slope": 0.2, "max_value": 0.7},
        ],
        layers.LeakyReLU: [{}, {"negative_slope": 0.1}],
        layers.PReLU: [{}, {"shared_axes": [1, 2]}, {"shared_axes": [2]}],
        layers.ELU: [{"alpha": 0.7}],
        layers.Softmax: [{}, {"axis": 1}],
        layers.Rescaling: [{"scale": 2.0, "offset": -1.0}, {"scale": [1.0, 2.0, 3.0]}, {"scale": 1.0}],
        layers.Normalization: [
            {"mean": [0.1, 0.2, 0.3], "variance": [1.0, 2.0, 0.0004]},
            {"mean": 0.5, "variance": 4.0, "invert": True},
            {"axis": (1, 3), "mean": np.ones((7, 3)), "variance": np.full((7, 3), 0.5)},
        ],
        layers.Dense: [{"units": 4, "activation": "gelu"}, {"units": 2, "use_bias": False}],
        layers.Flatten: [{}],
        layers.Reshape: [{"target_shape": (35, 3)}, {"target_shape": (-1,)}, {"target_shape": (5, 7, 3)}],
    }.items()
    for index, options in enumerate(all_options)
}


@pytest.mark.parametrize("surrounded", [False, True], ids=["alone", "between"])
@pytest.mark.parametrize("name", mostly_exhaustive(PER_MAP, lambda name: name.endswith("-0")))
def test_layers_on_maps(name, surrounded, tmp_path):
    # Between two convolutions a layer meets channels-first maps, alone Keras's own layout.
    given = keras.Input(MAP)
    x = layers.Conv2D(3, 1)(given) if surrounded else given
    x = PER_MAP[name]()(x)
    if surrounded and len(x.shape) == 4:
        x = layers.Conv2D(2, 1)(x)
    elif surrounded:
        x = layers.Dense(2)(x)
    check(randomize(keras.Model(given, x, name="one")), tmp_path / "one.onnx")


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(4, activation="softmax"),
        layers.Dense(4, use_bias=False),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.LayerNormalization(center=False),
        layers.PReLU(),
        layers.Reshape((2, 3, 1)),
        layers.Reshape((2, 3)),
        layers.Flatten(),
        layers.Normalization(mean=[0.0, 1, 2, 3, 4, 5], variance=[1.0, 2, 3, 4, 5, 6]),
        Standardize(),
        Unstandardize(),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_on_rows(layer, tmp_path):
    check(one_layer(layer, (6,)), tmp_path / "one.onnx")


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(4, activation="relu"),
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.PReLU(),
        layers.Softmax(axis=1),
        layers.Reshape((3, 2, 2)),
        layers.Rescaling([1.0, 2.0]),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_on_sequences(layer, tmp_path):
    check(one_layer(layer, (6, 2)), tmp_path / "one.onnx")


ACTIVATIONS = [
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "elu",
    "selu",
    "silu",
    "swish",
    "softplus",
    "softsign",
    "mish",
    "exponential",
    "softmax",
    "hard_silu",
    "log_softmax",
    "celu",
    "hard_tanh",
    "log_sigmoid",
    "tanh_shrink",
]


# Gelu is an operator of its own from opset 20; the others are the same nodes at every opset.
@pytest.mark.parametrize(
    ("activation", "opset"), [*((name, 17) for name in ACTIVATIONS), *(("gelu", n) for n in (17, 18, 20, 24))]
)
def test_activations(activation, opset, tmp_path):
    given = keras.Input(MAP)
    x = layers.Rescaling(8.0)(given)  # wide enough to reach every bend
    x = layers.Conv2D(3, 1, activation=activation)(x)
    check(randomize(keras.Model(given, x, name="one")), tmp_path / "one.onnx", opset)


@pytest.mark.parametrize("opset", [17, 20])
def test_an_activation_with_options(opset, tmp_path):
    approximate = functools.partial(keras.activations.gelu, approximate=True)
    check(one_layer(layers.Activation(approximate)), tmp_path / "one.onnx", opset)
    check(one_layer(layers.Conv2D(2, 1, activation=layers.LeakyReLU(0.4))), tmp_path / "one.onnx", opset)


@pytest.mark.parametrize("opset", [17, 24])
@pytest.mark.parametrize("norm", [layers.LayerNormalization, layers.BatchNormalization])
def test_normalizations_at_the_ends_of_the_opsets(norm, opset, tmp_path):
    check(one_layer(norm()), tmp_path / "one.onnx", opset)
    given = keras.Input(MAP)
    x = layers.GroupNormalization(2)(norm()(layers.Conv2D(4, 2, strides=2)(given)))
    check(randomize(keras.Model(given, x, name="one")), tmp_path / "one.onnx", opset)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.AlphaDropout(0.5),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(0.5),
        layers.ActivityRegularization(0.5),
        layers.Identity(),
        Corruption("gaussian", 0.5),
    ],
    ids=lambda layer: layer.name,
)
def test_what_acts_in_training_only_vanishes(layer, tmp_path):
    proto = check(one_layer(layer), tmp_path / "one.onnx")
    assert ops_of(proto) == ["Identity"]


@pytest.mark.parametrize(
    "merge",
    [
        layers.Add,
        layers.Subtract,
        layers.Multiply,
        layers.Average,
        layers.Maximum,
        layers.Minimum,
        layers.Concatenate,
        functools.partial(layers.Concatenate, axis=1),
    ],
)
def test_merges(merge, tmp_path):
    # One branch comes channels first, the other as Keras has it.
    given = [keras.Input(MAP), keras.Input((7, 5, 3))]
    x = merge()([layers.Conv2D(3, 1)(given[0]), given[1]])
    check(randomize(keras.Model(given, x, name="maps")), tmp_path / "maps.onnx")
    rows = [layers.Flatten()(layers.Conv2D(3, 1)(given[0])), layers.Flatten()(given[1])]
    check(randomize(keras.Model(given, merge()(rows), name="rows")), tmp_path / "rows.onnx")


def test_channel_gates_broadcast(tmp_path):
    given = keras.Input(MAP)
    x = layers.Conv2D(4, 3)(given)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    x = layers.Conv2D(2, 1)(layers.Multiply()([x, layers.Reshape((1, 1, 4))(gate)]))
    proto = check(randomize(keras.Model(given, x, name="gated")), tmp_path / "gated.onnx")
    assert ops_of(proto).count("Reshape") == 1


@pytest.mark.parametrize("shape", [(1, 5, 3), (7, 1, 3), (1, 1, 3), (7, 5, 1), (1, 1, 1)])
@pytest.mark.parametrize("layer", [layers.Conv2D, layers.Conv2DTranspose])
def test_sizes_of_one(shape, layer, tmp_path):
    given = keras.Input(shape)
    x = layer(4, 3, strides=2, padding="same")(given)
    check(randomize(keras.Model(given, x, name="maps")), tmp_path / "maps.onnx")
    check(randomize(keras.Model(given, layers.Dense(2)(layers.Flatten()(x)))), tmp_path / "rows.onnx")


def test_a_cropping_joins_the_transposed_convolution(tmp_path):
    for cropping in (((0, 1), (1, 0)), ((2, 3), (1, 1)), ((0, 0), (0, 5))):
        for kernel, padding in ((2, "valid"), (3, "same"), (5, "same")):
            given = keras.Input(MAP)
            x = layers.Conv2DTranspose(4, kernel, strides=3, padding=padding, activation="gelu")(given)
            x = layers.Cropping2D(cropping)(x)
            proto = check(randomize(keras.Model(given, x, name="one")), tmp_path / "one.onnx")
            assert "Slice" not in ops_of(proto)


def test_a_cropping_of_a_shared_value_stays_a_slice(tmp_path):
    given = keras.Input(MAP)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(given)
    model = keras.Model(given, [layers.Cropping2D(1)(x), x], name="one")
    assert "Slice" in ops_of(check(randomize(model), tmp_path / "one.onnx"))


def test_a_subclass_is_not_taken_for_its_parent(tmp_path):
    class Doubled(layers.Dense):
        def call(self, x):
            return 2 * super().call(x)

    model = one_layer(Doubled(4), (6,))
    with pytest.raises(ExportError, match=r"no function writes the layer 'doubled'(?s:.)*Doubled") as caught:
        write(model, tmp_path / "one.onnx", route="direct")
    assert len(str(caught.value).splitlines()) == 4
    assert not (tmp_path / "one.onnx").exists()
    write(model, tmp_path / "one.onnx", route="auto")
    assert_equal_to_keras(model, tmp_path / "one.onnx")


def test_a_layer_brings_its_own_function(tmp_path):
    class Squared(layers.Layer):
        def call(self, x):
            return x * x

    @emits(Squared)
    def squared(graph, layer, x):
        # It declared nothing, so it is handed what Keras would hand it.
        assert not x.channels_first
        assert x.order is None
        return graph.pointwise(x, "Mul", x)

    try:
        given = keras.Input(MAP)
        x = Squared()(layers.Conv2D(4, 2)(given))
        x = Squared()(layers.Flatten()(layers.Conv2D(4, 2)(x)))
        check(randomize(keras.Model(given, x, name="one")), tmp_path / "one.onnx")
    finally:
        del EMITTERS[Squared]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (layers.UpSampling2D(2, interpolation="bicubic"), "interpolation='bicubic'"),
        (layers.Conv2D(2, 1, data_format="channels_first"), "data_format='channels_first'"),
        (layers.Softmax(axis=(1, 2)), r"axis=\(1, 2\)"),
        (layers.Activation(keras.activations.sparsemax), "sparsemax"),
        (layers.GroupNormalization(1, axis=1), "axis=1"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_options_that_the_table_does_not_know(layer, text, tmp_path):
    with pytest.raises(ExportError, match=text) as caught:
        write(one_layer(layer), tmp_path / "one.onnx", route="direct")
    assert len(str(caught.value).splitlines()) == 4
