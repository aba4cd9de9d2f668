"""Layouts for servers: read by Triton's own schema, run by MLServer, which has an environment of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from conftest import ROOT, four_lines, rehash
from small_models import small

import aezoo
from aezoo.cli import main
from aezoo.core import files
from aezoo.core.errors import BundleError, OptionError
from aezoo.export import ExportOptions, export_bundle
from aezoo.runtime import manifest as contract
from aezoo.serving import layouts
from aezoo.testing import fit_on, smooth_examples

MODELS = ("conv", "conditional_vae", "vq_vae", "lstm")  # images, labels, codes as whole numbers, sequences


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """{name: bundle} of small models with scorers, in ONNX."""
    folder, made = tmp_path_factory.mktemp("bundles"), {}
    for name in MODELS:
        model = aezoo.build(name, **small(name))
        examples = smooth_examples(model.example_shape, 110)
        fit_on(model, examples)
        bytes_too = {"input_dtype": "uint8"} if name == "vq_vae" else {}
        made[name] = export_bundle(
            model,
            folder / name,
            ExportOptions(formats=["onnx"], **bytes_too),
            examples=examples,
            **model.labels_in_turn(110),
        )
    return made


@pytest.fixture(scope="module")
def models(bundles, tmp_path_factory):
    """A repository of all of them."""
    folder = tmp_path_factory.mktemp("repository") / "models"
    for bundle in bundles.values():
        layouts.lay_out(bundle, folder, ("triton", "mlserver"))
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Python of an environment with mlserver, whose protobuf is older than TensorFlow's.

    AEZOO_MLSERVER_PYTHON names one that is there already.
    """
    if "AEZOO_MLSERVER_PYTHON" in os.environ:
        return os.environ["AEZOO_MLSERVER_PYTHON"]
    folder = tmp_path_factory.mktemp("mlserver")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    found = str(folder / "bin" / "python")
    command = [found, "-m", "pip", "install", "--quiet", "mlserver>=1.6", "onnxruntime", "pillow", "rich"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mlserver cannot be installed here")
    return found


PARSE = """
import json, pathlib, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
print(json.dumps({
    path.parent.name: json_format.MessageToDict(
        text_format.Parse(path.read_text("utf-8"), ModelConfig()), preserving_proto_field_name=True)
    for path in pathlib.Path(sys.argv[1]).glob("*/config.pbtxt")
}))
"""


def parsed_by_triton(python, folder):
    done = subprocess.run([python, "-c", PARSE, str(folder)], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def whole(dims):
    return [int(size) for size in dims]


@pytest.mark.clients
@pytest.mark.exhaustive
def test_triton_reads_the_configurations(python, bundles, models):
    found = parsed_by_triton(python, models / "onnx")
    seen = 0
    for name, bundle in bundles.items():
        for artifact in contract.read_manifest(bundle).artifacts:
            config = found[f"{name}_{artifact.part}"]
            assert config["name"] == f"{name}_{artifact.part}"
            assert config["platform"] == "onnxruntime_onnx"
            assert config["max_batch_size"] == 64
            assert config["dynamic_batching"] == {}
            for end, tensors in (("input", artifact.inputs), ("output", artifact.outputs)):
                assert [row["name"] for row in config[end]] == [row.name for row in tensors]
                for row, tensor in zip(config[end], tensors, strict=True):
                    # as Triton does: what the client sends, reshaped, behind the batch is what the file has
                    empty = "reshape" in row and whole(row["dims"]) == [1]
                    shape = whole(row["reshape"].get("shape", [])) if "reshape" in row else whole(row["dims"])
                    assert tuple(shape) == tensor.shape[1:]
                    assert empty == (not shape)
                    types = {"float32": "FP32", "uint8": "UINT8", "int32": "INT32", "bool": "BOOL"}
                    assert row["data_type"] == f"TYPE_{types[tensor.dtype]}"
                    assert "optional" not in row
                    seen += 1
    assert seen > 40


@pytest.mark.clients
@pytest.mark.exhaustive
def test_triton_without_batching(python, bundles, tmp_path):
    layouts.lay_out(bundles["conv"], tmp_path, ("triton",), threshold=True)
    config = parsed_by_triton(python, tmp_path / "onnx")["conv_scorer"]
    assert config.get("max_batch_size", 0) == 0  # what Triton's backend asks for beside an optional input
    assert "dynamic_batching" not in config
    threshold = config["input"][-1]
    assert (threshold["name"], threshold["dims"], threshold["optional"]) == ("threshold", ["1"], True)
    assert whole(config["input"][0]["dims"])[0] == -1
    model = aezoo.build("conv", **small("conv"))
    fixed = export_bundle(model, tmp_path / "fixed", ExportOptions(formats=["onnx"], batch=3))
    layouts.lay_out(fixed, tmp_path / "m", ("triton",))
    config = parsed_by_triton(python, tmp_path / "m" / "onnx")["conv_encoder"]
    assert config.get("max_batch_size", 0) == 0
    assert whole(config["input"][0]["dims"]) == [3, *model.example_shape]


@pytest.fixture(scope="module")
def server(python, models, tmp_path_factory):
    """Address of an MLServer that serves the repository."""
    folder = tmp_path_factory.mktemp("server")
    ports = []
    for _ in range(3):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    names = ("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT")
    settings = dict(zip(names, map(str, ports), strict=True))
    # Without workers: MLServer 1.7.1 starts none beside uvloop 0.22, see docs/jobs/serve.md.
    settings |= {"MLSERVER_HOST": "127.0.0.1", "MLSERVER_PARALLEL_WORKERS": "0", "PYTHONPATH": str(ROOT)}
    log = (folder / "log").open("w", encoding="utf-8")
    process = subprocess.Popen(
        [python, "-c", "from mlserver.cli.main import main; main()", "start", str(models / "onnx")],
        cwd=folder,
        env={**os.environ, **settings},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{ports[0]}/v2"
    try:
        for _ in range(240):
            if process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{address}/health/ready", timeout=5):
                    yield address
                    return
            except OSError:
                time.sleep(0.5)
        pytest.fail((folder / "log").read_text("utf-8")[-3000:])
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def ask(address, model, inputs, outputs=()):
    """Returns {name: array} of the answer, by nothing but the protocol."""
    types = {"float32": "FP32", "uint8": "UINT8", "int32": "INT32", "bool": "BOOL"}
    rows = [
        {"name": name, "datatype": types[str(a.dtype)], "shape": a.shape, "data": a.ravel().tolist()}
        for name, a in inputs.items()
    ]
    body = {"inputs": rows, **({"outputs": [{"name": name} for name in outputs]} if outputs else {})}
    request = urllib.request.Request(
        f"{address}/models/{model}/infer",
        json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    numpy = {datatype: name for name, datatype in types.items()}
    return {
        row["name"]: np.asarray(row["data"], numpy[row["datatype"]]).reshape(row["shape"])
        for row in found["outputs"]
    }


@pytest.mark.clients
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.exhaustive
def test_mlserver_computes_what_keras_computed(name, server, bundles):
    manifest = contract.read_manifest(bundles[name])
    with np.load(bundles[name] / "golden.npz") as file:
        golden = {key: file[key][file["is_sure"]] for key in file.files if file[key].dtype.kind != "U"}
    for artifact in manifest.artifacts:
        model = f"{name}_{artifact.part}"
        with urllib.request.urlopen(f"{server}/models/{model}", timeout=60) as answer:
            told = json.load(answer)
        assert [row["name"] for row in told["inputs"]] == [row.name for row in artifact.inputs]
        for count in (1, 5):
            inputs = {row.name: golden[row.golden][:count] for row in artifact.inputs}
            found = ask(server, model, inputs)
            assert list(found) == [row.name for row in artifact.outputs]
            for row, said in zip(artifact.outputs, told["outputs"], strict=True):
                expected = golden[row.golden]
                answer = found[row.name]
                assert answer.dtype == row.dtype
                assert answer.shape[1:] == tuple(said["shape"][1:])
                allowed = 0 if row.dtype in ("int32", "bool") else 2e-5 * np.ptp(expected) + 1e-6
                difference = answer.reshape(expected[:count].shape).astype("float64") - expected[:count]
                assert np.abs(difference).max() <= allowed, (artifact.file, row.name)


@pytest.mark.clients
@pytest.mark.exhaustive
def test_mlserver_takes_the_threshold_and_refuses_what_is_wrong(server, bundles):
    with np.load(bundles["conv"] / "golden.npz") as file:
        images, errors = file["examples"][:5], file["reconstruction_error"][:5]
    middle = np.asarray([np.sort(errors)[2:4].mean()], "float32")  # two are above, whatever is rounded
    only = ("is_anomaly",)
    found = ask(server, "conv_scorer", {"images": images, "threshold": middle}, only)
    assert list(found) == ["is_anomaly"]
    assert found["is_anomaly"].sum() == 2
    assert not ask(server, "conv_scorer", {"images": images, "threshold": middle + 1}, only)[
        "is_anomaly"
    ].any()
    for inputs, outputs, words in (
        ({}, (), "an input is missing"),
        ({"pictures": images}, (), "no such input"),
        ({"images": images[:, :-1]}, (), "wrong shape"),
        ({"images": (images * 255).astype("uint8")}, (), "wrong datatype"),
        ({"images": images}, ("codes",), "no such output"),
    ):
        with pytest.raises(urllib.error.HTTPError) as error:
            ask(server, "conv_scorer", inputs, outputs)
        text = json.loads(error.value.read())["error"]
        error.value.close()
        assert error.value.code == 400
        four_lines(text, words)


def test_what_is_laid_out_is_what_was_proven(bundles, models):
    for name, bundle in bundles.items():
        for artifact in contract.read_manifest(bundle).artifacts:
            copy = models / "onnx" / f"{name}_{artifact.part}" / "1" / "model.onnx"
            assert files.sha256_of(copy) == artifact.files[artifact.file]


def test_weights_beside_a_file_keep_their_name(bundles, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundles["conv"], folder)
    (folder / "encoder.onnx.data").write_bytes(b"weights")
    rehash(folder)
    layouts.lay_out(folder, tmp_path / "models", ("triton",))
    found = (tmp_path / "models" / "onnx" / "conv_encoder" / "1").iterdir()
    assert sorted(path.name for path in found) == ["encoder.onnx.data", "model.onnx"]


def test_tensorflow_serving(exported, tmp_path):
    import tensorflow as tf

    assert main.main(["serve-layout", str(exported), "-o", str(tmp_path), "--for", "tfserving"]) == 0
    place = tmp_path / "saved_model"
    manifest = contract.read_manifest(exported)
    parts = [row.part for row in manifest.artifacts if row.format == "saved_model"]
    assert sorted(path.name for path in place.iterdir() if path.is_dir()) == sorted(
        f"conv_{p}" for p in parts
    )
    listed = (place / "models.config").read_text("utf-8")
    assert all(f'name: "conv_{part}" base_path: "/models/conv_{part}"' in listed for part in parts)
    endpoint = tf.saved_model.load(str(place / "conv_encoder" / "1")).signatures  # as the server asks for it
    with np.load(exported / "golden.npz") as golden:
        found = endpoint["serving_default"](images=tf.constant(golden["examples"]))["latents"]
        np.testing.assert_allclose(found, golden["latents"], atol=1e-4)


def test_versions(bundles, tmp_path, capsys):
    folder = tmp_path / "models"
    command = ["serve-layout", str(bundles["conv"]), "-o", str(folder), "--name", "digits"]
    assert main.main([*command, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["models"]
    assert str(folder / "onnx" / "digits_encoder") in made
    assert main.main(command) == 2
    assert "--model-version 2" in capsys.readouterr().err
    assert main.main([*command, "--model-version", "2"]) == 0
    model = folder / "onnx" / "digits_encoder"
    assert sorted(path.name for path in model.iterdir()) == ["1", "2", "config.pbtxt", "model-settings.json"]
    assert json.loads((model / "model-settings.json").read_text("utf-8"))["parameters"]["version"] == "2"
    with pytest.raises(OptionError) as error:  # latents of another size would break every client
        layouts.lay_out(bundles["lstm"], folder, name="digits", version=3, servers=("triton",))
    four_lines(error, "another configuration", "config.pbtxt")
    assert not (model / "3").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"servers": ("trition",)}, OptionError, "did you mean 'triton'"),
        ({"servers": ()}, OptionError, "which server is it for"),
        ({"servers": ("tfserving",), "precision": "float16"}, OptionError, "SavedModels are float32"),
        ({"servers": ("tfserving",)}, BundleError, "formats=('saved_model',)"),
        ({"servers": ("triton",), "precision": "int8"}, BundleError, "of this precision"),
        ({"name": "a/b", "servers": ("triton",)}, OptionError, "name of a served model"),
        ({"version": 0, "servers": ("triton",)}, OptionError, "whole number of at least 1"),
    ],
    ids=str,
)
def test_what_is_refused(options, kind, words, bundles, tmp_path):
    with pytest.raises(kind) as error:
        layouts.lay_out(bundles["conv"], tmp_path / "models", **options)
    four_lines(error, words)
    assert not (tmp_path / "models").exists()


def test_models_are_not_mixed_into_other_files(bundles, tmp_path, capsys):
    theirs = tmp_path / "models" / "onnx" / "theirs" / "1"  # a model for Triton, which needs no configuration
    theirs.mkdir(parents=True)
    (tmp_path / "models" / ".git").mkdir()
    for version in (1, 2):
        layouts.lay_out(bundles["conv"], tmp_path / "models", ("triton",), version=version)
    for place in ("notes.txt", "onnx/notes.txt", "photos/cat.jpg", "file"):
        folder = tmp_path / "loose" / place.replace("/", "_")
        foreign = folder / place
        if place == "file":
            folder = foreign = tmp_path / "file"
        foreign.parent.mkdir(parents=True, exist_ok=True)
        foreign.write_text("mine", "utf-8")
        with pytest.raises(OptionError) as error:
            layouts.lay_out(bundles["conv"], folder, ("triton",))
        named = foreign.parent if place == "photos/cat.jpg" else foreign
        four_lines(error, "mixed with other files", named, "name another folder")
        assert foreign.read_text("utf-8") == "mine"
    assert main.main(["serve-layout", str(bundles["conv"]), "-o", str(tmp_path / "file" / "below")]) == 2
    four_lines(capsys.readouterr().err.removeprefix("aezoo: "), tmp_path / "file")


def test_an_altered_file_is_not_served(bundles, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundles["conv"], folder)
    with (folder / "decoder.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError) as error:
        layouts.lay_out(folder, tmp_path / "models", ("triton",))
    four_lines(error, "decoder.onnx is not the file that was proven")
    assert not (tmp_path / "models").exists()


def test_export_lays_out_and_counts_versions(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", smooth_examples((8, 8, 1), 60))
    train = ["train", "dense", "--data", "images.npy", "-O", "units=8,", "--latent-dim", "2"]
    assert main.main([*train, "--epochs", "1", "-o", "run"]) == 0
    export = ["export", "run", "-o", "bundle/", "--formats", "onnx", "--parts", "encoder"]
    for version in (1, 2):
        assert main.main([*export, "--layout-for", "triton"]) == 0
        assert "models for triton: bundle-models" in capfd.readouterr().out
        assert (tmp_path / f"bundle-models/onnx/dense_encoder/{version}/model.onnx").is_file()
    assert not (tmp_path / "bundle-models/onnx/dense_encoder/model-settings.json").exists()
    assert main.main([*export[:3], "other", *export[4:], "--layout-for", "tfserving"]) == 2
    error = capfd.readouterr().err.strip()
    four_lines(error, "tfserving serves files of the format saved_model", "formats onnx", "add saved_model")
    assert main.main([*export, "--layout-for", "tritn"]) == 2
    assert "did you mean 'triton'?" in capfd.readouterr().err
    assert not (tmp_path / "other").exists()


def test_parts_alone_are_served_and_other_tensors_are_not_a_version(bundles, tmp_path):
    model = aezoo.build("conv", **small("conv"))
    examples, options = smooth_examples(model.example_shape, 110), ExportOptions(["onnx"], parts=["decoder"])
    bundle = export_bundle(model, tmp_path / "bundle", options, examples=examples)
    (folder,) = layouts.lay_out(bundle, tmp_path / "models", ["mlserver"], name="any")
    assert folder.name == "any_decoder"
    before = (folder / "model-settings.json").read_text("utf-8")
    with pytest.raises(OptionError) as error:
        layouts.lay_out(bundles["vq_vae"], tmp_path / "models", ["mlserver"], name="any", version=2)
    four_lines(error, "another configuration", "another name")
    assert (folder / "model-settings.json").read_text("utf-8") == before
    layouts.lay_out(bundle, tmp_path / "models", ["mlserver"], name="any", version=2)
    assert json.loads((folder / "model-settings.json").read_text("utf-8"))["parameters"]["version"] == "2"
