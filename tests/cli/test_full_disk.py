"""A disk that is full: four lines, what was there before is whole, and nothing is left behind."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import four_lines

from aezoo.cli.main import main
from aezoo.core.files import DRAFT
from aezoo.testing import smooth_examples

COMMANDS = {
    "train": [
        "train",
        "dense",
        "--data",
        "{images}",
        "--latent-dim",
        "2",
        "--epochs",
        "1",
        "-o",
        "{disk}/run",
    ],
    "export": ["export", "{run}", "--formats", "onnx", "-o", "{disk}/bundle"],
    "encode": ["encode", "{bundle}", "{images}", "-o", "{disk}/latents.npy"],
    "reconstruct": ["reconstruct", "{bundle}", "{images}", "-o", "{disk}/again.npy"],
    "pictures": ["reconstruct", "{bundle}", "{images}", "-o", "{disk}/pictures"],
    "evaluate": ["evaluate", "{bundle}", "--data", "{images}", "-o", "{disk}/metrics.json"],
    "plot": ["plot", "{run}", "-o", "{disk}/plots"],
    "layout": ["serve-layout", "{bundle}", "-o", "{disk}/models"],
    "sample": ["sample", "{run}", "-n", "2000", "-o", "{disk}/samples.npy"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    np.save(folder / "images.npy", smooth_examples((9, 8, 1), 1500))
    places = {"images": folder / "images.npy", "run": folder / "run", "bundle": folder / "bundle"}
    train = ["train", "dense", "--data", str(places["images"]), "--latent-dim", "2", "--epochs", "1"]
    assert main([*train, "-o", str(places["run"])]) == 0
    assert main(["export", str(places["run"]), "--formats", "onnx", "-o", str(places["bundle"])]) == 0
    return places


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    size = ["-o", "size=64k,nr_inodes=200"]
    if os.name != "posix" or subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", place]).returncode:
        pytest.skip("needs root, to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def held(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(name, made, disk, capfd):
    command = [word.format(**made, disk=disk) for word in COMMANDS[name]]
    target = disk / command[-1].rpartition("/")[2]
    if target.suffix:
        target.write_bytes(b"earlier")
    with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
        while filler.write(b"0" * 1024):
            pass
    before = held(disk)
    assert main(command) == 1
    told = capfd.readouterr().err.strip().splitlines()[-4:]
    four_lines("\n".join(told), "No space left on device")
    assert held(disk) == before
    assert not list(disk.rglob(f"{DRAFT}*"))


@pytest.mark.exhaustive
def test_a_full_standard_output(made, capfd):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    command = [sys.executable, "-m", "aezoo", "score", str(made["bundle"]), str(made["images"])]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 1
    four_lines(done.stderr.strip().removeprefix("OSError: "), "No space left")
