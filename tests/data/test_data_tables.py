"""Reading tables: what is taken from CSV and Parquet, and what each refusal says."""

import numpy as np
import pandas
import pytest
from test_data_files import all_examples, refused

from aezoo.data import load

TABLE = pandas.DataFrame(
    {
        "width": np.arange(10) / 4,
        "hot": [True, False] * 5,
        "same": [3] * 10,
        "Class": ["b", "a", "None", "b", "a"] * 2,
    }
)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_table(tmp_path, suffix):
    path = tmp_path / f"set.{suffix}"
    TABLE.to_csv(path, index=False) if suffix == "csv" else TABLE.to_parquet(path)
    dataset = load(path)
    assert (dataset.kind, dataset.shape, dataset.value_range) == ("rows", (3,), None)
    assert dataset.feature_names == ("width", "hot", "same")
    assert dataset.label_names == ("None", "a", "b")
    assert dataset.stored_dtype == "float32"
    rows = all_examples(dataset)
    rows = rows[np.argsort(rows[:, 0])]
    assert np.array_equal(rows, TABLE[["width", "hot", "same"]].to_numpy(np.float32))
    for part in (dataset.train, dataset.validation, dataset.test):
        names = [dataset.label_names[label] for label in part.labels]
        assert names == [TABLE["Class"][int(row[0] * 4)] for row in part.array()]


@pytest.mark.parametrize(
    ("text", "shape", "names", "labels"),
    [
        ("1,2,2\n3,4,4\n5,6,6\n", (3,), None, None),
        ("1,1e3\n3,-4\n5,6", (2,), None, None),
        ("\ufeffa,b\r\n1,2\r\n3,4\r\n5,6\r\n", (2,), ("a", "b"), None),
        ("a;b\n1;2\n3;4\n5;6\n", (2,), ("a", "b"), None),
        ("a\tb\n1\t2\n3\t4\n5\t6\n", (2,), ("a", "b"), None),
        ("a, b\n1, 2\n\n3, 4\n   \n5, 6\n", (2,), ("a", "b"), None),
        ("a\n1\n3\n5\n", (1,), ("a",), None),
        ('"a,1",class\n1,0\n3,1\n5,7\n', (1,), ("a,1",), [0, 1, 7]),
        ("label,1,2\n4,1,0\n5,3,1\n6,5,7\n", (2,), ("1", "2"), [4, 5, 6]),
    ],
)
def test_csv_spellings(tmp_path, text, shape, names, labels):
    (tmp_path / "set.csv").write_text(text, encoding="utf-8", newline="")
    dataset = load(tmp_path / "set.csv")
    assert dataset.shape == shape
    assert dataset.feature_names == names
    assert sorted(all_examples(dataset)[:, 0]) == [1, 3, 5]
    if labels is None:
        assert dataset.train.labels is None
    else:
        parts = (dataset.train, dataset.validation, dataset.test)
        assert sorted(np.concatenate([part.labels for part in parts]).tolist()) == labels


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("a,b\n1,2\n3,4\n5,six\n", ["'b'", "'six' in line 4, column 'b'", "", "'b'"]),
        ("a,b\n1,2\n\n\n3,4\n5,six\n", ["'b'", "'six' in line 6, column 'b'", "", ""]),
        ('a,"b\nc"\n1,2\n3,4\n5,six\n', ["", "'six' in line 5", "", ""]),
        ("1,2\n3,4\n5,six\n", ["'1'", "'six' in line 3", "", ""]),
        ("a,b\n1,2\n3,\n5,6\n", ["missing", "nan in line 3, column 'b'", "", "drop line 3"]),
        ("a,b\n1,2\n3,NA\n5,6\n", ["missing", "nan in line 3, column 'b'", "", ""]),
        ("a,b\n1,2\n3,4\n5,-inf\n", ["infinite", "-inf in line 4, column 'b'", "", ""]),
        ("a,b\n1,2\n3,4,9\n5,6\n", ["line 3", "3 values", "2", ""]),
        ("a,b\n1,2,3\n3,4,9\n", ["line 2", "3 values", "2", ""]),
        ("a,b\n1,2\n3\n5,6\n", ["line 3", "1 values", "2", "line 3"]),
        (",a\n0.5,2\n1,4\n2,6\n", ["without a name", "column 1", "", "drop=['Unnamed: 0']"]),
        ("a,,b\n1,2,3\n3,4,5\n5,6,7\n", ["without a name", "column 2", "", "name column 2"]),
        ("a,a\n0,2\n1,4\n2,6\n", ["without a name", "'a'", "", ""]),
        (
            "a,label,y\n0,2,1\n1,4,1\n2,6,1\n",
            ["more than one", "label, y", "", "labels='label' and drop=['y']"],
        ),
        ("x,y\n0,0.5\n1,4\n2,6\n", ["'y'", "0.5 in line 2", "", "labels='y'"]),
        ("x,y\n0,0\n1,1\n2,1\n", ["'y'", "2 different whole numbers", "", "labels=False"]),
        ("x,label\n0,a\n1,\n2,b\n", ["missing label", "line 3", "", ""]),
        ("label\n0\n1\n2\n", ["no feature column", "label", "", ""]),
        ("a,b\n", ["no rows", "set.csv", "", ""]),
        ("", ["empty file", "set.csv", "", ""]),
        ("a,b\n1,2\n3,4\n", ["too few", "2 to train on", "", ""]),
        ("a,b\n1,True\n3,False\n5,\n", ["missing", "line 4, column 'b'", "", ""]),
    ],
)
def test_csv_refused(tmp_path, text, texts):
    (tmp_path / "set.csv").write_text(text, newline="", encoding="utf-8")
    lines = refused(tmp_path / "set.csv")
    assert lines[0].startswith("set")
    for line, wanted in zip(lines, texts, strict=True):
        assert wanted in line


def test_csv_in_another_encoding(tmp_path):
    (tmp_path / "set.csv").write_bytes("größe,b\n1,2\n3,4\n5,6\n".encode("latin-1"))
    assert "UTF-8" in refused(tmp_path / "set.csv")[2]


def test_parquet_refused(tmp_path):
    path = tmp_path / "set.parquet"
    table = pandas.DataFrame({"a": np.arange(5.0), "b": ["1", "2", "x", "4", "5"]})
    table.to_parquet(path)
    assert "'x' in row 2, column 'b'" in refused(path)[1]
    pandas.DataFrame({"a": [1.0, 2.0, np.nan, 4.0]}).to_parquet(path)
    assert "nan in row 2, column 'a'" in refused(path)[1]
    pandas.DataFrame({"a": pandas.array([1, None, 3], dtype="Int64")}).to_parquet(path)
    assert "nan in row 1, column 'a'" in refused(path)[1]
    pandas.DataFrame({"a": pandas.to_datetime(["2020-01-01"] * 3)}).to_parquet(path)
    assert "in row 0, column 'a'" in refused(path)[1]
    path.write_bytes(path.read_bytes()[:-50])
    assert "cannot be read" in refused(path)[0]


def test_digits_of_scikit_learn_are_rows_of_pixels_with_their_numbers():
    dataset = load("sklearn:digits")
    assert dataset.shape == (64,)
    assert dataset.class_count == 10
    assert dataset.feature_names[:2] == ("pixel_0_0", "pixel_0_1")
    assert dataset.train.array().max() == 16  # as scikit-learn has them, unscaled
