"""Every command that takes examples takes every source, and refuses what is none in the same words."""

import argparse
import pathlib

import numpy as np
import pytest
from conftest import run_command as run

from aezoo.cli.main import COMMANDS
from aezoo.cli.spoken import in_words_of
from aezoo.data.reading import split_part


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run on the embedded digits, its bundle, and a few of the digits as a file."""
    from aezoo import data

    folder = tmp_path_factory.mktemp("sources")
    digits = data.load("mnist_mini")
    np.savez(folder / "few.npz", images=digits.test.array(40), labels=digits.test.labels[:40])
    small = ["--latent-dim", 2, "-O", "units=8", "--epochs", 1, "--batch-size", 512, "--json"]
    assert run("train", "dense", "--data", "mnist_mini", *small, "-o", folder / "run") == 0
    assert run("export", folder / "run", "-o", folder / "bundle", "--formats", "onnx") == 0
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


# Every command with a source, as SOURCE.
TAKERS = {
    "encode": "encode bundle SOURCE -o out.npy",
    "reconstruct": "reconstruct bundle SOURCE -o out.npy",
    "score": "score bundle SOURCE",
    "calibrate": "calibrate bundle SOURCE --false-positive-rate 0.1",
    "interpolate": "interpolate bundle SOURCE -o out.npy",
    "interpolate a run": "interpolate run SOURCE -o out.npy",
    "traverse": "traverse bundle SOURCE -o out.npy",
    "compare": "compare bundle run --data SOURCE",
    "plot": "plot bundle --data SOURCE --maps latents",
    "plot a run": "plot run --data SOURCE --maps latents",
    "evaluate": "evaluate bundle --samples 2 --data SOURCE",
    "explore": "explore bundle --data SOURCE",
    "film": "film --data SOURCE --epochs 1 --frames 3 --formats png --latent-activation tanh",
    "export --normals": "export run -o other --formats onnx --parts scorer --normals SOURCE",
    "export --anomalies": "export run -o other --formats onnx --parts scorer --anomalies SOURCE",
    "export --calibration": "export run -o other --formats onnx --parts encoder --precision int8 "
    "--budget 0.9 --calibration SOURCE",
}
# The page of `explore` wants onnxruntime-web, see test_exploring.py; the others take long.
READ = [name for name in TAKERS if name not in ("explore", "evaluate", "film", "export --calibration")]


def typed(name, source):
    return [source if word == "SOURCE" else word for word in TAKERS[name].split()]


@pytest.mark.parametrize("name", READ)
def test_a_named_dataset_is_a_source(name, here):
    assert run(*typed(name, "mnist_mini")) == 0


@pytest.mark.parametrize("name", ["encode", "compare", "evaluate", "film", "export --calibration"])
def test_a_file_is_a_source(name, here):
    assert run(*typed(name, "few.npz")) == 0


@pytest.mark.parametrize("name", TAKERS)
def test_an_unknown_source_is_refused_alike(name, here, capfd):
    assert run(*typed(name, "fwe.npz")) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-4:] == [  # `explore` says before what it begins with
        "DataError: no such file or folder (did you mean 'few.npz'?)",
        "  got:      fwe.npz (does not exist)",
        "  expected: a folder of images, or a file that ends in .npy, .npz, .csv, .tsv, .parquet, .ts",
        "  fix:      check the path",
    ]


def test_no_command_with_a_source_is_missing_here():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for add, _ in COMMANDS:
        add(commands)
    with_source = {
        name
        for name, command in commands.choices.items()
        if any(action.metavar == "SOURCE" for action in command._actions)
    }
    assert with_source - {"train"} == {name.split()[0] for name in TAKERS}


def test_parts(here, capfd):
    assert split_part("a[b].npy") == ("a[b].npy", "test")
    for source, count in (("mnist_mini", 1000), ("mnist_mini[train]", 5400), ("mnist_mini[validation]", 600)):
        assert run("encode", "bundle", source, "-o", "latents.npy") == 0
        assert np.load("latents.npy").shape == (count, 2)
    assert run("encode", "bundle", "few.npz[test]", "-o", "latents.npy") == 0
    assert len(np.load("latents.npy")) == 4  # the tenth that a training holds back; the file alone is 40
    capfd.readouterr()
    assert run("encode", "bundle", "mnist_mini[tset]", "-o", "latents.npy") == 2
    assert "did you mean 'test'?" in capfd.readouterr().err
    for command in (("evaluate", "bundle"), ("film",)):
        assert run(*command, "--data", "mnist_mini[train]") == 2
        error = capfd.readouterr().err
        assert "all its parts" in error
        assert "--data mnist_mini\n" in error
    pathlib.Path("odd[test]").mkdir(exist_ok=True)  # a path that is there comes first
    assert run("encode", "bundle", "odd[test]", "-o", "latents.npy") == 1
    assert "no image in this folder" in capfd.readouterr().err


def test_a_conditional_model_gets_the_labels_of_the_source(here, capfd):
    small = ["--latent-dim", 2, "-O", "body_options={'units': (4,)}", "--epochs", 1, "--json"]
    assert run("train", "conditional_vae", "--data", "few.npz", *small, "-o", "told") == 0
    assert run("export", "told", "-o", "told_bundle", "--formats", "onnx", "--parts", "encoder,decoder") == 0
    assert run("encode", "told_bundle", "few.npz", "-o", "by_file.npy") == 0
    labels = np.load("few.npz")["labels"]
    given = ",".join(map(str, labels))
    assert run("encode", "told_bundle", "few.npz", "--labels", given, "-o", "by_hand.npy") == 0
    np.testing.assert_array_equal(np.load("by_file.npy"), np.load("by_hand.npy"))
    np.save("bare.npy", np.load("few.npz")["images"])
    capfd.readouterr()
    assert run("encode", "told_bundle", "bare.npy", "-o", "out.npy") == 1
    assert "--labels 3,1,..." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("fix", "told"),
    [
        ("pass another folder, or overwrite=True", "pass another folder, or --overwrite"),
        ("pass image_shape=(28, 28, 1), and pad", "pass --image-shape 28x28x1, and pad"),
        ("pass servers=['triton', 'mlserver']", "pass --for triton,mlserver"),
        ("pass output='my album_2'", "pass -o 'my album_2'"),
        ("pass values=-1", "pass --values=-1"),
        ("pass beta=4, or leave image_shape out", "pass beta=4, or leave --image-shape out"),
        ("leave out overwrite", "leave out --overwrite"),
        ("export with formats=('onnx',), or not", "export with --formats onnx, or not"),
        ("choose rows with batch_sizes=... and values=...", "choose rows with --batch ... and --values ..."),
        ("pass ExportOptions(formats=('onnx',))", "pass ExportOptions(formats=('onnx',))"),
        ("numpy.savez(path, output=images)", "numpy.savez(path, output=images)"),
    ],
)
def test_a_fix_speaks_the_words_of_the_command(fix, told):
    parser = argparse.ArgumentParser()
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--image-shape", metavar="HxWxC")
    parser.add_argument("--for", dest="servers")
    parser.add_argument("-o", "--output")
    parser.add_argument("--values")
    parser.add_argument("--formats")
    parser.add_argument("--batch", dest="batch_sizes")
    assert in_words_of(parser, fix) == told
