"""The proof and the publication: a bundle is proven equal to its model, or it is not there."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import onnx
import pytest
from conftest import ROOT, four_lines, rehash

import aezoo
from aezoo import runtime
from aezoo.core import files
from aezoo.core.errors import BundleError, OptionError, ParityError
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.proof import parity, readers
from aezoo.runtime import manifest as contract
from aezoo.runtime.schema import Tensor
from aezoo.testing import smooth_examples


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of the bundle that may be spoiled."""
    shutil.copytree(exported, tmp_path / "copy")
    return tmp_path / "copy"


def prove_onnx(folder):
    return parity.prove_format(folder, "onnx")


def change_weight(path):
    model = onnx.load(path)
    weight = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[values.size // 2] += 0.05
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)


def make_nan(path):
    model = onnx.load(path)
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            values = np.full(tuple(weight.dims), np.nan, "float32")
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)


def rename(end, new):
    def spoil(path):
        model = onnx.load(path)
        tensor = getattr(model.graph, end)[0]
        old, tensor.name = tensor.name, new
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
        onnx.save(model, path)

    return spoil


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (change_weight, ["does not compute what the Keras model computes", "1e-05"]),
        (make_nan, ["NaN"]),
        (rename("input", "pictures"), ["other inputs or outputs", "pictures"]),
        (rename("output", "codes"), ["other inputs or outputs", "codes"]),
        (truncate, ["cannot be loaded"]),
    ],
)
def test_a_spoiled_file_fails_hash_and_proof(copy, spoil, words):
    spoil(copy / "encoder.onnx")
    for use in (runtime.load, parity.verify):  # known by its hash, trusted or not
        with pytest.raises(BundleError) as error:
            use(copy)
        four_lines(error, "encoder.onnx is not the file that was proven")
    rehash(copy)  # a forger who knows about the hashes is still found
    with pytest.raises(ParityError) as error:
        prove_onnx(copy)
    four_lines(error, "encoder.onnx", *words)


def test_every_column_of_a_table_is_held_to_its_own_range(tmp_path):
    """One column in hundred thousands must not hide what is wrong with one in thousandths."""
    rows = smooth_examples((3,), 64) * np.array([1e7, 1.0, 1e-3], "float32")
    model = aezoo.build("dense", latent_dim=2, features=3, units=(8,))
    model.fit(rows, verbose=0)
    folder = export_bundle(model, tmp_path / "bundle", ExportOptions(formats=["onnx"]), examples=rows)
    onnx_file = onnx.load(folder / "decoder.onnx")
    (mean,) = [w for w in onnx_file.graph.initializer if w.name.endswith("reconstructions/mean")]
    values = onnx.numpy_helper.to_array(mean).copy()
    values[2] += rows[:, 2].std()
    mean.CopyFrom(onnx.numpy_helper.from_array(values, mean.name))
    onnx.save(onnx_file, folder / "decoder.onnx")
    rehash(folder)
    with pytest.raises(ParityError) as error:
        prove_onnx(folder)
    four_lines(error, "decoder.onnx", "does not compute")


def test_few_examples_are_proven_at_both_batches(tmp_path):
    rows = smooth_examples((3,), 2)
    model = aezoo.build("dense", latent_dim=2, features=3, units=(8,))
    model.fit(smooth_examples((3,), 64), verbose=0)
    folder = export_bundle(model, tmp_path / "bundle", ExportOptions(formats=["onnx"]), examples=rows)
    taken = []
    opener = readers.open_onnx

    def spy(path, part):
        run, found = opener(path, part)
        return lambda inputs: taken.extend(map(len, inputs.values())) or run(inputs), found

    readers.open_onnx = spy
    try:
        prove_onnx(folder)
    finally:
        readers.open_onnx = opener
    assert {1, 7} <= set(taken)


def test_a_link_to_a_bundle_stays_a_link(trained, copy, tmp_path):
    (tmp_path / "link").symlink_to(copy)
    export_bundle(trained[0], tmp_path / "link", ExportOptions(formats=["onnx"]), examples=trained[1])
    assert (tmp_path / "link").is_symlink()
    assert not (copy / "saved_model").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "link"]


def test_verify_from_a_program_in_a_folder_of_traps(exported, tmp_path):
    """Neither what the current folder holds nor what a program has imported may matter."""
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('the wrong onnxruntime')", encoding="utf-8")
    code = f"from aezoo.export.proof import parity; print(len(parity.verify({str(exported)!r}, trust=True)))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() == "8", done.stderr


def test_verify_proves_both_formats_in_fresh_processes(exported, fresh_prover, monkeypatch):
    monkeypatch.setattr(parity, "Prover", fresh_prover)
    figures = parity.verify(exported, trust=True)
    assert len(figures) == 8
    for row in figures.values():
        floor = 4 * np.spacing(np.float32(8))  # no value of this small model is larger
        assert row.max_difference <= row.allowed <= max(1e-5 * row.output_range, floor)
        assert row.batches == (1, 7)
        assert row.examples == 64


def test_verify_finds_a_changed_saved_model(copy):
    index = next((copy / "saved_model" / "decoder" / "variables").glob("*.data*"))
    content = bytearray(index.read_bytes())
    content[len(content) // 2] ^= 0x40
    index.write_bytes(content)
    with pytest.raises(BundleError) as error:
        parity.verify(copy, trust=True)
    four_lines(error, "saved_model/decoder/variables")
    rehash(copy)
    with pytest.raises(ParityError) as error:
        parity.verify(copy, trust=True)
    four_lines(error, "saved_model/decoder")


def test_manifest_says_what_is_there(exported):
    manifest = contract.read_manifest(exported)
    assert manifest.model == "conv"
    assert manifest.golden.source == "held-out examples"
    listed = {name for held in contract.files_of(manifest) for name in held}
    assert {"golden.npz", "prior.npz", "encoder.onnx", "README.md"} <= listed
    on_disk = {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()}
    assert on_disk == listed | {"manifest.json", "bundle.sha256"}
    encoder = contract.find(manifest, "encoder")
    assert encoder.inputs == (Tensor("images", "float32", ("batch", 16, 12, 1), (0.0, 1.0), "examples"),)
    assert encoder.outputs[0].shape == ("batch", 4)
    assert encoder.size_bytes == (exported / "encoder.onnx").stat().st_size
    properties = {p.key: p.value for p in onnx.load(exported / "encoder.onnx").metadata_props}
    assert properties["aezoo.model"] == "conv"
    assert json.loads(properties["aezoo.core.options"])["latent_dim"] == 4
    assert {"aezoo.versions", "aezoo.data_sha256", "aezoo.licence", "aezoo.part"} <= set(properties)


def test_the_card_shows_what_was_proven_and_its_example_runs(exported):
    card = (exported / "README.md").read_text("utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=exported, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "(1, 4)"
    for artifact in contract.read_manifest(exported).artifacts:
        assert artifact.file in card
        assert f"{artifact.parity.max_difference:.1e}" in card


def test_onnx_files_repeat_byte_for_byte(trained, exported, tmp_path):
    model, examples = trained
    again = export_bundle(model, tmp_path / "again", ExportOptions(formats=["onnx"]), examples=examples)
    for name in ("encoder.onnx", "decoder.onnx", "reconstructor.onnx"):
        assert (again / name).read_bytes() == (exported / name).read_bytes()


def test_uint8_takes_bytes(trained, tmp_path):
    model, examples = trained
    folder = export_bundle(
        model,
        tmp_path / "bytes",
        ExportOptions(input_dtype="uint8", formats=["onnx", "saved_model"]),
        examples=examples,
    )
    pixels = np.rint(examples * 255).astype("uint8")
    bundle = runtime.load(folder)
    scale = np.ptp(model.encode(examples))
    np.testing.assert_allclose(
        bundle.encode(pixels), model.encode(pixels / np.float32(255)), atol=1e-5 * scale, rtol=0
    )
    error = model.reconstruction_error(pixels / np.float32(255))
    np.testing.assert_allclose(bundle.reconstruction_error(pixels), error, rtol=1e-3)
    before_the_convolution = []
    for node in onnx.load(folder / "encoder.onnx").graph.node:
        if node.op_type == "Conv":
            break
        before_the_convolution.append(node.op_type)
    assert before_the_convolution == ["Cast", "Reshape"]  # 1/255 lies in the weights


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"formats": ("onxx",)}, "did you mean 'onnx'?"),
        ({"opset": 9}, "opset"),
        ({"formats": ()}, "needs a format"),
        ({"input_dtype": "int8"}, "did you mean 'uint8'?"),
        ({"formats": None}, "pass formats=('saved_model',)"),
        ({"formats": 3}, "pass formats=('saved_model',)"),
        ({"formats": [3]}, "pass formats=('saved_model',)"),
        ({"formats": "onnx"}, "pass formats=('onnx',)"),
        ({"precisions": "int8"}, "pass precisions=('int8',)"),
        ({"parts": None}, "pass parts=('encoder',)"),
        ({"parts": "decoder"}, "pass parts=('decoder',)"),
        ({"licence": 3}, "licence=3"),
    ],
)
def test_wrong_export_options(options, word):
    with pytest.raises(OptionError) as error:
        ExportOptions(**{"formats": ["onnx"], **options})
    four_lines(error, word)


@pytest.mark.parametrize("options", [{"formats": ("onnx",)}, {}, "onnx"])
def test_options_are_export_options(options, trained, tmp_path):
    with pytest.raises(OptionError) as error:
        export_bundle(trained[0], tmp_path / "b", options)
    four_lines(error, f"options={options!r}", "ExportOptions(formats=('onnx',))")


def test_something_else_is_not_replaced(trained, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(BundleError) as error:
        export_bundle(trained[0], tmp_path / "photos")
    four_lines(error, "photos", "no bundle")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"


def test_a_failed_export_leaves_the_old_bundle(trained, copy, monkeypatch):
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    # Keras's answer differs from what is written: as a wrong emitter would make it.
    monkeypatch.setattr(
        type(trained[0]), "decode", lambda self, latents: np.zeros((64, 16, 12, 1), "float32")
    )
    with pytest.raises(ParityError) as error:
        export_bundle(trained[0], copy, ExportOptions(formats=["onnx"]), examples=trained[1])
    four_lines(error, "does not compute what the Keras model computes")
    assert before == {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


def test_a_new_export_replaces_the_old_bundle_whole(trained, copy):
    (copy / "stray.txt").write_text("of an older version", encoding="utf-8")
    export_bundle(trained[0], copy, ExportOptions(formats=["onnx"]), examples=trained[1])
    assert not (copy / "stray.txt").exists()
    assert not (copy / "saved_model").exists()
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


def test_a_killed_export_leaves_nothing_that_looks_like_a_bundle(trained, tmp_path):
    trained[0].save(tmp_path / "model.keras")
    code = (
        "import aezoo, aezoo.export.bundling as b, time\n"
        "b.parity.Prover.prove = lambda *_: (print('written', flush=True), time.sleep(60))\n"
        "b.export_bundle(aezoo.load('model.keras'), 'bundle', b.ExportOptions(formats=['onnx']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline().strip() == "written"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "bundle").exists()
    assert all(p.name.startswith(".") or p.name == "model.keras" for p in tmp_path.iterdir())
    # The next one sweeps up.
    export_bundle(trained[0], tmp_path / "bundle", ExportOptions(formats=["onnx"]))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "model.keras"]


def test_no_bundle(tmp_path):
    for spoil, word in (
        (lambda: None, "No such file"),
        (lambda: (tmp_path / "manifest.json").write_text("{", encoding="utf-8"), "manifest.json"),
        (
            lambda: (tmp_path / "manifest.json").write_text('{"artifacts": []}', encoding="utf-8"),
            "schema_version is missing",
        ),
        (
            lambda: (tmp_path / "manifest.json").write_text(
                '{"schema_version": 99, "artifacts": [], "model": 1, "kind": 1, '
                '"example_shape": 1, "latent_shape": 1, "input_dtype": 1, '
                '"error_scale": 1, "golden": 1}',
                encoding="utf-8",
            ),
            "99",
        ),
    ):
        spoil()
        with pytest.raises(BundleError) as error:
            runtime.load(tmp_path)
        four_lines(error, word, "aezoo.export.export_bundle(model, folder)")


def test_the_prover_that_dies_is_reported(exported, fresh_prover, monkeypatch):
    def dies(module, form, stderr):
        command = [sys.executable, "-c", "import sys; sys.exit('out of memory')"]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, encoding="utf-8"
        )

    monkeypatch.setattr(parity, "Prover", fresh_prover)
    monkeypatch.setattr(parity, "fresh", dies)
    with pytest.raises(ParityError) as error:
        parity.verify(exported, trust=True)
    four_lines(error, "died", "exit status 1", "out of memory")


def test_one_prover_proves_several_bundles(copy, exported, fresh_prover):
    prover = fresh_prover("onnx")
    try:
        figures = prover.prove(exported)
        shutil.copy(copy / "reconstructor.onnx", copy / "decoder.onnx")
        with pytest.raises(BundleError):
            prover.prove(copy)
        assert prover.prove(exported) == figures
    finally:
        prover.stop()


def test_weights_beside_a_large_file_belong_to_it(trained, tmp_path, monkeypatch):
    from aezoo.export import to_onnx

    monkeypatch.setattr(to_onnx, "LARGEST_FILE", 1000)
    folder = export_bundle(
        trained[0], tmp_path / "bundle", ExportOptions(formats=["onnx"]), examples=trained[1]
    )
    assert set(contract.find(contract.read_manifest(folder), "encoder").files) == {
        "encoder.onnx",
        "encoder.onnx.data",
    }
    assert runtime.load(folder).encode(trained[1]).shape == (64, 4)
    (folder / "encoder.onnx.data").write_bytes(b"")
    with pytest.raises(BundleError) as error:
        runtime.load(folder)
    four_lines(error, "encoder.onnx.data")


def test_publish_swaps_in_one_step(tmp_path):
    for name in ("draft", "bundle"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name, encoding="utf-8")
    files.publish(tmp_path / "draft", tmp_path / "bundle")
    assert (tmp_path / "bundle" / "which").read_text("utf-8") == "draft"
    assert (tmp_path / "draft" / "which").read_text("utf-8") == "bundle"  # whoever made the draft removes it
