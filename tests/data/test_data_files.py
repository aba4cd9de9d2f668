"""Reading folders of images, NumPy files and tables: what is taken, and what each refusal says."""

import os

import numpy as np
import pytest
from PIL import Image

from aezoo.core.errors import DataError, DataNote
from aezoo.data import load
from aezoo.data.sources.image_folder import read_image_folder


def refused(source, **options):
    """The four lines with which `load` refuses a source."""
    with pytest.raises(DataError) as error:
        load(source, **options)
    lines = str(error.value).splitlines()
    assert [line[:12] for line in lines[1:]] == ["  got:      ", "  expected: ", "  fix:      "], lines
    assert all(len(line) > 12 for line in lines)
    return lines


def all_examples(dataset):
    return np.concatenate([part.array() for part in (dataset.train, dataset.validation, dataset.test)])


def images_of(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def save_images(folder, count=4, size=(6, 5), mode="RGB", suffix=".png", seed=0):
    """Writes images of (H, W) into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = images_of(count, *size, channels, seed=seed)
    paths = [folder / f"{i:03}{suffix}" for i in range(count)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image.squeeze(), mode=mode if channels == 1 else None).save(path)
    return paths


# --- a missing source


def test_missing_files(tmp_path, monkeypatch):
    (tmp_path / "faces.npz").touch()
    lines = refused(str(tmp_path / "face.npz"))
    assert "did you mean 'faces.npz'?" in lines[0]
    assert str(tmp_path / "face.npz") in lines[1]
    assert "there is no folder foo" in refused("foo/bar.npz")[3]
    refused(tmp_path / "folder")
    assert refused("./folder")[0].startswith("no such file or folder")


def test_unknown_suffix(tmp_path):
    (tmp_path / "notes.txt").write_text("a", encoding="utf-8")
    assert ".parquet" in refused(tmp_path / "notes.txt")[2]
    picture = save_images(tmp_path, 1)[0]
    assert repr(str(tmp_path)) in refused(picture)[3]


# --- folders of images


def test_folder_with_labels(tmp_path):
    for name in ("cat", "Dog", "emu"):
        save_images(tmp_path / name / "deeper", 10, suffix=".PNG", seed=len(name) + ord(name[0]))
    (tmp_path / ".DS_Store").write_text("x", encoding="utf-8")
    (tmp_path / "cat" / ".hidden.png").write_text("x", encoding="utf-8")
    (tmp_path / "cat" / "readme.txt").write_text("x", encoding="utf-8")
    (tmp_path / "nothing here").mkdir()
    with pytest.warns(DataNote, match=r"1 of 31 files not read: 1 .txt \(readme.txt\)"):
        dataset = load(tmp_path)
    assert dataset.unread_files == {".txt": 1}
    (tmp_path / "cat" / "readme.txt").unlink()
    assert dataset.label_names == ("Dog", "cat", "emu")
    assert (dataset.kind, dataset.shape, dataset.stored_dtype) == ("images", (6, 5, 3), "uint8")
    assert dataset.name == tmp_path.name
    assert [np.bincount(part.labels).tolist() for part in (dataset.validation, dataset.test)] == [[1] * 3] * 2
    dog = np.asarray(Image.open(tmp_path / "Dog" / "deeper" / "000.PNG")) / np.float32(255)
    found = [np.array_equal(dog, image) for image in all_examples(dataset)]
    labels = np.concatenate([part.labels for part in (dataset.train, dataset.validation, dataset.test)])
    assert labels[np.argmax(found)] == 0
    assert load(dataset.source, **dataset.load_options).content_hash == dataset.content_hash
    save_images(tmp_path / "cat" / "deeper", 1, suffix=".PNG", seed=77)
    assert load(tmp_path).content_hash != dataset.content_hash


def test_folder_with_parts(tmp_path):
    for part, count in (("train", 8), ("Test", 3), ("val", 2)):
        for name in ("10", "9"):
            save_images(tmp_path / part / name, count, seed=count)
    dataset = load(tmp_path)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (16, 4, 6)
    assert dataset.label_names == ("9", "10")
    assert dataset.test.labels.tolist() == [1, 1, 1, 0, 0, 0]
    (tmp_path / "Test").rename(tmp_path / "elsewhere")
    assert load(tmp_path).label_names == ("elsewhere", "train", "val")  # then they are classes
    save_images(tmp_path / "test", 2)
    assert "elsewhere" in refused(tmp_path)[1]


def test_masks_beside_the_parts_are_not_read(tmp_path):
    """As MVTec AD lays out its sets; its masks have the names of images."""
    save_images(tmp_path / "train" / "good", 8)
    for folder in ("test/good", "test/crack", "ground_truth/crack"):
        save_images(tmp_path / folder, 2)
    with pytest.warns(DataNote, match=r"2 of 14 files not read: 2 \.png"):
        found = read_image_folder(tmp_path)
    assert {part: len(examples) for part, (examples, _) in found.parts.items()} == {"train": 8, "test": 4}
    assert found.label_names == ("crack", "good")
    assert found.unread_files == {".png": 2}


def test_flat_folder_and_train_test_without_labels(tmp_path):
    save_images(tmp_path / "flat", 6)
    assert load(tmp_path / "flat").train.labels is None
    save_images(tmp_path / "parts" / "train", 10)
    save_images(tmp_path / "parts" / "test" / "good", 3)
    save_images(tmp_path / "parts" / "test" / "broken", 3)
    dataset = load(tmp_path / "parts")
    assert dataset.train.labels is None
    assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.label_names == ("broken", "good")
    assert (len(dataset.train), len(dataset.validation)) == (9, 1)


def test_folder_errors(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    lines = refused(empty)
    assert ".png, .jpg, .jpeg" in lines[2]
    assert str(empty) in lines[1]
    mixed = tmp_path / "mixed"
    first = save_images(mixed, 3)[0]
    save_images(mixed / "cat", 2)
    assert str(first) in refused(mixed)[1]
    save_images(tmp_path / "few", 2)
    assert "2 to train on" in refused(tmp_path / "few")[1]


def test_sizes_and_modes_that_differ(tmp_path):
    paths = save_images(tmp_path, 4)
    Image.new("RGB", (9, 7)).save(paths[2])
    lines = refused(tmp_path)
    assert f"{paths[0]} is (6, 5, 3), {paths[2]} is (7, 9, 3)" in lines[1]
    assert "image_shape=(6, 5, 3)" in lines[3]
    for channels in (1, 2, 3, 4):
        assert load(tmp_path, image_shape=(8, 4, channels)).shape == (8, 4, channels)
    Image.new("L", (5, 6)).save(paths[2])
    assert "(6, 5, 1)" in refused(tmp_path)[1]


def test_resizing_is_antialiased(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    for i in range(3):
        Image.fromarray(stripes).save(tmp_path / f"{i}.png")
    images = all_examples(load(tmp_path, image_shape=(8, 8, 1)))
    assert np.abs(images[:, :, 1:-1] - 0.5).max() < 0.05


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "truncated"])
def test_unreadable_image(tmp_path, content):
    path = save_images(tmp_path, 4, size=(40, 40))[2]
    path.write_bytes(path.read_bytes()[:-900] if content is None else content)
    lines = refused(tmp_path)
    assert path.name in lines[0]
    assert str(path) in lines[1]


def test_exif_orientation(tmp_path):
    pixels = images_of(4, 8)
    for i in range(3):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
        Image.fromarray(pixels).save(tmp_path / f"{i}.png", exif=exif)
    images = all_examples(load(tmp_path))
    assert np.array_equal(images[0, ..., 0], np.rot90(pixels, -1) / np.float32(255))


def test_palettes_and_black_and_white(tmp_path):
    for i in range(3):
        Image.new("RGB", (3, 2), (255, 0, 10)).quantize().save(tmp_path / f"{i}.png")
    assert np.rint(all_examples(load(tmp_path))[0, 0, 0] * 255).tolist() == [255, 0, 10]
    for i in range(3):
        Image.new("1", (3, 2), 1).save(tmp_path / f"{i}.png")
    assert all_examples(load(tmp_path)).min() == 1.0


def test_jpeg(tmp_path):
    save_images(tmp_path, 2, suffix=".jpg")
    save_images(tmp_path / "b", 2, suffix=".JPEG")
    for path in (tmp_path / "b").iterdir():
        path.rename(tmp_path / ("b" + path.name))
    (tmp_path / "b").rmdir()
    assert len(all_examples(load(tmp_path))) == 4


@pytest.mark.timeout(20)
def test_links_that_lead_back(tmp_path):
    save_images(tmp_path / "cat", 5)
    os.symlink(tmp_path, tmp_path / "cat" / "again", target_is_directory=True)
    os.symlink(tmp_path / "cat", tmp_path / "cat" / "self", target_is_directory=True)
    assert len(all_examples(load(tmp_path))) == 5


def test_a_prepared_set_is_no_folder_of_images(tmp_path):
    (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
    (tmp_path / "mnist" / "3.0.1" / "dataset_info.json").write_text("{}", encoding="utf-8")
    assert f"data_dir={str(tmp_path)!r}" in refused(tmp_path / "mnist")[3]


# --- NumPy files


@pytest.mark.parametrize(
    ("array", "kind", "shape", "stored"),
    [
        (images_of(10, 6, 5), "images", (6, 5, 1), "uint8"),
        (images_of(10, 6, 5, 3), "images", (6, 5, 3), "uint8"),
        (images_of(10, 6, 5) / 255, "images", (6, 5, 1), "float32"),
        ((images_of(10, 6, 5) / 255).astype(np.float16), "images", (6, 5, 1), "float32"),
        (images_of(10, 6, 5) > 99, "images", (6, 5, 1), "uint8"),
        (images_of(10, 7), "rows", (7,), "float32"),
        (images_of(10, 7, dtype=np.float64) * 1e6, "rows", (7,), "float32"),
    ],
)
def test_npy(tmp_path, array, kind, shape, stored):
    np.save(tmp_path / "set.npy", array)
    dataset = load(tmp_path / "set.npy")
    assert (dataset.kind, dataset.shape, dataset.stored_dtype) == (kind, shape, stored)
    assert dataset.value_range == ((0.0, 1.0) if kind == "images" else None)
    scale = np.float32(255) if array.dtype == np.uint8 and kind == "images" else np.float32(1)
    expected = array.astype(np.float32).reshape(10, *shape) / scale
    found = all_examples(dataset)
    order = [np.flatnonzero([np.array_equal(row, other) for other in expected])[0] for row in found]
    assert sorted(order) == list(range(10))
    assert np.array_equal(
        np.concatenate(list(dataset.train.batches(3).as_numpy_iterator())), dataset.train.array()
    )


def one(array, index, value):
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (images_of(9, 6, 5).astype(np.float32), ["float images must lie in [0, 1]", "example 0", "", "255"]),
        (
            one(np.zeros((9, 6, 5)), (4, 2, 1), np.nan),
            ["not finite", "nan in example 4, at (2, 1, 0)", "", ""],
        ),
        (one(np.zeros((9, 6)), (4, 2), -np.inf), ["not finite", "-inf in row 4, column 2", "", ""]),
        (one(np.zeros((9, 6)), (4, 2), 1e300), ["too large", "1e+300 in row 4, column 2", "", ""]),
        (one(np.zeros((9, 6, 5)), (3, 2, 1), -0.1), ["", "-0.1 in example 3, at (2, 1, 0)", "", ""]),
        (images_of(9, 6, 5, dtype=np.int64), ["int64", "int64, values", "uint8", "astype('uint8')"]),
        (images_of(9, 6, 5, dtype=np.int64) - 5, ["int64", "values -5", "uint8", "scale"]),
        (images_of(9, 6, 5, dtype=np.uint16), ["uint16", "uint16, values", "value_range", "astype('uint8')"]),
        (images_of(9, 6, 5, 1, dtype=np.int64), ["int64", "int64, values", "uint8", "(0, 4095)"]),
        (images_of(9, 3, 6, 7), ["channels-first", "(9, 3, 6, 7)", "", "moveaxis"]),
        (images_of(9, 8, 6, 7), ["7 channels", "(9, 8, 6, 7)", "1 to 4 channels", ""]),
        (images_of(9), ["neither", "(9,)", "", "reshape"]),
        (images_of(2, 2, 2, 2, 2), ["neither", "(2, 2, 2, 2, 2)", "", ""]),
        (images_of(0, 6, 5), ["no examples", "(0, 6, 5)", "", ""]),
        (images_of(2, 6, 5), ["too few", "2 to train on", "at least 3", ""]),
        (np.array([["a", "b"]]), ["no numbers", "<U1", "", ""]),
        (images_of(9, 4) * 1j, ["no numbers", "complex128", "", ""]),
    ],
)
def test_npy_refused(tmp_path, array, texts):
    np.save(tmp_path / "set.npy", array)
    lines = refused(tmp_path / "set.npy")
    assert lines[0].startswith("set")
    for line, text in zip(lines, texts, strict=True):
        assert text in line


def test_damaged_numpy_files(tmp_path):
    np.save(tmp_path / "whole.npy", images_of(50, 6, 5))
    np.savez_compressed(tmp_path / "whole.npz", images=images_of(50, 6, 5))
    for name, cut in (("whole.npy", 300), ("whole.npz", 300), ("whole.npy", 0), ("whole.npz", 0)):
        path = tmp_path / f"cut{cut}{name}"
        path.write_bytes((tmp_path / name).read_bytes()[:cut])
        lines = refused(path)
        assert "cannot be read" in lines[0]
        assert str(path) in lines[1]
    content = bytearray((tmp_path / "whole.npz").read_bytes())
    content[400] ^= 255
    (tmp_path / "flipped.npz").write_bytes(content)
    assert "cannot be read" in refused(tmp_path / "flipped.npz")[0]
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "without pickled objects" in refused(tmp_path / "objects.npy")[2]


@pytest.mark.parametrize(
    ("examples", "labels"),
    [("images", "labels"), ("x", "y"), ("X", "Y"), ("data", "target"), ("arr_0", "arr_1"), ("faces", "y")],
)
def test_npz_names(tmp_path, examples, labels):
    np.savez(tmp_path / "set.npz", **{labels: np.arange(10) % 2, examples: images_of(10, 6, 5)})
    dataset = load(tmp_path / "set.npz")
    assert dataset.shape == (6, 5, 1)
    assert sorted(np.concatenate([dataset.train.labels, dataset.validation.labels, dataset.test.labels])) == (
        [0] * 5 + [1] * 5
    )


def test_npz_with_parts(tmp_path):
    images = images_of(20, 6, 5)
    keras = {
        "x_train": images[:15],
        "y_train": np.arange(15)[:, None],
        "x_test": images[15:],
        "y_test": np.arange(5),
    }
    np.savez(tmp_path / "keras.npz", **keras)
    dataset = load(tmp_path / "keras.npz", validation_fraction=0.2)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (12, 3, 5)
    assert np.array_equal(dataset.test.array()[..., 0], images[15:] / np.float32(255))
    assert dataset.test.labels.tolist() == [0, 1, 2, 3, 4]
    np.savez(tmp_path / "plain.npz", train=images[:10], test=images[10:16], val=images[16:])
    dataset = load(tmp_path / "plain.npz")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (10, 4, 6)
    texts = {"train_labels": np.array(["b", "c"] * 5), "test_labels": np.array(["a", "b", "c"])}
    np.savez(tmp_path / "med.npz", train_images=images[:10], test_images=images[10:13], **texts)
    dataset = load(tmp_path / "med.npz")
    assert dataset.label_names == ("a", "b", "c")
    assert dataset.test.labels.tolist() == [0, 1, 2]
    assert set(dataset.train.labels.tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("arrays", "texts"),
    [
        (
            {"a": images_of(9, 3, 3), "b": images_of(9, 3, 3)},
            ["cannot tell", "a (9, 3, 3), b (9, 3, 3)", "", ""],
        ),
        ({"x": images_of(9, 3, 3), "data": images_of(9, 3, 3)}, ["cannot tell", "data", "", ""]),
        ({"y": images_of(9)}, ["cannot tell", "y (9,)", "", ""]),
        ({}, ["cannot tell", "no arrays", "", ""]),
        ({"x": images_of(9, 3), "y": images_of(8)}, ["'y'", "(8,) for 9 examples", "(9,)", ""]),
        ({"x": images_of(9, 3), "y": np.eye(9)}, ["'y'", "(9, 9)", "", "argmax"]),
        ({"x": images_of(9, 3), "y": np.arange(9) / 2}, ["'y'", "0.5 at index 1", "", ""]),
        ({"train": images_of(9, 3, 3), "test": images_of(4, 3, 2)}, ["differ", "(3, 2, 1)", "", "(3, 3, 1)"]),
        ({"train": images_of(9, 3, 3), "test": images_of(4, 3, 3) / 255}, ["differ", "float32", "", "uint8"]),
        ({"x_train": images_of(9, 3, 3), "x_test": images_of(4, 3, 3) * 1.0}, ["'x_test'", "", "", ""]),
    ],
)
def test_npz_refused(tmp_path, arrays, texts):
    np.savez(tmp_path / "set.npz", **arrays)
    for line, text in zip(refused(tmp_path / "set.npz"), texts, strict=True):
        assert text in line


def test_one_pixel_changes_the_hash(tmp_path):
    images = images_of(10, 6, 5)
    np.save(tmp_path / "a.npy", images)
    before = load(tmp_path / "a.npy").content_hash
    images[4, 3, 2] ^= 1
    np.save(tmp_path / "a.npy", images)
    assert load(tmp_path / "a.npy").content_hash != before


def test_nothing_is_printed(tmp_path, capfd):
    save_images(tmp_path / "images", 4)
    (tmp_path / "set.csv").write_text("a,b\n1,2\n3,4\n5,6\n7,8\n", encoding="utf-8")
    np.save(tmp_path / "set.npy", images_of(9, 4, 4))
    for name in ("images", "set.csv", "set.npy"):
        load(tmp_path / name).train.array()
    assert capfd.readouterr() == ("", "")
