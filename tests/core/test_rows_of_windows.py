"""Windows of a long series, and their values brought back to its rows."""

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core.errors import DataError, OptionError
from aezoo.core.windows import in_rows, rows_of, starts_of, windows_of

SIZES = [(10, 4, 4), (10, 4, 3), (10, 4, 1), (4, 4, 1), (5, 2, 7), (64, 16, 2), (9, 3, 5)]


@pytest.mark.parametrize(("count", "window", "stride"), SIZES)
def test_every_row_is_covered_and_the_last_window_ends_with_the_series(count, window, stride):
    starts = starts_of(count, window, stride)
    assert starts[0] == 0
    assert starts[-1] == count - window
    assert (np.diff(starts) > 0).all()
    assert (starts[:-1] % stride == 0).all()
    if stride <= window:
        assert len(np.unique(starts[:, None] + np.arange(window))) == count


@pytest.mark.parametrize(("count", "window", "stride"), SIZES)
def test_windows_are_the_rows(count, window, stride):
    series = np.random.default_rng(0).standard_normal((count, 3))
    windows = windows_of(series, window, stride)
    for start, found in zip(starts_of(count, window, stride), windows, strict=True):
        assert np.array_equal(found, series[start : start + window])
    assert np.array_equal(windows_of(series[:, 0], window, stride), windows[..., :1])


@pytest.mark.parametrize("more", [(), (3,)])
@pytest.mark.parametrize(("count", "window", "stride"), SIZES)
def test_rows_are_the_means_of_their_windows(count, window, stride, more):
    starts = starts_of(count, window, stride)
    values = np.random.default_rng(0).standard_normal((len(starts), window, *more))
    found = rows_of(values, count=count, window=window, stride=stride)
    assert found.shape == (count, *more)
    assert found.dtype == np.float32
    scores = rows_of(values[:, 0, 0], count=count, window=window, stride=stride) if more else None
    for row in range(count):
        covering = [n for n, start in enumerate(starts) if start <= row < start + window]
        expected = [values[n, row - starts[n]] for n in covering]
        if not covering:
            assert np.isnan(found[row]).all()
            continue
        np.testing.assert_allclose(found[row], np.mean(expected, axis=0), rtol=1e-5)
        if scores is not None:
            np.testing.assert_allclose(scores[row], values[covering, 0, 0].mean(), rtol=1e-5)


def test_there_and_back():
    series = np.random.default_rng(0).standard_normal((1000, 2)).astype("f4")
    windows = windows_of(series, 64)
    np.testing.assert_allclose(rows_of(windows, count=1000, window=64), series, rtol=1e-6)


def test_blocks_make_no_difference(monkeypatch):
    series = np.random.default_rng(0).standard_normal((2000, 2)).astype("f4")
    sizes = []

    def call(windows):
        sizes.append(len(windows))
        return {"score": windows.mean(axis=(1, 2)), "map": np.square(windows)}

    whole = in_rows(call, series, 8, 1)
    monkeypatch.setattr("aezoo.core.windows._AT_ONCE", 1)
    in_blocks = in_rows(call, series, 8, 1)
    assert sizes == [1993] + [256] * 7 + [201]
    for name in ("score", "map"):
        np.testing.assert_allclose(in_blocks[name], whole[name], rtol=1e-6)
    np.testing.assert_allclose(whole["map"], np.square(series), rtol=1e-6)


def test_an_infinite_score_stays_at_its_rows():
    found = rows_of(np.array([1.0, np.inf, 2.0]), count=6, window=2, stride=2)
    assert found.tolist() == [1, 1, np.inf, np.inf, 2, 2]


def test_what_cannot_be_used():
    series = np.zeros((10, 1))
    with pytest.raises(DataError) as raised:
        windows_of(series, 11)
    four_lines(raised, "series: shorter than a window", "10 rows", "at least 11", "pass a longer series")
    with pytest.raises(OptionError) as raised:
        windows_of(series, 1)
    four_lines(raised, "window=1", "pass window=64")
    with pytest.raises(OptionError) as raised:
        rows_of(np.zeros(3), count=10, window=4, stride=-1)
    four_lines(raised, "stride=-1", "pass stride=8")
    with pytest.raises(DataError) as raised:
        rows_of(np.zeros(3), count=10, window=4, stride=1)
    four_lines(
        raised, "not one value for each window", "3 values", "expected: 7, of windows of 4 rows, 1 apart"
    )
