"""Damaged and hostile image files are read or refused in four lines: no other exception, no crash."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from fuzzing import image_mutants

from aezoo.data.sources.image_files import read_images


def test_what_is_not_mutated_is_read(tmp_path):
    several = {"frames.gif", "pages.tif"}
    for name, content in image_mutants.whole().items():
        (tmp_path / name).write_bytes(content)
        if name not in several:
            assert read_images([tmp_path / name], (8, 6, 3), name="x").shape == (1, 8, 6, 3), name


@pytest.mark.parametrize("count", [60, pytest.param(600, marks=pytest.mark.exhaustive)])
def test_mutants(count):
    done = subprocess.run(
        [sys.executable, image_mutants.__file__, str(count), "1"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    print(told)
    assert told["others"] == []
    assert told["refused"] > count / 5
    assert told["read"] > count / 20
    assert told["peak_mb"] < 1000
