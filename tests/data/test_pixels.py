"""Which pixel values become 0 and 1: stated, taken from the training and told, kept for the trained model."""

import types

import image_makers
import numpy as np
import pytest
from conftest import four_lines
from PIL import Image

from aezoo import data
from aezoo.core import outputs
from aezoo.core.errors import DataError, DataNote, OptionError
from aezoo.data import pixels, reading

SHAPE = (6, 5)
CAMERA = np.random.default_rng(0).integers(100, 563, (20, *SHAPE)).astype(np.uint16)  # 463 levels of 12 bits
CAMERA[:, 0, :2] = 100, 562


def write(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        path = folder / f"{number:02}{suffix}"
        if suffix == ".png" and image.ndim == 2:
            Image.fromarray(image).save(path)
        else:
            path.write_bytes((image_makers.png if suffix == ".png" else image_makers.tiff)(image))
    return folder


def everything(dataset):
    return np.concatenate([part.array() for part in (dataset.train, dataset.validation, dataset.test)])


def levels(dataset):
    return len(np.unique(everything(dataset)))


def model_of(shape, dtype="float32"):
    """What `read_for` asks of a model."""
    return types.SimpleNamespace(
        example_dtype=dtype,
        example_shape=shape,
        kind="images",
        classes=None,
        feature_names=None,
        ragged=False,
    )


def run_of(dataset):
    return {
        "data": {
            "load_options": dataset.load_options,
            "source": dataset.source,
            "pixel_dtype": dataset.pixel_dtype,
            "feature_names": None,
        }
    }


def test_a_camera_keeps_its_levels_and_says_its_range(tmp_path):
    folder = write(tmp_path / "camera", CAMERA)
    with pytest.warns(DataNote) as notes:
        dataset = data.load(folder)
    assert [str(note.message) for note in notes] == [
        "camera: uint16 pixels, scaled by the smallest and the largest value of the 16 training images; "
        "value_range=(100, 562) would state them"
    ]
    assert dataset.pixel_range == (100, 562)
    assert levels(dataset) == len(np.unique(CAMERA)) > 300
    assert dataset.load_options["value_range"] == [100, 562]
    assert (dataset.pixel_dtype, dataset.stored_dtype, dataset.value_range) == ("uint16", "float32", (0, 1))
    # what run.json keeps gives the same again, and the digest is that of the files
    again = data.load(folder, **dataset.load_options)
    assert np.array_equal(everything(again), everything(dataset))
    assert data.load(folder, value_range=(0, 4095)).content_hash == dataset.content_hash


@pytest.mark.parametrize("kind", ["png", "tif", "npy", "npz", "colour png"])
def test_a_stated_range(kind, tmp_path):
    images = np.stack([CAMERA] * 3, -1) if kind == "colour png" else CAMERA
    if kind == "npy":
        source = tmp_path / "a.npy"
        np.save(source, images)
    elif kind == "npz":
        source = tmp_path / "a.npz"
        np.savez(source, x=images)
    else:
        source = write(tmp_path / "a", images, ".tif" if kind == "tif" else ".png")
    dataset = data.load(source, value_range=(0, 4095), seed=3)
    expected = (images / 4095).astype(np.float32).reshape(20, *SHAPE, -1)
    assert dataset.pixel_range == (0, 4095)
    assert dataset.load_options["value_range"] == [0, 4095]
    assert sorted(map(bytes, everything(dataset))) == sorted(map(bytes, expected))
    # and a model reads the same pixels as its training did, without a word of the range
    model, run = model_of(dataset.shape), run_of(dataset)
    assert np.array_equal(reading.read_for(model, source, run=run).array, expected)
    part = reading.read_for(model, f"{source}[train]", run=run)
    assert np.array_equal(part.array, dataset.train.array())
    batches = np.concatenate(list(dataset.train.batches(7).as_numpy_iterator()))
    assert np.array_equal(part.array, batches)


def test_thermal_floats(tmp_path):
    kelvin = np.random.default_rng(1).normal(295, 3, (12, *SHAPE)).astype(np.float32)
    folder = write(tmp_path / "thermal", kelvin, ".tif")
    dataset = data.load(folder, value_range=(273.15, 333.15))
    assert levels(dataset) > 300
    hot = kelvin[:1].copy()
    hot[0, 2, 3] = 500
    folder = write(tmp_path / "hot", hot, ".tif")
    with pytest.warns(
        DataNote, match=r"hot: 1 of 30 pixel values lie outside of the value range 273.15 to 333.15"
    ):
        found = reading.read_for(model_of((*SHAPE, 1)), folder, run=run_of(dataset)).array
    assert found.max() == 1.0
    unit = write(tmp_path / "unit", (kelvin - 280) / 40, ".tif")
    dataset = data.load(unit)  # floats in [0, 1] are what they are
    assert (dataset.pixel_range, dataset.load_options["value_range"]) == ((0, 1), None)
    assert np.array_equal(np.sort(everything(dataset), axis=None), np.sort((kelvin - 280) / 40, axis=None))


def test_bytes_are_as_they_were(tmp_path):
    images = (CAMERA >> 2).astype(np.uint8)
    folder = write(tmp_path / "a", images)
    for more in ({}, {"value_range": (0, 255)}):
        dataset = data.load(folder, **more)
        assert (dataset.stored_dtype, dataset.pixel_range) == ("uint8", (0, 255))
        assert dataset.load_options["value_range"] is None
    with pytest.warns(DataNote, match="lie outside of the value range 30 to 100"):
        dataset = data.load(folder, value_range=(30, 100))
    assert dataset.stored_dtype == "float32"
    with pytest.warns(DataNote, match="outside"):
        found = reading.read_for(model_of((*SHAPE, 1)), folder, run=run_of(dataset)).array
    assert np.array_equal(found[..., 0], np.clip((images.astype(float) - 30) / 70, 0, 1).astype(np.float32))


def test_a_model_reads_no_other_depth_than_it_was_trained_on(tmp_path):
    deep, flat = write(tmp_path / "deep", CAMERA), write(tmp_path / "flat", (CAMERA >> 2).astype(np.uint8))
    model = model_of((*SHAPE, 1))
    of_deep = run_of(data.load(deep, value_range=(0, 4095)))
    of_flat = run_of(data.load(flat))
    for run, source, expected in (
        (of_deep, flat, "uint16 from 0 to 4095"),
        (of_flat, deep, "bytes"),
        (None, deep, "bytes"),
        (of_deep, "mnist_mini", "uint16 from 0 to 4095"),
        (of_flat, f"{deep}[test]", "bytes"),
    ):
        model.example_shape = (28, 28, 1) if source == "mnist_mini" else (*SHAPE, 1)
        with pytest.raises(DataError) as error:
            reading.read_for(model, source, run=run)
        four_lines(error, "another depth", expected, "value_range=(0, ")
    stated = reading.read_for(model, deep, run=of_flat, value_range=(0, 65535)).array
    assert np.array_equal(stated, (CAMERA[..., None] / 65535).astype(np.float32))


def test_one_dark_image_is_scaled_like_the_others(tmp_path):
    run = run_of(data.load(write(tmp_path / "a", CAMERA), value_range=(0, 4095)))
    dark = np.full((1, *SHAPE), 41, np.uint16)
    np.save(tmp_path / "dark.npy", dark)
    for source in (write(tmp_path / "dark", dark), tmp_path / "dark.npy"):
        found = reading.read_for(model_of((*SHAPE, 1)), source, run=run).array
        assert np.array_equal(found, np.full((1, *SHAPE, 1), 41 / 4095, np.float32))


def test_a_model_that_takes_bytes_gets_the_range_in_256_levels(tmp_path):
    folder = write(tmp_path / "a", CAMERA)
    run = run_of(data.load(folder, value_range=(0, 4095)))
    with pytest.warns(DataNote, match="takes bytes, so its value range is cut into 256 levels"):
        found = reading.read_for(model_of((*SHAPE, 1), "uint8"), folder, run=run).array
    assert np.array_equal(found[..., 0], (CAMERA / 4095).astype(np.float32))  # and the bundle rounds floats


@pytest.mark.parametrize(
    "value_range", [(5, 5), (7, 3), (1,), (1, 2, 3), "ab", (0, np.inf), (np.nan, 1), 3, (-1e308, 1e308)]
)
def test_what_is_no_range(value_range, tmp_path):
    with pytest.raises(OptionError) as error:
        data.load(write(tmp_path / "a", CAMERA), value_range=value_range)
    four_lines(error, "the lower one first", "value_range=(0, 4095)")


def test_only_images_have_a_range(tmp_path):
    np.save(tmp_path / "rows.npy", CAMERA.reshape(20, -1))
    for source in (tmp_path / "rows.npy", "sklearn:wine", "quasi_periodic"):
        with pytest.raises(OptionError) as error:
            data.load(source, value_range=(0, 4095))
        four_lines(error, "a value range is for images", "leave value_range out")


def test_arrays_that_may_be_anything(tmp_path):
    for name, array, words in (
        ("bytes", CAMERA // 4, ["may be bytes", "astype('uint8')", "value_range"]),
        ("wide", CAMERA.astype(np.int64), ["images or sequences", "kind='sequences'", "value_range"]),
        ("floats", CAMERA[..., None].astype(np.float32), ["in [0, 1]", "value_range=(100, 562)"]),
    ):
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(DataError) as error:
            data.load(tmp_path / f"{name}.npy")
        four_lines(error, *words)
        known = data.load(tmp_path / f"{name}.npy", value_range=(0, 4095))
        assert (known.kind, known.pixel_range) == ("images", (0, 4095))
    sequences = data.load(tmp_path / "wide.npy", kind="sequences")
    assert (sequences.kind, sequences.pixel_range) == ("sequences", None)


def test_images_of_one_value_are_refused(tmp_path):
    with pytest.raises(DataError) as error:
        data.load(write(tmp_path / "a", np.full((6, *SHAPE), 3000, np.uint16)))
    four_lines(error, "one value in all pixels", "3000")


def test_a_prepared_set_has_no_range(tmp_path):
    with pytest.raises(OptionError) as error:
        data.load("mnist", value_range=(0, 128))
    four_lines(error, "loaded as bytes", "leave value_range out")


# --- what is not read


def test_files_that_are_not_read_are_counted_and_named(tmp_path):
    write(tmp_path / "a", CAMERA[:5])
    for number in range(30):
        (tmp_path / "a" / f"IMG_{number}.heic").write_bytes(b"x")
    for name in ("labels.csv", "Thumbs.db", ".DS_Store", "README"):
        (tmp_path / "a" / name).write_bytes(b"x")
    with pytest.warns(DataNote) as notes:
        dataset = data.load(tmp_path / "a", value_range=(0, 4095))
    assert [str(note.message) for note in notes] == [
        "a: 32 of 37 files not read: 30 .heic (IMG_0.heic, IMG_1.heic, IMG_10.heic, ...); "
        "1 without a suffix (README); 1 .csv (labels.csv)"
    ]
    assert dataset.unread_files == {".heic": 30, ".csv": 1, "without a suffix": 1}
    with pytest.warns(DataNote, match="32 of 37 files not read"):
        reading.read_for(model_of((*SHAPE, 1)), tmp_path / "a", run=run_of(dataset))


def test_tif_beside_png_is_read(tmp_path):
    write(tmp_path / "a", CAMERA[:5])
    write(tmp_path / "a", CAMERA, ".TIF")
    assert len(everything(data.load(tmp_path / "a", value_range=(0, 4095)))) == 25


def test_files_beside_the_parts_are_named(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / "a" / part, CAMERA)
    write(tmp_path / "a", CAMERA[:2])
    with pytest.warns(DataNote, match=r"2 of 42 files not read: 2 .png \(00.png, 01.png\)"):
        data.load(tmp_path / "a", value_range=(0, 4095))
    for path in (tmp_path / "a").glob("*.png"):
        path.unlink()
    for part in ("val", "validation"):
        write(tmp_path / "a" / part, CAMERA)
    with pytest.raises(DataError) as error:
        data.load(tmp_path / "a", value_range=(0, 4095))
    four_lines(error, "two folders for one part", "validation")


def test_a_folder_of_other_files(tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.heic").write_bytes(b"x")
    for read in (data.load, lambda folder: reading.read_path(folder, (*SHAPE, 1))):
        with pytest.raises(DataError) as error:
            read(tmp_path)
        four_lines(error, "4 .heic (0.heic, 1.heic, 2.heic, ...)", "convert the files to PNG")


def test_hidden_folders_are_read_nowhere(tmp_path):
    write(tmp_path / "a", CAMERA[:5])
    write(tmp_path / "a" / ".thumbs", CAMERA[:5])
    dataset = data.load(tmp_path / "a", value_range=(0, 4095))
    found = reading.read_for(model_of((*SHAPE, 1)), tmp_path / "a", run=run_of(dataset))
    assert len(found.array) == len(everything(dataset)) == 5


# --- what is written


def test_pictures_are_written_as_deep_as_they_were_read(tmp_path):
    dataset = data.load(write(tmp_path / "a", CAMERA), value_range=(0, 4095))
    model, run = model_of(dataset.shape), run_of(dataset)
    found = reading.read_for(model, tmp_path / "a", run=run)
    scale = pixels.picture_scale(run, 1)
    assert scale == ("uint16", (0, 4095))
    blocks = [found.array[:2], found.array[2:]]
    outputs.write(tmp_path / "out", blocks, found.names, as_images=True, scale=scale)
    again = reading.read_for(model, tmp_path / "out", run=run)
    assert again.names == found.names
    assert np.array_equal(again.array, found.array)


@pytest.mark.parametrize(
    ("dtype", "value_range", "channels", "scale"),
    [
        ("uint8", None, 3, ("uint8", (0, 255))),
        ("uint8", [30, 100], 3, ("uint8", (30, 100))),
        ("uint16", [0, 4095], 1, ("uint16", (0, 4095))),
        ("uint16", [0, 4095], 3, None),
        ("int32", [-5, 4095], 1, None),
        ("uint32", [0, 70_000], 1, None),
        ("float32", [280, 310], 1, None),
        ("float32", None, 1, ("uint8", (0, 255))),
    ],
)
def test_which_pictures_a_model_writes(dtype, value_range, channels, scale):
    run = {"data": {"load_options": {"value_range": value_range}, "pixel_dtype": dtype}}
    assert pixels.picture_scale(run, channels) == scale
    assert pixels.picture_scale(None, channels) == ("uint8", (0, 255))
