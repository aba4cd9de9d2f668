"""Calibration: p-values are what conformal prediction promises."""

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core.calibration import TABLE, Calibration
from aezoo.core.errors import DataError, OptionError


def normal_scores(count, seed=0):
    return np.random.Generator(np.random.Philox(seed)).lognormal(size=count)


def by_hand(scores, new):
    return [(1 + np.count_nonzero(scores >= one)) / (len(scores) + 1) for one in new]


@pytest.mark.parametrize("count", [1, 2, 99, TABLE, TABLE + 1, 2500])
def test_p_values_are_valid_and_close_to_the_formula(count):
    scores, new = normal_scores(count), normal_scores(500, seed=1)
    found = Calibration.fit(scores, max(0.01, 1 / (count + 1))).p_values(new)
    exact = np.asarray(by_hand(scores, new))
    assert np.all(found >= exact - 1e-6)  # never smaller: the promise holds
    # entries lie half-way to the next score, and more than a table's worth of scores are thinned
    assert np.all(found <= exact + 1 / (count + 1) + (count > TABLE) / TABLE + 1e-6)


def test_the_verdict_is_the_p_value_at_the_rate():
    found = Calibration.fit(normal_scores(400), 0.05)
    new = normal_scores(3000, seed=2)
    np.testing.assert_array_equal(found.is_anomaly(new), found.p_values(new) <= 0.05)
    assert found.is_anomaly(new, threshold=0.0).all()


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_fresh_normals_fall_inside_the_band(rate):
    fresh, inside = normal_scores(100_000, seed=3), []
    for seed in range(10, 50):
        found = Calibration.fit(normal_scores(1000, seed), rate)
        low, high = found.interval
        inside.append(low <= found.is_anomaly(fresh).mean() <= high)
    assert np.mean(inside) >= 0.85  # 0.95 of 40 draws, less three standard deviations


def test_rounding_does_not_decide_about_the_calibration_s_own_scores():
    scores = normal_scores(300)
    found = Calibration.fit(scores, 0.02)
    nudged = scores * (1 + 1e-6)
    np.testing.assert_array_equal(found.p_values(scores), found.p_values(nudged))
    assert found.is_sure(scores).mean() > 0.97
    assert not found.is_sure([found.threshold])[0]


@pytest.mark.parametrize(
    ("count", "rate", "words"),
    [
        (98, 0.01, ["too few normal examples", "98 examples", "at least 99 examples"]),
        (10, 0.001, ["at least 999 examples", "0.091"]),
    ],
)
def test_too_few_examples_are_refused(count, rate, words):
    with pytest.raises(DataError) as error:
        Calibration.fit(normal_scores(count), rate)
    four_lines(error, *words)
    Calibration.fit(normal_scores(99), 0.01)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2, "much", True])
def test_a_rate_lies_between_0_and_1(rate):
    with pytest.raises(OptionError) as error:
        Calibration.fit(normal_scores(100), rate)
    four_lines(error, "false_positive_rate")


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(DataError) as error:
        Calibration.fit([1.0, np.nan, 2.0], 0.4)
    four_lines(error, "no numbers", "1 of 3")
