"""Where the command writes, what it never replaces, and what it refuses before it begins to work."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from conftest import run_command as run
from PIL import Image

import aezoo
from aezoo.testing import smooth_examples

SHAPE = (16, 12, 1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capfd, *words):
    """Asserts that the last command told an error of four lines, and nothing else."""
    printed = capfd.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["got", "expected", "fix"], printed.err
    for word in words:
        assert word in printed.err


def save_model(path, name, **options):
    aezoo.build(name, **options).save(path)


@pytest.mark.parametrize("verb", ["encode", "decode", "reconstruct"])
def test_what_is_read_is_never_replaced(verb, exported, here, capfd):
    examples = smooth_examples((4,) if verb == "decode" else SHAPE, 3)
    np.save("same.npy", examples)
    os.link("same.npy", "hard.npy")
    os.symlink("same.npy", "soft.npy")
    for output in ("same.npy", "./same.npy", "hard.npy", "soft.npy"):
        assert run(verb, exported, "same.npy", "-o", output) == 1
        refused(capfd, "over the examples", "-o")
    np.testing.assert_array_equal(np.load("same.npy"), examples)
    assert run(verb, exported, "same.npy", "-o", "other.npy") == 0
    assert run(verb, exported, "same.npy", "-o", "other.npy") == 0  # an older result gives way


def test_labels_are_not_replaced_either(exported, here, capfd):
    np.save("labels.npy", np.zeros(2, "int32"))
    assert run("sample", exported, "-n", 2, "--labels", "labels.npy", "-o", "labels.npy") == 1
    refused(capfd, "over the examples")


def test_a_missing_folder_is_told_before_the_work(exported, here, monkeypatch, capfd):
    from aezoo import runtime

    np.save("images.npy", smooth_examples(SHAPE, 2))
    monkeypatch.setattr(runtime.Bundle, "encode", lambda *_: pytest.fail("it began to work"))
    for output in ("nodir/latents.npy", "folder.npy"):
        pathlib.Path("folder.npy").mkdir(exist_ok=True)
        assert run("encode", exported, "images.npy", "-o", output) == 1
        refused(capfd, output.split("/")[0])


def test_pictures_are_not_mixed_into_other_files(exported, here, capfd):
    pathlib.Path("album").mkdir()
    pathlib.Path("album/sample_0.png").write_bytes(b"mine")
    assert run("sample", exported, "-n", 3, "-o", "album") == 1
    refused(capfd, "mixed into other files", "sample_0.png", "-o album_2")
    assert pathlib.Path("album/sample_0.png").read_bytes() == b"mine"

    assert run("sample", exported, "-n", 12, "-o", "drawn") == 0
    assert run("sample", exported, "-n", 3, "-o", "drawn") == 0  # the twelve of before give way
    assert sorted(path.name for path in pathlib.Path("drawn").glob("*.png")) == [
        f"sample_{number}.png" for number in range(3)
    ]
    capfd.readouterr()
    Image.new("L", (12, 16)).save("drawn/mine.png")
    assert run("sample", exported, "-n", 2, "-o", "drawn") == 1
    refused(capfd, "mine.png")
    assert len(list(pathlib.Path("drawn").glob("*.png"))) == 4
    assert run("encode", exported, "drawn", "-o", "latents.npy") == 0
    assert np.load("latents.npy").shape == (4, 4)  # the list of what was written is no example
    capfd.readouterr()
    pathlib.Path("drawn/mine.png").unlink()
    for source in ("drawn", "drawn/sample_1.png"):
        assert run("reconstruct", exported, source, "-o", "drawn") == 1
        refused(capfd, "over the examples")


def test_default_outputs_fit_the_kind(here, capfd):
    save_model("rows.keras", "vae", features=3, latent_dim=2, body_options={"units": (4,)})
    np.save("rows.npy", smooth_examples((3,), 4))
    assert run("sample", "rows.keras", "-n", 2) == 0
    assert run("interpolate", "rows.keras", "rows.npy", "--steps", 3) == 0
    assert run("traverse", "rows.keras", "rows.npy", "--json", "--values=1,2") == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1]) == {"output": "traversal.npy", "shape": [2, 3]}
    for name, count in (("samples", 2), ("between", 3), ("traversal", 2)):
        assert np.load(f"{name}.npy").shape == (count, 3)


def test_default_outputs_of_images_are_folders(exported, here):
    assert run("sample", exported, "-n", 2) == 0
    assert len(list(pathlib.Path("samples").glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("sample", "x.npy"), 1, ["does not exist", "check the path"]),
        (("sample", "BUNDLE", "-n", "0"), 2, ["--count=0"]),
        (("sample", "BUNDLE", "-n", "10000000000000"), 1, ["MemoryError", "not enough memory"]),
        (("interpolate", "BUNDLE", "images.npy", "--steps", "0"), 2, ["--steps=0", "2, 3, 4"]),
        (("interpolate", "BUNDLE", "images.npy", "--labels", "3,4"), 2, ["one label", "[3, 4]"]),
        (("traverse", "BUNDLE", "images.npy", "--labels", "3,4"), 2, ["one label"]),
        (("traverse", "BUNDLE", "images.npy", "--values=1e39"), 1, ["values", "3.4e38"]),
        (("traverse", "BUNDLE", "single.npy"), 1, ["single.npy: wrong shape", "array[None]"]),
        (("traverse", "BUNDLE", "flat.npy"), 1, ["flat.npy: wrong shape", "[None, ..., None]"]),
        (("encode", "BUNDLE", "single.npy"), 1, ["single.npy: wrong shape", "array[None]"]),
        (("encode", "BUNDLE", "images.npy", "--labels", "1"), 1, ["takes no labels", "leave out the labels"]),
        (("decode", "BUNDLE", "x.csv"), 1, ["no latents", "x.csv (does not exist)", "-o latents.npy"]),
        (("evaluate", "BUNDLE", "--samples", "0"), 2, ["--samples=0"]),
        (("evaluate", "BUNDLE", "--examples=-3"), 2, ["--examples=-3"]),
        (("evaluate", "nowhere", "-o", "nodir/m.json"), 1, ["make the folder nodir"]),
        (
            ("encode", "BUNDLE", "images.npy", "-o", "nodir/m.npy"),
            1,
            ["no folder nodir", "make the folder nodir"],
        ),
        (("encode", "BUNDLE", "images.npy", "-o", "images.npy/m.npy"), 1, ["is a file", "pass -o m.npy"]),
        (("sample", "BUNDLE", "-o", "taken"), 1, ["a file, where a folder is wanted", "pass -o taken_2\n"]),
        (("sample", "BUNDLE", "--count", "0"), 2, ["-n 64"]),
        (("evaluate", "BUNDLE", "--samples", "0", "--data", "images.npy"), 2, ["pass --samples 200"]),
        (("export", "BUNDLE"), 1, ["this is a bundle already, not a run", "was exported from"]),
        (("encode", "BUNDLE", "images.npy[foo]"), 2, ["no part 'foo'", "images.npy[train]"]),
        (("evaluate", "BUNDLE", "--data", "images.npy", "-o", "images.npy"), 1, ["over the examples"]),
    ],
)
def test_refusals(arguments, status, words, exported, here, capfd):
    np.save("images.npy", smooth_examples(SHAPE, 3))
    pathlib.Path("taken").touch()
    np.save("single.npy", smooth_examples(SHAPE, 1)[0])
    np.save("flat.npy", smooth_examples(SHAPE, 1)[0, ..., 0])
    before = sorted(here.iterdir())
    assert run(*(exported if argument == "BUNDLE" else argument for argument in arguments)) == status
    refused(capfd, *words)
    assert sorted(here.iterdir()) == before


def test_the_figures_of_no_samples_are_refused(trained, mini):
    from conftest import four_lines

    from aezoo.core.errors import OptionError
    from aezoo.evaluation import evaluate, likelihood

    for name in ("likelihood_samples", "likelihood_examples"):
        with pytest.raises(OptionError) as error:
            evaluate(trained[0], mini, **{name: 0})
        four_lines(error, f"{name}=0")
    model = aezoo.build("vae", features=3, latent_dim=2, body_options={"units": (4,)})
    with pytest.raises(OptionError) as error:
        likelihood.figures(model, smooth_examples((3,), 4), samples=0)
    four_lines(error, "samples=0")


@pytest.mark.parametrize("name", ["ResourceExhaustedError", "OutOfMemoryError", "XlaRuntimeError"])
def test_frameworks_out_of_memory(name, exported, here, monkeypatch, capfd):
    from aezoo import runtime

    error = type(name, (Exception,), {})("RESOURCE_EXHAUSTED: of device\nmore" if name[0] == "X" else "")
    monkeypatch.setattr(runtime, "load", lambda *_, **__: (_ for _ in ()).throw(error))
    assert run("encode", exported, "images.npy") == 1
    refused(capfd, "MemoryError: there is not enough memory")


def test_commands_on_a_bundle_of_int8_alone(here, capfd):
    """What export prints next can be typed; and calibrate, which has no --precision, speaks of none."""
    np.save("some.npy", smooth_examples((8, 8, 1), 60))
    np.save("normals.npy", smooth_examples((8, 8, 1), 60, seed=1))
    train = ("train", "dense", "--data", "some.npy", "-O", "units=8,", "--latent-dim", 2, "--epochs", 1)
    assert run(*train, "-o", "run") == 0
    made = ("export", "run", "-o", "b8", "--formats", "onnx", "--precision", "int8", "--budget", 0.99)
    assert run(*made, "--normals", "normals.npy", "--false-positive-rate", 0.2) == 0
    following = capfd.readouterr().out.splitlines()[-1].partition("next: aezoo ")[2]
    assert following == "encode b8 IMAGES --precision int8"
    assert run(*following.replace("IMAGES", "some.npy").split()) == 0
    capfd.readouterr()
    assert run("calibrate", "b8", "normals.npy") == 1
    told = capfd.readouterr().err
    assert len(told.splitlines()) == 4
    assert "no scorer that can be calibrated" in told
    assert "'float32' among the precisions" in told
    assert "precision=" not in told


def test_evaluate_is_quiet(exported, here):
    np.savez("blobs.npz", images=smooth_examples((16, 12, 1), 40))
    hushed = ("TF_CPP_MIN_LOG_LEVEL", "GRPC_VERBOSITY")  # which this process has set for itself
    done = subprocess.run(
        [sys.executable, "-m", "aezoo", "evaluate", str(exported), "--data", "blobs.npz"],
        capture_output=True,
        encoding="utf-8",
        env={**{k: v for k, v in os.environ.items() if k not in hushed}, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "ssim" in done.stdout
    assert done.stderr == ""


def test_a_wrong_path_needs_no_keras_and_a_run_is_quiet(here):
    """In processes of their own: Keras speaks when it is first imported."""

    def alone(
        *arguments, code="from aezoo.cli.main import main; print(main(sys.argv[1:]), 'keras' in sys.modules)"
    ):
        return subprocess.run(
            [sys.executable, "-c", f"import sys; {code}", *arguments],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    for command in (("sample", "nowhere"), ("interpolate", "nowhere", "x"), ("traverse", "nowhere", "x")):
        done = alone(*command)
        assert done.stdout == "1 False\n"
        assert len(done.stderr.splitlines()) == 4, done.stderr
    save_model("rows.keras", "vae", features=3, latent_dim=2, body_options={"units": (4,)})
    done = alone("sample", "rows.keras", "-n", "2")
    assert done.stdout.endswith("0 True\n")
    assert done.stderr == ""
