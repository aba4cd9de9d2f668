"""Every text of JSON that leaves aezoo can be read by everyone."""

import json
import re

import numpy as np
import pytest
from conftest import ROOT

from aezoo.core.files import write_json
from aezoo.core.json_text import json_text

# These do not leave aezoo: answers of its own processes, texts that are hashed or lie in a file as a text.
INSIDE = {
    "aezoo/core/json_text.py",
    "aezoo/core/processes.py",
    "aezoo/bench/worker.py",
    "export/proof/parity.py",
    "aezoo/data/contents.py",
    "aezoo/cli/resuming.py",
    "export/bundling.py",
    "aezoo/runtime/manifest.py",
    "aezoo/training/records.py",
}


def test_numbers_that_are_none_become_null(tmp_path):
    figures = {"a": [1, np.nan, (np.inf, "NaN")], "b": {"c": -np.inf, "d": None, "e": True}}
    wanted = {"a": [1, None, [None, "NaN"]], "b": {"c": None, "d": None, "e": True}}
    assert json.loads(json_text(figures)) == wanted
    write_json(tmp_path / "figures.json", figures)
    assert json.loads((tmp_path / "figures.json").read_text("utf-8")) == wanted


def test_what_is_no_json_is_still_refused():
    with pytest.raises(TypeError):
        json_text({"a": object()})


def test_nothing_else_writes_json():
    found = set()
    for folder in ("aezoo", "export", "recipes"):
        for path in (ROOT / folder).rglob("*.py"):
            if re.search(r"\bjson\.dumps?\(", path.read_text("utf-8")):
                found.add(path.relative_to(ROOT).as_posix())
    assert found <= INSIDE
