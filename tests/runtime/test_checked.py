"""Files of a bundle: no link is followed, and what is run, copied or proven is what was hashed."""

import hashlib
import json
import os
import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import four_lines, rehash

from aezoo import runtime
from aezoo.core.errors import BundleError
from aezoo.core.strict_json import Damaged
from aezoo.explorer import site
from aezoo.export.proof import parity
from aezoo.export.recalibration import recalibrate
from aezoo.runtime import checked, external_data
from aezoo.runtime import manifest as contract
from aezoo.serving import layouts
from aezoo.testing import smooth_examples


@pytest.fixture(scope="module")
def scored(trained, tmp_path_factory):
    """A small bundle in ONNX with everything that a bundle can hold; copy it before you change it."""
    from aezoo.export import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp("scored") / "bundle"
    examples = smooth_examples(trained[0].example_shape, 120)
    return export_bundle(trained[0], folder, ExportOptions(formats=["onnx"]), examples=examples)


@pytest.fixture
def copy(scored, tmp_path):
    shutil.copytree(scored, tmp_path / "copy")
    return tmp_path / "copy"


def whole(tmp_path, name="a/b"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    return hashlib.sha256(b"content").hexdigest()


def test_what_is_read_is_what_was_hashed(tmp_path):
    sha256 = whole(tmp_path)
    assert checked.read_file(tmp_path, "a/b", sha256) == b"content"
    checked.check_files(tmp_path, {"a/b": sha256})
    checked.copy_file(tmp_path, "a/b", sha256, tmp_path / "to" / "here")
    assert (tmp_path / "to" / "here").read_bytes() == b"content"
    with pytest.raises(BundleError) as error:
        checked.read_file(tmp_path, "a/b", sha256, largest=6)
    four_lines(error, "a/b", "has 7 bytes, and may have 6")
    (tmp_path / "a" / "b").write_bytes(b"contenT")
    for use in (
        lambda: checked.read_file(tmp_path, "a/b", sha256),
        lambda: checked.check_files(tmp_path, {"a/b": sha256}),
        lambda: checked.copy_file(tmp_path, "a/b", sha256, tmp_path / "to" / "there"),
    ):
        with pytest.raises(BundleError) as error:
            use()
        four_lines(error, "a/b is not the file that was proven", sha256[:16])
    assert not (tmp_path / "to" / "there").exists()


@pytest.mark.parametrize("kind", ["a link", "a link to a folder", "a pipe", "a folder", "nothing"])
def test_a_file_of_a_bundle_is_a_regular_file(kind, tmp_path):
    sha256, path = whole(tmp_path), tmp_path / "a" / "b"
    path.rename(tmp_path / "b")
    if kind == "a link":
        path.symlink_to(tmp_path / "b")
    elif kind == "a link to a folder":
        (tmp_path / "a").rmdir()
        (tmp_path / "a").symlink_to(".")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    with pytest.raises(BundleError) as error:
        checked.read_file(tmp_path, "a/b", sha256)
    words = {"a pipe": "is no regular file", "a folder": "is no regular file", "nothing": "no such file"}
    four_lines(error, "a/b", words.get(kind, "is a link"))


def test_a_link_that_appears_behind_the_look_is_not_followed(tmp_path, monkeypatch):
    sha256, path = whole(tmp_path), tmp_path / "a" / "b"
    honest = os.lstat(path)
    path.rename(tmp_path / "b")
    path.symlink_to(tmp_path / "b")
    look = os.lstat
    monkeypatch.setattr(os, "lstat", lambda each: honest if each == path else look(each))
    with pytest.raises(BundleError) as error:
        checked.read_file(tmp_path, "a/b", sha256)
    four_lines(error, "a/b", "symbolic link")


@pytest.mark.parametrize("name", ["prior.npz", "encoder.onnx", "golden.npz", "calibration.npz", "README.md"])
def test_no_command_follows_a_link(name, copy, tmp_path):
    """Though what it leads to is the very file."""
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    uses = {
        "load": (lambda: runtime.load(copy), ("prior.npz", "encoder.onnx")),
        "verify": (lambda: parity.verify(copy), None),
        "calibrate": (lambda: recalibrate(copy, smooth_examples((16, 12, 1), 60)), None),
        "layout": (lambda: layouts.lay_out(copy, tmp_path / "l", ["triton"]), ("encoder.onnx",)),
        "page": (
            lambda: site.lay_out(copy, tmp_path / "p", runtime=tmp_path / "none"),
            ("prior.npz", "encoder.onnx", "golden.npz"),
        ),
    }
    for use, names in uses.values():
        if names is None or name in names:
            with pytest.raises(BundleError) as error:
                use()
            four_lines(error, name, "is a link")


def test_foreign_files_are_named(copy, tmp_path, capfd):
    from aezoo.cli.main import main

    manifest = contract.read_manifest(copy)
    assert contract.foreign_files(copy, manifest) == []
    (copy / "c").mkdir()
    (copy / "c" / "encoder.h").write_text("", encoding="utf-8")
    (copy / "model.sig").write_text("", encoding="utf-8")
    (copy / "link").symlink_to(tmp_path)
    os.mkfifo(copy / "pipe")
    (copy / os.fsdecode(b"\xff")).write_text("", encoding="utf-8")
    named = ["\\xff", "c/encoder.h", "link", "model.sig", "pipe"]
    assert contract.foreign_files(copy, manifest) == named
    assert main(["verify", str(copy)]) == 0
    printed = capfd.readouterr().out
    assert all(f"no part of the bundle: {name}" in printed for name in named)
    assert main(["verify", str(copy), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["foreign_files"] == named


def other_encoder(folder, tmp_path):
    """Returns an ONNX file that takes and gives what the encoder does, and answers otherwise."""
    model = onnx.load(folder / "encoder.onnx")
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(weight) * np.float32(2)
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, tmp_path / "other.onnx")
    return tmp_path / "other.onnx"


def test_a_file_that_is_exchanged_after_the_check_is_not_run(copy, tmp_path):
    bundle, other = runtime.load(copy), other_encoder(copy, tmp_path)
    os.replace(other, copy / "encoder.onnx")
    with pytest.raises(BundleError) as error:
        bundle.encode(np.zeros((1, 16, 12, 1), "float32"))
    four_lines(error, "encoder.onnx is not the file that was proven")


def test_a_file_that_is_exchanged_while_it_is_opened_is_not_run(copy, tmp_path, monkeypatch):
    """Behind the hash, and before onnxruntime: it gets the bytes that were hashed."""
    other, x = other_encoder(copy, tmp_path), smooth_examples((16, 12, 1), 3)
    before = runtime.load(copy).encode(x)
    make = onnxruntime.InferenceSession

    def exchanging(source, *arguments, **options):
        os.replace(other, copy / "encoder.onnx")
        return make(source, *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", exchanging)
    np.testing.assert_array_equal(runtime.load(copy).encode(x), before)
    assert not other.exists()


def test_a_file_that_is_exchanged_during_a_proof_is_not_proven(copy, tmp_path, monkeypatch):
    """Behind the hash, and before the process that proves: it proves a copy of what was hashed."""
    other, kept = other_encoder(copy, tmp_path), parity.Prover

    class Exchanging:
        def __init__(self, form):
            self.prover = kept(form)

        def prove(self, folder):
            shutil.copy(other, copy / "encoder.onnx")
            return self.prover.prove(folder)

        def stop(self):
            self.prover.stop()

    monkeypatch.setattr(parity, "Prover", Exchanging)
    assert len(parity.verify(copy)) == 4


def test_calibrate_copies_what_the_manifest_names(copy, tmp_path):
    (copy / "foreign").write_text("", encoding="utf-8")
    (copy / "link").symlink_to(tmp_path)
    recalibrate(copy, smooth_examples((16, 12, 1), 200, seed=5))
    assert contract.foreign_files(copy, contract.read_manifest(copy)) == []
    assert not (copy / "foreign").exists()


# -- weights beside a file -------------------------------------------------------------------------------


def with_location(path, location, **more):
    """Makes the first weights of an ONNX file lie in another file; returns what they are."""
    model = onnx.load(path)
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 0, "length": len(content), **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())
    return content


@pytest.mark.parametrize("place", ["../secret", "absolute", "beside.bin", "encoder.onnx.data", "memory"])
def test_a_model_reads_no_other_file(place, copy, tmp_path, monkeypatch):
    monkeypatch.chdir(copy)  # which a model of bytes might be looked for in
    secret = tmp_path / "secret"
    location = {"absolute": str(secret), "memory": "*/_ORT_MEM_ADDR_/*"}.get(place, place)
    content = with_location(copy / "encoder.onnx", location)
    for path in (secret, copy / "beside.bin"):
        path.write_bytes(content)
    rehash(copy)
    with pytest.raises(BundleError) as error:
        runtime.load(copy).encode(np.zeros((1, 16, 12, 1), "float32"))
    four_lines(error, "encoder.onnx", "names another file", "ORT_MEM" if place == "memory" else location[:50])
    with pytest.raises(parity.ParityError) as error:
        parity.verify(copy)
    four_lines(error, "encoder.onnx cannot be loaded")


def test_weights_beside_a_file_are_read_if_the_manifest_names_them(copy, tmp_path):
    x = smooth_examples((16, 12, 1), 3)
    before = runtime.load(copy).encode(x)
    content = with_location(copy / "encoder.onnx", "encoder.onnx.data")
    (copy / "encoder.onnx.data").write_bytes(content)
    rehash(copy)
    bundle = runtime.load(copy)
    np.testing.assert_array_equal(bundle.encode(x), before)
    assert len(parity.verify(copy)) == 4


def test_locations_are_found_wherever_a_tensor_may_be():
    tensor = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL, dims=[1], data_type=1, name="w")
    tensor.external_data.add(key="location", value="../x")
    graph, node = onnx.GraphProto(), onnx.NodeProto()
    graph.initializer.add().CopyFrom(tensor)
    models = {"initializer": onnx.ModelProto(graph=graph)}
    models["sparse"] = onnx.ModelProto()
    models["sparse"].graph.sparse_initializer.add().values.CopyFrom(tensor)
    for name, value in (("t", tensor), ("g", graph), ("tensors", tensor), ("graphs", graph)):
        node = onnx.NodeProto()
        attribute = node.attribute.add(name="a")
        if name in ("t", "g"):
            getattr(attribute, name).CopyFrom(value)
        else:
            getattr(attribute, name).add().CopyFrom(value)
        models[name] = onnx.ModelProto()
        models[name].graph.node.add().CopyFrom(node)
        models[f"function, {name}"] = onnx.ModelProto()
        models[f"function, {name}"].functions.add().node.add().CopyFrom(node)
    models["training"] = onnx.ModelProto()
    models["training"].training_info.add().algorithm.CopyFrom(graph)
    for name, model in models.items():
        content = model.SerializeToString()
        with pytest.raises(Damaged, match="names another file"):
            external_data.check_locations(content)
        external_data.check_locations(content, "../x")
        for cut in range(1, len(content)):  # neither hangs nor dies
            try:
                external_data.check_locations(content[:cut])
            except Damaged:
                continue
        assert name
    plain = onnx.ModelProto()
    plain.graph.node.add(op_type="Relu", input=["location"], output=["y"])  # is but a name
    external_data.check_locations(plain.SerializeToString())


def test_the_pages_and_layouts_hold_what_was_hashed(copy, tmp_path, monkeypatch):
    other, taken = other_encoder(copy, tmp_path).read_bytes(), (copy / "encoder.onnx").read_bytes()
    read = contract.read_manifest

    def exchanging(*arguments):
        manifest = read(*arguments)
        (copy / "encoder.onnx").write_bytes(other)
        return manifest

    monkeypatch.setattr(contract, "read_manifest", exchanging)
    with pytest.raises(BundleError) as error:
        layouts.lay_out(copy, tmp_path / "l", ["triton"])
    four_lines(error, "encoder.onnx is not the file that was proven")
    assert not (tmp_path / "l" / "onnx").exists()
    assert pathlib.Path(copy / "encoder.onnx").read_bytes() != taken
