"""Some classes alone, or all others: `load` cuts them, a run remembers them, the left out are anomalies."""

import numpy as np
import pytest
from conftest import four_lines

from aezoo import data
from aezoo.cli import main
from aezoo.core.errors import DataError, OptionError
from aezoo.data.held_out import apart, seen_classes
from aezoo.data.load_options import check_recorded
from aezoo.data.reading import load_for
from aezoo.training.run import Run


def classes_of(part):
    return sorted(set(np.unique(part.labels).tolist()))


@pytest.fixture
def table(tmp_path):
    """300 rows of three classes, "a", "b" and "c, rare"."""
    generator = np.random.default_rng(0)
    names = ["a", "b", '"c, rare"']
    lines = ["x,y,z,kind"]
    for number, row in enumerate(generator.normal(size=(300, 3)) + np.arange(3)):
        lines.append(",".join(f"{value:.4f}" for value in row) + f",{names[number % 3]}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_some_classes_alone():
    dataset = data.load("mnist_mini", only_classes=["3", 7])
    assert [classes_of(part) for part in (dataset.train, dataset.validation, dataset.test)] == [[3, 7]] * 3
    assert dataset.load_options["only_classes"] == ["3", "7"]
    assert dataset.content_hash == data.load("mnist_mini").content_hash


def test_what_is_excluded_stays_in_the_test_part_as_anomalies():
    dataset = data.load("mnist_mini", exclude_classes=["3"])
    assert 3 not in classes_of(dataset.train) + classes_of(dataset.validation)
    assert classes_of(dataset.test) == list(range(10))
    np.testing.assert_array_equal(seen_classes(dataset), dataset.test.labels != 3)
    known, rest, names = apart(dataset, 50)
    assert (classes_of(rest), names, 3 in classes_of(known.test)) == ([3], ["3"], False)


def test_a_test_part_that_is_cut_keeps_them_too(table):
    dataset = data.load(table, labels="kind", exclude_classes=["c, rare"])
    whole = data.load(table, labels="kind")
    np.testing.assert_array_equal(dataset.test.labels, whole.test.labels)
    unseen = ~seen_classes(dataset)
    assert 0 < unseen.sum() < len(unseen)
    assert set(dataset.test.labels[unseen]) == {2}
    assert seen_classes(dataset, "validation").all()


def test_both_together():
    dataset = data.load("mnist_mini", only_classes=["3", "7"], exclude_classes=["7"])
    assert (classes_of(dataset.train), classes_of(dataset.test)) == ([3], [3, 7])


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"only_classes": ["11"]}, OptionError, ["no such class", "only_classes="]),
        ({"exclude_classes": ["three"]}, OptionError, ["no such class", "exclude_classes="]),
        ({"only_classes": []}, OptionError, ["one class or more"]),
        ({"only_classes": "3"}, OptionError, ["only_classes='3'"]),
        ({"exclude_classes": [3.5]}, OptionError, ["3.5"]),
        ({"only_classes": [True]}, OptionError, ["True"]),
        ({"exclude_classes": list(range(10))}, DataError, ["train"]),
    ],
)
def test_refusals(options, kind, words):
    with pytest.raises(kind) as error:
        data.load("mnist_mini", **options)
    four_lines(error, *words)


def test_without_labels_nothing_can_be_chosen(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(60, 4)))
    with pytest.raises(DataError) as error:
        data.load(tmp_path / "rows.npy", exclude_classes=["1"])
    four_lines(error, "have none", "leave exclude_classes out")


def test_a_record_of_other_things_is_refused():
    with pytest.raises(OptionError):
        check_recorded({"only_classes": {"3": 1}})
    check_recorded({"only_classes": ["3"], "exclude_classes": None})


def test_the_command_remembers_them(table, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    train = [
        "train",
        "dense",
        "--data",
        "table.csv",
        "--labels",
        "kind",
        "--latent-dim",
        "2",
        "--epochs",
        "1",
    ]
    train += ["-O", "units=4,", "-O", "linear_path=False"]
    assert main.main([*train, "--exclude", '"c, rare"', "-o", "run"]) == 0
    run = Run("run")
    assert run.info["data"]["load_options"]["exclude_classes"] == ["c, rare"]
    assert run.metrics["unseen_classes"]["examples"] > 0
    dataset = load_for(run.model, run=run.info)
    assert classes_of(dataset.train) == [0, 1]
    assert classes_of(load_for(run.model, "table.csv", run=run.info).train) == [0, 1]
    np.save("other.npy", np.ones((50, 3)))  # which has no such classes
    assert len(load_for(run.model, "other.npy", run=run.info).train) > 0
    capfd.readouterr()
    assert main.main(["train", "--resume", "-o", "run", "--exclude", "a"]) == 2
    four_lines(capfd.readouterr().err.strip(), "goes on as it was begun", "leave --exclude out")
    assert main.main(["train", "--resume", "-o", "run", "--exclude", '"c, rare"']) == 0
    capfd.readouterr()
    assert main.main([*train, "--classes", "d", "-o", "no"]) == 2
    four_lines(capfd.readouterr().err.strip(), "no such class", "--classes a,b")
    assert main.main(["train", "--resume", "--epochs", "2", "-o", "run"]) == 2
    assert "--exclude '\"c, rare\"'" in capfd.readouterr().err
