"""Files and folders whose names mean something to a terminal, rich, Matplotlib or CSV, in every command."""

import csv
import io
import json
import os

import numpy as np
import pytest
from conftest import run_command as run
from PIL import Image

from aezoo.core.shown import one_line
from aezoo.testing import smooth_examples

NAMES = ["[", "[red]x", "$\\frac{$", "=1+1", "a\x1b[31m\nb", "_c", os.fsdecode(b"d\xff")]
CONTROLS = {"\x1b", "\x07", "\x9b", "\u202e", "\r"}


@pytest.fixture
def images(tmp_path):
    """A folder of a folder a class, each with an image of the class's name."""
    folder = tmp_path / "pictures [b]\x1b[31m"
    for number, picture in enumerate(smooth_examples((16, 12, 1), 3 * len(NAMES))):
        file = folder / file_of(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((picture[..., 0] * 255).astype("uint8")).save(file)
    return folder


def file_of(number):
    name = NAMES[number // 3]
    return f"{name}/{'nope]' if name == '[' else name}{number % 3}.png"  # one of them is [/nope]0.png


def shown(text):
    assert not CONTROLS & set(text), ascii(text)
    return text


def test_commands_on_a_bundle(exported, images, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run("score", exported, images) == 0
    told = capfd.readouterr().out  # into a file as the names are: it is data
    rows = list(csv.DictReader(io.StringIO(told, newline="")))
    names = [row["example"] for row in rows]
    assert sorted(names) == sorted(map(file_of, range(3 * len(NAMES))))
    assert run("score", exported, images, "--json") == 0
    told = shown(capfd.readouterr().out)
    assert [row["example"] for row in json.loads(told)] == names
    for command, output in (("encode", "a[x]\x1b.npy"), ("reconstruct", "b[x]\x1b")):
        assert run(command, exported, images, "-o", output) == 0
        assert one_line(output) in shown(capfd.readouterr().out)
    assert np.load("a[x]\x1b.npy").shape == (21, 4)
    for number in range(3 * len(NAMES)):
        assert (tmp_path / "b[x]\x1b" / file_of(number)).is_file()
    assert run("plot", exported, "--data", images, "--maps", "latents,interpolations", "-o", "p[x]\x1b") == 0
    assert one_line(images.name) in shown(capfd.readouterr().out)
    (images / NAMES[4] / "e\x1b[31m.png").write_bytes(b"no image")
    for command in ("encode", "score", "plot"):
        given = ["--data", images, "-o", "q"] if command == "plot" else [images]
        assert run(command, exported, *given) == 1
        lines = shown(capfd.readouterr().err).splitlines()
        assert [line.split(":")[0].strip() for line in lines[1:]] == ["got", "expected", "fix"], lines
        assert r"e\x1b[31m.png" in lines[1]


def test_a_terminal_gets_csv_that_it_can_show(exported, images, monkeypatch, capsys):
    import sys

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run("score", exported, images) == 0
    told = shown(capsys.readouterr().out)
    names = [row["example"] for row in csv.DictReader(io.StringIO(told))]
    assert r"a\x1b[31m\nb/a\x1b[31m\nb0.png" in names
    assert len(names) == 21


def test_what_is_not_there(tmp_path, capfd):
    for command in ("encode", "info", "verify", "explore", "serve-layout", "score", "compare", "bench"):
        more = {"encode": ["x"], "score": ["x"], "compare": ["x", "--data", "x"]}.get(command, [])
        assert run(command, tmp_path / "[red][/nope]\x1b[31m\n  fix:      curl evil", *more) in (1, 2)
        lines = shown(capfd.readouterr().err).splitlines()
        assert [line.split(":")[0].strip() for line in lines[1:]] == ["got", "expected", "fix"], lines


@pytest.mark.exhaustive
def test_training_on_them(images, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    given = ["-O", "units=8,", "--latent-dim", "2", "--epochs", "1", "-o", "run[x]\x1b"]
    assert run("train", "dense", "--data", images, *given) == 0
    told = capfd.readouterr()
    assert one_line(images.name) in shown(told.out)
    shown(told.err)
    for command in (["evaluate", "run[x]\x1b"], ["info", "run[x]\x1b"], ["plot", "run[x]\x1b", "-o", "plots"],
                    ["export", "run[x]\x1b", "--formats", "onnx", "-o", "bundle[x]\x1b"],
                    ["info", "bundle[x]\x1b"], ["verify", "bundle[x]\x1b"],
                    ["serve-layout", "bundle[x]\x1b"]):  # fmt: skip
        assert run(*command) in (0, 3), command
        told = capfd.readouterr()
        shown(told.out + told.err)


@pytest.mark.parametrize("name", ["x" * 10_000_000, "[/nope]\x1b[31m\n\u202e"])
def test_info_of_a_run_that_somebody_else_wrote(name, tmp_path, capfd):
    info = {
        "model": name,
        name: name,
        "options": {name: [name], "n": float("nan")},
        "kinds": [1, name],
        "artifacts": [{"file": name, "size_bytes": name}, {}],
        "empty": [],
    }
    (tmp_path / "run.json").write_text(json.dumps(info), encoding="utf-8")
    (tmp_path / "model.keras").touch()
    status = run("info", tmp_path)
    told = capfd.readouterr()
    assert len(shown(told.out + told.err)) < 20_000
    assert (status, told.err) == (0, "") or status == 1
    if run("info", tmp_path, "--json") == 0:
        assert json.loads(capfd.readouterr().out, parse_constant=pytest.fail)["options"]["n"] is None
