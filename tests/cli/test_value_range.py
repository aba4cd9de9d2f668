"""A camera of 12 bits through the commands: the range is said once, recorded, and never asked for again."""

import argparse
import json

import numpy as np
import pytest
from conftest import run_command as run
from PIL import Image

from aezoo.cli.main import COMMANDS
from aezoo.testing import smooth_examples

SHAPE = (12, 10, 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images of 12 bits, a run on them, and its bundle."""
    folder = tmp_path_factory.mktemp("camera")
    (folder / "photos").mkdir()
    for number, image in enumerate(smooth_examples(SHAPE, 60)):
        deep = np.rint(1000 + 463 * image[..., 0]).astype(np.uint16)
        Image.fromarray(deep).save(folder / "photos" / f"{number:02}.png")
    (folder / "photos" / "notes.txt").write_text("taken on Monday", encoding="utf-8")
    return folder


@pytest.fixture
def here(place, monkeypatch, capfd):
    monkeypatch.chdir(place)
    if not (place / "run").exists():
        small = ["--latent-dim", 3, "-O", "units=8", "--epochs", 1]
        assert run("train", "dense", "--data", "photos", *small, "-o", "run") == 0
        place.joinpath("said.txt").write_text(capfd.readouterr().err, encoding="utf-8")
        assert run("export", "run", "-o", "bundle", "--formats", "onnx") == 0
        capfd.readouterr()
    return place


def test_train_says_the_range_and_what_it_does_not_read(here):
    said = (here / "said.txt").read_text("utf-8")
    low, high = json.loads((here / "run" / "run.json").read_text("utf-8"))["data"]["load_options"][
        "value_range"
    ]
    assert "note: photos: 1 of 61 files not read: 1 .txt (notes.txt)\n" in said
    assert "note: photos: uint16 pixels, scaled by the smallest and the largest value" in said
    assert f"--value-range {low:g},{high:g} would state them\n" in said
    assert 990 < low < high < 1470


def test_the_bundle_reads_as_the_training_did(here, capfd):
    recorded = json.loads((here / "bundle" / "manifest.json").read_text("utf-8"))["run"]["data"]
    assert recorded["pixel_dtype"] == "uint16"
    assert recorded["unread_files"] == {".txt": 1}
    low, high = recorded["load_options"]["value_range"]
    assert run("encode", "bundle", "photos", "-o", "latents.npy") == 0
    assert "note: photos: 1 of 61 files not read" in capfd.readouterr().err
    paths = sorted((here / "photos").glob("*.png"))
    floats = np.stack([np.asarray(Image.open(path), np.float64) for path in paths])
    floats = np.clip((floats - low) / (high - low), 0, 1).astype(np.float32)[..., None]
    np.save(here / "floats.npy", floats)
    assert run("encode", "bundle", "floats.npy", "-o", "by_hand.npy") == 0
    assert np.array_equal(np.load(here / "latents.npy"), np.load(here / "by_hand.npy"))


def test_reconstructions_are_pictures_of_sixteen_bits(here, capfd):
    assert run("reconstruct", "bundle", "photos", "-o", "again") == 0
    assert run("reconstruct", "bundle", "photos", "-o", "again.npy") == 0
    with Image.open(here / "again" / "07.png") as opened:
        assert opened.mode == "I;16"
        picture = np.asarray(opened, np.float64)
    low, high = json.loads((here / "run" / "run.json").read_text("utf-8"))["data"]["load_options"][
        "value_range"
    ]
    expected = low + np.load(here / "again.npy")[7, ..., 0].astype(float) * (high - low)
    assert np.abs(picture - expected).max() < 0.51
    assert run("sample", "bundle", "-n", 2, "-o", "samples") == 0
    with Image.open(here / "samples" / "sample_0.png") as opened:
        assert opened.mode == "I;16"


def test_another_depth_is_refused_unless_a_range_is_stated(here, capfd):
    (here / "flat").mkdir(exist_ok=True)
    Image.fromarray(np.full((12, 10), 200, np.uint8)).save(here / "flat" / "a.png")
    assert run("score", "bundle", "flat") == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "another depth" in printed.err
    assert "pass --value-range 0,255 if" in printed.err
    assert run("score", "bundle", "flat", "--value-range", "0,255") == 0
    assert "a.png" in capfd.readouterr().out
    assert run("score", "bundle", "flat", "--value-range=-10,100") == 0
    assert (
        "note: flat: 120 of 120 pixel values lie outside of the value range -10 to 100"
        in capfd.readouterr().err
    )
    assert run("score", "bundle", "flat", "--value-range", "9,3") == 2
    assert "pass --value-range 0,4095" in capfd.readouterr().err
    assert run("score", "bundle", "flat", "--value-range", "nine") == 2


def test_every_command_that_takes_images_takes_a_range():
    commands = argparse.ArgumentParser().add_subparsers()
    for add, _ in COMMANDS:
        add(commands)
    reading = set()
    for name, parser in commands.choices.items():
        names = {action.dest for action in parser._actions}
        if names & {"source", "normals"}:
            assert "value_range" in names, name
            reading.add(name)
    assert {"train", "export", "encode", "score", "calibrate", "plot", "explore", "compare"} <= reading


def test_a_resumed_run_keeps_its_range(here, capfd):
    assert run("train", "--resume", "-o", "run", "--value-range", "0,4095") == 2
    error = capfd.readouterr().err
    assert "a resumed run goes on as it was begun" in error
    assert "[0.0, 4095.0]" in error
