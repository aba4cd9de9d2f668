"""Which column of a table is what: for a training by what was said, for a model by its columns' names."""

import numpy as np
import pandas
import pytest
from conftest import four_lines
from test_data_files import refused

from aezoo.core.errors import DataError, OptionError
from aezoo.data import load
from aezoo.data.reading import read_path
from aezoo.data.sources.table_options import TableOptions
from aezoo.data.sources.tables import read_table

GENERATOR = np.random.default_rng(3)
FRAME = pandas.DataFrame(
    {
        "a": GENERATOR.normal(size=40),
        "b": GENERATOR.integers(-9, 9, 40),
        "c": GENERATOR.normal(size=40) * 1e-12,
        "y": GENERATOR.integers(0, 3, 40),
        "when": pandas.date_range("2024-01-01", periods=40),
        "who": list("abcd") * 10,
    }
)


def both(folder, frame, **options):
    """Paths of a frame as CSV and as Parquet."""
    frame.to_csv(folder / "set.csv", **options)
    frame.to_parquet(folder / "set.parquet")
    return folder / "set.csv", folder / "set.parquet"


@pytest.fixture(scope="module", params=["csv", "parquet"])
def path(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    return dict(zip(["csv", "parquet"], both(folder, FRAME, index=False), strict=True))[request.param]


def test_labels_columns_and_drop(path):
    found = load(path, labels="who", drop=["when", "y"])
    assert (found.feature_names, found.label_names) == (("a", "b", "c"), ("a", "b", "c", "d"))
    found = load(path, columns=["c", "a"])
    assert (found.feature_names, found.train.labels) == (("c", "a"), None)


def test_a_y_of_whole_numbers_is_asked_for(path):
    lines = refused(path, drop=["when", "who"])
    assert "could be the labels or a feature" in lines[0]
    assert "labels='y'" in lines[3]
    assert "labels=False" in lines[3]
    for options, names, classes in (
        ({"labels": "y"}, ("a", "b", "c"), 3),
        ({"labels": False}, ("a", "b", "c", "y"), None),
        ({"columns": ["a", "b", "c", "y"]}, ("a", "b", "c", "y"), None),
    ):
        drop = {} if "columns" in options else {"drop": ["when", "who"]}
        found = load(path, **options, **drop)
        assert (found.feature_names, found.class_count) == (names, classes)
        again = load(found.source, **found.load_options)
        assert again.content_hash == found.content_hash


def test_labels_by_name_alone_are_said(tmp_path):
    for values, told in (([0, 1, 1, 0] * 5, "column 'label' (2 classes)"), (list("xyzx") * 5, "(3 classes)")):
        frame = pandas.DataFrame({"a": np.arange(20) / 7, "label": values})
        for path in both(tmp_path, frame, index=False):
            found = load(path)
            assert told in found.notes[0]
            assert found.feature_names == ("a",)
    frame = pandas.DataFrame({"a": np.arange(200) / 7, "label": np.arange(200)})  # no class has so few
    for path in both(tmp_path, frame, index=False):
        assert "200 different whole numbers" in refused(path)[1]


def frames():
    """Frames whose CSV and Parquet files must be read alike; the index is written, as pandas does."""
    numbers = np.random.default_rng(0).normal(size=12)
    yield "floats", pandas.DataFrame({"a": numbers, "b": numbers.astype("float32")})
    yield "whole", pandas.DataFrame({"a": np.arange(12) * 2**40, "b": np.arange(12, dtype="uint8")})
    yield "booleans", pandas.DataFrame({"a": numbers > 0, "b": numbers})
    yield "nullable", pandas.DataFrame({"a": pandas.array(range(12), dtype="Int64"), "b": numbers})
    yield "nullable floats", pandas.DataFrame({"a": pandas.array(numbers, dtype="Float64"), "b": numbers > 1})
    yield "categories of numbers", pandas.DataFrame({"a": pandas.Categorical([3, 1, 2] * 4), "b": numbers})
    yield (
        "categories of texts",
        pandas.DataFrame({"class": pandas.Categorical(list("xyz") * 4), "b": numbers}),
    )
    yield "texts", pandas.DataFrame({"class": ["None", "NA", "x"] * 4, "b": numbers})
    yield "whole labels", pandas.DataFrame({"target": [3, 1, 2] * 4, "b": numbers})
    yield "true labels", pandas.DataFrame({"Label": [True, False] * 6, "b": numbers})
    yield "names of numbers", pandas.DataFrame(numbers.reshape(4, 3))
    yield "an index with a name", pandas.DataFrame({"a": numbers}, index=pandas.Index(numbers * 2, name="i"))
    yield "a shuffled index", pandas.DataFrame({"a": numbers, "b": numbers}).sample(frac=1, random_state=0)
    yield "an index of texts", pandas.DataFrame({"a": numbers, "b": numbers}, index=list("abcdefghijkl"))
    yield "dates", pandas.DataFrame({"a": pandas.date_range("2024-01-01", periods=12), "b": numbers})
    yield "missing", pandas.DataFrame({"a": [1.5, None, 3] * 4, "b": numbers})
    yield "missing whole ones", pandas.DataFrame({"a": pandas.array([1, None, 3] * 4, "Int64"), "b": numbers})
    yield "time stamps", pandas.DataFrame({"a": 1_700_000_000 + np.arange(12), "b": numbers})
    yield "long numbers", pandas.DataFrame({"a": 10**18 + np.arange(12), "b": numbers})


@pytest.mark.parametrize(("name", "frame"), list(frames()))
def test_csv_and_parquet_of_one_frame(name, frame, tmp_path):
    answers = []
    for path in both(tmp_path, frame):
        try:
            found = load(path)
        except DataError as error:
            answers.append((error.problem.partition(": ")[2], error.fix.replace("line 3", "row 1")))
        else:
            answers.append((found.content_hash, found.feature_names, found.label_names))
    assert answers[0] == answers[1]
    refusals = ("dates", "missing", "missing whole ones", "time stamps", "long numbers")
    assert (len(answers[0]) == 2) == (name in refusals), answers


# --- for a model


@pytest.fixture
def names():
    return ("a", "b", "c")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_columns_are_taken_by_name(suffix, tmp_path, names):
    shuffled = FRAME[["who", "c", "when", "a", "y", "b"]]
    path = both(tmp_path, shuffled)[suffix == "parquet"]
    found = read_path(path, (3,), feature_names=names)
    np.testing.assert_array_equal(found.array, FRAME[list(names)].to_numpy("float32"))
    assert "put into the model's order" in found.notes[0]
    assert "left out: " in found.notes[0]
    for word in ("who", "when"):
        assert word in found.notes[0]
    path = both(tmp_path, shuffled.drop(columns="b"))[suffix == "parquet"]
    with pytest.raises(DataError) as error:
        read_path(path, (3,), feature_names=names)
    four_lines(error, "no column 'b'", "a, b, c")


def test_few_rows_are_enough_for_a_model(tmp_path, names):
    """Rows that differ little are no reason to refuse: what float32 keeps was judged in the training."""
    frame = pandas.DataFrame({"a": [1e6, 1e6 + 0.25], "b": [1, 1], "c": [0, 1], "label": [1, 7]})
    for path in both(tmp_path, frame, index=False):
        found = read_path(path, (3,), feature_names=names)
        assert found.array.tolist() == frame[list(names)].to_numpy("float32").tolist()
        assert found.labels.tolist() == [1, 7]


def test_labels_that_are_none_are_left_out_for_a_model(tmp_path, names):
    frame = FRAME[["a", "b", "c"]].assign(label=[None, "x"] * 20)
    for path in both(tmp_path, frame, index=False):
        found = read_path(path, (3,), feature_names=names)
        assert found.labels is None
        assert "left out: label" in found.notes[0]


def test_what_a_training_was_told_settles_what_a_file_leaves_open(tmp_path):
    path = tmp_path / "set.csv"
    path.write_text("28,7\n29,1\n", encoding="utf-8")
    with pytest.raises(DataError):
        read_path(path, (1,))
    found = read_path(path, (1,), table=TableOptions(decimal=","))
    assert found.array[:, 0].tolist() == [np.float32(28.7), np.float32(29.1)]
    path.write_text("28.7\n29.1\n", encoding="utf-8")  # a file that is clear is read as it says
    found = read_path(path, (1,), table=TableOptions(decimal=","))
    assert found.array[:, 0].tolist() == [np.float32(28.7), np.float32(29.1)]


def test_a_header_of_numbers_is_known_by_the_model(tmp_path):
    path = tmp_path / "set.csv"
    path.write_text("0,1\n5,6\n", encoding="utf-8")
    assert read_path(path, (2,), feature_names=("0", "1")).array.tolist() == [[5, 6]]


# --- other sources


def test_an_array_of_labels_by_name(tmp_path):
    np.savez(
        tmp_path / "a.npz", x=GENERATOR.normal(size=(20, 3)), kinds=np.arange(20) % 2, y=np.arange(20) % 4
    )
    assert load(tmp_path / "a.npz").class_count == 4
    assert load(tmp_path / "a.npz", labels="kinds").class_count == 2
    assert load(tmp_path / "a.npz", labels=False).class_count is None
    assert "kinds" in refused(tmp_path / "a.npz", labels="kind")[1]


def test_only_tables_have_columns(tmp_path):
    np.savez(tmp_path / "a.npz", x=GENERATOR.normal(size=(20, 3)))
    for source, options in (
        (tmp_path / "a.npz", {"columns": ["x"]}),
        ("mnist_mini", {"labels": "x"}),
        ("sklearn:wine", {"drop": ["x"]}),
        (tmp_path, {"decimal": ","}),
    ):
        with pytest.raises(OptionError) as error:
            load(source, **options)
        four_lines(error, "only tables have columns", next(iter(options)))


# --- digits


def test_columns_that_float32_merges_are_named(tmp_path):
    frame = pandas.DataFrame(
        {"t": 1.7e9 + np.arange(200), "u": np.arange(200) / 7, "id": 10**12 + np.arange(200)}
    )
    for path in both(tmp_path, frame, index=False):
        lines = refused(path)
        assert "column 't' loses its digits" in lines[0]
        assert "column 'id'" in lines[1]
        assert "subtract 1700000000 from column 't'" in lines[3]
        assert "drop=['t', 'id']" in lines[3]
        assert load(path, drop=["t", "id"]).shape == (1,)
    frame["t"] -= 1_700_000_000
    for path in both(tmp_path, frame.drop(columns="id"), index=False):
        assert load(path).shape == (2,)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_arrays_and_sequences_that_float32_merges(dtype, tmp_path):
    stamps = (1_700_000_000 + np.arange(240)).astype(dtype)
    np.save(tmp_path / "rows.npy", stamps.reshape(60, 4))
    assert "subtract 1700000000 from column 0" in refused(tmp_path / "rows.npy")[3]
    np.savez(tmp_path / "a.npz", sequences=stamps.reshape(20, 6, 2))
    assert "column 0" in refused(tmp_path / "a.npz")[0]
    lines = "\n".join(
        ",".join(f"{value}.0" for value in row) + ":x" for row in stamps.reshape(20, 12).astype(int)
    )
    text = f"@problemName a\n@univariate true\n@classLabel true x\n@data\n{lines}\n"
    (tmp_path / "a.ts").write_text(text, encoding="utf-8")
    assert "column 0" in refused(tmp_path / "a.ts")[0]


def test_constant_columns_are_named(tmp_path):
    frame = pandas.DataFrame({"a": GENERATOR.normal(size=30), "k": [5] * 30, "l": [0.1] * 30})
    for path in both(tmp_path, frame, index=False):
        (note,) = load(path).notes[1:]
        assert "always the same in the training part: k, l;" in note
    np.save(tmp_path / "a.npy", frame.to_numpy())
    assert "always the same in the training part: 1, 2;" in load(tmp_path / "a.npy").notes[0]


def test_a_column_of_row_numbers_is_named(tmp_path):
    frame = pandas.DataFrame({"a": GENERATOR.normal(size=30), "id": np.arange(30)})
    for path in both(tmp_path, frame, index=False):
        assert "column 'id' numbers the rows" in load(path).notes[1]


def test_a_model_that_reads_is_no_training(tmp_path):
    """A label column that could be a feature does not stop a model, which knows its features."""
    frame = FRAME[["a", "b", "c", "y"]].assign(y=FRAME["a"])
    for path in both(tmp_path, frame, index=False):
        contents = read_table(path, expected=("a", "b", "c"))
        assert contents.parts["train"][1] is None


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """Two columns of one number each, 300 million times, are less than a megabyte."""
    import pyarrow
    import pyarrow.parquet

    path, zeros = tmp_path / "set.parquet", pyarrow.table({"a": np.zeros(10**6), "b": np.zeros(10**6)})
    with pyarrow.parquet.ParquetWriter(path, zeros.schema, compression="zstd") as file:
        for _ in range(100):
            file.write_table(zeros)
    assert path.stat().st_size < 10**6
    with pytest.raises(DataError) as error:
        read_table(path)
    four_lines(error, "unpacks to 1,600,000,000 bytes", "1,073,741,824")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_long_texts_are_no_classes(suffix, tmp_path):
    long = {"a": np.arange(12.0) ** 2, "class": ["x", "y" * 2000] * 6}
    path, frame = tmp_path / f"set.{suffix}", pandas.DataFrame(long)
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(DataError) as error:
        read_table(path)
    four_lines(error, "column 'class' holds texts", "2,000 characters", "drop=['class']")
