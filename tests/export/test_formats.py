"""LiteRT and OpenVINO files: every model of the zoo is proven in both, and what cannot be says so."""

import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import four_lines, mostly_exhaustive, rehash, without_logs
from small_models import FEW, small

import aezoo
from aezoo import runtime, testing
from aezoo.core.errors import BundleError, ExportError, MissingExtraError, OptionError, ParityError
from aezoo.export import ExportOptions, budget, export_bundle, formats, to_onnx
from aezoo.export.proof import parity
from aezoo.nn.autoencoder import Autoencoder, keras
from aezoo.runtime import manifest as contract

EDGE = ("litert", "openvino")


def fitted(name, **options):
    """Returns a model that has seen some examples, and 64 of them."""
    keras.utils.set_random_seed(0)
    model = aezoo.build(name, **(options or small(name)))
    examples = testing.smooth_examples(model.example_shape, 64)
    testing.fit_on(model, examples)
    return model, examples


@pytest.fixture(scope="module")
def edge(trained, tmp_path_factory):
    """A bundle of `trained` in both formats and in every precision that they have; copy before changes."""
    model, examples = trained
    folder = tmp_path_factory.mktemp("edge") / "bundle"
    # The blobs are learned so well that 1 % of their error is less than a step of int8.
    return export_bundle(
        model,
        folder,
        ExportOptions(formats=EDGE, precisions=formats.PRECISIONS, budget=0.2),
        examples=examples,
    )


@pytest.fixture
def copy(edge, tmp_path):
    shutil.copytree(edge, tmp_path / "copy")
    return tmp_path / "copy"


def interpreter(path):
    """Returns LiteRT's plain interpreter of a file, with its tensors."""
    from ai_edge_litert.interpreter import Interpreter

    plain = Interpreter(str(path))
    plain.allocate_tensors()
    return plain


@pytest.mark.parametrize("name", mostly_exhaustive(aezoo.list_models(), FEW.__contains__))
def test_every_part_of_every_model(name, tmp_path):
    model, examples = fitted(name)
    folder = export_bundle(model, tmp_path / "bundle", ExportOptions(formats=EDGE), examples=examples)
    artifacts = contract.read_manifest(folder).artifacts
    proven = {(row.part, row.format) for row in artifacts if row.parity.batches == (1, 7)}
    scored = () if model.takes_labels else ("scorer",)
    assert proven == {(part, form) for part in (*model.parts(), *scored) for form in EDGE}
    for row in artifacts:
        assert row.parity.tolerance == formats.FORMATS[row.format].tolerances["float32"][0]


def test_files_of_every_precision(edge):
    sizes = {}
    for row in contract.read_manifest(edge).artifacts:
        sizes[row.part, row.format, row.precision] = row.size_bytes
        assert all((edge / file).is_file() for file in row.files)
        if row.format == "openvino":
            assert len(row.files) == 2
    assert len(sizes) == 3 * (3 + 2) + 2 + 2  # the scorer not in int8
    weights = (edge / "openvino" / "encoder.bin").stat().st_size
    assert (edge / "openvino" / "encoder.float16.bin").stat().st_size < 0.6 * weights
    assert sizes["encoder", "litert", "int8"] < 0.6 * sizes["encoder", "litert", "float32"]


def test_int8_is_int8_throughout(edge):
    """No weights of int8 under float32 arithmetic, which would be slower than float32."""
    for part in ("encoder", "decoder", "reconstructor"):
        plain = interpreter(edge / f"{part}.int8.tflite")
        ends = {t["index"] for t in plain.get_input_details() + plain.get_output_details()}
        floats = {t["index"] for t in plain.get_tensor_details() if t["dtype"] == np.float32 and t["name"]}
        assert floats == ends


def test_what_int8_loses_is_told(trained, tmp_path):
    model, examples = trained
    with pytest.raises(ExportError) as error:
        export_bundle(
            model,
            tmp_path / "bundle",
            ExportOptions(formats=["litert"], precisions=["int8"], budget=1e-6),
            examples=examples,
        )
    four_lines(error, ".int8.tflite loses more than its budget", "%", "at most 0.00%")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("form", EDGE)
def test_the_proof_runs_without_a_framework(edge, form):
    code = f"""
import sys
for name in ("tensorflow", "keras", "jax", "torch", "onnx"):
    sys.modules[name] = None  # importing it raises
from aezoo.export.proof.parity import prove_format
print(len(prove_format({str(edge)!r}, {form!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8")
    assert int(done.stdout) == {"litert": 11, "openvino": 8}[form]


def test_bytes_and_labels(tmp_path):
    """Images as bytes, and a second input of whole numbers."""
    model, examples = fitted("conditional_vae")
    folder = export_bundle(
        model, tmp_path / "bundle", ExportOptions(formats=EDGE, input_dtype="uint8"), examples=examples
    )
    for row in contract.read_manifest(folder).artifacts:
        taken = {tensor.name: tensor.dtype for tensor in row.inputs}
        first = {"latents": "float32"} if row.part == "decoder" else {"images": "uint8"}
        assert taken == {**first, "labels": "int32"}


@pytest.mark.parametrize(
    ("file", "form"), [("encoder.tflite", "litert"), ("openvino/encoder.bin", "openvino")]
)
def test_a_changed_weight_is_found(copy, trained, file, form):
    bias = np.asarray(trained[0].encoder.get_layer("bottleneck").bias)
    content = (copy / file).read_bytes()
    assert content.count(bias.tobytes()) == 1
    (copy / file).write_bytes(content.replace(bias.tobytes(), (bias + np.float32(0.05)).tobytes()))
    with pytest.raises(BundleError) as error:
        parity.verify(copy, trust=True)
    four_lines(error, f"{file} is not the file that was proven")
    rehash(copy)
    with pytest.raises(ParityError) as error:
        parity.prove_format(copy, form)
    four_lines(error, "encoder", "does not compute what the Keras model computes")


def test_other_names_are_found(copy):
    path = copy / "openvino" / "encoder.xml"
    path.write_text(path.read_text("utf-8").replace('names="latents"', 'names="latentz"'), encoding="utf-8")
    rehash(copy)
    with pytest.raises(ParityError) as error:
        parity.prove_format(copy, "openvino")
    four_lines(error, "openvino/encoder.xml", "other inputs or outputs", "latentz")


@keras.saving.register_keras_serializable("tests")
class Orthogonal(keras.layers.Layer):
    """An operation that LiteRT would need Flex for, and that has no effect on what comes out."""

    def call(self, latents):
        q, _ = keras.ops.qr(latents[:, :, None] * latents[:, None, :] + keras.ops.eye(latents.shape[-1]))
        return latents + 0 * keras.ops.sum(q, axis=-1)


def test_an_operation_without_a_kernel_is_named(trained, tmp_path, capfd):
    plain, examples = trained
    inputs = keras.Input(plain.example_shape)
    encoder = keras.Model(inputs, Orthogonal()(plain.encoder(inputs)), name="encoder")
    model = Autoencoder(encoder, plain.decoder)
    with pytest.raises(ExportError) as error:
        export_bundle(model, tmp_path / "bundle", ExportOptions(formats=["litert"]), examples=examples)
    four_lines(error, "'encoder'", "Qr", "without Flex", "formats=('onnx',)")
    assert not (tmp_path / "bundle").exists()
    assert without_logs(capfd.readouterr().err) == ""  # the converter's own pages are not for users


def test_litert_needs_tensorflow(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError) as error:
        export_bundle(trained[0], tmp_path / "bundle", ExportOptions(formats=["litert"]), examples=trained[1])
    four_lines(error, "KERAS_BACKEND=jax", "KERAS_BACKEND=tensorflow")


@pytest.mark.parametrize("form", EDGE)
def test_a_missing_runtime_is_named_before_anything_is_written(trained, tmp_path, monkeypatch, form):
    monkeypatch.setattr(formats, "is_installed", lambda form: False)
    with pytest.raises(MissingExtraError) as error:
        export_bundle(trained[0], tmp_path / "bundle", ExportOptions(formats=[form]), examples=trained[1])
    four_lines(error, formats.FORMATS[form].runtime, f'pip install "aezoo[{form}]"')
    assert not list(tmp_path.iterdir())


def test_files_repeat_and_know_no_path(edge, trained, tmp_path):
    folder = export_bundle(trained[0], tmp_path / "again", ExportOptions(formats=EDGE), examples=trained[1])
    for row in contract.read_manifest(folder).artifacts:
        for file in row.files:
            content = (folder / file).read_bytes()
            assert content == (edge / file).read_bytes(), file
            for path in (str(tmp_path), str(edge.parent), "/home/", sys.prefix):
                assert path.encode() not in content, file


# -- a fixed batch, and channels first ---------------------------------------------------------------


def shapes(path):
    """Returns the shapes of an ONNX file's inputs and outputs, {name: list}."""
    graph = onnx.load(path).graph
    return {
        tensor.name: [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim]
        for tensor in [*graph.input, *graph.output]
    }


def assert_equal_to_keras(folder, model, examples):
    bundle = runtime.load(folder)
    latents = model.encode(examples)
    np.testing.assert_allclose(bundle.encode(examples), latents, atol=1e-5 * np.ptp(latents), rtol=0)
    np.testing.assert_allclose(bundle.reconstruct(examples), model.reconstruct(examples), atol=1e-5)
    np.testing.assert_allclose(bundle.decode(latents), model.decode(latents), atol=1e-5)
    errors = model.reconstruction_error(examples)
    np.testing.assert_allclose(bundle.reconstruction_error(examples), errors, rtol=1e-3)


def test_a_fixed_batch(trained, tmp_path):
    from openvino import Core

    model, examples = trained
    folder = tmp_path / "bundle"
    export_bundle(model, folder, ExportOptions(formats=tuple(formats.FORMATS), batch=3), examples=examples)
    for row in contract.read_manifest(folder).artifacts:
        assert row.parity.batches == (3,)
        assert row.parity.examples == 64
        assert {tensor.shape[0] for tensor in row.inputs + row.outputs} == {3}
    assert shapes(folder / "encoder.onnx") == {"images": [3, 16, 12, 1], "latents": [3, 4]}
    (taken,) = interpreter(folder / "encoder.tflite").get_input_details()
    assert list(taken["shape_signature"]) == [3, 16, 12, 1]
    read = Core().read_model(folder / "openvino" / "encoder.xml")
    assert [list(port.shape) for port in (*read.inputs, *read.outputs)] == [[3, 16, 12, 1], [3, 4]]
    for count in (1, 3, 7):
        assert_equal_to_keras(folder, model, examples[:count])
    assert "np.zeros((3, 16, 12, 1)" in (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["conv", "dense", "vq_vae", "masked"])
def test_channels_first(name, tmp_path):
    model, examples = fitted(name, **{**small(name), "image_shape": (9, 11, 3)})
    folder = export_bundle(
        model,
        tmp_path / "bundle",
        ExportOptions(formats=["onnx", "openvino"], layout="nchw"),
        examples=examples,
    )
    for row in contract.read_manifest(folder).artifacts:
        for tensor in row.inputs + row.outputs:
            is_image = tensor.golden in ("examples", "reconstructions")
            assert tensor.layout == ("nchw" if is_image else "nhwc")
            assert not is_image or tensor.shape == ("batch", 3, 9, 11)
    images = ["batch", 3, 9, 11]
    assert shapes(folder / "reconstructor.onnx") == {"images": images, "reconstructions": images}
    assert_equal_to_keras(folder, model, examples[:5])
    if name == "conv":  # the layout that its convolutions have inside
        ops = {node.op_type for node in onnx.load(folder / "reconstructor.onnx").graph.node}
        assert "Transpose" not in ops


def test_channels_first_of_bytes_at_a_fixed_batch_through_both_routes(tmp_path):
    model, examples = fitted("conv")
    pixels = np.rint(examples[:4] * 255).astype("uint8")
    wanted = model.encode(pixels / np.float32(255))
    for route in ("direct", "tf2onnx"):
        path = tmp_path / f"{route}.onnx"
        ends = {"inputs": ("images",), "outputs": ("latents",), "channels_first": ("images",)}
        to_onnx.write(model.encoder, path, route=route, batch=4, input_dtype="uint8", **ends)
        assert shapes(path) == {"images": [4, 2, 11, 9], "latents": [4, 5]}
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (latents,) = session.run(None, {"images": np.moveaxis(pixels, -1, 1)})
        np.testing.assert_allclose(latents, wanted, atol=1e-5 * np.ptp(wanted))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "nchw", "formats": ["onnx", "litert"]}, ["litert", "channels last", "'openvino')"]),
        ({"layout": "nchw", "formats": ["saved_model"]}, ["saved_model", "channels last"]),
        ({"layout": "chw"}, ["'nchw'"]),
        ({"batch": 0}, ["batch=0", "at least 1"]),
    ],
    ids=str,
)
def test_layouts_and_batches_that_cannot_be(options, words):
    with pytest.raises(OptionError) as error:
        ExportOptions(**{"formats": ["onnx"], **options})
    four_lines(error, *words)


def test_rows_have_no_channels(tmp_path):
    model = aezoo.build("dense", latent_dim=4, features=6)
    with pytest.raises(OptionError) as error:
        export_bundle(model, tmp_path / "b", ExportOptions(formats=["onnx"], layout="nchw"))
    four_lines(error, "only images have channels", "rows")


def test_int8_of_channels_first_at_a_fixed_batch(trained, tmp_path):
    model, examples = trained
    precisions = ["int8", "float16"]
    options = ExportOptions(formats=["onnx"], precisions=precisions, budget=0.2, layout="nchw", batch=3)
    folder = export_bundle(model, tmp_path / "b", options, examples=examples)
    assert shapes(folder / "encoder.int8.onnx") == {"images": [3, 1, 16, 12], "latents": [3, 4]}
    latents = runtime.load(folder, precision="int8").encode(examples[:7])
    assert budget.cosine(latents, model.encode(examples[:7])) > 0.8
