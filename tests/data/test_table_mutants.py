"""Odd and damaged tables, arrays and series: read right or refused in four lines, and nothing else."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from fuzzing import table_mutants


@pytest.mark.parametrize("count", [300, pytest.param(3000, marks=pytest.mark.exhaustive)])
def test_mutants(count):
    done = subprocess.run(
        [sys.executable, table_mutants.__file__, str(count), "4"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    print(told)
    assert told["others"] == []
    assert told["read whole"] > 0.85 * (told["read whole"] + told["refused whole"])
    assert told["refused"] > count / 5
    assert told["read"] > count / 40
    assert told["peak_mb"] < 300
