"""What is held out for a scorer is normal: of classes that training has, whatever lies first in a folder."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from aezoo import data
from aezoo.data.held_out import apart, normal_examples, seen_classes


def save(folder, level, count):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((4, 5), level + number, "uint8")).save(folder / f"{number:03}.png")


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """MVTec's layout: "crack" comes before "good"."""
    folder = tmp_path_factory.mktemp("data") / "faults"
    for name, level, count in (("train/good", 0, 40), ("test/good", 100, 12), ("test/crack", 200, 25)):
        save(folder / name, level, count)
    return folder


def levels(part):
    return np.rint(part.array()[:, 0, 0, 0] * 255).astype(int).tolist()


def test_classes_are_told_apart_by_name(faults):
    dataset = data.load(faults)
    assert dataset.cut_parts == ("validation",)
    assert seen_classes(dataset).tolist() == [False] * 25 + [True] * 12
    assert seen_classes(dataset, "validation").all()
    known, rest, names = apart(dataset, 100)
    assert levels(known.test) == list(range(100, 112))
    assert levels(rest) == list(range(200, 225))
    assert names == ["crack"]
    assert known.train is dataset.train
    assert (len(apart(dataset, 5)[0].test), len(apart(dataset, 5)[1])) == (5, 5)


def test_normal_examples_are_those_of_the_test_part_or_else_of_the_validation_part(faults):
    dataset = data.load(faults)
    normals, from_test = normal_examples(dataset, 256, 99)  # 12 of them, and 4 for validation
    assert (levels(normals), from_test) == (list(range(100, 112)), True)
    dataset = data.load(faults, validation_fraction=0.5)
    normals, from_test = normal_examples(dataset, 256, 99)  # 20 for validation
    assert (len(normals), from_test) == (20, False)
    assert max(levels(normals)) < 40
    normals, from_test = normal_examples(dataset, 256, 12)  # 12 are enough
    assert from_test
    normals, from_test = normal_examples(dataset, 5, 12)
    assert levels(normals) == [100, 102, 105, 108, 111]  # spread over the part


def test_a_test_part_without_a_normal_class_gives_way(tmp_path):
    save(tmp_path / "train" / "good", 0, 20)
    save(tmp_path / "test" / "crack", 200, 9)
    dataset = data.load(tmp_path)
    normals, from_test = normal_examples(dataset, 256, 99)
    assert (len(normals), from_test) == (2, False)
    assert apart(dataset, 9) == (dataset, None, [])


def test_classes_of_the_test_part_say_nothing_beside_training_without_any(tmp_path):
    save(tmp_path / "train", 0, 20)
    save(tmp_path / "test" / "good", 100, 5)
    save(tmp_path / "test" / "crack", 200, 9)
    normals, from_test = normal_examples(data.load(tmp_path), 256, 99)
    assert not from_test
    assert max(levels(normals)) < 20


def test_without_classes_all_are_normal(tmp_path):
    save(tmp_path / "train", 0, 20)
    save(tmp_path / "test", 100, 9)
    dataset = data.load(tmp_path)
    assert levels(normal_examples(dataset, 256, 99)[0]) == list(range(100, 109))
    assert apart(dataset, 100)[0] is dataset


def test_a_class_that_a_cut_left_out_of_training_is_no_anomaly(tmp_path):
    """Whole numbers as labels, each once: whatever lies in the test part is of a class of its own."""
    rows = "\n".join(f"{x / 7},{x / 3},{x}" for x in range(60))
    (tmp_path / "rows.csv").write_text(f"a,b,label\n{rows}\n", encoding="utf-8")
    dataset = data.load(tmp_path / "rows.csv", labels="label")
    assert dataset.cut_parts == ("validation", "test")
    assert seen_classes(dataset).all()
    assert not seen_classes(dataclasses.replace(dataset, cut_parts=())).any()


def test_numbers_of_classes_in_arrays(tmp_path):
    images = np.zeros((30, 4, 4, 1), "float32")
    labels = {"y_train": np.repeat([3, 7], 15), "y_test": np.repeat([0, 7, 9], 10)}
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images, **labels)
    dataset = data.load(tmp_path / "a.npz")
    known, rest, names = apart(dataset, 100)
    assert set(known.test.labels.tolist()) == {7}
    assert names == ["0", "9"]
    assert len(rest) == 20


@pytest.mark.parametrize("numbers", [[], [0], [3, 255, 256, 700], list(range(1000))])
def test_a_stream_gives_chosen_examples(mini, numbers):
    """As an array does, though it is read in batches; labels come along."""
    numbers = np.asarray(numbers, int)
    wanted = mini.test.chosen(numbers)
    streamed = super(type(mini.test), mini.test).chosen(numbers)
    np.testing.assert_array_equal(streamed.array(), wanted.array())
    np.testing.assert_array_equal(streamed.labels, wanted.labels)
