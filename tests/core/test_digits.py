"""Whether float32 keeps the digits of a column, and what is said where it does not."""

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core.digits import check_digits, constant_columns, statistics
from aezoo.core.errors import DataError

NORMAL = np.random.default_rng(0).normal(size=200)


def test_statistics_are_exact():
    rows = np.stack([NORMAL, 1e9 + NORMAL, np.full(200, 0.1)], axis=1)
    found = statistics([rows])
    np.testing.assert_allclose(found["deviation"][:2], NORMAL.std(), rtol=1e-6)
    assert found["deviation"][2] == 0
    np.testing.assert_allclose(found["mean"], [NORMAL.mean(), 1e9 + NORMAL.mean(), 0.1], rtol=1e-12)


def test_whole_numbers_beyond_float64():
    found = statistics([(10**18 + np.arange(60))[:, None]])
    assert found["deviation"][0] == np.arange(60).std()
    extremes = statistics([np.array([[-(2**63)], [2**63 - 1]])])
    assert extremes["range"][0] == 2.0**64
    assert statistics([np.full((5, 1), 2**64 - 1, "uint64")])["deviation"][0] == 0


def test_blocks_of_columns_give_what_one_gives(monkeypatch):
    rows = np.random.default_rng(1).normal(size=(50, 7))
    whole = statistics([rows])
    monkeypatch.setattr("aezoo.core.digits._AT_ONCE", 100)
    for name, values in statistics([rows]).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12)


def test_parts_give_what_the_whole_gives():
    rows = np.stack([NORMAL, 1e9 + NORMAL, np.full(200, 0.1), 1e6 * NORMAL], axis=1)
    whole = statistics([rows])
    for cuts in ([100], [1, 199], [7, 7, 50], list(range(1, 200))):
        for name, values in statistics(np.split(rows, cuts)).items():
            np.testing.assert_allclose(values, whole[name], rtol=1e-7, atol=1e-9)
    assert statistics(np.split(rows, 4))["deviation"][2] == 0
    with pytest.raises(DataError) as error:
        check_digits(iter(np.split(1.7e9 + np.arange(200.0)[:, None], 4)), source="examples")
    four_lines(error, "column 0", "subtract 1700000000 from")


@pytest.mark.parametrize(
    ("column", "fix"),
    [
        (1.7e9 + np.arange(200), "subtract 1700000000 from column 't' first"),
        (1e12 + np.arange(200), "subtract 1000000000000 from"),
        (-1.7e9 - np.arange(200), "subtract -1700001000 from"),
        (10**18 + np.arange(200), "subtract 1000000000000000000 from"),
        (101325 + 3 * NORMAL, "subtract 101300 from"),
        (300 + 0.01 * NORMAL, "subtract 299.9 from"),
        (0.1 + 1e-17 * np.round(NORMAL * 3), "round column 't' to 12 digits"),
        ((1.7e9 + np.arange(200)).astype("float32"), "subtract 1700000000 from"),
        (NORMAL * 1e-41, "multiply column 't' by 1e42"),
    ],
)
def test_refused(column, fix):
    with pytest.raises(DataError) as error:
        check_digits(column[:, None], source="set.csv", names=["t"], droppable=True)
    four_lines(error, "column 't' loses its digits", fix, "drop=['t']")
    four_lines(_refusal(column), "column 0", "or leave it out")
    if fix.startswith("subtract"):  # it helps
        base = float(fix.split()[1])
        assert check_digits((column - column.dtype.type(base))[:, None], source="set.csv")


def _refusal(column):
    with pytest.raises(DataError) as error:
        check_digits(column[:, None], source="set.csv")
    return error


@pytest.mark.parametrize(
    "column",
    [
        NORMAL,
        NORMAL * 1e-30,
        NORMAL * 1e30,
        5e-12 + 1e-12 * NORMAL,
        1000 + NORMAL,
        np.full(200, 1e12),
        np.full(200, 2**60),
        np.arange(200) + 2020,
        NORMAL > 0,
        np.exp(8 * NORMAL),  # a heavy tail
        np.where(NORMAL > 2, 1e6, NORMAL),
    ],
)
def test_kept(column):
    assert check_digits(column[:, None], source="set.csv")


def test_constant_columns():
    rows = np.stack([NORMAL, np.full(200, 7.0), np.zeros(200)], axis=1)
    assert constant_columns(rows) == [1, 2]
    assert constant_columns(rows.reshape(50, 4, 3)) == [1, 2]
