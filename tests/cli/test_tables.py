"""Tables as others write them, through the commands: what is said at the training counts ever after."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest
from conftest import run_command as run

from aezoo.testing import smooth_examples

SMALL = ["-O", "units=4", "--latent-dim", 2, "--epochs", 1]
ROWS = 60


def info_of(name):
    return json.loads(pathlib.Path(name, "run.json").read_text("utf-8"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with one frame in several dialects: three features, an id, a class of numbers."""
    monkeypatch.chdir(tmp_path)
    values = smooth_examples((3,), ROWS)
    frame = pd.DataFrame(values.astype("f8").round(3), columns=["a, mm", "b", "c"])
    frame.insert(0, "id", np.arange(ROWS) + 100)
    frame["state"] = np.arange(ROWS) % 3
    frame.to_csv("german.csv", sep=";", decimal=",", index=False)
    frame.to_csv("usual.csv", index=False)
    frame.to_csv("tabs.tsv", sep="\t", index=False)
    frame.to_parquet("usual.parquet")
    frame[["c", "state", "b", "a, mm"]].to_csv("turned.csv", index=False)
    frame.drop(columns="state").to_csv("no_state.csv", index=False)
    return frame


def test_what_was_said_at_the_training_counts_for_the_bundle(here, capfd):
    said = ["--labels", "state", "--drop", "id"]
    assert run("train", "dense", "--data", "german.csv", *said, *SMALL, "-o", "run") == 0
    told = capfd.readouterr().err
    assert "3 columns (a, mm, b, c)" in told
    assert "decimal comma" in told
    assert "labels: column 'state' (3 classes)" in told
    data = info_of("run")["data"]
    assert data["feature_names"] == ["a, mm", "b", "c"]
    assert data["load_options"]["labels"] == "state"
    assert run("export", "run", "-o", "bundle", "--formats", "onnx") == 0
    found = {}
    for name in ("german.csv", "usual.csv", "tabs.tsv", "usual.parquet", "turned.csv", "no_state.csv"):
        assert run("encode", "bundle", name, "-o", "latents.npy") == 0, capfd.readouterr().err
        found[name] = np.load("latents.npy")
    for name, latents in found.items():
        assert np.array_equal(latents, found["german.csv"]), name
    assert run("evaluate", "run", "--data", "usual.csv", "--json") == 0
    capfd.readouterr()
    assert run("train", "--resume", "-o", "run", "--labels", "id") == 2
    assert "a resumed run goes on as it was begun" in capfd.readouterr().err


def test_columns_are_chosen_and_put_in_order(here, capfd):
    train = ("train", "dense", "--data", "usual.csv")
    assert run(*train, "--columns", "c,b", "--no-labels", *SMALL, "-o", "run") == 0
    assert info_of("run")["data"]["feature_names"] == ["c", "b"]
    assert run(*train, "--columns", "c,d", *SMALL, "-o", "other") != 0
    error = capfd.readouterr().err
    assert "'d'" in error
    assert "Traceback" not in error
    assert run(*train, "--columns", '"a, mm",b', *SMALL, "-o", "comma") == 0
    assert info_of("comma")["data"]["feature_names"] == ["a, mm", "b"]


def test_dialects_that_are_open_are_said(here, capfd):
    lines = "\n".join(f"{number % 9},{number % 7}" for number in range(ROWS))
    pathlib.Path("open.csv").write_text(lines, encoding="utf-8")
    assert run("train", "dense", "--data", "open.csv", *SMALL, "-o", "run") == 1
    assert "two ways" in capfd.readouterr().err
    for options, features in (
        (["--delimiter", ",", "--no-header"], 2),
        (["--decimal", ",", "--no-header"], 1),
    ):
        assert run("train", "dense", "--data", "open.csv", *options, *SMALL, "-o", f"run{features}") == 0
        info = info_of(f"run{features}")
        assert info["options"]["features"] == features
        assert f"{ROWS} rows" in capfd.readouterr().err
        assert run("evaluate", f"run{features}", "--data", "open.csv") == 0
    for option, value in (("--delimiter", "ab"), ("--decimal", "x")):
        assert run("train", "dense", "--data", "open.csv", option, value, *SMALL, "-o", "bad") == 2
        assert "cannot be used" in capfd.readouterr().err
    np.save("rows.npy", smooth_examples((3,), ROWS))
    assert run("train", "dense", "--data", "rows.npy", "--drop", "b", *SMALL, "-o", "bad") == 2
    assert "only tables have columns" in capfd.readouterr().err
