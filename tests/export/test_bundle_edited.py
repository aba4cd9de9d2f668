"""A manifest that was edited, or files behind its back: found, and the first layer that differs is named."""

import dataclasses
import json
import shutil

import numpy as np
import onnx
import pytest
import test_bundle
from conftest import four_lines, rehash
from test_bundle import prove_onnx

from aezoo.core.errors import BundleError, ParityError
from aezoo.export.proof import parity
from aezoo.runtime import manifest as contract

copy = test_bundle.copy


def test_swapped_files_are_found(copy):
    for name in ("saved_model", "onnx"):
        assert any(a.format == name for a in contract.read_manifest(copy).artifacts)
    shutil.copy(copy / "reconstructor.onnx", copy / "decoder.onnx")
    rehash(copy)
    with pytest.raises(ParityError) as error:
        prove_onnx(copy)
    four_lines(error, "decoder.onnx")


@pytest.mark.parametrize(
    ("key", "value"),
    [("error_scale", (5.0,)), ("input_dtype", "uint8"), ("latent_shape", (41,)), ("prior", None)],
)
def test_an_edited_manifest_is_found(key, value, copy):
    manifest = contract.read_manifest(copy)
    contract.write_manifest(copy, dataclasses.replace(manifest, **{key: value}))
    with pytest.raises(BundleError) as error:
        prove_onnx(copy)
    four_lines(error, "the manifest no longer says", "manifest.json")


@pytest.mark.parametrize("layer", ["down_1", "bottleneck"])
def test_a_failed_proof_names_the_first_layer_that_differs(layer, copy):
    model = onnx.load(copy / "encoder.onnx")
    (weight,) = [tensor for tensor in model.graph.initializer if tensor.name == f"{layer}/kernel"]
    values = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, copy / "encoder.onnx")
    rehash(copy)
    with pytest.raises(ParityError) as error:
        prove_onnx(copy)
    four_lines(error, "does not compute", "the first layer that differs is")
    named = str(error.value).split("the first layer that differs is ")[1].split(":")[0]
    maker = next(node for node in model.graph.node if weight.name in node.input)
    assert named in (maker.output[0], "latents")
    assert layer in maker.name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda manifest: manifest.update(artifacts=manifest["artifacts"][:1]), ["no longer says"]),
        (lambda manifest: manifest.update(artifacts=[]), ["artifacts", "at least one"]),
        (lambda manifest: manifest.update(golden=None), ["golden is null"]),
        (lambda manifest: manifest.update(kind="rows"), ["example_shape has 3 axes"]),
        (lambda manifest: manifest["artifacts"][0].update(budget=0.5), ["no longer says"]),
        (lambda manifest: manifest["artifacts"][0].update(format="onxn"), ["artifacts[0].format is 'onxn'"]),
        (lambda manifest: manifest["artifacts"][0].pop("files"), ["artifacts[0].files is missing"]),
    ],
)
def test_a_manifest_that_says_less_is_no_proof(change, words, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "bundle")
    path = tmp_path / "bundle" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(BundleError) as error:
        parity.verify(tmp_path / "bundle", trust=True)
    four_lines(error, *words)
