"""Long series: windows that are cut in time, what is refused, and what a run records of them."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import four_lines

from aezoo.core.errors import AezooError, DataError, OptionError
from aezoo.data import load

ROWS = 200  # 160 to train on, 20 to validate on, 20 to test on
PARTS = ("train", "validation", "test")


@pytest.fixture
def series(tmp_path):
    """A table whose first feature is the number of the row."""
    path = tmp_path / "series.csv"
    values = np.random.default_rng(0).standard_normal(ROWS).round(3)
    pd.DataFrame({"step": np.arange(ROWS) + 0.5, "value": values}).to_csv(path, index=False)
    return path


def rows_of(part):
    """The numbers of the rows of each window."""
    return (part.array()[..., 0] - 0.5).astype(int)


def test_parts_follow_each_other_in_time(series):
    dataset = load(series, window=16, stride=3)
    assert (dataset.kind, dataset.shape, dataset.stored_dtype) == ("sequences", (16, 2), "float32")
    assert dataset.feature_names == ("step", "value")
    assert dataset.value_range is None
    for name, first, stop in (("train", 0, 160), ("validation", 160, 180), ("test", 180, 200)):
        starts = np.arange(first, stop - 15, 3)
        part = getattr(dataset, name)
        assert np.array_equal(rows_of(part), starts[:, None] + np.arange(16)), name
        assert len(part) == len(starts)
    (told,) = [note for note in dataset.notes if "windows" in note]
    assert told == (
        "series: windows of 16 rows, 3 apart: 49 of rows 0 to 159 to train on, 2 of rows 160 to 179 to "
        "validate on, 2 of rows 180 to 199 to test on"
    )


def test_the_values_are_those_of_the_table(series):
    part = load(series, window=10, stride=1).train
    values = pd.read_csv(series)["value"].to_numpy("f4")
    assert np.array_equal(part.array()[7, :, 1], values[7:17])
    assert np.array_equal(part.chosen(np.array([3, 9])).array()[1, :, 1], values[9:19])


def test_windows_share_the_rows(series):
    dataset = load(series, window=16, stride=1)
    assert np.shares_memory(dataset.train.examples, dataset.train.series)
    assert dataset.train.series.base is dataset.test.series.base is not None


@pytest.mark.parametrize("seed", [None, 7])
def test_batches_are_those_of_the_array(series, seed):
    part = load(series, window=16, stride=3).train
    batches = list(part.batches(10, shuffle_seed=seed, epochs=2).as_numpy_iterator())
    assert [len(batch) for batch in batches] == [10, 10, 10, 10, 9] * 2
    first, second = np.concatenate(batches[:5]), np.concatenate(batches[5:])
    order = np.argsort(first[:, 0, 0])
    assert np.array_equal(first[order], part.array())
    assert np.array_equal(first, second) == (seed is None)
    skipped = list(part.batches(10, shuffle_seed=seed, epochs=2, skip=7).as_numpy_iterator())
    assert all(np.array_equal(*pair) for pair in zip(skipped, batches[7:], strict=True))


@pytest.mark.parametrize(("window", "stride"), [(64, 8), (16, 2), (2, 1), (7, 1)])
def test_the_usual_stride_is_an_eighth(tmp_path, window, stride):
    np.save(tmp_path / "long.npy", np.random.default_rng(0).standard_normal((1000, 2)))
    dataset = load(tmp_path / "long.npy", window=window)
    assert dataset.load_options["stride"] == dataset.train.stride == stride


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1), (ROWS, 3)])
def test_arrays(tmp_path, shape):
    array = np.random.default_rng(0).standard_normal(shape)
    np.save(tmp_path / "series.npy", array)
    for kind in (None, "sequences"):
        dataset = load(tmp_path / "series.npy", window=8, stride=8, kind=kind)
        assert dataset.shape == (8, array.reshape(ROWS, -1).shape[1])
        assert np.array_equal(
            dataset.train.array().reshape(160, -1), array[:160].reshape(160, -1).astype("f4")
        )


def test_parts_of_its_own_are_kept(tmp_path):
    x_train, x_test = np.arange(100.0)[:, None], np.arange(500.0, 530)[:, None]
    np.savez(tmp_path / "both.npz", x_train=x_train, x_test=x_test)
    dataset = load(tmp_path / "both.npz", window=10, stride=10)
    assert [int(getattr(dataset, name).array()[0, 0, 0]) for name in PARTS] == [0, 90, 500]
    assert [len(getattr(dataset, name)) for name in PARTS] == [9, 1, 3]


def test_what_is_recorded_loads_the_same(series):
    dataset = load(series, window=16, stride=3, validation_fraction=0.2)
    options = json.loads(json.dumps(dataset.load_options))
    assert (options["window"], options["stride"]) == (16, 3)
    again = load(dataset.source, **options)
    assert again.content_hash == dataset.content_hash
    for name in PARTS:
        assert np.array_equal(getattr(again, name).array(), getattr(dataset, name).array())
    assert "window" not in load(series).load_options


def test_seeds_change_nothing(series):
    first, second = (load(series, window=16, seed=seed) for seed in (0, 1))
    assert np.array_equal(first.test.array(), second.test.array())


# --- labels


@pytest.mark.parametrize("as_bool", [False, True])
def test_a_window_is_marked_by_any_of_its_rows(tmp_path, as_bool):
    marks = np.zeros(ROWS, int)
    marks[[40, 190]] = 1
    frame = pd.DataFrame({"value": np.arange(ROWS) ** 1.5, "label": marks.astype(bool) if as_bool else marks})
    frame.to_csv(tmp_path / "marked.csv", index=False)
    dataset = load(tmp_path / "marked.csv", window=10, stride=10)
    assert dataset.shape == (10, 1)
    assert dataset.train.labels.tolist() == [0] * 4 + [1] + [0] * 11
    assert dataset.validation.labels.tolist() == [0, 0]
    assert dataset.test.labels.tolist() == [0, 1]
    assert dataset.class_count == 2
    assert dataset.label_names == (("False", "True") if as_bool else None)
    assert "marked: a window has label 1 where one of its rows has" in dataset.notes
    assert next(iter(dataset.test.batches(2, labels=True)))["labels"].numpy().tolist() == [0, 1]


def test_marks_in_the_test_part_alone_are_no_normal_examples(tmp_path):
    from aezoo.data.held_out import seen_classes

    frame = pd.DataFrame({"value": np.arange(ROWS) ** 1.5, "label": (np.arange(ROWS) >= 195).astype(int)})
    frame.to_csv(tmp_path / "marked.csv", index=False)
    assert seen_classes(load(tmp_path / "marked.csv", window=10, stride=10)).tolist() == [True, False]


def test_other_labels_are_left_out(tmp_path):
    frame = pd.DataFrame({"value": np.arange(ROWS) ** 1.5, "label": ["on", "off"] * (ROWS // 2)})
    frame.to_csv(tmp_path / "states.csv", index=False)
    dataset = load(tmp_path / "states.csv", window=10)
    assert dataset.train.labels is dataset.label_names is dataset.class_count is None
    assert "states: the labels of rows are left out: windows have some where all are 0 or 1" in dataset.notes


# --- what is refused


@pytest.mark.parametrize(
    ("options", "got", "fix"),
    [
        ({"window": 21}, "window=21; rows: train 160, validation 20, test 20", "pass window=20, or a longer"),
        ({"window": 1}, "window=1", "pass window=64"),
        ({"window": 2.5}, "window=2.5", "pass window=64"),
        ({"window": 8, "stride": 0}, "stride=0", "pass stride=8"),
        ({"stride": 4}, "stride=4 without a window", "pass window=64, or leave stride out"),
        ({"window": 8, "kind": "rows"}, "window=8 and kind='rows'", "leave kind out, or leave window out"),
        ({"window": 8, "kind": "images"}, "window=8 and kind='images'", "leave kind out, or leave window"),
    ],
)
def test_what_cannot_be_cut(series, options, got, fix):
    with pytest.raises(OptionError) as raised:
        load(series, **options)
    four_lines(raised, f"got:      {got}" if "rows:" not in got else got, f"fix:      {fix}")


def test_the_largest_window_that_is_named_fits(series):
    assert [len(getattr(load(series, window=20), name)) for name in PARTS] == [71, 1, 1]


@pytest.mark.parametrize("source", ["mnist_mini", "quasi_periodic", "sklearn:wine", "mnist", "some/folder"])
def test_no_windows_of_what_is_no_file(source):
    with pytest.raises(OptionError) as raised:
        load(source, window=8)
    four_lines(
        raised, "windows are cut from a long series in a file", f"window=8 for {source}", "leave window out"
    )


@pytest.mark.parametrize(
    ("shape", "kind"), [((20, 8, 2), "sequences"), ((20, 8, 8, 1), "images")], ids=["sequences", "images"]
)
def test_no_windows_of_windows(tmp_path, shape, kind):
    np.save(tmp_path / "array.npy", np.random.default_rng(0).random(shape))
    with pytest.raises(OptionError) as raised:
        load(tmp_path / "array.npy", window=8)
    four_lines(raised, f"array: windows are cut from rows, and these are {kind}")
    four_lines(raised, f"window=8 for {kind} of shape {shape}", "leave window out")


def test_few_rows(tmp_path):
    np.save(tmp_path / "short.npy", np.arange(12.0))
    with pytest.raises(AezooError) as raised:
        load(tmp_path / "short.npy", window=2)
    four_lines(raised, "train 10, validation 1, test 1", "at least 2 rows", "give a longer series")
    np.save(tmp_path / "short.npy", np.arange(2.0))
    with pytest.raises(DataError):
        load(tmp_path / "short.npy", window=2)


def test_times_as_text_are_named(tmp_path):
    times = pd.date_range("2026-01-01", periods=ROWS, freq="h").astype(str)
    pd.DataFrame({"time": times, "value": np.arange(ROWS) ** 1.5}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError) as raised:
        load(tmp_path / "t.csv", window=8)
    four_lines(raised, "pass drop=['time']")
    assert load(tmp_path / "t.csv", window=8, drop=["time"]).shape == (8, 1)
