"""Which examples a film shows: classes are chosen and have names."""

import dataclasses

import numpy as np
import pytest
from conftest import four_lines
from PIL import Image

from aezoo import data
from aezoo.core.errors import DataError, OptionError
from aezoo.data.classes import class_names, only_classes
from aezoo.film.recording import make_film


def test_classes_are_chosen_and_nothing_else(mini):
    few = only_classes(mini, ["7", 1])
    for name in ("train", "validation", "test"):
        old, new = getattr(mini, name), getattr(few, name)
        chosen = np.isin(old.labels, [1, 7])
        assert 0 < len(new) == chosen.sum() < len(old)
        np.testing.assert_array_equal(new.array(), old.array()[chosen])
        np.testing.assert_array_equal(new.labels, old.labels[chosen])
        np.testing.assert_array_equal(new.class_numbers, old.class_numbers[chosen])
    assert few.class_count == 10
    assert class_names(few) == list("0123456789")


def test_classes_have_names(tmp_path):
    draw = np.random.default_rng(0)
    for name in ("ape", "bee", "cat"):
        (tmp_path / "animals" / name).mkdir(parents=True)
        for number in range(12):
            picture = draw.integers(0, 255, (9, 9), "uint8")
            Image.fromarray(picture).save(tmp_path / "animals" / name / f"{number}.png")
    animals = data.load(tmp_path / "animals")
    few = only_classes(animals, ["cat", "ape"])
    assert set(few.train.labels) == {0, 2}
    with pytest.raises(OptionError) as error:
        only_classes(animals, ["cta"])
    four_lines(error, "no such class (did you mean 'cat'?)", "ape, bee, cat")


def test_wrong_classes(mini):
    with pytest.raises(OptionError) as error:
        only_classes(mini, ["0", "11"])
    four_lines(error, "no such class", "class '11' of mnist_mini", "among 0, 1, 2", "classes=['0', '1']")
    with pytest.raises(OptionError) as error:
        only_classes(mini, [])
    four_lines(error, "no such class")
    bare = {
        name: type(mini.train)(getattr(mini, name).examples[:20]) for name in ("train", "validation", "test")
    }
    bare = dataclasses.replace(mini, **bare)
    with pytest.raises(DataError) as error:
        only_classes(bare, ["0"])
    four_lines(error, "these examples have none")
    film = make_film(bare, ("linear",), epochs=1, frames=2, units=(16, 8), progress=False)
    assert film.numbers is None  # one colour
    part = type(mini.train)
    alone = part(
        mini.test.examples[mini.test.labels == 4], mini.test.labels[mini.test.labels == 4], mini.test.classes
    )
    with pytest.raises(DataError) as error:
        only_classes(dataclasses.replace(mini, test=alone), ["5"])
    four_lines(error, "none of these classes: test")
