"""Series of different lengths out of files: .ts with @equalLength false, arrays with NaN behind the ends."""

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core import ragged
from aezoo.core.errors import DataError, OptionError
from aezoo.data import load, padded, reading
from aezoo.data.sources.ts_files import read_ts

HEADER = "@problemName toy\n@dimensions 2\n@equalLength false\n@classLabel true up down\n@data\n"
LINES = "1,2,3:4,5,6:up\n1,2:3,4:down\n9,8,7,6:1,1,1,2:up\n5:5:down\n"


def noise(count=40, steps=12, features=2, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.standard_normal((n, features)) for n in (steps, *draw.integers(1, steps, count - 1))]


def found_in(dataset):
    return np.concatenate([part.array() for part in (dataset.train, dataset.validation, dataset.test)])


def test_ts_of_unequal_length(tmp_path):
    path = tmp_path / "toy.ts"
    path.write_text(HEADER + LINES, "utf-8")
    examples, labels = read_ts(path).parts["train"]
    assert ragged.lengths(examples).tolist() == [3, 2, 4, 1]
    assert examples[1, :2].tolist() == [[1, 3], [2, 4]]
    assert labels.tolist() == [0, 1, 0, 1]
    dataset = load(path)
    assert (dataset.kind, dataset.shape, dataset.ragged) == ("sequences", (4, 2), True)
    assert "series of 1 to 4 steps" in dataset.notes[0]
    path.write_text(HEADER + "1,2:3,4:up\n" * 5, "utf-8")
    assert not load(path).ragged  # whatever the header says


def test_the_longest_of_both_files_counts(tmp_path):
    (tmp_path / "toy_TRAIN.ts").write_text(HEADER + LINES, "utf-8")
    (tmp_path / "toy_TEST.ts").write_text(HEADER + "1,2,3,4,5,6:1,2,3,4,5,6:up\n", "utf-8")
    dataset = load(tmp_path / "toy_TRAIN.ts")
    assert dataset.shape == (6, 2)
    assert ragged.lengths(dataset.test.array()).tolist() == [6]
    assert ragged.lengths(found_in(dataset)).max() == 6


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,2:3:up\n", ["channels of a series differ in length", "line 10: 1 steps", "2, as its first"]),
        ("1,?,3:1,2,3:up\n", ["missing value", "line 10"]),
        ("1,2,NaN:1,2,NaN:up\n", ["missing value", "line 10"]),  # the format ends a series by its commas
    ],
)
def test_ts_that_is_damaged(line, words, tmp_path):
    (tmp_path / "toy.ts").write_text(HEADER + LINES + line, "utf-8")
    with pytest.raises(DataError) as error:
        read_ts(tmp_path / "toy.ts")
    four_lines(error, *words)


def test_arrays_with_ends(tmp_path):
    series = noise()
    whole = padded(series)
    np.save(tmp_path / "x.npy", whole)  # nobody says that these are sequences
    np.savez(tmp_path / "x.npz", sequences=whole, labels=np.arange(40) % 2)
    for name in ("x.npy", "x.npz"):
        dataset = load(tmp_path / name)
        assert (dataset.kind, dataset.shape, dataset.ragged) == ("sequences", (12, 2), True)
        found = found_in(dataset)
        assert sorted(ragged.lengths(found)) == sorted(map(len, series))
        rows = np.sort(np.concatenate(series).astype("float32"), axis=None)
        np.testing.assert_array_equal(np.sort(ragged.without_ends(found), axis=None), rows)
    np.save(tmp_path / "one.npy", whole[..., 0])
    assert load(tmp_path / "one.npy", kind="sequences").ragged
    np.save(tmp_path / "full.npy", np.stack([series[0]] * 9) * 9)
    assert not load(tmp_path / "full.npy", kind="sequences").ragged


def test_a_list_of_arrays():
    series = noise()
    dataset = load(series)
    assert (dataset.name, dataset.shape, dataset.ragged) == ("series", (12, 2), True)
    assert sorted(ragged.lengths(found_in(dataset))) == sorted(map(len, series))
    assert not load([series[0]] * 5).ragged
    assert load([one[:, 0] for one in series]).shape == (12, 1)
    for source, words in (
        (dataset.source, ["no file holds", "pass the dataset"]),  # as a run that is resumed asks for it
        ([*series, np.ones((0, 2))], ["series without steps", "example 40"]),
        ([*series, np.full((3, 2), np.inf)], ["not finite", "inf in example 40"]),
        ([], ["a source is a name or a path"]),
    ):
        with pytest.raises((DataError, OptionError)) as error:
            load(source)
        four_lines(error, *words)
    with pytest.raises(OptionError):
        load(series, labels="x")
    with pytest.raises(OptionError):
        load(series, window=3)


@pytest.mark.parametrize(("kind", "options"), [(None, {}), ("rows", {}), (None, {"window": 4})])
def test_rows_take_no_ends(kind, options, tmp_path):
    np.save(tmp_path / "one.npy", padded(noise())[..., 0])
    np.savez(tmp_path / "one.npz", x=padded(noise())[..., 0])
    for name in ("one.npy", "one.npz"):
        with pytest.raises(DataError) as error:
            load(tmp_path / name, kind=kind, **options)
        four_lines(error, "not finite", "nan in row 1")


@pytest.mark.parametrize("index", [(3, 0), (3, 4), (0, 11, 1), (3, slice(None))])
@pytest.mark.parametrize("ends", [True, False])
def test_nan_elsewhere(index, ends, tmp_path):
    whole = padded(noise()) if ends else np.stack([noise()[0]] * 40)
    whole[3, :6], whole[index] = 1, np.nan
    if index == (3, slice(None)):
        whole[3] = np.nan
    np.savez(tmp_path / "x.npz", sequences=whole)
    with pytest.raises(DataError) as error:
        load(tmp_path / "x.npz")
    four_lines(error, "x.npz", f"example {index[0]}")


class Model:
    """What `read_for` asks of a model."""

    example_shape, kind, example_dtype, feature_names, classes = (12, 2), "sequences", "float32", None, None

    def __init__(self, takes_ends):
        self.ragged = takes_ends


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.ts"])
def test_files_for_a_model(name, tmp_path):
    series = noise()[1:]  # none of 12 steps
    whole, path = padded(series), tmp_path / name
    if name.endswith(".ts"):
        lines = [":".join(",".join(map(str, channel)) for channel in one.T) for one in series]
        path.write_text(HEADER.replace(" up down", "").replace("true", "false") + "\n".join(lines), "utf-8")
    else:
        (np.save if name.endswith("npy") else np.savez)(path, whole)
    found = reading.read_for(Model(True), path).array
    assert found.shape == (39, 12, 2)
    assert ragged.lengths(found).tolist() == list(map(len, series))
    np.testing.assert_array_equal(ragged.without_ends(found), np.concatenate(series).astype("float32"))
    with pytest.raises(DataError) as error:
        reading.read_for(Model(False), path)
    four_lines(error, name, "nan in example")


def test_a_dataset_of_shorter_series_for_a_model(tmp_path):
    np.savez(tmp_path / "x.npz", sequences=padded([one[:7] for one in noise()]))
    dataset = reading.load_for(Model(True), tmp_path / "x.npz")
    assert (dataset.shape, dataset.ragged) == ((12, 2), True)
    assert dataset.train.shape == (12, 2)
    assert ragged.lengths(found_in(dataset)).max() == 7
    with pytest.raises(DataError) as error:
        reading.load_for(Model(False), tmp_path / "x.npz")
    four_lines(error, "wrong shape")
