"""What must not depend on the machine: its locale, time zone, hash seed, number of cores, umask and home."""

import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, four_lines
from PIL import Image

from aezoo import data, runtime
from aezoo.core import imports, processes
from aezoo.core.errors import AezooError, BundleError
from aezoo.data import reading
from aezoo.explorer import web_runtime
from aezoo.runtime import manifest as contract

# No UTF-8 anywhere: Python would turn its own mode of that on where the locale is C.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ELSEWHERE = {**ASCII, "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "7", "COLUMNS": "20", "HOME": os.devnull}


def python(*arguments, cwd, **environment):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


# TensorFlow's own files name themselves by chance, and the manifest and card list sizes of all.
EXPORT = """
import os, sys
core, umask = sys.argv[2:]
if core == "one" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
os.umask(int(umask, 8))
import aezoo
from aezoo.nn.autoencoder import keras
from aezoo.export import ExportOptions, export_bundle
from aezoo.testing import smooth_examples

keras.utils.set_random_seed(3)
model = aezoo.build("conv", latent_dim=3, image_shape=(9, 11, 1), filters=(4, 6))
examples = smooth_examples(model.example_shape, 200)
options = ExportOptions(formats=["onnx", "litert"], licence="\\xa9 J\\xf6rg")
export_bundle(model, sys.argv[1], options, examples=examples)
"""


@pytest.mark.exhaustive
def test_a_bundle_has_the_same_bytes_elsewhere(tmp_path):
    pytest.importorskip("ai_edge_litert")
    for folder in ("here", "else where"):
        (tmp_path / folder).mkdir()
    running = [
        python("-c", EXPORT, "a", "all", "022", cwd=tmp_path / "here", TZ="UTC", PYTHONHASHSEED="0"),
        python("-c", EXPORT, "b", "one", "077", cwd=tmp_path / "else where", **ELSEWHERE),
    ]
    for process in running:
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()
    here, elsewhere = tmp_path / "here" / "a", tmp_path / "else where" / "b"
    names = sorted(path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file())
    assert {"README.md", "manifest.json", "golden.npz", "scorer.onnx", "decoder.tflite"} <= set(names)
    for name in names:
        assert (here / name).read_bytes() == (elsewhere / name).read_bytes(), name
    assert "\xa9 J\xf6rg" in (elsewhere / "README.md").read_text("utf-8")


def test_commands_print_in_any_locale_and_width(tmp_path):
    running = {
        arguments: python("-m", *arguments, cwd=tmp_path, **ELSEWHERE)
        for arguments in (
            ("aezoo", "list"),
            ("aezoo", "info", "vae"),
            ("aezoo.recipes.dense_mnist", "--help"),
            ("aezoo.recipes.one_latent", "--help"),
        )
    }
    for arguments, process in running.items():
        told, said = process.communicate()
        assert (process.returncode, said) == (0, b""), arguments
        assert told.isascii()
        if arguments[0] == "aezoo.recipes.dense_mnist":
            assert b"test mse 0.0080 ~ 0.0004" in told


def test_what_a_locale_cannot_say_is_spelled_out(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "latin-1", errors="strict"))
    imports.print_anything()
    print("Größe 3² ± 1… \u4e2d", "b\udcff.png", flush=True)
    assert written.getvalue() == "Größe 3² ± 1. ? b\xff.png\n".encode("latin-1")


def test_a_folder_that_the_runtimes_cannot_spell(exported, tmp_path):
    folder = tmp_path / "Bücher ö"
    shutil.copytree(exported, folder / "bundle")
    verify = ["-m", "aezoo", "verify", "bundle", "--trust"]
    refused = python(*verify, cwd=folder, **ASCII)
    # -X utf8 is no setting of the environment, and what proves is a process of its own.
    passed = python("-X", "utf8", *verify, cwd=folder, **ASCII)
    _, said = refused.communicate()
    assert refused.returncode == 1
    four_lines(said.decode("ascii"), "BundleError", "B\\udcc3\\udcbccher", "ascii", "PYTHONUTF8=1")
    _, said = passed.communicate()
    assert passed.returncode == 0, said.decode()
    assert runtime.load(folder / "bundle")
    with pytest.raises(BundleError) as error:
        contract.check_target(tmp_path / "b\udcff")
    four_lines(error, "b\\udcff", "LC_ALL")


def test_processes_speak_utf_8(monkeypatch):
    for name, value in ASCII.items():
        monkeypatch.setenv(name, value)
    process = processes.fresh("json.tool")  # says in ASCII which letters it was told
    assert process.communicate('"\u4e2d\udcff"')[0] == '"\\u4e2d\\udcff"\n'


def test_a_user_without_a_home(monkeypatch):
    def nobody(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(web_runtime.pathlib.Path, "home", nobody)
    with pytest.raises(AezooError) as error:
        web_runtime.find()
    four_lines(error, "no HOME", "XDG_CACHE_HOME", "runtime=")


@pytest.mark.parametrize("home", ["home", os.devnull])
def test_nothing_is_written_into_the_home_folder_or_said(home, exported, tmp_path):
    (tmp_path / "home").mkdir()
    code = "import sys, aezoo; print(aezoo.load(sys.argv[1]).decode([[0.0] * 4]).shape)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    environment |= {"HOME": str(tmp_path / home), "PYTHONPATH": str(ROOT)}
    for name in ("CI", "TF_BUILD", "GITHUB_ACTIONS"):  # onnxruntime is quiet where it sees one
        environment.pop(name, None)
    command = [sys.executable, "-c", code, str(exported)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1, 16, 12, 1)\n", "")
    assert not list((tmp_path / "home").rglob("*"))


class Listed:
    """What `os.scandir` gives: an iterator that can be closed."""

    def __init__(self, entries):
        self.entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def close(self):
        pass


def test_the_order_in_which_a_file_system_lists_its_files(tmp_path, monkeypatch):
    for number, name in enumerate(("b/2", "b/10", "a/1", "c/d/3", "c/d/e/4", "a/0")):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), number, "uint8")).save(path)

    def found():
        loaded = data.load(str(tmp_path / "images"), validation_fraction=0.2)
        parts = (loaded.train, loaded.validation, loaded.test)
        return [
            *(part.array().tobytes() for part in parts),
            loaded.label_names,
            reading.read_path(tmp_path / "images", (4, 4, 1)).names,
            reading.read_path(tmp_path / "images", (4, 4, 1)).array.tobytes(),
            list(contract.hash_files(tmp_path, "images")),
        ]

    before = found()
    listdir, scandir = os.listdir, os.scandir
    for order in (lambda them: them, lambda them: them[::-1]):
        monkeypatch.setattr(os, "listdir", lambda *given, order=order: order(sorted(listdir(*given))))
        monkeypatch.setattr(
            os,
            "scandir",
            lambda *given, order=order: Listed(order(sorted(scandir(*given), key=lambda entry: entry.name))),
        )
        assert found() == before
