"""`aezoo bench`: its rows and files, its gates, and what becomes of files and runtimes that fail."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, four_lines, rehash

from aezoo.bench import report, runner
from aezoo.cli import main
from aezoo.core.errors import BenchError, OptionError
from aezoo.core.processes import Process
from aezoo.export import ExportOptions, export_bundle, formats
from aezoo.runtime import manifest as contract

# As little as there is something of everything.
TINY = runner.Settings(batch_sizes=(1, 3), rounds=1, turn_seconds=0.0, cold_starts=0)
SOME = ["onnx", "litert", "openvino", "c"]


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory):
    """A bundle of `trained` in four formats; copy it before you change it."""
    model, examples = trained
    folder = tmp_path_factory.mktemp("bench") / "bundle"
    return export_bundle(
        model,
        folder,
        ExportOptions(formats=SOME, precisions=["float32", "int8"], budget=0.2),
        examples=examples,
    )


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def tiny(monkeypatch):
    """The command measures as little as `TINY`, with one cold start each."""
    monkeypatch.setattr(runner, "QUICK", runner.dataclasses.replace(TINY, cold_starts=1))


def run(*arguments):
    return main.main([str(argument) for argument in arguments])


def rows_of(found, **wanted):
    return [row for row in found["rows"] if all(row[key] == value for key, value in wanted.items())]


def test_table_csv_plot_and_json(whole, tiny, tmp_path, capfd):
    table, plot = tmp_path / "bench.csv", tmp_path / "bench.png"
    options = ["--quick", "--parts", "encoder,decoder", "--trust", "--csv", table, "--plot", plot]
    assert run("bench", whole, *options) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    for word in ("cold ms", "examples/s", "p95/p50", "openvino", "int8", "proven", "without a file"):
        assert word in printed.out
    assert plot.read_bytes().startswith(b"\x89PNG")
    with open(table, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == runner.COLUMNS
    held = {
        (a.part, a.format, a.precision)
        for a in contract.read_manifest(whole).artifacts
        if a.part in ("encoder", "decoder")
    }
    assert len(held) == 2 * 7
    keys = ("part", "format", "precision", "batch")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        (*file, batch) for file in sorted(held, key=lambda f: list_index(rows, f)) for batch in "13"
    ]
    for row in rows:
        assert 0 < float(row["p50_ms"]) <= float(row["p95_ms"])
        assert float(row["spread"]) == pytest.approx(float(row["p95_ms"]) / float(row["p50_ms"]), rel=1e-4)
        speed = int(row["batch"]) / float(row["p50_ms"]) * 1000
        assert float(row["examples_per_second"]) == pytest.approx(speed, rel=1e-4)
        # A process starts in more than 10 ms, and a runtime takes more than 100 kB beyond the bare one.
        assert float(row["cold_start_ms"]) > 10
        assert 1e7 < float(row["bare_peak_bytes"]) < float(row["peak_bytes"]) - 1e5
        assert row["threads"] == ("" if row["format"] == "c" else "1")
        assert (row["mse"] == "") == (row["part"] == "encoder")
        assert (row["cosine"] == "") == (row["part"] == "decoder")
        if row["precision"] == "float32":
            assert float(row["mse"] or 0) < 1e-11
            assert float(row["cosine"] or 1) > 1 - 1e-6
        elif row["part"] == "decoder":
            assert float(row["mse"]) > 1e-11  # 8 bits lose something, and it is measured
        assert row["status"] == "proven"


def list_index(rows, file):
    return [(row["part"], row["format"], row["precision"]) for row in rows].index(file)


def test_threads_are_rows(whole):
    settings = runner.dataclasses.replace(TINY, batch_sizes=(1,), threads=(1, 2))
    found = runner.measure(whole, settings, parts=["encoder"], precisions=["float32"], trust=True)
    threads = {form: [row["threads"] for row in rows_of(found, format=form)] for form in SOME}
    assert threads == {"onnx": [1, 2], "litert": [1, 2], "openvino": [1, 2], "c": [None]}
    assert all(row["p50_ms"] > 0 for row in found["rows"])


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted where Linux lists them")
@pytest.mark.parametrize("form", ["onnx", "litert", "openvino", "saved_model"])
def test_a_second_thread_is_a_second_thread(form, whole, exported):
    """A fresh process each: some runtimes keep the number of their first file."""
    folder = exported if form == "saved_model" else whole
    program = (
        "import json, os, sys; from aezoo.bench.worker import Opened\n"
        "from aezoo.runtime import manifest as bundle\n"
        "folder, form, threads = sys.argv[1:]\n"
        "row = bundle.find(bundle.read_manifest(folder), 'encoder', form)\n"
        "opened = Opened(folder, row, {'threads': int(threads)})\n"
        "opened.seconds(64, 0.02)\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    counts = []
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder), form, threads],
            capture_output=True,
            encoding="utf-8",
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        counts.append(int(done.stdout.splitlines()[-1]))
    assert counts[1] == counts[0] + 1


@pytest.mark.exhaustive
def test_saved_model_bytes_fixed_batch_and_channels_first(trained, exported, tmp_path):
    settings = runner.dataclasses.replace(TINY, cold_starts=1)
    found = runner.measure(exported, settings, parts=["decoder"], formats=["saved_model"], trust=True)
    assert [row["status"] for row in found["rows"]] == ["proven"] * 2
    # TensorFlow alone holds more than all of the others.
    assert found["rows"][0]["peak_bytes"] > 2e8 > found["rows"][0]["bare_peak_bytes"]
    model, examples = trained
    options = ExportOptions(formats=["onnx"], batch=4, layout="nchw", input_dtype="uint8")
    board = export_bundle(model, tmp_path / "board", options, examples=examples)
    found = runner.measure(board, settings)
    assert {row["status"] for row in found["rows"]} == {"proven"}
    assert all(row["mse"] < 1e-10 for row in rows_of(found, part="reconstructor"))


def test_without_a_cold_start_there_are_none_of_its_figures(whole, capfd):
    found = runner.measure(whole, TINY, parts=["encoder"], formats=["onnx"], precisions=["float32"])
    for row in found["rows"]:
        assert row["cold_start_ms"] is row["peak_bytes"] is row["bare_peak_bytes"] is None
    report.show(found)
    assert "proven" in capfd.readouterr().out


def test_no_round_begins_after_the_limit(whole):
    settings = runner.dataclasses.replace(TINY, rounds=50, cold_starts=1, limit_seconds=0.0)
    found = runner.measure(whole, settings, parts=["encoder"], formats=["onnx"])
    assert found["rounds"] == 1
    assert all(row["p50_ms"] > 0 and row["cold_start_ms"] is None for row in found["rows"])


# -- what fails ------------------------------------------------------------------------------------


def test_a_runtime_that_is_not_installed_is_a_row(whole, tiny, monkeypatch, capfd):
    asked = formats.is_installed
    monkeypatch.setattr(formats, "is_installed", lambda form: form != "litert" and asked(form))
    options = ["--quick", "--parts", "encoder", "--precision", "float32", "--batch", "1", "--trust"]
    assert run("bench", whole, *options, "--json", "--min-throughput", "0.001") == 0
    found = json.loads(capfd.readouterr().out)
    (row,) = rows_of(found, format="litert")
    assert row["status"] == "skipped: ai_edge_litert is not installed"
    assert row["p50_ms"] is row["cold_start_ms"] is row["cosine"] is None
    assert row["size_bytes"] > 1000
    assert {row["status"] for row in found["rows"] if row["format"] != "litert"} == {"proven"}
    # Asked for by name it must be there.
    options += ["--formats", "onnx,litert", "--min-throughput", "0.001"]
    assert run("bench", whole, *options) == 1
    printed = capfd.readouterr()
    assert "skipped: ai_edge_litert is not installed" in printed.out
    four_lines(printed.err.strip(), "litert", "is not installed")


def test_an_altered_file_is_refused_and_the_others_are_measured(copy):
    path = copy / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-8] + b"12345678")
    found = runner.measure(copy, TINY, parts=["encoder", "decoder"], formats=["onnx"])
    for row in rows_of(found, part="encoder", precision="float32"):
        assert row["status"] == "refused: encoder.onnx is not the file that was proven"
        assert row["p50_ms"] is row["cosine"] is None
    assert {row["status"] for row in rows_of(found, part="decoder")} == {"proven"}


@pytest.mark.parametrize(("form", "cold"), [("onnx", 0), ("onnx", 1), ("litert", 0), ("c", 0)])
def test_a_file_that_does_not_open_is_refused(form, cold, copy):
    row = contract.find(contract.read_manifest(copy), "encoder", form)
    text = '#define A_SIGNATURE "x:f:2 -> y:f:2"\nno program\n' * 20
    (copy / row.file).write_text(text, encoding="utf-8")
    rehash(copy)  # as if it had been proven elsewhere
    settings = runner.dataclasses.replace(TINY, cold_starts=cold)
    found = runner.measure(copy, settings, parts=["encoder", "decoder"], precisions=["float32"], trust=True)
    for row in found["rows"]:
        if (row["part"], row["format"]) == ("encoder", form):
            assert row["status"].startswith("refused: ")
            assert row["p50_ms"] is row["cosine"] is row["cold_start_ms"] is None
        else:
            assert row["status"] == "proven"
            assert row["p50_ms"] > 0


@pytest.mark.parametrize("when", ["open", "figures", "seconds"])
def test_a_runtime_that_dies_takes_no_other_row_with_it(when, whole, tmp_path, monkeypatch):
    """A measuring process that kills itself in one place, as a runtime with a bug does."""
    place = {"open": "__init__", "figures": "figures", "seconds": "seconds"}[when]
    condition = {
        "open": "args[1].part == 'encoder'",
        "figures": "self.artifact.part == 'encoder'",
        "seconds": "self.artifact.part == 'encoder' and args[0] == 3",
    }[when]
    (tmp_path / "dying.py").write_text(
        "import os, signal\n"
        "from aezoo.bench import worker\n"
        f"whole = worker.Opened.{place}\n"
        "def dying(self, *args):\n"
        f"    if {condition}: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return whole(self, *args)\n"
        f"worker.Opened.{place} = dying\n"
        "worker.main()\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(runner, "MEASURER", "dying")
    options = {"parts": ["encoder", "decoder"], "formats": ["onnx"], "precisions": ["float32"]}
    found = runner.measure(whole, TINY, **options)
    died = "refused: died with signal 11 (SIGSEGV)"
    statuses = {(row["part"], row["batch"]): row["status"] for row in found["rows"]}
    assert statuses == {
        ("encoder", 1): "proven" if when == "seconds" else died,
        ("encoder", 3): died,
        ("decoder", 1): "proven",
        ("decoder", 3): "proven",
    }


def test_a_process_that_hangs_is_ended(tmp_path, monkeypatch):
    (tmp_path / "hanging.py").write_text("import time; time.sleep(60)", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = Process("hanging", {}, patience=0.2)
    assert process.answer({}) == {"refused": "no answer within 0.2 seconds", "died": True}
    process.stop()
    (tmp_path / "leaving.py").write_text("import sys; sys.exit(3)", encoding="utf-8")
    process = Process("leaving", {})
    assert process.answer({}) == {"refused": "died with exit status 3", "died": True}
    process.stop()


def test_other_values_than_keras_computed_are_seen(copy):
    """The decoder's golden reconstructions shifted by 0.1 are an mse of 0.01."""
    golden = dict(np.load(copy / contract.GOLDEN))
    golden["reconstructions"] = golden["reconstructions"] + np.float32(0.1)
    golden["latents"] = -golden["latents"]  # of an encoder alone: a decoder takes them
    np.savez_compressed(copy / contract.GOLDEN, **golden)
    rehash(copy)
    options = {"formats": ["onnx"], "precisions": ["float32"]}
    found = runner.measure(copy, TINY, **options)
    assert rows_of(found, part="encoder")[0]["cosine"] == pytest.approx(-1, abs=1e-6)
    assert rows_of(found, part="reconstructor")[0]["mse"] == pytest.approx(0.01, rel=1e-3)


def test_ctrl_c_says_where_it_was(whole, monkeypatch, capfd, tmp_path):
    def stopped(*_, progress, **__):
        progress("round 3 of 10", 0, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "measure", stopped)
    assert run("bench", whole, "--csv", tmp_path / "a.csv") == 130
    printed = capfd.readouterr()
    assert "stopped at round 3 of 10; nothing was written" in printed.err
    assert not (tmp_path / "a.csv").exists()


# -- options and gates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch", "1,x"], ["--batch 1,x"]),
        (["--threads", "0"], ["--threads 0"]),
        (["--parts", "encodr"], ["did you mean 'encoder'?"]),
        (["--formats", "saved_model"], ["'onnx', 'litert', 'openvino', 'c'"]),
        (["--precision", "float16"], ["'float32', 'int8'"]),
        (["--formats", "openvino", "--precision", "int8"], ["openvino, int8"]),
        (["--min-throughput", "nan"], ["--min-throughput nan"]),
        (["--max-mse", "-1"], ["--max-mse -1"]),
        (["--csv", "no/such/folder.csv"], ["no/such/folder.csv"]),
        (["--plot", "bench.txt"], [".png"]),
    ],
)
def test_options_that_cannot_be_used(arguments, words, whole, capfd):
    assert run("bench", whole, *arguments) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    four_lines(printed.err.strip(), *words)


def test_a_plot_needs_matplotlib_before_anything_is_measured(whole, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(runner, "measure", lambda *_, **__: pytest.fail("measured"))
    assert run("bench", whole, "--plot", "bench.png") == 1
    four_lines(capfd.readouterr().err.strip(), "matplotlib", 'pip install "aezoo[train]"')


def row(part="encoder", form="onnx", speed=1000.0, mse=None, status="proven", **more):
    return {
        "part": part,
        "format": form,
        "precision": "float32",
        "batch": 1,
        "threads": 1,
        "examples_per_second": speed,
        "mse": mse,
        "status": status,
        **more,
    }


REFUSED = row(speed=None, status="refused: died with signal 11 (SIGSEGV)")
ABSENT = row(form="openvino", speed=None, status="skipped: openvino is not installed")


@pytest.mark.parametrize(
    ("rows", "limits", "words"),
    [
        ([row()], {"min_throughput": 1000}, None),
        ([row(), row("decoder", speed=999.0)], {"min_throughput": 1000}, ["decoder onnx float32", "999"]),
        ([row(), row("decoder", mse=1e-9)], {"max_mse": 1e-9}, None),
        ([row("scorer", mse=2e-9)], {"max_mse": 1e-9}, ["scorer", "2e-09", "at most 1e-09"]),
        ([row("decoder", mse=float("nan"))], {"max_mse": 1e-9}, ["mse nan"]),
        ([row()], {"max_mse": 1e-9}, ["nothing to act on", "max_mse"]),
        ([row("decoder", mse=0.0), REFUSED], {"max_mse": 1e-9}, ["SIGSEGV"]),
        ([row(), ABSENT], {"min_throughput": 1}, None),
        ([row(), ABSENT], {"min_throughput": 1, "named": ("openvino",)}, ["is not installed"]),
        ([ABSENT], {"min_throughput": 1}, ["nothing to act on"]),
        ([row(speed=float(n)) for n in range(9)], {"min_throughput": 100}, ["9 misses", "and 3 more"]),
        ([REFUSED], {}, None),
    ],
)
def test_gates(rows, limits, words):
    if words is None:
        report.check_gates(rows, **limits)
        return
    with pytest.raises(BenchError) as error:
        report.check_gates(rows, **limits)
    four_lines(error, *words)


def test_gates_of_the_command(whole, tiny, tmp_path, capfd):
    options = ["--quick", "--parts", "decoder", "--formats", "onnx", "--batch", "1"]
    assert run("bench", whole, *options, "--precision", "float32", "--max-mse", "1e-11") == 0
    capfd.readouterr()
    table = tmp_path / "kept.csv"
    gates = ["--max-mse", "1e-11", "--min-throughput", "1e12", "--csv", table]
    assert run("bench", whole, *options, *gates) == 1
    printed = capfd.readouterr()
    assert "examples/s" in printed.out  # the table comes first, and is kept
    assert len(table.read_text("utf-8").splitlines()) == 3
    assert printed.err.startswith("BenchError: 3 misses in 2 rows")
    four_lines(printed.err.strip(), "decoder onnx int8 batch 1 threads 1: mse", "at least 1e+12 examples/s")


def test_an_unknown_part_is_refused_by_the_function_too(whole):
    with pytest.raises(OptionError) as error:
        runner.measure(whole, TINY, parts=["scorrer"])
    four_lines(error, "scorrer")
