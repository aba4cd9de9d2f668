"""int8 files compute the same on every processor: no sum of two products leaves 16 bits.

What onnxruntime makes of a file is compared with onnx.reference, which computes node by node in NumPy, and
with onnxruntime on a processor without VNNI (older_processor.py).
"""

import json

import hypothesis
import numpy as np
import onnx
import pytest
from hypothesis import strategies as st
from older_processor import NEEDS, answers, answers_elsewhere
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import assert_exact_sums
from small_models import small
from test_quantize import model_of

import aezoo
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.to_onnx.precision import qdq, rounding
from aezoo.testing import smooth_examples

EXAMPLES = 16


# -- weights -----------------------------------------------------------------------------------------


@hypothesis.given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from([1.0, 1e-30, 1e30]),
    st.sampled_from([None, 2, 4]),
    st.integers(0, 2**32 - 1),
)
def test_no_pair_of_products_leaves_16_bits(channels, length, size, coarse, seed):
    weights = np.random.default_rng(seed).normal(size=(length, channels))
    if coarse:  # many equal weights, and sums that end in a half
        weights = np.rint(weights * coarse) / coarse
    weights = (weights * size).astype("float32")
    integers, scales = rounding.weights_of(weights, 1)
    for column in integers.T.astype(int):
        for first, one in enumerate(column):
            for other in column[first + 1 :]:
                assert all(-32768 <= 255 * total <= 32767 for total in (one + other, one, other))
    assert np.abs(integers * scales.astype("float64") - weights).max() <= 0.5001 * scales.max()


def test_weights_lose_no_more_than_a_pair_needs():
    def of(*weights):
        return rounding.weights_of(np.array([weights], "float32"), 0)[0][0].tolist()

    assert of(-3.0) == [-127]
    assert of(1.0, -1.0) == [127, -127]
    assert of(1.0, 0.28, 0.1, -1.0) == [100, 28, 10, -100]
    assert of(1.0, 1.0, -0.5) == [64, 64, -32]
    assert of(-1.0, -1.0) == [-64, -64]
    assert of(0.0, 0.0) == [0, 0]


# -- files -------------------------------------------------------------------------------------------


def exported(name, tmp_path):
    """Returns the folder of a small model's int8 files."""
    from aezoo.nn.autoencoder import keras

    keras.utils.set_random_seed(1)
    model = aezoo.build(name, **small(name))
    examples = smooth_examples(model.example_shape, 128)
    if hasattr(model, "adapt") and model.kind != "images":
        model.adapt(examples)
    # The encoder of `vq_vae` cannot be done in 8 bits: see test_quantize.py.
    parts = ["decoder", "code_decoder", "reconstructor"] if name == "vq_vae" else []
    options = ExportOptions(formats=["onnx"], precisions=["int8"], parts=parts)
    return export_bundle(model, tmp_path / name, options, examples=examples)


def feeds_of(folder):
    """Returns {path: {input: some examples}} of all files."""
    rows = json.loads((folder / "manifest.json").read_text("utf-8"))["artifacts"]
    with np.load(folder / "golden.npz") as golden:
        ends = {row["file"]: {one["name"]: golden[one["golden"]] for one in row["inputs"]} for row in rows}
    return {
        str(folder / file): {name: array[:EXAMPLES] for name, array in given.items()}
        for file, given in ends.items()
    }


def assert_same(expected, got):
    """Compares outputs of which a rounding of float32 may have moved single bytes by one.

    A byte on the border of two moves its example by less than 2 % of the range, and few examples have one.
    A sum that has saturated moves all of them: by 0.05 to 36 % in the files of before.
    """
    for one, other in zip(expected, got, strict=True):
        one, other = (np.asarray(a, "float64").reshape(EXAMPLES, -1) for a in (one, other))
        difference = np.abs(one - other).max(axis=1) / (np.ptp(one) or 1.0)
        assert np.mean(difference > 1e-4) <= 1 / 8, difference
        assert difference.max() < 0.02


@pytest.mark.parametrize(
    "name",
    [n if n == "conv" else pytest.param(n, marks=pytest.mark.exhaustive) for n in aezoo.list_models()],
)
def test_fused_is_the_reference_here_and_without_vnni(name, tmp_path):
    files = feeds_of(exported(name, tmp_path))
    here = answers(files)
    for path, given in files.items():
        assert_same(ReferenceEvaluator(path).run(None, given), here[path])
    elsewhere = answers_elsewhere(files)
    if elsewhere is None:
        pytest.skip(f"fused is the reference here; the rest {NEEDS}")
    for path in files:
        assert_same(here[path], elsewhere[path])


def test_without_vnni_a_sum_of_127_saturates(tmp_path):
    """What the test above would find: a file with the weights that were written before."""

    def answer(*weights):
        arrays = {
            "w": np.array([weights], "int8").T,
            **{"scale": np.float32(1), "zero": np.uint8(0), "w_zero": np.int8(0)},
        }
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["bytes"]),
            helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["rounded"]),
            helper.make_node("DequantizeLinear", ["w", "scale", "w_zero"], ["kernel"]),
            helper.make_node("MatMul", ["rounded", "kernel"], ["y"]),
        ]
        path = str(tmp_path / "pair.onnx")
        onnx.save(model_of(nodes, arrays, {"x": ["batch", 2]}, {"y": ["batch", 1]}), path)
        files = {path: {"x": np.full((5, 2), 255, "float32")}}
        elsewhere = answers_elsewhere(files)
        if elsewhere is None:
            pytest.skip(NEEDS)
        return elsewhere[path][0].ravel().tolist()

    assert answer(64, 64) == [255 * 128] * 5
    assert answer(127, -127) == [0] * 5
    assert answer(127, 127) == [32767] * 5


def test_the_check_finds_what_is_wrong(tmp_path):
    path = next(exported("dense", tmp_path).glob("encoder.int8.onnx"))
    proto = onnx.load(path)
    assert assert_exact_sums(proto) == 2
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1:
            wide = numpy_helper.to_array(tensor).copy()
            wide[:2] = 65
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    with pytest.raises(AssertionError, match="33150"):
        assert_exact_sums(proto)


def test_a_product_behind_an_output_reads_it_rounded():
    """Float32 values and 8-bit weights would be a MatMulNBits, which rounds as the processor has it."""
    weights = {n: np.eye(3, dtype="float32") for n in ("a", "b")}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["latents"], name="first"),
        helper.make_node("MatMul", ["latents", "b"], ["y"], name="second"),
    ]
    ends = {name: ["batch", 3] for name in ("latents", "y")}
    prepared = qdq.prepare(model_of(nodes, weights, {"x": ["batch", 3]}, ends))
    ranges = {"x": (0.0, 1.0), "latents": (0.0, 1.0)}
    proto = qdq.insert(prepared, qdq.layers_of(prepared), ranges)
    onnx.checker.check_model(proto, full_check=True)
    assert assert_exact_sums(proto) == 2
    first = next(node for node in proto.graph.node if node.name == "first")
    assert list(first.output) == ["latents"]  # which itself is not rounded
