"""Examples that were trained on are refused; values that merely repeat are not."""

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core.errors import DataError
from aezoo.core.fingerprints import fingerprints, refuse_training_data, sketch


def draw(seed=0):
    return np.random.Generator(np.random.Philox(seed))


def binary(count, bits, seed=0):
    """Rows of bits whose chances differ by column, as answers to questions do."""
    chance = draw(99).uniform(0.2, 0.8, bits)
    return (draw(seed).random((count, bits)) < chance).astype("float32")


def rounded(count, zeros, seed=0):
    """Rows of two whole numbers, some of which are zero throughout."""
    rows = np.rint(draw(seed).normal(0, 300, (count, 2)))
    rows[:zeros] = 0
    return draw(seed + 1).permutation(rows).astype("float32")


def tiles(count, blank, seed=0):
    images = draw(seed).integers(0, 256, (count, 6, 6, 1), dtype="uint8")
    images[:blank] = 255
    return draw(seed + 1).permutation(images)


def refused(examples, trained):
    with pytest.raises(DataError) as error:
        refuse_training_data(examples, sketch(fingerprints(trained)))
    four_lines(error, "were trained on", "hold some back", "normals=")
    return error.value


@pytest.mark.parametrize("shape", [(6, 5, 1), (6,), (7, 2)])
def test_training_examples_are_refused_and_others_are_not(shape):
    trained, new = (draw(seed).random((9000, *shape), dtype="float32") for seed in (4, 5))
    kept = sketch(fingerprints(trained))
    assert kept.shape == (2, 4096)
    assert refuse_training_data(new[:500], kept) == "none found"
    assert refuse_training_data(trained[:500], None) == "unknown"
    refused(trained[:500], trained)
    refused(np.concatenate([trained[:300], new[:300]]), trained)  # the half of them
    if len(shape) == 3:  # bytes and floats of one image are one image
        refused(np.rint(trained[:500] * 255).astype("uint8"), trained)


REPEATED = {
    "rounded rows with zeros": (rounded(1000, 80), rounded(250, 20, seed=7)),
    "more zeros than in training": (rounded(1000, 80), rounded(250, 120, seed=7)),
    "one blank tile in training, many later": (tiles(500, 1), tiles(100, 60, seed=3)),
    "blank tiles": (tiles(500, 200), tiles(100, 20, seed=3)),
    **{
        f"{bits} bits": (binary(1000, bits), binary(250, bits, seed=1))
        for bits in (2, 5, 8, 9, 10, 11, 13, 16)
    },
    "11 bits, many rows": (binary(40000, 11), binary(9000, 11, seed=1)),
    "14 bits, many rows": (binary(40000, 14), binary(9000, 14, seed=1)),
}


@pytest.mark.parametrize("name", REPEATED)
def test_repeated_values_are_no_leak(name):
    trained, new = REPEATED[name]
    refuse_training_data(new, sketch(fingerprints(trained)))


@pytest.mark.parametrize(
    "name", [n for n in REPEATED if n not in ("2 bits", "5 bits", "8 bits", "11 bits, many rows")]
)
def test_a_leak_among_repeated_values_is_refused(name):
    trained, new = REPEATED[name]
    refused(trained, trained)
    refused(trained[: len(trained) // 2], trained)
    refused(np.concatenate([trained[: len(trained) // 4]] * 2), trained)
    assert refuse_training_data(new, sketch(fingerprints(trained))) == "none found"


def test_any_draw_of_a_binary_table_passes():
    """Of 400 tables not one is refused, whatever the number of its columns."""
    for seed in range(400):
        rows = binary(600, 2 + seed % 15, seed=100 + seed)
        refuse_training_data(rows[500:], sketch(fingerprints(rows[:500])))


@pytest.mark.parametrize(
    "kept",
    [
        None,
        np.zeros((2, 0), "uint64"),
        np.arange(9, dtype="uint64"),
        np.zeros((2, 3)),
        np.zeros((3, 3), "uint64"),
    ],
)
def test_nothing_is_known_without_a_sketch(kept):
    assert refuse_training_data(binary(10, 3), kept) == "unknown"


def test_it_is_said_where_values_tell_nothing():
    """All 32 rows of 5 bits are in the training, so whatever is new has been seen."""
    assert refuse_training_data(binary(100, 5, seed=1), sketch(fingerprints(binary(1000, 5)))) == "unknown"


def test_the_error_counts():
    trained, new = (draw(seed).random((2, 300, 6), dtype="float32")[0] for seed in (4, 5))
    error = refused(np.concatenate([trained[:60], new[:100], new[:100]]), trained)
    assert error.got.startswith("60 of 160 examples that can be compared")
