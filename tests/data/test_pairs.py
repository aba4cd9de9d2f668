"""Pairs of noisy and clean examples: matched by name, cut alike, and refused where a half is missing."""

import numpy as np
import pytest
from conftest import four_lines
from PIL import Image

from aezoo.core.errors import DataError, OptionError
from aezoo.data import load

COUNT = 12


@pytest.fixture
def folders(tmp_path):
    """clean/ and noisy/ with images that tell which they are: a noisy one is its clean one plus 100."""
    for name, add, suffix in (("clean", 0, "png"), ("noisy", 100, "bmp")):
        (tmp_path / name).mkdir()
        for number in range(COUNT):
            pixels = np.full((6, 5), number + add, "uint8")
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.{suffix}")
    return tmp_path / "clean", tmp_path / "noisy"


def differences(dataset):
    parts = ("train", "validation", "test")
    pairs = [(getattr(dataset.noisy, name).array(), getattr(dataset, name).array()) for name in parts]
    return np.concatenate([np.ravel(noisy - clean) for noisy, clean in pairs]) * 255


def test_both_halves_of_a_pair_lie_in_one_part(folders):
    dataset = load(folders[0], noisy=folders[1], seed=3)
    np.testing.assert_allclose(differences(dataset), 100, rtol=1e-5)
    again = load(dataset.source, **dataset.load_options)
    assert again.content_hash == dataset.content_hash
    np.testing.assert_allclose(differences(again), 100, rtol=1e-5)


def test_arrays_are_matched_by_their_order(tmp_path):
    clean = np.arange(COUNT * 30, dtype="uint8").reshape(COUNT, 6, 5, 1) // 4
    np.save(tmp_path / "clean.npy", clean)
    np.save(tmp_path / "noisy.npy", clean + 100)
    dataset = load(tmp_path / "clean.npy", noisy=tmp_path / "noisy.npy", kind="images")
    np.testing.assert_allclose(differences(dataset), 100, rtol=1e-4)


def test_one_noisy_pixel_is_other_data(folders):
    before = load(folders[0], noisy=folders[1]).content_hash
    assert before != load(folders[0]).content_hash
    Image.fromarray(np.full((6, 5), 7, "uint8")).save(folders[1] / "0.bmp")
    assert load(folders[0], noisy=folders[1]).content_hash != before


def test_what_is_no_pair_is_refused(folders, tmp_path):
    clean, noisy = folders
    np.save(tmp_path / "rows.npy", np.zeros((9, 3), "float32"))
    for source, other in (("mnist_mini", noisy), (clean, tmp_path / "rows.npy"), (clean, noisy / "3.bmp")):
        with pytest.raises(OptionError) as caught:
            load(source, noisy=other)
        four_lines(caught.value, str(other))
    with pytest.raises(DataError) as caught:
        load(clean, noisy=tmp_path / "gone")
    four_lines(caught.value, "does not exist")
    (noisy / "3.bmp").rename(noisy / "x.bmp")
    with pytest.raises(DataError) as caught:
        load(clean, noisy=noisy)
    four_lines(caught.value, "3.png", "the same names")
    (clean / "3.png").unlink()
    with pytest.raises(DataError) as caught:
        load(clean, noisy=noisy)
    four_lines(caught.value, "x.bmp")
    Image.fromarray(np.zeros((6, 5), "uint8")).save(noisy / "x.png")
    with pytest.raises(DataError) as caught:
        load(clean, noisy=noisy)
    four_lines(caught.value, "x.png")


def test_other_sizes_are_refused(folders):
    for path in folders[1].iterdir():
        Image.fromarray(np.zeros((6, 6), "uint8")).save(path)
    with pytest.raises(DataError) as caught:
        load(folders[0], noisy=folders[1])
    four_lines(caught.value, "(6, 6, 1)")
