"""Series of different lengths: the contract of NaN behind their ends, and what is computed of real steps."""

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core import ragged
from aezoo.core.digits import constant_columns, statistics
from aezoo.core.errors import DataError

SERIES = [np.arange(2.0 * n).reshape(n, 2) + number for number, n in enumerate((3, 5, 2))]
WHOLE = ragged.padded(SERIES)


def test_padded_keeps_every_value_and_tells_the_lengths():
    assert WHOLE.shape == (3, 5, 2)
    assert WHOLE.dtype == np.float64
    assert ragged.lengths(WHOLE).tolist() == [3, 5, 2]
    for one, series in zip(WHOLE, SERIES, strict=True):
        np.testing.assert_array_equal(one[: len(series)], series)
        assert np.isnan(one[len(series) :]).all()
    assert ragged.padded([[1, 2], [3]], 4).dtype == np.float64
    assert ragged.padded([np.float32([1, 2]), np.float32([3])], 4).shape == (2, 4, 1)
    again = ragged.padded(WHOLE, 9)  # what has ends already keeps them
    assert ragged.lengths(again).tolist() == [3, 5, 2]


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ([np.ones((3, 2)), np.ones((0, 2))], ["without steps", "example 1", "del series[1]"]),
        ([np.ones((3, 2)), np.ones((4, 3))], ["the same features", "(n, 2), (n, 3)"]),
        ([], ["the same features", "none"]),
        ([np.ones((3, 2)), np.ones((9, 2))], ["longer than", "example 1 has 9 steps", "at most 5"]),
    ],
)
def test_what_cannot_be_padded(series, words):
    with pytest.raises(DataError) as error:
        ragged.padded(series, 5)
    four_lines(error, *words)


def holed(*index):
    examples = WHOLE.copy()
    examples[index] = np.nan
    return examples


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (holed(1, 2), ["not finite", "example 1, at (2, 0)"]),  # in the middle
        (holed(1, 4, 1), ["not finite", "example 1, at (4, 1)"]),  # in one column alone
        (holed(0, 0), ["not finite", "example 0, at (0, 0)"]),  # before the start
        (holed(0, 1, 0), ["not finite", "example 0, at (1, 0)"]),
        (holed(2), ["without steps", "example 2"]),
        (np.where(WHOLE == 3, np.inf, WHOLE), ["not finite", "inf in example 0"]),
    ],
)
def test_nan_elsewhere_stays_an_error(examples, words):
    for check in (ragged.check_series, lambda x, source: ragged.as_series_inputs(x, (5, 2), source=source)):
        with pytest.raises(DataError) as error:
            check(examples, source="x")
        four_lines(error, "x: ", *words)


def test_inputs_come_as_arrays_lists_and_shorter_ones():
    wanted = WHOLE.astype("float32")
    for given in (SERIES, WHOLE, wanted, tuple(SERIES), [one.tolist() for one in SERIES]):
        found = ragged.as_series_inputs(given, (5, 2))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
    short = ragged.as_series_inputs(np.ones((4, 3, 2), int), (5, 2))
    assert short.dtype == np.float32
    assert ragged.lengths(short).tolist() == [3] * 4
    assert ragged.as_series_inputs([[1.0, 2], [3.0, 4]], (5, 1)).shape == (2, 5, 1)
    for given, words in (
        (np.ones((4, 6, 2)), ["wrong shape", "(batch, 5, 2)"]),
        (np.ones((4, 5, 3)), ["wrong shape"]),
        (np.ones((5, 2)), ["wrong shape"]),
        ([np.ones((6, 2)), np.ones((3, 2))], ["longer than", "example 0 has 6"]),
        ([[1.0], [2.0, [3.0]]], ["does not make an array"]),
    ):
        with pytest.raises(DataError) as error:
            ragged.as_series_inputs(given, (5, 2))
        four_lines(error, *words)


def test_statistics_are_of_real_steps():
    rows = np.concatenate(SERIES)
    found = statistics([WHOLE[:1], WHOLE[1:]])
    np.testing.assert_allclose(found["mean"], rows.mean(axis=0))
    np.testing.assert_allclose(found["deviation"], rows.std(axis=0))
    np.testing.assert_array_equal(ragged.without_ends(WHOLE), rows)
    assert constant_columns(np.where(np.isnan(WHOLE), WHOLE, [7, 0] + 0 * WHOLE)) == [0, 1]


def test_means_are_of_each_series_alone():
    values = np.square(WHOLE)
    wanted = [np.square(one).mean() for one in SERIES]
    np.testing.assert_allclose(ragged.means(np.nan_to_num(values, nan=1e9), WHOLE), wanted)
    np.testing.assert_allclose(
        ragged.means(values[..., 0], WHOLE), [(one[:, 0] ** 2).mean() for one in SERIES]
    )
    values[0, 0, 0] = np.nan  # of a model that gave no number: never left out
    assert np.isnan(ragged.means(values, WHOLE)).tolist() == [True, False, False]
    np.testing.assert_allclose(ragged.mean_example(WHOLE)[2], (SERIES[0][2] + SERIES[1][2]) / 2)


def test_values_end_with_their_series():
    ended = ragged.ended(np.zeros((3, 5)), WHOLE)
    np.testing.assert_array_equal(np.isnan(ended), ragged.behind_ends(WHOLE))
    np.testing.assert_array_equal(ragged.ended(np.zeros((3, 5, 2)), WHOLE) + WHOLE, WHOLE)
    assert ragged.filled(WHOLE, [8, 9])[2, 3].tolist() == [8, 9]
    whole = np.ones((2, 3, 1))
    assert ragged.ended(whole, whole) is whole
    assert ragged.filled(whole, 0) is whole
    short = ragged.shortened(np.ones((8, 6, 2)))
    assert ragged.lengths(short)[::2].tolist() == [6] * 4
    assert all(1 <= n < 6 for n in ragged.lengths(short)[1::2])
    assert ragged.lengths(ragged.shortened(np.ones((4, 2, 1)))).tolist() == [2, 1, 2, 1]
