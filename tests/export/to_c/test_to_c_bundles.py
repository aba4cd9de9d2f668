"""Bundles with C headers: proven, refused where the proof fails, skipped where nothing compiles them."""

import pathlib

import numpy as np
import pytest
from conftest import four_lines
from small_models import small

import aezoo
from aezoo.core.errors import BundleError, ExportError, ParityError
from aezoo.export import ExportOptions, export_bundle, formats
from aezoo.export.proof import golden_file, parity
from aezoo.runtime import manifest as contract
from aezoo.runtime.schema import Parity

pytestmark = pytest.mark.skipif(formats.c_compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    model, examples = trained
    folder = tmp_path_factory.mktemp("c") / "bundle"
    return export_bundle(
        model, folder, ExportOptions(formats=("onnx", "c"), precisions=("float32", "int8")), examples=examples
    )


def test_bundle(bundle):
    manifest = contract.read_manifest(bundle)
    headers = {a.file: a for a in manifest.artifacts if a.format == "c"}
    assert sorted(headers) == ["c/decoder.h", "c/decoder.int8.h", "c/encoder.h", "c/encoder.int8.h"]
    assert (bundle / "reconstructor.onnx").is_file()
    for artifact in headers.values():
        assert artifact.parity.max_difference <= artifact.parity.allowed
        assert f"| {artifact.weights_bytes:,} | {artifact.arena_bytes:,} |" in (
            bundle / "README.md"
        ).read_text("utf-8")
    assert set(headers) <= set(parity.verify(bundle, trust=True))
    assert aezoo.runtime.load(bundle).encode(np.zeros((1, 16, 12, 1), "float32")).shape == (1, 4)


def test_a_header_that_computes_something_else_is_found(bundle, tmp_path):
    manifest = contract.read_manifest(bundle)
    golden = golden_file.read_golden(bundle, manifest)
    artifact = contract.find(manifest, "encoder", "c")
    text = (bundle / artifact.file).read_text("utf-8")
    for old, new, words in (
        ("0.5f * x * (1.0f", "0.501f * x * (1.0f", "does not compute what"),
        (':float32:4"', ':float32:5"', "another shape"),
        ("latents:float32", "codes:float32", "other inputs or outputs"),
        ("static float", "static flaot", "cannot be loaded"),
    ):
        assert old in text
        changed = tmp_path / artifact.file
        changed.parent.mkdir(exist_ok=True)
        changed.write_text(text.replace(old, new), encoding="utf-8")
        row = contract.rehashed(tmp_path, artifact)
        with pytest.raises(ParityError) as error:
            parity.prove(tmp_path, row, golden)
        four_lines(error, words)


def test_c_alone(trained, tmp_path, capsys):
    from aezoo.cli.main import main

    model, examples = trained
    folder = export_bundle(model, tmp_path / "bundle", ExportOptions(formats=("c",)), examples=examples)
    assert main(["info", str(folder)]) in (0, None)
    assert "c/encoder.h" in capsys.readouterr().out
    with pytest.raises(BundleError) as error:
        aezoo.runtime.load(folder).encode(examples)
    four_lines(error, "formats=('onnx',)")
    assert not list(pathlib.Path(folder).glob("*.onnx"))


def test_int8_that_loses_too_much_is_refused(trained, tmp_path):
    model, examples = trained
    with pytest.raises(ParityError) as error:
        export_bundle(
            model,
            tmp_path / "bundle",
            ExportOptions(formats=("c",), precisions=("int8",), budget=1e-9),
            examples=examples,
        )
    four_lines(error, "loses more than its budget", "encoder.int8.h", "%")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("name", ["lstm", "masked"])
def test_what_cannot_be_written_is_refused(tmp_path, name):
    model = aezoo.build(name, **small(name))
    with pytest.raises(ExportError) as error:
        export_bundle(model, tmp_path / "bundle", ExportOptions(formats=("c",)))
    four_lines(error, "the format c cannot write", "formats=('onnx',)")
    assert not (tmp_path / "bundle").exists()


def test_without_a_compiler(bundle, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert not formats.is_installed("c")
    figures = parity.verify(bundle, trust=True)
    assert figures["c/encoder.h"] == parity.Skipped("a C compiler is not installed")
    assert isinstance(figures["encoder.onnx"], Parity)
    with pytest.raises(ExportError) as error:
        export_bundle(trained[0], tmp_path / "none", ExportOptions(formats=("c",)))
    four_lines(error, "no C compiler", "gcc or clang")
    assert not list(tmp_path.iterdir())
