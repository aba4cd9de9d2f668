"""Mutants of runs and `.keras` files: refused in four lines, or equal; see run_mutants.py."""

import pytest
import run_mutants


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run_mutants.make_run(tmp_path_factory.mktemp("fuzzed"))


@pytest.mark.parametrize("number", [25, pytest.param(150, marks=pytest.mark.exhaustive)])
def test_no_mutant_of_a_run_is_taken_for_another(made, number):
    counts, faults = run_mutants.count(*made, number)
    assert not faults
    assert counts["refused"] > number / 2
    assert counts.total() == number
