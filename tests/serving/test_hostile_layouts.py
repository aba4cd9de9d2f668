"""Layouts of bundles, and in folders, that somebody made to write elsewhere or to say something else."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core.errors import AezooError, OptionError
from aezoo.runtime import manifest as contract
from aezoo.serving import layouts

# closes the block of its tensor, and opens another backend for the model
CLOSES = 'latents" }\nbackend: "python"\ninput { name: "\\x\x1b中'


def strings_of(text):
    """Returns the strings of a text in protobuf's text format, and what stands between them."""
    strings = []

    def unquoted(match):
        octal = re.compile(rb"\\([0-7]{3})")
        raw = octal.sub(lambda byte: bytes([int(byte[1], 8)]), match[1].encode("ascii"))
        strings.append(raw.decode("utf-8"))
        return "S"

    rest = re.sub(r'"((?:[^"\\\n]|\\[0-7]{3})*)"', unquoted, text)
    return strings, rest


def encoder_of(bundle):
    return contract.find(contract.read_manifest(bundle), "encoder")


def test_a_tensor_name_closes_no_block(exported):
    artifact = encoder_of(exported)
    outputs = tuple(dataclasses.replace(row, name=CLOSES) for row in artifact.outputs)
    named = dataclasses.replace(artifact, outputs=outputs)
    plain, between = strings_of(layouts.config_pbtxt("conv_encoder", artifact))
    strings, rest = strings_of(layouts.config_pbtxt("conv_encoder", named))
    assert rest == between
    assert strings == [CLOSES if text == "latents" else text for text in plain]
    settings = json.loads(json.dumps(layouts.model_settings("conv_encoder", "1", named)))
    assert [row["name"] for row in settings["outputs"]] == [CLOSES]
    assert settings["implementation"] == layouts.RUNTIME


def test_protobuf_reads_the_names(exported):
    from google.protobuf import struct_pb2, text_format  # of TensorFlow

    for text in (CLOSES, '"', "\\", "\n", "'", "\\n", "\x7f\x00", "a" * 300):
        message = f"string_value: {layouts._quoted(text)}"
        assert text_format.Parse(message, struct_pb2.Value()).string_value == text


def test_the_list_of_models_quotes_the_names_of_folders(exported, tmp_path):
    theirs = 'a" base_path: "/etc'
    (tmp_path / "saved_model" / theirs.replace("/", "_") / "1").mkdir(parents=True)
    layouts._list_models(tmp_path / "saved_model")
    strings, rest = strings_of((tmp_path / "saved_model" / "models.config").read_text("utf-8"))
    assert strings[:2] == [theirs.replace("/", "_"), "/models/" + theirs.replace("/", "_")]
    assert rest == "model_config_list {\n  config { name: S base_path: S model_platform: S }\n}\n"


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".x", "a\n", "", "a" * 201, 'a"b', "ä", 5, "a b"])
def test_a_name_is_a_folder_and_an_address(name, exported, tmp_path):
    with pytest.raises(OptionError) as error:
        layouts.lay_out(exported, tmp_path / "models", ["triton"], name=name)
    four_lines(error, "cannot be the name of a served model")
    assert list(tmp_path.iterdir()) == []


def test_the_models_own_name_is_checked_too(exported, tmp_path, monkeypatch):
    read = contract.read_manifest
    monkeypatch.setattr(
        contract, "read_manifest", lambda *given: dataclasses.replace(read(*given), model="../../x")
    )
    with pytest.raises(OptionError) as error:
        layouts.lay_out(exported, tmp_path / "models", ["triton"])
    four_lines(error, "cannot be the name of a served model", "../../x")
    assert list(tmp_path.iterdir()) == []


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("place", ["part", "file", "beside"])
def test_a_manifest_writes_nothing_elsewhere(place, exported, tmp_path, monkeypatch):
    bundle = shutil.copytree(exported, tmp_path / "a" / "bundle")
    artifact = encoder_of(bundle)
    (tmp_path / "a" / "evil").write_bytes((bundle / "encoder.onnx").read_bytes())
    digest = artifact.files["encoder.onnx"]
    changes = {
        "part": {"part": "x/../../../../evil"},
        "file": {"file": "x", "files": {"x/../../../../evil": digest}},
        "beside": {"files": {"encoder.onnx": digest, "encoder.onnx/../../../../evil": digest}},
    }[place]
    hostile = dataclasses.replace(contract.read_manifest(bundle), artifacts=(artifact,))
    object.__setattr__(artifact, "files", changes.get("files", artifact.files))
    for key, value in changes.items():
        object.__setattr__(artifact, key, value)  # past every check of the reader
    monkeypatch.setattr(contract, "read_manifest", lambda *given: hostile)
    monkeypatch.setattr(contract, "check_files", lambda *given: None)
    before = files_below(tmp_path)
    with pytest.raises((AezooError, OSError)):
        layouts.lay_out(bundle, tmp_path / "models", ["triton"])
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    "link",
    [
        "onnx",
        "onnx/conv_encoder",
        "onnx/conv_encoder/2",
        "onnx/conv_encoder/config.pbtxt",
        "onnx/conv_encoder/model-settings.json",
    ],
)
def test_a_link_in_the_output_leads_nowhere(link, exported, tmp_path):
    layouts.lay_out(exported, tmp_path / "models")
    away = tmp_path / "away"
    away.mkdir()
    (away / "1").mkdir()
    place = tmp_path / "models" / link
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(away)
    with pytest.raises(AezooError) as error:
        layouts.lay_out(exported, tmp_path / "models", version=2)
    four_lines(error, "outside of the folder", f"{place} is a link", "remove the link")
    assert files_below(away) == []
    assert sorted(path.name for path in away.iterdir()) == ["1"]


def test_the_output_may_be_a_link_itself(exported, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "real")
    made = layouts.lay_out(exported, tmp_path / "models", ["triton"])
    assert (tmp_path / "real" / "onnx" / "conv_encoder" / "1" / "model.onnx").is_file()
    assert made[0].parent == tmp_path / "models" / "onnx"


@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe", b"[1]", b"{" * 100_000, b'{"inputs": 1, "inputs": 2}']
)
def test_settings_of_somebody_else_are_another_configuration(content, exported, tmp_path):
    layouts.lay_out(exported, tmp_path / "models", ["mlserver"])
    (tmp_path / "models" / "onnx" / "conv_decoder" / "model-settings.json").write_bytes(content)
    with pytest.raises(OptionError) as error:
        layouts.lay_out(exported, tmp_path / "models", ["mlserver"], version=2)
    four_lines(error, "another configuration", "model-settings.json")


def test_what_was_written_is_still_what_was_proven(exported, tmp_path):
    import onnxruntime

    (model, *_) = layouts.lay_out(exported, tmp_path / "models", ["triton"])
    session = onnxruntime.InferenceSession(model / "1" / "model.onnx")
    with np.load(exported / "golden.npz") as golden:
        (latents,) = session.run(["latents"], {"images": golden["examples"]})
        np.testing.assert_allclose(latents, golden["latents"], atol=1e-4)
