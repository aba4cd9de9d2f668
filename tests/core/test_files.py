"""One way to write: a result has its place whole, or what was there before is there still."""

import ast
import os
import stat

import numpy as np
import pytest
from test_architecture import MODULES

from aezoo.core import files, outputs

# Functions of these write where a draft is, which they are given; a draft becomes a result in core/files.py.
INTO_DRAFTS = {
    "aezoo.core.calibration",
    "export.bundling",
    "export.model_card",
    "export.proof.golden_file",
    "export.proof.tracing",
    "export.recalibration",
    "export.to_c.artifact",
    "export.to_litert",
    "aezoo.explorer.web_runtime",
    "aezoo.film.frames",
    "aezoo.runtime.checked",
    "aezoo.runtime.manifest",
    "aezoo.training.checkpoint",
    "aezoo.training.loop",  # into a temporary folder
    "aezoo.core.outputs",
    "aezoo.evaluation.codebook",  # into memory
    "aezoo.nn.keras_internals",  # into a temporary folder
    "aezoo.testing",  # of a conformance test
}
WRITERS = {
    "write_text",
    "write_bytes",
    "savez",
    "savez_compressed",
    "savefig",
    "copyfile",
    "copytree",
    "move",
}
DRAFTING = {"replacing", "replacing_folder", "drafting", "filling"}


def writes(tree):
    """Yields the calls that write, but for those in the body of a `with replacing(...)` or the like."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.With) and any(
            isinstance(item.context_expr, ast.Call) and name_of(item.context_expr.func) in DRAFTING
            for item in node.items
        ):
            continue
        if isinstance(node, ast.Call):
            name, arguments = name_of(node.func), [*node.args, *(word.value for word in node.keywords)]
            modes = [each.value for each in arguments if isinstance(each, ast.Constant)]
            opened = name == "open" and any(mode in ("w", "wb", "a", "ab", "x", "xb") for mode in modes)
            if name in WRITERS or opened:
                yield f"{name}, line {node.lineno}"
        waiting.extend(ast.iter_child_nodes(node))


def name_of(function):
    return getattr(function, "attr", getattr(function, "id", ""))


def test_whatever_writes_writes_a_draft():
    found = {module: list(writes(ast.parse(path.read_text("utf-8")))) for module, path in MODULES.items()}
    others = {module: calls for module, calls in found.items() if calls and module not in INTO_DRAFTS}
    assert not others
    assert list(writes(ast.parse("path.write_text('')\nopen('x', 'w')\nnp.savez(a)")))


def test_a_result_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("earlier", encoding="utf-8")
    path.chmod(0o640)
    with pytest.raises(UnicodeEncodeError), files.replacing(path) as new:
        new.write_text("half" * 10_000 + "\ud800", encoding="utf-8")
    assert path.read_text("utf-8") == "earlier"
    with files.replacing(path) as new:
        new.write_text("new", encoding="utf-8")
        assert path.read_text("utf-8") == "earlier"
    assert path.read_text("utf-8") == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_of_pictures_is_there_whole_or_not_at_all(tmp_path):
    folder, pictures = tmp_path / "out", np.zeros((3, 4, 4, 1), "float32")
    names = ["a.png", "b.png", "c.png"]
    outputs.write(folder, [pictures], names, as_images=True)
    before = (folder / "a.png").read_bytes()

    def failing():
        yield pictures[:1] + 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outputs.write(folder, failing(), names, as_images=True)
    assert sorted(entry.name for entry in folder.glob("*.png")) == names
    assert (folder / "a.png").read_bytes() == before
    assert not list(folder.glob(f"{files.DRAFT}*"))


def test_drafts_of_killed_processes_are_swept_and_living_ones_are_not(tmp_path):
    (tmp_path / f"{files.DRAFT}dead").mkdir()
    with files.drafting(tmp_path) as living:
        with files.replacing(tmp_path / "a.txt") as new:
            new.write_text("", encoding="utf-8")
        assert living.is_dir()
        assert not (tmp_path / f"{files.DRAFT}dead").exists()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_takes_its_name_in_one_step(tmp_path):
    folder = tmp_path / "made"
    for number in (1, 2):
        with files.replacing_folder(folder) as draft:
            (draft / str(number)).write_text("", encoding="utf-8")
            assert not folder.exists() or os.listdir(folder) == ["1"]
    assert os.listdir(folder) == ["2"]
    with pytest.raises(ZeroDivisionError), files.replacing_folder(folder) as draft:
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["made"]
