"""How the text of a table is read: by evidence, and never by a guess."""

import os

import numpy as np
import pandas
import pytest
from conftest import four_lines
from test_data_files import refused

from aezoo.core.errors import AezooError, DataError
from aezoo.data.sources.dialects import find_dialect, rows_of
from aezoo.data.sources.tables import read_table


def written(folder, text):
    path = folder / "set.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path, **options):
    """(names, rows) of a table, as float64."""
    from aezoo.data.sources.table_options import TableOptions

    contents = read_table(path, TableOptions.checked(**options))
    return contents.feature_names, contents.parts["train"][0].astype("float64").tolist()


# text -> names, rows, and what is said of it
READ = {
    "semicolons, decimal commas": ("a;b\n1,5;2\n-2,5;3e2\n", "ab", [[1.5, 2], [-2.5, 300]], "decimal comma"),
    "one column of decimal commas": ("t\n28,7\n29,1\n", "t", [[28.7], [29.1]], "decimal comma"),
    "one with whole ones": ("t\n28,7\n29\n", "t", [[28.7], [29]], "decimal comma"),
    "a header with a comma": ('"a, mm"\n28,7\n29,1\n', ["a, mm"], [[28.7], [29.1]], "header in line 1"),
    "quoted header": ('"a,1";"b"\n1;2\n3;4\n', ["a,1", "b"], [[1, 2], [3, 4]], "';' between"),
    "quoted decimals": ('a,b\n"28,7","3,5"\n"1,2","4,4"\n', "ab", [[28.7, 3.5], [1.2, 4.4]], "decimal comma"),
    "sep=": ("sep=;\r\na;b\r\n1,5;2\r\n3,5;4\r\n", "ab", [[1.5, 2], [3.5, 4]], "header in line 2"),
    "sep= of one column": ("sep=;\na\n1\n2\n", "a", [[1], [2]], "header in line 2"),
    "tabs": ("a\tb\n1\t2\n3\t4\n", "ab", [[1, 2], [3, 4]], "a tab"),
    "bars": ("a|b\n1|2\n3|4\n", "ab", [[1, 2], [3, 4]], "'|'"),
    "blanks": ("  a   b\n  1.5   2\n  3   4\n", "ab", [[1.5, 2], [3, 4]], "blanks"),
    "blanks and decimal commas": ("a b\n1,5 2,5\n3,5 4,5\n", "ab", [[1.5, 2.5], [3.5, 4.5]], "decimal comma"),
    "comments": ("# made\n% today\na,b\n1,2\n# pause\n3,4\n", "ab", [[1, 2], [3, 4]], "3 comment lines"),
    "names in a comment": ("# made\n# a b\n1 2\n3 4\n", "ab", [[1, 2], [3, 4]], "header in line 2"),
    "numpy.savetxt": ("# a\n1.0e+00 2.0e+00\n3.0e+00 4.0e+00\n", None, [[1, 2], [3, 4]], "no header"),
    "blank lines": ("\n\na,b\n\n1,2\n   \n3,4\n\n", "ab", [[1, 2], [3, 4]], "header in line 3"),
    "an early end": ("a,b\n1,2\n3,4", "ab", [[1, 2], [3, 4]], "header in line 1"),
    "trailing delimiters": ("a,b,\n1,2,\n3,4,\n", "ab", [[1, 2], [3, 4]], "header in line 1"),
    "trailing in rows": ("a,b\n1,2,\n3,4,\n", "ab", [[1, 2], [3, 4]], "header in line 1"),
    "UTF-8 with a mark": ("\ufeffa,b\n1,2\n3,4\n", "ab", [[1, 2], [3, 4]], "header in line 1"),
    "UTF-16": ("ä;b\n1,5;2\n3,5;4\n".encode("utf-16"), "äb", [[1.5, 2], [3.5, 4]], "decimal comma"),
    "old Macs": ("a,b\r1,2\r3,4\r", "ab", [[1, 2], [3, 4]], "header in line 1"),
    "header of pandas": (
        "0,1,2\n0.5,1.5,2.5\n3.5,4.5,5.5\n",
        "012",
        [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]],
        "in line 1",
    ),
    "index of pandas": (",a,b\n0,1.5,2\n1,3.5,4\n", "ab", [[1.5, 2], [3.5, 4]], "left out: column 1"),
    "index and header": (
        ",0,1\n0,1.5,2.5\n1,3.5,4.5\n",
        "01",
        [[1.5, 2.5], [3.5, 4.5]],
        "left out: column 1",
    ),
    "index and years": (",2020,2021\n0,1.5,2\n1,3.5,4\n", ["2020", "2021"], [[1.5, 2], [3.5, 4]], "left out"),
    "a number above flags": ("1,2\nTrue,2\nFalse,4\n", ["1", "2"], [[1, 2], [0, 4]], "header in line 1"),
    "whole numbers that do not rise": ("3;1\n2;5\n9;4\n", None, [[3, 1], [2, 5], [9, 4]], "no header"),
    "shuffled index": (",a\n7,1.5\n3,2.5\n", "a", [[1.5], [2.5]], "left out: column 1"),
    "booleans": ("a,b\ntrue,1\nFALSE,2\n", "ab", [[1, 1], [0, 2]], "2 rows"),
    "a comma in a text": ('a,b,class\n1,2,"x, y"\n3,4,z\n', "ab", [[1, 2], [3, 4]], "labels: column 'class'"),
    "a row with a class": ("5.1,3.5,x\n4.9,3.0,x\n4.7,3.2,y\n", None, None, ""),
}


@pytest.mark.parametrize("case", READ)
def test_read(case, tmp_path):
    text, names, rows, told = READ[case]
    path = written(tmp_path, text)
    if rows is None:  # no header, so the column of texts has no name to be a class by
        with pytest.raises(DataError) as error:
            read_table(path)
        return four_lines(error, "column '2'", "'x' in line 1", "labels='2'")
    found = read_table(path)
    assert found.feature_names == (None if names is None else tuple(names))
    assert found.parts["train"][0].astype("float64").tolist() == rows
    assert told in found.notes[0]
    return None


# text -> words of the error; options that settle it -> rows
ASKED = {
    "28,7\n29,1\n30,5\n": (
        ("two ways", "1 column", "2 columns", "decimal=',' or delimiter=','"),
        (("decimal", ","), [[28.7], [29.1], [30.5]]),
        (("delimiter", ","), [[28, 7], [29, 1], [30, 5]]),
    ),
    "28,7\n29\n30,5\n": (("two ways",), (("decimal", ","), [[28.7], [29], [30.5]])),
    "v;w\n1,234;2,500\n3,111;4,222\n": (
        ("thousands", "'1,234'", "1.234 or 1234"),
        (("decimal", ","), [[1.234, 2.5], [3.111, 4.222]]),
    ),
    "a;b\n1,2\n3,4\n": (("two ways",), (("decimal", ","), [[1.2], [3.4]])),
    "0,1,2\n3,4,5\n6,7,8\n": (
        ("header or a row", "header=True", "header=False"),
        (("header", True), [[3, 4, 5], [6, 7, 8]]),
        (("header", False), [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
    ),
    "0\n1\n2\n": (("header or a row",), (("header", True), [[1], [2]])),
    "2000\n3\n5\n1\n8\n2\n": (("header or a row",), (("header", True), [[3], [5], [1], [8], [2]])),
    "20,21\n0,1.5\n1,1.2\n2,0.5\n3,2.5\n1,3.5\n": (
        ("header or a row",),
        (("header", True), [[0, 1.5], [1, 1.2], [2, 0.5], [3, 2.5], [1, 3.5]]),
    ),
    "3,4,5\n8,1,7\n9,9,0\n": (
        ("header or a row",),
        (("header", False), [[3, 4, 5], [8, 1, 7], [9, 9, 0]]),
    ),
    "0,1\n0.5,1.5\n2.5,3.5\n": (("header or a row",), (("header", True), [[0.5, 1.5], [2.5, 3.5]])),
    "400,402,404,406,408\n1,2,7,3,1\n2,3,8,4,2\n": (
        ("header or a row",),
        (("header", True), [[1, 2, 7, 3, 1], [2, 3, 8, 4, 2]]),
    ),
    "2019,2020,2021\n0.5,1.5,2.5\n0.5,1.5,3.5\n": (
        ("header or a row",),
        (("header", True), [[0.5, 1.5, 2.5], [0.5, 1.5, 3.5]]),
    ),
    "5.1,a\n4.9,b\n4.8,c\n": (("header or a row",), None),
    "x 1,2\ny 3,4\n": (("two ways",), None),
}


@pytest.mark.parametrize("text", ASKED)
def test_asked_where_two_readings_fit(text, tmp_path):
    path = written(tmp_path, text)
    words, *settled = ASKED[text]
    lines = refused(path)
    for word in words:
        assert word in "\n".join(lines)
    for way in filter(None, settled):
        (option, value), rows = way
        assert read(path, **{option: value})[1] == rows


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n3,4,5\n6,7\n", ("line 3", "3 values", "expected: 2")),
        ("a,b\n" + "1,2\n" * 3000 + "3,4,5\n", ("line 3002", "3 values")),  # behind what is looked at
        ("a,b\n" + "1,2\n" * 3000 + "3\n", ("line 3002", "1 values")),
        ("a,b\n" + "1,2\n" * 3000 + "3,x\n", ("'x' in line 3002", "drop=['b']")),
        ("a;b\n1;2\n3\n", ("line 3", "1 values", "';' in it")),
        ("a,b\n1,?\n", ("missing", "line 2, column 'b'", "drop=['b']")),
        ("a;b\n1.234,5;2\n3,5;4\n", ("'1.234,5' in line 2", "marks of thousands")),
        ("a,b\n0x10,2\n", ("'0x10'",)),
        ("a,b\n1_000,2\n", ("'1_000'",)),
        ("a,b\n5 kg,2\n", ("'5 kg'",)),
        ("when,a,who\n2020-01-01,1,x\n2020-01-02,2,y\n", ("so is who", "drop=['when', 'who']")),
        ("a,b\n1,2\n\x00,4\n", ("byte of zero",)),
        ("# nothing but words\n", ("no rows",)),
        ("größe,b\n1,2\n".encode("latin-1"), ("UTF-8", "encoding='latin-1'")),
        ("a,b\n1," + "9" * 40 + "\n2,3\n", ("'b'",)),
    ],
)
def test_refused(text, words, tmp_path):
    with pytest.raises(DataError) as error:
        read_table(written(tmp_path, text))
    four_lines(error, *words)


def test_the_fix_for_texts_helps(tmp_path):
    path = written(tmp_path, "when,a,who\n2020-01-01,1,x\n2020-01-02,2,y\n")
    assert read(path, drop=["when", "who"]) == (("a",), [[1], [2]])


def test_lines_are_counted_as_an_editor_does(tmp_path):
    path = written(tmp_path, '# c\na,"b\nb"\n\n1,2\n# c\n3,4\n')
    assert [line for line, _ in rows_of(path, find_dialect(path))] == [5, 7]


def test_options_that_cannot_be_used(tmp_path):
    path = written(tmp_path, "a,b\n1,2\n3,4\n")
    for options, word in (
        ({"delimiter": "ab"}, "delimiter=';'"),
        ({"delimiter": 7}, "delimiter=';'"),
        ({"decimal": ";"}, "decimal=','"),
        ({"header": "yes"}, "header=True"),
        ({"labels": ""}, "labels"),
        ({"columns": []}, "columns"),
        ({"drop": ["a", "a"]}, "drop"),
        ({"columns": ["a"], "drop": ["a"]}, "'a'"),
        ({"columns": ["aa"]}, "did you mean 'a'?"),
        ({"drop": ["c"]}, "no column is called 'c'"),
        ({"labels": "c"}, "no column is called 'c'"),
        ({"drop": ["a", "b"]}, "no feature column"),
    ):
        with pytest.raises(AezooError) as error:
            read(path, **options)
        four_lines(error, word)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "set.csv")
    assert "a pipe" in refused(tmp_path / "set.csv")[1]


def test_many_columns_are_read_once(tmp_path, monkeypatch):
    """40,000 columns: nothing may look through all names for each of them."""
    table = pandas.DataFrame(np.random.default_rng(0).normal(size=(4, 40_000)).round(3))
    table.to_csv(tmp_path / "set.csv", index=False)
    found = read_table(tmp_path / "set.csv")
    assert found.feature_names == tuple(map(str, range(40_000)))
    np.testing.assert_array_equal(found.parts["train"][0], table.to_numpy())
