"""Files that can run code of whoever made a bundle: opened only where the caller vouches for it."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from conftest import four_lines, rehash

from aezoo import runtime
from aezoo.bench import runner
from aezoo.cli import main
from aezoo.core.errors import BundleError, OptionError
from aezoo.export import ExportOptions, export_bundle, formats
from aezoo.export.formats import FORMATS, WOULD_RUN
from aezoo.export.proof import parity
from aezoo.export.recalibration import recalibrate
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

TINY = runner.Settings(batch_sizes=(1,), rounds=1, turn_seconds=0.0, cold_starts=1)


@pytest.fixture(scope="module")
def both(trained, tmp_path_factory):
    """A bundle of `trained` in ONNX, as a SavedModel and in C; copy it before you change it."""
    model, _ = trained
    options = ExportOptions(formats=["onnx", "saved_model", "c"], parts=["encoder", "scorer"])
    examples = smooth_examples(model.example_shape, 120)
    return export_bundle(model, tmp_path_factory.mktemp("trust") / "bundle", options, examples=examples)


def set_a_trap(folder, form, mark):
    """Makes the encoder of a format write the file `mark` when it is opened or run; hashes follow."""
    row = contract.find(contract.read_manifest(folder), "encoder", form)
    path = folder / row.file
    if form == "c":
        text = path.read_text("utf-8")
        trap = (
            "#include <stdio.h>\n__attribute__((constructor)) static void trap(void)"
            f'{{ FILE *mark = fopen("{mark}", "w"); if (mark) fclose(mark); }}\n'
        )
        path.write_text(trap + text, encoding="utf-8")
    else:
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        honest = loaded.signatures["encoder"]
        (name, spec), *_ = honest.structured_input_signature[1].items()

        @tf.function(input_signature=[tf.TensorSpec(spec.shape, spec.dtype, name=name)])
        def encoder(taken):
            with tf.control_dependencies([tf.io.write_file(str(mark), "run")]):
                return {key: tf.identity(value) for key, value in honest(**{name: taken}).items()}

        module = tf.Module()
        module.kept = loaded
        shutil.rmtree(path)
        tf.saved_model.save(module, str(path), signatures={"encoder": encoder})
    rehash(folder)


def uses(folder, normals):
    """Yields (what, function of trust) for everything that opens files of a bundle."""
    yield "verify", lambda trust: parity.verify(folder, trust=trust)
    yield "bench", lambda trust: runner.measure(folder, TINY, trust=trust)
    yield "calibrate", lambda trust: recalibrate(folder, normals, false_positive_rate=0.2, trust=trust)


FORMS = [form for form, row in FORMATS.items() if row.executes]


def test_which_formats_execute():
    assert FORMS == ["saved_model", "c"]


@pytest.mark.parametrize("form", FORMS)
def test_code_of_a_bundle_does_not_run(form, both, trained, tmp_path):
    folder, mark = tmp_path / "bundle", tmp_path / "mark"
    shutil.copytree(both, folder)
    set_a_trap(folder, form, mark)
    for _, use in uses(folder, smooth_examples(trained[0].example_shape, 60, seed=3)):
        with contextlib.suppress(BundleError):
            use(False)
        assert not mark.exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize("form", FORMS)
def test_it_would_run_where_it_is_trusted(form, both, trained, tmp_path):
    """The trap of the test above works, in all three."""
    normals, mark = smooth_examples(trained[0].example_shape, 60, seed=3), tmp_path / "mark"
    for number, name in enumerate(name for name, _ in uses(None, None)):
        folder = tmp_path / name
        shutil.copytree(both, folder)
        set_a_trap(folder, form, mark)
        with contextlib.suppress(Exception):  # the honest file's answers are no longer there
            list(uses(folder, normals))[number][1](True)
        assert mark.exists(), name
        mark.unlink()


def test_rows_of_verify_say_what_was_skipped(both, capfd):
    figures = parity.verify(both)
    assert {file for file, row in figures.items() if isinstance(row, parity.Parity)} == {
        "encoder.onnx",
        "scorer.onnx",
    }
    skipped = {file: row for file, row in figures.items() if isinstance(row, parity.Skipped)}
    assert set(skipped) == {"c/encoder.h", "saved_model/encoder", "saved_model/scorer"}
    assert {row.skipped for row in skipped.values()} == {WOULD_RUN}
    assert main.main(["verify", str(both)]) == 3
    printed = capfd.readouterr()
    assert printed.out.count(f"skipped: {WOULD_RUN}") == 3
    assert "not everything was proven" in printed.err
    assert "--digest" in printed.err
    assert "--trust" in printed.err


def test_a_runtime_that_is_missing_is_no_matter_of_trust(both, capfd, monkeypatch):
    asked = formats.is_installed
    monkeypatch.setattr(formats, "is_installed", lambda form: form != "saved_model" and asked(form))
    assert main.main(["verify", str(both), "--trust"]) == 3
    printed = capfd.readouterr()
    assert "not everything was proven" in printed.err
    assert "--trust" not in printed.err


def test_who_knows_the_digest_vouches(both, capfd):
    digest = contract.digest_of(both)
    assert main.main(["verify", str(both), "--digest", digest.upper(), "--json"]) == 0
    figures = json.loads(capfd.readouterr().out)["artifacts"]
    assert all("skipped" not in row for row in figures.values())
    for command in (["verify"], ["bench", "--quick"], ["encode", "x.npy"], ["score", "x.npy"]):
        name, *more = command
        assert main.main([name, str(both), *more, "--digest", "0" * 64]) == 1
        four_lines(capfd.readouterr().err.strip(), "not the bundle of this digest", digest, "0" * 64)
    assert main.main(["verify", str(both), "--digest", "0" * 63]) == 2
    four_lines(capfd.readouterr().err.strip(), "a digest is a sha256", "64 hexadecimal digits")


def test_the_digest_at_load(both, tmp_path):
    digest = contract.digest_of(both)
    assert runtime.load(both, digest=digest).encode(np.load(both / "golden.npz")["examples"]).ndim == 2
    for other, kind in (("0" * 64, BundleError), ("", OptionError), (digest.encode(), OptionError)):
        with pytest.raises(kind) as error:
            runtime.load(both, digest=other)
        four_lines(error, "digest")
    with pytest.raises(BundleError) as error:
        parity.verify(both, trust=True, digest="0" * 64)
    four_lines(error, "not the bundle of this digest")


def test_bench_skips_and_says_so(both, capfd, monkeypatch):
    monkeypatch.setattr(runner, "QUICK", TINY)
    options = ["bench", str(both), "--quick", "--parts", "encoder", "--json"]
    assert main.main(options) == 3
    printed = capfd.readouterr()
    statuses = {row["format"]: row["status"] for row in json.loads(printed.out)["rows"]}
    assert statuses == {
        "onnx": "proven",
        "saved_model": f"skipped: {WOULD_RUN}",
        "c": f"skipped: {WOULD_RUN}",
    }
    assert "not everything was measured" in printed.err
    # Asked for by name, and held to a gate, it must be there.
    assert main.main([*options, "--formats", "c", "--min-throughput", "1"]) == 1
    four_lines(capfd.readouterr().err.strip(), WOULD_RUN)
    assert main.main([*options, "--formats", "c", "--digest", contract.digest_of(both)]) == 0
    (row,) = json.loads(capfd.readouterr().out)["rows"]
    assert row["status"] == "proven"


def test_calibrate_asks_before_it_runs_anything(both, trained, tmp_path, capfd):
    folder = tmp_path / "bundle"
    shutil.copytree(both, folder)
    np.save(tmp_path / "normals.npy", smooth_examples(trained[0].example_shape, 60, seed=3))
    before = contract.digest_of(folder)
    options = ["calibrate", str(folder), str(tmp_path / "normals.npy"), "--false-positive-rate", "0.2"]
    assert main.main(options) == 1
    words = ["would run code out of this one", "c/encoder.h", "--digest", "--trust"]
    four_lines(capfd.readouterr().err.strip(), *words)
    assert contract.digest_of(folder) == before
    assert main.main([*options, "--digest", "0" * 64]) == 1
    four_lines(capfd.readouterr().err.strip(), "not the bundle of this digest")


def test_a_bundle_that_cannot_run_code_needs_nobody(exported, trained, tmp_path):
    options = ExportOptions(formats=["onnx"], parts=["scorer"])
    examples = smooth_examples(trained[0].example_shape, 120)
    folder = export_bundle(trained[0], tmp_path / "b", options, examples=examples)
    recalibrate(folder, smooth_examples(trained[0].example_shape, 60, seed=3), false_positive_rate=0.2)
    with contextlib.redirect_stdout(io.StringIO()):
        assert main.main(["verify", str(folder)]) == 0
