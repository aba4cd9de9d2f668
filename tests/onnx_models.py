"""Models as the zoo builds them, and what every ONNX file of one must satisfy."""

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from aezoo.core.imports import import_keras
from aezoo.export import to_onnx

keras = import_keras()
layers = keras.layers


def randomize(model, seed=0):
    """Gives every weight a random value, so that no bias is 0 and no statistic 0 or 1."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" in str(weight.dtype):
            continue
        values = generator.normal(0, 1, weight.shape)
        if weight.name in ("moving_variance", "gamma", "scale", "variance"):
            values = generator.uniform(0.5, 1.5, weight.shape)
        elif len(weight.shape) > 1:
            values /= np.sqrt(np.prod(weight.shape) / max(weight.shape[-2:]))
        weight.assign(values.astype("float32"))
    return model


def normalization(kind, channels):
    return {
        None: layers.Identity,
        "batch": layers.BatchNormalization,
        "layer": layers.LayerNormalization,
        "group": lambda: layers.GroupNormalization(groups=2 if channels % 2 == 0 else 1),
    }[kind]()


def sizes_of(shape, halvings):
    sizes = [tuple(shape[:2])]
    for _ in range(halvings):
        sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
    return sizes


def encoder(shape, filters=(4, 6), latent_dim=3, norm=None, activation="relu", pooling=False):
    x = images = keras.Input(shape, name="images")
    for depth in filters:
        x = layers.Conv2D(depth, 3, strides=1 if pooling else 2, padding="same")(x)
        x = normalization(norm, depth)(x)
        x = layers.Activation(activation)(x)
        if pooling:
            x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(images, layers.Dense(latent_dim)(x), name="encoder")


def decoder(shape, filters=(4, 6), latent_dim=3, norm=None, activation="relu", pooling=False, kernel=3):
    sizes = sizes_of(shape, len(filters))
    *shallower, deepest = filters
    x = latents = keras.Input((latent_dim,), name="latents")
    x = layers.Dense(int(np.prod(sizes[-1])) * deepest)(x)
    x = layers.Activation(activation)(x)
    x = layers.Reshape((*sizes[-1], deepest))(x)
    for depth, (height, width) in zip([*shallower[::-1], filters[0]], sizes[-2::-1], strict=True):
        if pooling:
            x = layers.UpSampling2D(2)(x)
            x = layers.Conv2D(depth, kernel, padding="same")(x)
        else:
            x = layers.Conv2DTranspose(depth, kernel, strides=2, padding="same")(x)
        x = layers.Cropping2D(((0, x.shape[1] - height), (0, x.shape[2] - width)))(x)
        x = normalization(norm, depth)(x)
        x = layers.Activation(activation)(x)
    x = layers.Conv2D(shape[-1], 3, padding="same", activation="sigmoid")(x)
    return keras.Model(latents, x, name="decoder")


def both(shape, **options):
    images = keras.Input(shape, name="images")
    parts = encoder(shape, **options), decoder(shape, **options)
    return keras.Model(images, parts[1](parts[0](images)), name="autoencoder")


def convolutional_autoencoder(length=13, features=3):
    x = examples = keras.Input((length, features))
    for filters in (4, 6):
        x = layers.Conv1D(filters, 3, strides=2, padding="same")(x)
        x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Dense(5)(layers.Flatten()(x))
    shortest = -(-length // 4)
    x = layers.Reshape((shortest, 6))(layers.Dense(shortest * 6, activation="gelu")(x))
    for filters, size in ((4, -(-length // 2)), (4, length)):
        x = layers.Conv1DTranspose(filters, 3, strides=2, padding="same")(x)
        x = layers.Cropping1D((0, x.shape[1] - size))(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return randomize(keras.Model(examples, layers.Conv1D(features, 3, padding="same")(x)))


def recurrent_autoencoder(kind, length=7, features=3, layers_each=2):
    x = examples = keras.Input((length, features))
    for index in range(layers_each):
        x = layers.Dropout(0.1)(kind(4, return_sequences=index < layers_each - 1)(x))
    x = layers.RepeatVector(length)(layers.Dense(2)(x))
    for _ in range(layers_each):
        x = kind(4, return_sequences=True)(x)
    return randomize(keras.Model(examples, layers.TimeDistributed(layers.Dense(features))(x)))


@keras.saving.register_keras_serializable("tests")
class Positions(layers.Layer):
    """Adds a learned row to each step."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return x + self.table


@to_onnx.emits(Positions, keeps=(to_onnx.MAP,))
def positions(graph, layer, x):
    table = keras.ops.convert_to_numpy(layer.table)
    return graph.pointwise(x, "Add", graph.aligned(x, table, "table"))


def block(x, heads=2):
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, 3)(y, y)])
    y = layers.Dense(9, activation="gelu")(layers.LayerNormalization()(x))
    return layers.Add()([x, layers.Dropout(0.1)(layers.Dense(x.shape[-1])(y))])


def patches_encoder(shape=(9, 6, 3), size=3, depth=2):
    x = images = keras.Input(shape)
    x = layers.Conv2D(6, size, strides=size)(x)
    x = Positions()(layers.Reshape((-1, 6))(x))
    for _ in range(depth):
        x = block(x)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return randomize(keras.Model(images, layers.Dense(4)(x)))


def patches_decoder(shape=(9, 6, 3), size=3):
    height, width, channels = (shape[0] // size, shape[1] // size, shape[2])
    x = latents = keras.Input((4,))
    x = Positions()(layers.RepeatVector(height * width)(layers.Dense(6)(x)))
    x = layers.Dense(size * size * channels)(layers.LayerNormalization()(block(x)))
    x = layers.Reshape((height, width, size, size, channels))(x)
    x = layers.Reshape(shape)(layers.Permute((1, 3, 2, 4, 5))(x))
    return randomize(keras.Model(latents, x))


# Integers of all models here, labels for example, are below this.
CLASSES = 5


def examples(model, batch, seed=0, low=-1.0):
    generator = np.random.default_rng(seed)
    given = []
    for keras_input in model.inputs:
        shape = batch, *keras_input.shape[1:]
        if "int" in keras_input.dtype:
            given.append(generator.integers(0, CLASSES, shape, keras_input.dtype))
        else:
            given.append(generator.uniform(low, 1, shape).astype("float32"))
    return given


def keras_outputs(model, given):
    given = given[0] if len(given) == 1 else given
    return [np.asarray(y) for y in keras.tree.flatten(model(given, training=False))]


def onnxruntime_outputs(path, given):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip([value.name for value in session.get_inputs()], given, strict=True)))


def difference(expected, got):
    """The largest difference, relative to the range of what was expected."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    assert np.isfinite(got).all()
    return np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-3)


def write(model, path, **options):
    """Writes with names made up for the number of inputs and outputs; returns the parsed file."""
    inputs = tuple(f"in_{index}" for index in range(len(model.inputs)))
    outputs = tuple(f"out_{index}" for index in range(len(model.outputs)))
    to_onnx.write(model, path, **{"inputs": inputs, "outputs": outputs, **options})
    return onnx.load(path)


def assert_equal_to_keras(model, path, tolerance=1e-5, outputs=keras_outputs):
    for batch in (1, 7):
        given = examples(model, batch)
        for expected, got in zip(outputs(model, given), onnxruntime_outputs(path, given), strict=True):
            assert difference(expected, got) < tolerance


def assert_direct(model, path, opsets=(17, 18, 21), tolerance=1e-5, outputs=keras_outputs):
    """Writes at several opsets and compares with Keras; returns the operators of the last."""
    for opset in opsets:
        proto = write(model, path, route="direct", opset=opset)
        assert_clean(proto)
        assert not {"Loop", "Scan", "If"} & set(ops_of(proto))
        assert_equal_to_keras(model, path, tolerance, outputs)
    return ops_of(proto)


def assert_takes_bytes(model, path, scale=True, *others):
    """Gives seven examples of bytes, and what further inputs there are."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, *model.inputs[0].shape[1:]), dtype=np.uint8)
    expected = keras_outputs(model, [pixels.astype("float32") / (255 if scale else 1), *others])
    for wanted, got in zip(expected, onnxruntime_outputs(path, [pixels, *others]), strict=True):
        assert difference(wanted, got) < 1e-5


def assert_routes_agree(model, path, tolerance=1e-5):
    """Writes through both routes and compares what onnxruntime computes."""
    given, results = examples(model, 3), []
    for route in ("direct", "tf2onnx"):
        write(model, path, route=route)
        results.append(onnxruntime_outputs(path, given))
    for direct, other in zip(*results, strict=True):
        assert difference(direct, other) < tolerance


def ops_of(proto):
    return [node.op_type for node in proto.graph.node]


def assert_clean(proto):
    """What holds for the graph of either route."""
    graph = proto.graph
    read = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read
    assert [entry.domain for entry in proto.opset_import] == [""]
    assert "Shape" not in ops_of(proto)
    for value in (*graph.input, *graph.output):
        batch, *sizes = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert all(size.HasField("dim_value") for size in sizes)
    assert len({node.name for node in graph.node}) == len(graph.node)
    assert proto.producer_name == "aezoo"


def assert_exact_sums(proto):
    """Every 8-bit product reads bytes, and no two of its products leave 16 bits, whichever are neighbours.

    Returns how many there are.
    """
    graph = proto.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {value: node for node in graph.node for value in node.output}
    count = 0
    for node in graph.node:
        kernel = makers.get(node.input[1]) if node.op_type in ("Conv", "Gemm", "MatMul") else None
        if kernel is None or kernel.op_type != "DequantizeLinear" or kernel.input[0] not in arrays:
            continue
        values = makers[node.input[0]]
        assert values.op_type == "DequantizeLinear", f"{node.name} reads {node.input[0]}, which is float32"
        assert arrays[values.input[2]].dtype == np.uint8
        weights, zeros = (arrays[kernel.input[place]] for place in (0, 2))
        assert weights.dtype == np.int8
        assert not zeros.any()
        axis = next((a.i for a in kernel.attribute if a.name == "axis"), 1)
        rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1).astype(int)
        for signed in (rows, -rows):  # of two signs one takes from the other
            pairs = np.sort(signed.clip(min=0), axis=1)[:, -2:].sum(axis=1) * 255
            assert pairs.max() <= np.iinfo(np.int16).max, f"{node.name}: {pairs.max()}"
        count += 1
    return count


def assert_no_transpose_inside(proto):
    """Transposes stand at the two ends only: one at an input, one at an output."""
    ends = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    produced = {name: node for node in proto.graph.node for name in node.output}
    for node in proto.graph.node:
        if node.op_type == "Transpose":
            before = produced.get(node.input[0])
            at_input = before is None or (before.op_type == "Cast" and before.input[0] in ends)
            assert at_input or node.output[0] in ends, node.name
