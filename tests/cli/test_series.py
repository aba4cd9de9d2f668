"""A long series through the commands: trained on in windows, scored and reconstructed row by row."""

import csv
import io
import json
import pathlib

import numpy as np
import pandas as pd
import pytest
from conftest import four_lines
from conftest import run_command as run

from aezoo import runtime
from aezoo.core.errors import DataError, OptionError
from aezoo.core.windows import rows_of, windows_of

ROWS, WINDOW, STRIDE = 1200, 16, 4
SMALL = ["-O", "filters=4,8", "--latent-dim", 3, "--epochs", 1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a series of two features, the run and the calibrated bundle of a model of its windows."""
    path = tmp_path_factory.mktemp("series")
    steps = np.arange(ROWS)
    values = np.stack([np.sin(steps / 5), np.cos(steps / 7)], axis=1)
    values += 0.1 * np.random.default_rng(0).standard_normal(values.shape)
    frame = pd.DataFrame(values.round(4), columns=["a", "b"])
    times = pd.date_range("2026-01-01", periods=ROWS, freq="h").astype(str)
    frame.assign(time=times)[["time", "b", "a"]].to_csv(path / "series.csv", index=False)
    cut = ["--drop", "time", "--columns", "a,b", "--window", WINDOW, "--stride", STRIDE]
    assert run("train", "conv1d", "--data", path / "series.csv", *cut[2:], *SMALL, "-o", path / "run") == 0
    assert run("export", path / "run", "-o", path / "bundle", "--formats", "onnx") == 0
    np.save(path / "series.npy", frame[["a", "b"]].to_numpy())
    return path


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def printed(capfd):
    """The columns of a CSV on standard output, as texts."""
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_the_run_says_how_it_was_cut(here, capfd):
    data = json.loads(pathlib.Path("run", "run.json").read_text("utf-8"))["data"]
    assert (data["kind"], data["shape"], data["feature_names"]) == ("sequences", [WINDOW, 2], ["a", "b"])
    assert (data["load_options"]["window"], data["load_options"]["stride"]) == (WINDOW, STRIDE)
    assert run("evaluate", "run", "--json") == 0
    assert json.loads(capfd.readouterr().out)["test_examples"] == (120 - WINDOW) // STRIDE + 1
    for option, value, begun in (("--window", 32, WINDOW), ("--stride", 2, STRIDE)):
        assert run("train", "--resume", "-o", "run", option, value) == 2
        lines = capfd.readouterr().err.splitlines()[-4:]
        assert lines[1].split() == ["got:", f"{option[2:]}={value}"]
        assert f"{option[2:]}={begun}, or nothing" in lines[2]
        assert f"leave {option} out" in lines[3]


@pytest.mark.parametrize("file", ["series.csv", "series.npy"])
@pytest.mark.parametrize("stride", [None, 1, 7])
def test_a_score_for_each_row(here, capfd, file, stride):
    assert run("score", "bundle", file, *([] if stride is None else ["--stride", stride])) == 0
    found = printed(capfd)
    assert list(found) == ["row", "reconstruction_error", "error_map", "is_anomaly"]
    assert found["row"] == [str(row) for row in range(ROWS)]
    bundle = runtime.load("bundle")
    windows = windows_of(np.load("series.npy").astype("f4"), WINDOW, stride or STRIDE)
    scored = bundle.score(windows)
    for name in ("reconstruction_error", "error_map"):
        expected = rows_of(scored[name], count=ROWS, window=WINDOW, stride=stride or STRIDE)
        np.testing.assert_allclose(np.array(found[name], "f8"), expected, rtol=1e-5)
    errors = np.array(found["reconstruction_error"], "f8")
    assert found["is_anomaly"] == [str(bool(verdict)) for verdict in errors > bundle.threshold]


def test_a_fault_is_found_where_it_is(here):
    series = np.load("series.npy").astype("f4")
    series[700:720, 1] += 3
    bundle = runtime.load("bundle")
    found = bundle.score_series(series, stride=1)
    assert 700 <= found["error_map"].argmax() < 720
    assert found["is_anomaly"][700:720].all()
    assert found["error_map"][700:720].mean() > 10 * found["error_map"][:600].mean()
    assert not bundle.score_series(series, threshold=1e9)["is_anomaly"].any()


def test_a_model_without_a_scorer_scores_alike(here):
    import aezoo

    series = np.load("series.npy").astype("f4")
    model, bundle = aezoo.load("run"), runtime.load("bundle")
    found, expected = model.score_series(series, stride=5), bundle.score_series(series, stride=5)
    assert list(found) == ["reconstruction_error", "error_map"]
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-6)


def test_rows_of_a_part_have_the_numbers_of_the_file(here, capfd):
    assert run("score", "bundle", "series.csv[test]", "--stride", 8) == 0
    found = printed(capfd)
    assert found["row"] == [str(row) for row in range(1080, 1200)]
    expected = runtime.load("bundle").score_series(np.load("series.npy")[1080:].astype("f4"), stride=8)
    np.testing.assert_allclose(np.array(found["error_map"], "f8"), expected["error_map"], rtol=1e-5)


def test_reconstructions_are_rows_and_latents_are_windows(here, capfd):
    bundle, series = runtime.load("bundle"), np.load("series.npy").astype("f4")
    assert run("reconstruct", "bundle", "series.csv", "-o", "rows.npy") == 0
    windows = windows_of(series, WINDOW, STRIDE)
    expected = rows_of(bundle.reconstruct(windows), count=ROWS, window=WINDOW, stride=STRIDE)
    np.testing.assert_allclose(np.load("rows.npy"), expected, atol=1e-5)
    assert run("encode", "bundle", "series.csv", "--stride", 100, "-o", "latents.npy") == 0
    told = capfd.readouterr().err
    assert (
        "series.csv: 1,200 rows as 13 windows of 16 rows, 100 apart; the last one ends with the last row"
        in told
    )
    np.testing.assert_allclose(
        np.load("latents.npy"), bundle.encode(windows_of(series, WINDOW, 100)), atol=1e-5
    )


def test_windows_that_were_cut_before_are_examples(here, capfd):
    np.save("cut.npy", windows_of(np.load("series.npy").astype("f4"), WINDOW, 50)[:6] - 2)
    assert run("score", "bundle", "cut.npy") == 0
    assert printed(capfd)["example"] == list("012345")
    assert run("score", "bundle", "cut.npy", "--stride", 2) == 2
    err = capfd.readouterr().err
    four_lines(err.strip(), "a stride is that of the windows of a long series", "stride=2 for cut.npy")
    four_lines(err.strip(), "leave --stride out")


def test_normal_rows_calibrate(here, capfd):
    assert run("calibrate", "bundle", "series.csv[test]", "--trust", "--false-positive-rate", 0.1) == 0
    assert "from 27 normal examples" in capfd.readouterr().out


def test_what_is_no_series(here, capfd):
    np.save("short.npy", np.load("series.npy")[:10])
    assert run("score", "bundle", "short.npy") == 1
    four_lines(capfd.readouterr().err.strip(), "short.npy: shorter than a window", "10 rows", "at least 16")
    bundle = runtime.load("bundle")
    with pytest.raises(DataError) as raised:
        bundle.score_series(np.zeros((100, 3), "f4"))
    four_lines(raised, "series: wrong shape", "(100, 3)", "(batch, 2)")
    with pytest.raises(OptionError) as raised:
        bundle.score_series(np.zeros((100, 2), "f4"), stride=0)
    four_lines(raised, "stride=0")


def test_no_row_is_left_between_two_windows(here, capfd):
    assert run("score", "bundle", "series.csv", "--stride", WINDOW + 1) == 2
    err = "\n".join(capfd.readouterr().err.splitlines()[-4:])
    four_lines(err, "rows between two windows would be told nothing", "stride=17", "pass --stride 16")


def test_only_models_of_sequences_take_a_series(exported):
    with pytest.raises(OptionError) as raised:
        runtime.load(exported).score_series(np.zeros((100, 2), "f4"))
    four_lines(raised, "windows of a series are for models of sequences", "pass the examples to score")
