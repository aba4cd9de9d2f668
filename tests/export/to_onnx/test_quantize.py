"""Precisions: float16 and int8 files are proven at their own measure, or refused."""

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import four_lines, rehash
from onnx import TensorProto, helper, numpy_helper

from aezoo import runtime
from aezoo.cli.main import main
from aezoo.core.errors import BundleError, ExportError, OptionError, ParityError
from aezoo.export import ExportOptions, budget, export_bundle
from aezoo.export.proof import parity
from aezoo.export.to_onnx.precision import qdq, quantize, rounding, subpixel
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

ALL = ("float32", "float16", "int8")


@pytest.fixture(scope="module")
def examples(trained):
    return smooth_examples(trained[0].example_shape, 160, seed=1)


@pytest.fixture(scope="module")
def bundle(trained, examples, tmp_path_factory):
    """A proven bundle of `trained` in every precision."""
    folder = tmp_path_factory.mktemp("precisions") / "bundle"
    return export_bundle(
        trained[0], folder, ExportOptions(formats=["onnx"], precisions=ALL), examples=examples
    )


def artifacts(folder):
    return contract.read_manifest(folder).artifacts


def session(proto):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(proto.SerializeToString(), options)


def model_of(nodes, arrays, inputs, outputs, opset=20):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


# -- ConvTranspose as Conv -------------------------------------------------------------------------

# kernel, stride, dilation, pads before and after, output_padding, of one axis of 5 to 7 inputs
AXES = [
    (1, 1, 1, 0, 0, 0),
    (2, 2, 1, 0, 0, 0),
    (3, 2, 1, 0, 1, 0),
    (3, 2, 1, 1, 1, 1),
    (3, 2, 1, 1, 1, 0),
    (4, 2, 1, 1, 1, 0),
    (4, 2, 1, 1, 2, 0),
    (5, 2, 1, 2, 1, 0),
    (5, 3, 1, 0, 3, 0),
    (2, 3, 1, 0, 0, 2),
    (3, 2, 2, 1, 2, 0),
    (6, 4, 1, 5, 4, 1),
    (4, 1, 1, 3, 3, 0),
]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("axes", [*((a,) for a in AXES), *itertools.pairwise(AXES), *((a, a) for a in AXES)])
def test_the_rewritten_convolution_is_the_transposed_one(axes, relu):
    generator = np.random.default_rng(len(str(axes)))
    sizes = [5 + number for number, _ in enumerate(axes)]
    kernel, strides, dilations, befores, afters, extras = zip(*axes, strict=True)
    weights = generator.normal(size=(3, 2, *kernel)).astype("float32")
    bias = generator.normal(size=2).astype("float32") if relu else None
    lengths = [
        (n - 1) * s + (k - 1) * d + 1 + e - before - after
        for n, (k, s, d, before, after, e) in zip(sizes, axes, strict=True)
    ]
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w", "b"] if relu else ["x", "w"],
        ["y"],
        name="up",
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=[*befores, *afters],
        output_padding=extras,
    )
    shapes = {"x": ["batch", 3, *sizes]}, {"y" if not relu else "z": ["batch", 2, *lengths]}
    arrays = {"w": weights} | ({"b": bias} if relu else {})
    nodes = [node, helper.make_node("Relu", ["y"], ["z"])] if relu else [node]
    x = generator.normal(size=(2, 3, *sizes)).astype("float32")
    expected = session(model_of(nodes, arrays, *shapes)).run(None, {"x": x})[0]
    plan = subpixel.plan(node, weights.shape, ("batch", 3, *sizes))
    new = subpixel.rewrite(node, plan, weights, bias, final="z" if relu else "y", relu=relu)
    again = model_of([*new.computing, *new.moving], new.arrays, *shapes)
    assert not any(one.op_type == "ConvTranspose" for one in again.graph.node)
    got = session(again).run(None, {"x": x})[0]
    np.testing.assert_allclose(got, expected, atol=2e-6 * np.abs(weights).sum(), rtol=0)


def test_phases_are_shifted_onto_one_window():
    """Kernel 4, stride 2: each phase has two taps, and a window of two is enough."""
    assert subpixel.plan_axis(8, 4, 2, 1, 1, 16).window == 2
    assert subpixel.plan_axis(7, 3, 2, 1, 0, 14).window == 2
    assert subpixel.plan_axis(7, 2, 2, 1, 0, 14).window == 1


def test_what_is_not_rewritten():
    def plan(shape=("batch", 4, 5, 5), **attributes):
        node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], **attributes)
        return subpixel.plan(node, (4, 2, 3, 3), shape)

    assert plan() is not None
    assert plan(group=2) is None
    assert plan(auto_pad="SAME_UPPER") is None
    assert plan(output_shape=[11, 11]) is None
    assert plan(("batch", 4, None, 5)) is None
    assert plan(None) is None


# -- rounding ----------------------------------------------------------------------------------------


def test_zero_is_met_exactly_and_nothing_overflows():
    for low, high in ((-1, 3), (0.5, 2), (-3, -1), (0, 0), (-1e-30, 1e-30), (0, 255)):
        scale, zero = rounding.scale_of(low, high)
        assert scale > 0
        assert -float(zero) * scale <= min(low, 0) + scale
        assert (255 - float(zero)) * scale >= max(high, 0) - scale
    assert rounding.scale_of(0, 255) == (1, 0)
    weights = np.array([[1e-30, 0.0], [2.0, -4.0]], "float32")
    integers, scales = rounding.weights_of(weights, 0, bias=np.array([5.0, 0.0]), input_scale=0.1)
    assert np.abs(np.array([5.0, 0.0]) / (scales * 0.1)).max() < 2**31
    assert integers[1].tolist() == [64, -127]
    assert np.isfinite(scales).all()


def test_files_say_what_the_float32_ones_say(bundle):
    rows = {(row.part, row.precision): row for row in artifacts(bundle)}
    assert len(rows) == 12
    for (part, precision), row in rows.items():
        proto = onnx.load(bundle / row.file)
        onnx.checker.check_model(proto, full_check=True)
        assert [entry.domain for entry in proto.opset_import] == [""]
        assert proto.opset_import[0].version == row.opset
        plain = onnx.load(bundle / rows[part, "float32"].file).graph
        for end in ("input", "output"):
            assert list(getattr(proto.graph, end)) == list(getattr(plain, end)), (part, precision)
        read = {name for node in proto.graph.node for name in node.input}
        assert {tensor.name for tensor in proto.graph.initializer} <= read
        assert len({node.name for node in proto.graph.node}) == len(proto.graph.node)
        ops = {node.op_type for node in proto.graph.node}
        if precision == "int8":
            kept = [node.output[0] for node in proto.graph.node if node.op_type == "ConvTranspose"]
            assert len(kept) == (part != "encoder")  # the last, of one channel, would be slower
            held, before = (sum(len(t.raw_data) for t in g.initializer) for g in (proto.graph, plain))
            assert held < before  # of so small a model the names of scales take more than that in the file
            assert row.float_layers == ()
        else:
            assert "QuantizeLinear" not in ops
            assert ("ConvTranspose" in ops) == (part != "encoder")  # the rewrite is int8's alone
        if precision == "float16" and part != "scorer":  # whose table and verdict stay float32
            assert {t.data_type for t in proto.graph.initializer} <= {TensorProto.FLOAT16, TensorProto.INT64}


def test_no_layer_of_the_int8_file_is_left_to_float32(bundle):
    """Every Conv reads two DequantizeLinear and is read by one QuantizeLinear: onnxruntime's pattern."""
    for part in ("encoder", "decoder"):
        graph = onnx.load(bundle / f"{part}.int8.onnx").graph
        makers = {value: node for node in graph.node for value in node.output}
        for node in graph.node:
            if node.op_type in ("Conv", "Gemm"):
                assert all(makers[name].op_type == "DequantizeLinear" for name in node.input)
            if node.op_type == "Conv":
                readers = [one.op_type for one in graph.node if node.output[0] in one.input]
                assert readers == ["QuantizeLinear"]


# -- the budget --------------------------------------------------------------------------------------


def test_verify_proves_all_precisions_again(bundle):
    figures = parity.verify(bundle, trust=True)
    assert len(figures) == 12
    for file, row in figures.items():
        assert row.max_difference <= row.allowed
        lossy_scorer = file.startswith("scorer.") and file != "scorer.onnx"  # a verdict has no tolerance
        assert (row.tolerance is None) == (".int8." in file or lossy_scorer)


def test_a_spoiled_int8_file_is_found(bundle, tmp_path):
    import shutil

    shutil.copytree(bundle, tmp_path / "copy")
    path = tmp_path / "copy" / "encoder.int8.onnx"
    proto = onnx.load(path)
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1:
            flipped = numpy_helper.to_array(tensor)[::-1].copy()
            tensor.CopyFrom(numpy_helper.from_array(flipped, tensor.name))
    onnx.save(proto, path)
    rehash(tmp_path / "copy")
    with pytest.raises(ParityError) as error:
        parity.verify(tmp_path / "copy", trust=True)
    four_lines(error, "encoder.int8.onnx", "loses more than its budget", "at most 1.00%")


def test_a_budget_that_nothing_keeps(trained, examples, tmp_path):
    with pytest.raises(ExportError) as error:
        export_bundle(
            trained[0],
            tmp_path / "bundle",
            ExportOptions(formats=["onnx"], precisions=["int8"], budget=0),
            examples=examples,
        )
    four_lines(error, "no mixture", "a loss of", "at most 0.00%", "pass budget=")
    assert not list(tmp_path.iterdir())


def test_layers_that_cost_too_much_stay_float32_and_are_named(trained, examples, tmp_path, monkeypatch):
    insert = qdq.insert

    def coarse(proto, layers, ranges):
        """One layer gets a range a thousand times too wide."""
        wide = {
            n: (1000 * low, 1000 * high) if "down_2" in n else (low, high)
            for n, (low, high) in ranges.items()
        }
        return insert(proto, layers, wide)

    monkeypatch.setattr(qdq, "insert", coarse)
    monkeypatch.setattr(
        trained[0], "parts", lambda: {"encoder": type(trained[0]).parts(trained[0])["encoder"]}
    )
    folder = export_bundle(
        trained[0],
        tmp_path / "bundle",
        ExportOptions(formats=["onnx"], precisions=["int8"]),
        examples=examples,
    )
    row = contract.find(contract.read_manifest(folder), "encoder", precision="int8")
    assert any("down_2" in name for name in row.float_layers)
    proto = onnx.load(folder / "encoder.int8.onnx")
    assert set(row.float_layers) < {node.name for node in proto.graph.node}
    card = (folder / "README.md").read_text("utf-8")
    for name in row.float_layers:
        assert f"`{name}`" in card


def test_choose_keeps_as_many_as_fit():
    costs = {"a": 0.5, "b": 0.001, "c": 0.02, "d": 0.003, "e": 0.005}
    calls = []

    def loss(chosen):
        calls.append(chosen)
        return sum(costs[name] for name in chosen)

    chosen, best = quantize.choose(list(costs), loss, 0.01)
    assert chosen == ["b", "d", "e"]
    assert best == 0.001
    assert len(calls) <= 2 * len(costs) + 4
    assert quantize.choose(list(costs), loss, 1.0)[0] == list(costs)
    assert quantize.choose(["a"], loss, 0.1) == ([], 0.5)


def test_what_is_lost():
    examples = np.random.default_rng(0).random((8, 3))
    row = "reconstructions"
    wanted = examples + 0.1
    assert budget.lost(row, wanted, wanted, examples) == pytest.approx(0)
    assert budget.lost(row, wanted, examples + 0.2, examples) == pytest.approx(3)
    # a column in other units counts no more than the others
    units = np.array([1, 1000, 1])
    worse = wanted.copy()
    worse[:, 0] += 0.05
    share = budget.lost(row, wanted, worse, examples)
    assert budget.lost(row, wanted * units, worse * units, examples * units) == pytest.approx(share)
    codes = np.arange(8)
    assert budget.lost("code_indices", codes, np.where(codes < 2, 9, codes), examples) == 0.25
    assert budget.lost("latents", wanted, -wanted, examples) == pytest.approx(2)
    assert budget.lost("latents", np.zeros((2, 3)), np.zeros((2, 3)), examples) == 0


# -- use ---------------------------------------------------------------------------------------------


def test_runtime_opens_a_precision(bundle, trained, examples, exported):
    plain = runtime.load(bundle)
    assert plain.precision == "float32"
    for precision, differs in (("float16", 5e-3), ("int8", 0.1)):
        opened = runtime.load(bundle, precision=precision)
        assert opened.precision == precision
        latents = plain.encode(examples)
        difference = np.abs(opened.encode(examples) - latents).max()
        assert 0 < difference < differs * np.ptp(latents)
        assert opened.sample(3, seed=1).shape == (3, 16, 12, 1)
        assert opened.reconstruct(examples).dtype == np.float32
    with pytest.raises(BundleError) as error:
        runtime.load(exported, precision="int8")
    four_lines(error, "'int8'", "'float32'", "precisions=('int8',)")


def test_a_bundle_of_int8_alone(trained, examples, tmp_path):
    folder = export_bundle(
        trained[0],
        tmp_path / "bundle",
        ExportOptions(formats=["onnx"], precisions=["int8"]),
        examples=examples,
    )
    with pytest.raises(BundleError) as error:
        runtime.load(folder)
    four_lines(error, "float32", "pass precision='int8'")
    assert runtime.load(folder, precision="int8").encode(examples).shape == (160, 4)
    card = (folder / "README.md").read_text("utf-8")
    assert 'InferenceSession("encoder.int8.onnx")' in card
    assert parity.verify(folder, trust=True)


def test_the_command(bundle, examples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", examples)
    results = {}
    for precision in ALL:
        given = ["--precision", precision]
        assert main(["encode", str(bundle), "images.npy", "-o", f"{precision}.npy", *given]) == 0
        assert main(["decode", str(bundle), f"{precision}.npy", "-o", "images_again.npy", *given]) == 0
        assert main(["reconstruct", str(bundle), "images.npy", "-o", "again.npy", *given]) == 0
        assert main(["sample", str(bundle), "-n", "2", "-o", "samples.npy", *given]) == 0
        capsys.readouterr()
        assert main(["score", str(bundle), "images.npy", *given]) == 0
        results[precision] = np.load(f"{precision}.npy"), capsys.readouterr().out
    for first, second in itertools.combinations(ALL, 2):
        assert not np.array_equal(results[first][0], results[second][0])
        assert results[first][1] != results[second][1]
    assert main(["encode", str(bundle), "images.npy", "--precision", "int4"]) == 1
    assert "precision='int4'" in capsys.readouterr().err


def test_a_run_has_no_precision(tmp_path, capsys):
    assert main(["sample", str(tmp_path), "--precision", "int8"]) == 2
    assert "only the files of a bundle have a precision" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_bytes_in_every_precision(trained, examples, tmp_path, precision):
    folder = export_bundle(
        trained[0],
        tmp_path / "bytes",
        ExportOptions(formats=["onnx"], precisions=["float32", precision], input_dtype="uint8"),
        examples=examples,
    )
    pixels = np.rint(examples * 255).astype("uint8")
    latents = trained[0].encode(pixels / np.float32(255))
    opened = runtime.load(folder, precision=precision)
    assert 1 - budget.cosine(opened.encode(pixels), latents) < 1e-3
    assert opened.reconstruct(pixels).shape == examples.shape
    if precision == "int8":  # bytes go into the convolution as they are
        first = onnx.load(folder / "encoder.int8.onnx").graph.node[0]
        assert first.op_type == "DequantizeLinear"


def test_a_format_without_the_precision(trained, tmp_path):
    with pytest.raises(OptionError) as error:
        export_bundle(trained[0], tmp_path / "b", ExportOptions(formats=["saved_model"], precisions=["int8"]))
    four_lines(error, "int8", "onnx")
