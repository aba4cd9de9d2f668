"""The command, as a user types it: one path through all of it, then its errors and its silence."""

import hashlib
import importlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from conftest import ROOT, mostly_exhaustive
from conftest import run_command as run
from PIL import Image

import aezoo
from aezoo import data
from aezoo.cli.main import COMMANDS
from aezoo.testing import smooth_examples
from aezoo.training.recipe import build_for

SHAPE = (16, 12, 1)


def test_the_whole_path(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.savez("blobs.npz", images=smooth_examples(SHAPE, 300), labels=np.arange(300) % 3)
    small = ["-O", "filters=4,8", "--latent-dim", 3, "--epochs", 1]
    assert run("train", "conv", "--data", "blobs.npz", *small, "-o", "run") == 0
    printed = capfd.readouterr()
    assert "psnr_db" in printed.out
    assert "PCA, 3 components" in printed.out
    assert run("train", "conv", "--data", "blobs.npz", *small, "-o", "run") == 1
    assert "lies in this folder already" in capfd.readouterr().err
    assert run("train", "conv", "--data", "blobs.npz", *small, "-o", "run", "--overwrite", "--json") == 0
    metrics = json.loads(capfd.readouterr().out)
    assert metrics["test_examples"] == 30

    assert run("evaluate", "run", "--json") == 0
    again = json.loads(capfd.readouterr().out)
    assert again["mse"] == pytest.approx(metrics["mse"], rel=1e-4)

    # In a process of its own, as a user has it: TensorFlow logs what an earlier test made of it.
    done = subprocess.run(
        [sys.executable, "-m", "aezoo", "export", "run", "-o", "bundle"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0
    assert "proven" in done.stdout
    digest = hashlib.sha256(pathlib.Path("bundle/manifest.json").read_bytes()).hexdigest()
    assert f"digest: {digest}\n" in done.stdout
    assert done.stderr == ""
    assert run("verify", "bundle", "--json", "--digest", digest) == 0
    assert len(json.loads(capfd.readouterr().out)["artifacts"]) == 8
    assert run("evaluate", "bundle") == 2  # a bundle carries no path of the machine it was made on
    assert "--data" in capfd.readouterr().err
    assert str(tmp_path) not in pathlib.Path("bundle/manifest.json").read_text("utf-8")
    assert run("evaluate", "bundle", "--data", "blobs.npz", "--json") == 0  # the same test part
    assert json.loads(capfd.readouterr().out)["mse"] == pytest.approx(metrics["mse"], rel=1e-3)

    images = smooth_examples(SHAPE, 5, seed=9)
    np.save("images.npy", images)
    assert run("encode", "bundle", "images.npy", "-o", "latents.npy") == 0
    assert np.load("latents.npy").shape == (5, 3)
    assert run("decode", "bundle", "latents.npy", "-o", "decoded.npy") == 0
    assert run("reconstruct", "bundle", "images.npy", "-o", "again.npy") == 0
    np.testing.assert_allclose(np.load("decoded.npy"), np.load("again.npy"), atol=1e-5)
    assert run("reconstruct", "bundle", "images.npy", "-o", "pictures") == 0
    picture = np.asarray(Image.open("pictures/2.png"))
    np.testing.assert_allclose(picture / 255, np.load("again.npy")[2, :, :, 0], atol=0.003)
    capfd.readouterr()
    assert run("score", "bundle", "images.npy", "--json") == 0
    rows = json.loads(capfd.readouterr().out)
    by_hand = np.mean((images - np.load("again.npy")) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose([row["reconstruction_error"] for row in rows], by_hand, rtol=1e-3)
    assert run("bench", "bundle", "--quick", "--formats", "onnx", "--json", "--batch", "1,3") == 0
    rows = json.loads(capfd.readouterr().out)["rows"]
    assert {(row["part"], row["batch"]) for row in rows} == {
        (part, size) for part in ("encoder", "decoder", "reconstructor", "scorer") for size in (1, 3)
    }
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in rows)
    for what, word in (("bundle", "encoder.onnx"), ("run", "content_hash"), ("conv", "kernel_size")):
        assert run("info", what) == 0
        assert word in capfd.readouterr().out


def test_images_in_folders_are_scored_by_name(exported, tmp_path, capfd):
    images = np.rint(smooth_examples(SHAPE, 3) * 255).astype("uint8")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, image in zip(("a.png", "deep/b.png", "c.PNG"), images, strict=True):
        Image.fromarray(image[..., 0]).save(tmp_path / "in" / name)
    assert run("score", exported, tmp_path / "in") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "example,reconstruction_error,p_value,is_anomaly"
    assert [line.split(",")[0] for line in lines[1:]] == ["a.png", "c.PNG", "deep/b.png"]
    assert run("encode", exported, tmp_path / "in" / "a.png", "-o", tmp_path / "one.npy") == 0
    assert np.load(tmp_path / "one.npy").shape == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, ["COMMAND"]),
        (["trian"], 2, ["trian"]),
        (["info", "cnov"], 2, ["did you mean 'conv'?"]),
        (["info", "nope"], 2, ["no model of this name\n"]),  # nothing is near
        (["info", str(ROOT / "docs")], 1, ["neither a run nor a bundle", "a folder of other things"]),
        (["info", str(ROOT / "README.md")], 1, ["neither a run nor a bundle", "README.md, a file"]),
        (["list", "cnov*"], 2, ["no model's name matches", "did you mean 'conv'?"]),
        (["export", str(ROOT / "README.md")], 1, ["this is a file, not the folder of a run"]),
        (["export", str(ROOT / "docs")], 1, ["no run in this folder", "a folder of its own"]),
        (["train", "dense", "--epochs", "0", "-o", "none"], 2, ["fix:      pass --epochs 12"]),
        (
            ["train", "conv", "--data", "quasi_periodic"],
            2,
            ["fix:      aezoo train conv1d --data quasi_periodic"],
        ),
        (["bench", "x", "--csv", "."], 2, ["--csv ", "bench.csv"]),
        (["train"], 2, ["which model is to be trained?"]),
        (["train", "cnov"], 2, ["did you mean 'conv'?"]),
        (["train", "conv", "-O", "filters"], 2, ["NAME=VALUE"]),
        (["train", "conv", "--epochs", "0", "-o", "none"], 2, ["epochs=0"]),
        (["train", "conv", "--data", "mnits"], 1, ["mnist"]),
        (["train", "conv", "--data", "no.npz"], 1, ["no.npz"]),
        (["train", "--resume", "-o", "nowhere"], 1, ["no run in this folder"]),
        (["train", "conv", "--resume", "-o", "nowhere"], 1, ["no run in this folder"]),
        (["export", "nowhere"], 1, ["no run in this folder"]),
        (["verify", "nowhere"], 1, ["no bundle"]),
        (["encode", "nowhere", "x.npy"], 1, ["no bundle"]),
        (["bench", "nowhere", "--batch", "0"], 2, ["--batch 0"]),
    ],
)
def test_errors_go_to_standard_error_with_their_status(
    arguments, status, words, capfd, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == status
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    for word in words:
        assert word in printed.err
    assert not list(tmp_path.iterdir())


def test_help_says_which_extra_each_command_needs(capfd):
    assert run("--help") == 0
    printed = capfd.readouterr().out
    told = printed[printed.index("run bundles on the base install") :]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for add, extra in COMMANDS:
        assert re.search(rf"\b{add.__name__.removeprefix('add_').replace('_', '-')}\b", told)
        assert extra is None or extra in extras


@pytest.mark.parametrize("command", ["sample", "decode"])
def test_labels_of_a_command_without_a_source(command, capfd):
    assert run(command, "--help") == 0
    assert "that the source has" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("verb", "name", "words"),
    [
        ("encode", "missing.npy", ["does not exist"]),
        ("encode", "notes.txt", ["no examples can be read"]),
        ("encode", "broken.npy", ["broken.npy", "no array that numpy can read safely\n"]),
        ("encode", "broken.png", ["broken.png"]),
        ("encode", "wide.npy", ["wrong shape", "(batch, 16, 12, 1)"]),
        ("evaluate", "--data=many.npy", ["many.npy: wrong shape", "(20, 16, 13, 1)", "(batch, 16, 12, 1)"]),
        ("encode", "loud.npy", ["[0, 1]"]),
        ("decode", "wide.npy", ["latents", "wrong shape"]),
        ("encode", "empty", ["no image in this folder"]),
    ],
)
def test_wrong_inputs(verb, name, words, exported, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for text in ("notes.txt", "broken.npy", "broken.png"):
        pathlib.Path(text).write_text("no array", encoding="utf-8")
    np.save("wide.npy", np.zeros((2, 16, 13, 1), "float32"))
    np.save("many.npy", np.random.default_rng(0).random((20, 16, 13, 1), "float32"))
    np.save("loud.npy", np.full((2, 16, 12, 1), 200.0, "float32"))
    pathlib.Path("empty").mkdir()
    assert run(verb, exported, name, "-o", "out.npy") == 1
    printed = capfd.readouterr()
    for word in words:
        assert word in printed.err
    assert not pathlib.Path("out.npy").exists()


def test_bytes_bundle_is_evaluated_and_bench_checks_golden(trained, tmp_path, monkeypatch, capfd):
    from aezoo.export import ExportOptions, export_bundle

    monkeypatch.chdir(tmp_path)
    np.savez("blobs.npz", images=np.rint(smooth_examples(SHAPE, 100) * 255).astype("uint8"))
    export_bundle(
        trained[0], "bytes", ExportOptions(formats=["onnx"], input_dtype="uint8"), examples=trained[1]
    )
    assert run("evaluate", "bytes", "--data", "blobs.npz", "--json") == 0
    assert 0 < json.loads(capfd.readouterr().out)["mse"] < 1
    pathlib.Path("bytes/golden.npz").write_bytes(b"")
    assert run("bench", "bytes") == 1
    assert "golden.npz is not the file" in capfd.readouterr().err


def test_results_never_replace_examples_or_each_other(exported, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("in").mkdir()
    for name in ("a.png", "a.jpg"):
        Image.fromarray(np.zeros((16, 12), "uint8")).save(f"in/{name}")
    assert run("reconstruct", exported, "in", "-o", "in") == 1
    assert "over the examples" in capfd.readouterr().err
    assert run("reconstruct", exported, "in", "-o", "out") == 0
    assert sorted(path.name for path in pathlib.Path("out").glob("[!.]*")) == ["a.jpg.png", "a.png.png"]
    for output in (".", ""):
        assert run("encode", exported, "in", "-o", output) == 1
        assert "cannot be written in this form" in capfd.readouterr().err


def test_columns_go_by_their_names(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    rows = smooth_examples((3,), 60)
    np.savetxt("train.csv", rows, delimiter=",", header="a,b,c", comments="")
    more = np.column_stack([rows[:, [1, 0]], np.arange(60) / 7, rows[:, 2]])
    np.savetxt("swapped.csv", more, delimiter=",", header="b,a,other,c", comments="")
    np.savetxt("short.csv", rows[:, :2], delimiter=",", header="a,b", comments="")
    assert run("train", "dense", "--data", "train.csv", "-O", "units=4", "--epochs", 1, "-o", "run") == 0
    assert run("export", "run", "-o", "bundle", "--formats", "onnx") == 0
    capfd.readouterr()
    assert run("score", "bundle", "train.csv") == 0
    scores = capfd.readouterr().out
    assert run("score", "bundle", "swapped.csv") == 0
    printed = capfd.readouterr()
    assert printed.out == scores
    assert "other" in printed.err
    assert run("score", "bundle", "short.csv") == 1
    assert "'c'" in capfd.readouterr().err
    assert run("train", "conv", "--data", "train.csv", "-o", "other") == 2
    assert "does not take rows" in capfd.readouterr().err


def test_one_seed_is_for_all_of_a_run(tmp_path, monkeypatch):
    from aezoo.training.run import Run

    monkeypatch.chdir(tmp_path)
    np.save("blobs.npy", smooth_examples(SHAPE, 60))
    small = ["-O", "body_options={'filters': 4}", "--epochs", 1]
    assert run("train", "denoising", "--data", "blobs.npy", *small, "--seed", 5, "-o", "run") == 0
    assert Run("run").info["options"]["seed"] == 5


def test_a_place_that_cannot_be_written(capfd):
    assert run("train", "conv", "--epochs", 1, "-o", "/proc/nowhere") == 1
    error = capfd.readouterr().err
    assert "the system refused to read or write" in error
    assert "Traceback" not in error


def test_help_teaches(capfd):
    for command in (
        "list",
        "info",
        "train",
        "evaluate",
        "export",
        "verify",
        "encode",
        "decode",
        "reconstruct",
        "score",
        "bench",
    ):
        assert run(command, "--help") == 0
        printed = capfd.readouterr().out
        assert "example:" in printed
        assert f"aezoo {command}" in printed


def test_list_as_json(capfd):
    assert run("list", "--json", "d*") == 0
    assert [row["name"] for row in json.loads(capfd.readouterr().out)] == ["denoising", "dense"]


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m aezoo list --json | head -c 1",
        shell=True,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "Traceback" not in done.stderr


RECIPES = [path for path in sorted((ROOT / "recipes").glob("*.py")) if "RECIPE = " in path.read_text("utf-8")]
# One of each kind as a user runs it; of the others each step is the same code with another model.
AS_PROGRAMS = ("conv_mnist", "dense_tabular", "denoising_mnist", "conditional_vae_mnist", "vq_vae_mnist")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_state_what_they_do_and_can_be_built(path):
    docstring = path.read_text("utf-8").split('"""')[1]
    for word in ("Source:", "Settings:", "Expected:"):
        assert word in docstring, f"{path.name} does not state {word}"
    assert "not measured yet" not in docstring
    recipe = importlib.import_module(f"aezoo.recipes.{path.stem}").RECIPE
    dataset = data.load(recipe.data, validation_fraction=recipe.validation_fraction)
    model = build_for(recipe.model, recipe.options, dataset)
    model.compile(loss=recipe.settings.loss)  # as training does: a loss of its own is refused here
    examples = dataset.train.array(3)
    assert model.encode(examples, **model.labels_in_turn(3)).shape == (3, *model.latent_shape)


@pytest.mark.parametrize("name", mostly_exhaustive(AS_PROGRAMS, AS_PROGRAMS[:1].__contains__))
@pytest.mark.exhaustive
def test_recipes_run_quickly_and_quietly(name, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "recipes" / f"{name}.py", "--quick", "-o", "run"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(r"epoch +1/1 ", done.stdout)
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert (tmp_path / "run" / "samples.png").is_file() == (name != "dense_tabular")


def test_moving_about_in_the_latent_space(exported, trained, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", trained[1][:3])
    assert run("sample", exported, "-n", 4, "--seed", 7, "-o", "drawn.npy") == 0
    np.testing.assert_allclose(np.load("drawn.npy"), trained[0].sample(4, 7), atol=1e-5)
    assert run("sample", exported, "-n", 12, "-o", "drawn") == 0
    assert len(list(pathlib.Path("drawn").glob("sample_*.png"))) == 12
    assert (
        run("interpolate", exported, "images.npy", "--steps", 5, "--path", "spherical", "-o", "way.npy") == 0
    )
    way, model = np.load("way.npy"), trained[0]
    assert way.shape == (5, *SHAPE)
    np.testing.assert_allclose(way[[0, -1]], model.reconstruct(trained[1][:2]), atol=1e-5)
    assert run("traverse", exported, "images.npy", "--axis", 1, "--values=-1,2", "-o", "axis.npy") == 0
    expected = model.traverse(trained[1][0], 1, [-1.0, 2.0])
    np.testing.assert_allclose(np.load("axis.npy"), expected, atol=1e-5)
    capfd.readouterr()
    np.save("one.npy", trained[1][:1])
    for arguments, words in (
        (("interpolate", exported, "one.npy"), "two ends"),
        (("traverse", exported, "images.npy", "--axis", 9), "0 to 3"),
        (("traverse", exported, "images.npy", "--values", "a,b"), "commas"),
        (("sample", exported, "-n", 0), "at least 1"),
        (("sample", exported, "--labels", "1"), "takes no labels"),
    ):
        assert run(*arguments) in (1, 2)
        assert words in capfd.readouterr().err


def test_evaluate_writes_its_figures(exported, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    np.savez("blobs.npz", images=smooth_examples(SHAPE, 120), labels=np.arange(120) % 3)
    assert run("evaluate", exported, "--data", "blobs.npz") == 0
    figures = json.loads(pathlib.Path("metrics.json").read_text("utf-8"))
    assert {"knn_accuracy", "linear_probe_accuracy", "trustworthiness"} <= set(figures["latents"])
    assert "linear_probe_accuracy" in capfd.readouterr().out


def test_a_run_may_start_from_another(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", smooth_examples((4,), 200))
    small = ["--data", "rows.npy", "--latent-dim", 2, "--epochs", 1, "--json"]
    vae = ["train", "vae", *small, "-O", "body_options={'units': (8,)}"]
    assert run(*vae, "-o", "first", "--learning-rate", 0.01) == 0
    iwae = ["train", "iwae", *small, "-O", "body_options={'units': (8,)}", "-o", "second"]
    assert run(*iwae, "--start-from", "first", "--learning-rate", 1e-12) == 0
    rows = np.load("rows.npy")[:5]
    first, second = (aezoo.load(folder).encode(rows) for folder in ("first", "second"))
    np.testing.assert_allclose(first, second, atol=1e-6)
    capfd.readouterr()
    assert run("train", "vae", *small, "-o", "third", "--start-from", "first") == 1
    assert "weights of other shapes" in capfd.readouterr().err
