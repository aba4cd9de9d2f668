"""Every registered model as ONNX: both ways agree, four readers agree, and the graph is clean."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator
from test_conformance import CASES

import aezoo
from aezoo import bundle as contract
from aezoo.autoencoder import keras
from aezoo.export import to_onnx
from aezoo.export.bundling import part_of
from aezoo.testing import smooth_examples


def by_onnxruntime(path, name, given):
    return onnxruntime.InferenceSession(path).run(None, {name: given})[0]


def by_reference(path, name, given):
    return ReferenceEvaluator(str(path)).run(None, {name: given})[0]


def by_openvino(path, name, given):
    openvino = pytest.importorskip("openvino")
    # It would compute in bfloat16 where the processor can.
    compiled = openvino.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({name: given})[0]


def by_opencv(path, name, given):
    net = pytest.importorskip("cv2").dnn.readNetFromONNX(str(path))
    net.setInput(given, name)
    return net.forward()


READERS = (by_onnxruntime, by_reference, by_openvino, by_opencv)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}{case[1] or ''}")
def written(request, tmp_path_factory):
    """A model with weights that training has moved, and its parts, each written both ways."""
    name, options = request.param
    keras.utils.set_random_seed(0)
    model = aezoo.build(name, latent_dim=5, **options)
    examples = smooth_examples(model.example_shape, 32)
    model.fit(examples, verbose=0)
    for weight in model.trainable_weights:  # an output that hardly varies would prove little
        weight.assign(weight * 2.5)
    latents = model.encode(examples)
    folder = tmp_path_factory.mktemp("written")
    parts = {}
    for part in contract.PARTS:
        taken, given = contract.part_names(part, model.kind)
        for route in ("direct", "tf2onnx"):
            path = folder / f"{part}_{route}.onnx"
            to_onnx.write(part_of(model, part), path, inputs=(taken,), outputs=(given,), route=route)
        inputs = latents if part == "decoder" else examples
        parts[part] = (folder, taken, given, inputs, keras.ops.convert_to_numpy(part_of(model, part)(inputs)))
    return parts


@pytest.mark.parametrize("part", contract.PARTS)
def test_both_ways_agree(written, part):
    folder, name, _, inputs, expected = written[part]
    direct, second = (
        by_onnxruntime(folder / f"{part}_{route}.onnx", name, inputs) for route in ("direct", "tf2onnx")
    )
    allowed = 2e-5 * np.ptp(expected)
    np.testing.assert_allclose(direct, second, rtol=0, atol=allowed)
    np.testing.assert_allclose(direct, expected, rtol=0, atol=allowed)


@pytest.mark.parametrize("part", contract.PARTS)
@pytest.mark.parametrize("read", READERS)
def test_readers_agree(written, part, read):
    folder, name, _, inputs, expected = written[part]
    for size in (1, 3):
        got = np.asarray(read(folder / f"{part}_direct.onnx", name, inputs[:size]))
        np.testing.assert_allclose(got, expected[:size], rtol=0, atol=3e-5 * np.ptp(expected))


@pytest.mark.parametrize("part", contract.PARTS)
def test_the_graph_is_clean(written, part):
    folder, taken, given, _, _ = written[part]
    model = onnx.load(folder / f"{part}_direct.onnx")
    onnx.checker.check_model(model, full_check=True)
    for tensors, name in ((model.graph.input, taken), (model.graph.output, given)):
        assert [tensor.name for tensor in tensors] == [name]
        assert tensors[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"Shape", "Transpose", "Loop", "Identity", "RandomNormal", "RandomUniform"}
    assert [opset.domain for opset in model.opset_import] == [""]
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
