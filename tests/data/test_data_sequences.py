"""Sequences: .ts files, arrays, the generator, the sets that sktime ships; batches with labels."""

import importlib.util
import itertools
import sys

import numpy as np
import pytest
from conftest import MNIST_DIR, four_lines
from PIL import Image

from aezoo.core.errors import DataError, MissingExtraError, OptionError
from aezoo.data import load, reading
from aezoo.data.parts import ArrayPart
from aezoo.data.sources import generated
from aezoo.data.sources.ts_files import read_ts

HEADER = "@problemName toy\n@univariate true\n@equalLength true\n@classLabel true up down\n@data\n"
SERIES = "1,2,3:up\n3,2,1.5:down\n4,5,6:up\n9,8,7:down\n"


def written(path, text=HEADER + SERIES):
    path.write_text(text, encoding="utf-8")
    return path


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- .ts files


def test_ts_of_one_channel(tmp_path):
    dataset = load(written(tmp_path / "toy.ts"), validation_fraction=0.25, test_fraction=0.25)
    assert (dataset.name, dataset.kind, dataset.shape) == ("toy", "sequences", (3, 1))
    assert (dataset.value_range, dataset.stored_dtype) == (None, "float32")
    assert (dataset.label_names, dataset.class_count) == (("up", "down"), 2)
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [2, 1, 1]
    for sequence, label in itertools.chain(*(zip(part.array(), part.labels, strict=True) for part in parts)):
        assert dataset.label_names[label] == ("up" if sequence[2, 0] > sequence[0, 0] else "down")


def test_ts_of_two_channels(tmp_path):
    text = (
        "\ufeff# words\n#\n\n@PROBLEMNAME toy\n@timestamps False\n@missing false\n@dimensions 2\n"
        "@serieslength 3\n@data\n# more words\n1,2,3:4,5,6e1\n\n-1,-2,-3: 0 ,0,0\n7,7,7:8,8,8\n"
    )
    contents = read_ts(written(tmp_path / "toy.ts", text))
    examples, labels = contents.parts["train"]
    assert examples.tolist()[0] == [[1, 4], [2, 5], [3, 60]]
    assert examples.tolist()[1] == [[-1, 0], [-2, 0], [-3, 0]]
    assert contents.in_float32().parts["train"][0].dtype == np.float32
    assert examples.flags.c_contiguous
    assert labels is contents.label_names is None


def test_a_target_is_no_class(tmp_path):
    text = HEADER.replace("@classLabel true up down", "@targetlabel true") + "1,2,3:0.5\n3,2,1:7\n"
    contents = read_ts(written(tmp_path / "toy.ts", text))
    assert contents.parts["train"][0].shape == (2, 3, 1)
    assert contents.parts["train"][1] is contents.label_names is None


@pytest.mark.parametrize("given", ["TRAIN", "TEST"])
def test_either_of_a_pair_stands_for_both(tmp_path, given):
    written(tmp_path / "toy_TRAIN.ts")
    written(tmp_path / "toy_TEST.ts", HEADER.replace("up down", "side up down") + "0,0,0:side\n1,2,3:down\n")
    dataset = load(tmp_path / f"toy_{given}.ts", validation_fraction=0.25)
    assert dataset.name == "toy"
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [3, 1, 2]
    assert dataset.label_names == ("up", "down", "side")
    assert dataset.test.labels.tolist() == [2, 1]
    assert load(dataset.source, **dataset.load_options).content_hash == dataset.content_hash
    (tmp_path / "toy_TRAIN.ts").rename(tmp_path / "other.ts")
    if given == "TEST":
        assert len(read_ts(tmp_path / "toy_TEST.ts").parts["train"][0]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no @data", "empty file"]),
        (HEADER, ["no series", "after @data"]),
        (HEADER.replace("@data\n", ""), ["no @data", "header without data"]),
        (HEADER.replace("@data\n", "") + SERIES, ["line 5", "no line of a header", "1,2,3:up"]),
        ("@univariat true\n" + HEADER, ["line 1", "did you mean '@univariate'?"]),
        ("@univariate false\n" + HEADER + SERIES, ["stands there twice", "line 3", "or line 1"]),
        (HEADER.replace("@univariate true", "@univariate yes") + SERIES, ["neither true", "@univariate yes"]),
        (HEADER.replace("true up down", "true") + SERIES, ["no list of classes", "line 4"]),
        (HEADER.replace("up down", "up up") + SERIES, ["no list of classes", "all different"]),
        (HEADER.replace("@univariate true", "@dimensions x") + SERIES, ["no size", "@dimensions x"]),
        ("@timeStamps true\n" + HEADER + SERIES, ["time stamps", "@timeStamps false"]),
        ("@missing true\n" + HEADER + SERIES, ["missing values", "interp"]),
        (
            HEADER + SERIES + "1,2:up\n",
            ["unequal length", "line 10: 2 steps", "3, as the first series", "write @equalLength false"],
        ),
        ("@seriesLength 4\n" + HEADER + SERIES, ["unequal length", "line 7: 3 steps", "4, as @seriesLength"]),
        (HEADER + SERIES + "1,?,3:up\n", ["missing value", "'?' in line 10, value 2", "drop line 10"]),
        (HEADER + SERIES + "1,NaN,3:up\n", ["missing value", "'NaN' in line 10, value 2"]),
        (HEADER + SERIES + "1,2,:up\n", ["missing value", "'' in line 10, value 3"]),
        (HEADER + SERIES + "1,2,inf:up\n", ["no number", "'inf' in line 10, value 3"]),
        (HEADER + SERIES + "1,2,(3:up\n", ["no number", "'(3' in line 10"]),
        (HEADER + SERIES + "1,2,3:upp\n", ["no class", "did you mean 'up'?", "line 10: upp"]),
        (HEADER + SERIES + "1,2,3\n", ["no class", "line 10: 1,2,3"]),
        (HEADER + SERIES + "1,2,3:1,2,3:up\n", ["number of channels", "line 10: 2", "1, as the first"]),
        (HEADER + "1,2,3:1,2,3:up\n", ["number of channels", "line 6: 2", "1, as the header"]),
        (HEADER + SERIES.replace("9", "1e39"), ["too large for float32"]),
    ],
)
def test_ts_refused(tmp_path, text, words):
    with pytest.raises(DataError) as error:
        load(written(tmp_path / "toy.ts", text))
    four_lines(error, "toy.ts", *words)


def test_pairs_that_do_not_fit(tmp_path):
    written(tmp_path / "toy_TRAIN.ts")
    written(tmp_path / "toy_TEST.ts", HEADER + "1,2:up\n")
    with pytest.raises(DataError) as error:
        load(tmp_path / "toy_TRAIN.ts")
    four_lines(error, "toy: the parts differ", "(2, 1)", "(3, 1)")
    written(tmp_path / "toy_TEST.ts", "@univariate true\n@data\n1,2,3\n")
    with pytest.raises(DataError) as error:
        load(tmp_path / "toy_TRAIN.ts")
    four_lines(error, "the other has none", "toy_TEST.ts: no @classLabel", "rename")
    (tmp_path / "toy_TEST.ts").write_bytes(b"@problemName gr\xf6sse\n@data\n")
    with pytest.raises(DataError) as error:
        load(tmp_path / "toy_TRAIN.ts")
    four_lines(error, "toy_TEST.ts: cannot be read", "UTF-8")


# --- arrays


@pytest.mark.parametrize(
    ("array", "options", "kind", "shape"),
    [
        (noise(20, 7, 3), {}, "sequences", (7, 3)),
        (abs(noise(20, 7, 3)) * 300, {}, "sequences", (7, 3)),
        (noise(20, 7, 3).astype(np.float16), {"kind": "sequences"}, "sequences", (7, 3)),
        (np.zeros((20, 7, 3), np.uint8), {"kind": "sequences"}, "sequences", (7, 3)),
        (np.zeros((20, 7, 3), np.uint8), {}, "images", (7, 3, 1)),
        (np.zeros((20, 7, 3)), {}, "images", (7, 3, 1)),
        (np.zeros((20, 7, 3)), {"kind": "sequences"}, "sequences", (7, 3)),
        (np.zeros((20, 7, 3)), {"kind": "images"}, "images", (7, 3, 1)),
        (noise(20, 7), {}, "rows", (7,)),
        (noise(20, 7), {"kind": "sequences"}, "sequences", (7, 1)),
        (noise(20, 7), {"kind": "rows"}, "rows", (7,)),
    ],
)
def test_what_an_array_holds(tmp_path, array, options, kind, shape):
    np.save(tmp_path / "set.npy", array)
    dataset = load(tmp_path / "set.npy", **options)
    assert (dataset.kind, dataset.shape) == (kind, shape)
    found = np.concatenate([part.array() for part in (dataset.train, dataset.validation, dataset.test)])
    assert np.allclose(sorted(found.reshape(-1)), sorted(array.reshape(-1)), rtol=1e-6)
    assert load(dataset.source, **dataset.load_options).content_hash == dataset.content_hash


def test_names_in_an_npz_say_what_it_holds(tmp_path):
    quiet, loud = np.zeros((6, 5, 2)), np.full((3, 5, 2), 9.0)
    np.savez(tmp_path / "a.npz", sequences=quiet, labels=[4, 7, 4, 7, 4, 7])
    assert load(tmp_path / "a.npz").shape == (5, 2)
    np.savez(tmp_path / "b.npz", train_sequences=quiet, test_sequences=loud)
    assert load(tmp_path / "b.npz").test.array().max() == 9
    np.savez(tmp_path / "c.npz", x_train=quiet, x_test=loud * -9)  # one part tells for both
    assert load(tmp_path / "c.npz").shape == (5, 2)
    np.savez(tmp_path / "d.npz", images=-5 * loud)
    with pytest.raises(DataError) as error:
        load(tmp_path / "d.npz")
    four_lines(error, "float images must lie in [0, 1]")


@pytest.mark.parametrize(
    ("array", "options", "words"),
    [
        (noise(9, 7, 3).clip(-1, 1), {}, ["must lie in [0, 1]", "example", "kind='sequences'"]),
        (np.full((9, 7, 3), 255.0), {}, ["must lie in [0, 1]", "255.0 in example 0", "kind='sequences'"]),
        (np.full((9, 7, 3), np.nan), {"kind": "sequences"}, ["without steps", "example 0"]),
        (noise(9, 7, 3), {"kind": "images"}, ["must lie in [0, 1]"]),
        (noise(9, 7, 3), {"kind": "rows"}, ["holds sequences, not rows", "kind='sequences'"]),
        (noise(9, 7), {"kind": "images"}, ["holds rows, not images", "leave kind out"]),
        (np.zeros((9, 7, 7, 3)), {"kind": "sequences"}, ["holds images, not sequences", "(7, 7, 3)"]),
        (noise(9, 7, 3), {"kind": "series"}, ["kind cannot be 'series'", "'sequences'"]),
        (noise(9, 7, 3), {"image_shape": (8, 8, 1)}, ["image_shape resizes", "sequences of shape (7, 3)"]),
    ],
)
def test_arrays_refused(tmp_path, array, options, words):
    np.save(tmp_path / "set.npy", array)
    with pytest.raises((DataError, OptionError)) as error:
        load(tmp_path / "set.npy", **options)
    four_lines(error, *words)


def test_a_table_with_a_series_a_line(tmp_path):
    lines = [",".join(["label", "a", "b", "c"]), *(f"{i % 2},{i},{i + 1},{i + 2}" for i in range(8))]
    (tmp_path / "set.csv").write_text("\n".join(lines), encoding="utf-8")
    dataset = load(tmp_path / "set.csv", kind="sequences")
    assert (dataset.kind, dataset.shape, dataset.feature_names) == ("sequences", (3, 1), None)
    assert np.array_equal(dataset.train.array()[:, 0, 0] % 2, dataset.train.labels)


def test_kind_of_embedded_images_and_sets():
    with pytest.raises(OptionError) as error:
        load("mnist_mini", kind="sequences")
    four_lines(error, "mnist_mini: holds images, not sequences")
    with pytest.raises(OptionError) as error:
        load("mnist", kind="sequences")
    four_lines(error, "TensorFlow Datasets", "kind='sequences'")


# --- the generator


def test_generator_source():
    dataset = load("quasi_periodic")
    assert (dataset.name, dataset.kind, dataset.shape) == ("quasi_periodic", "sequences", (128, 2))
    assert dataset.label_names == ("normal", "spike", "dropout", "frequency_shift")
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [900, 100, 380]
    assert set(dataset.train.labels) == set(dataset.validation.labels) == {0}
    assert np.bincount(dataset.test.labels).tolist() == [200, 60, 60, 60]
    again = load("quasi_periodic", **dataset.load_options)
    assert np.array_equal(again.test.array(), dataset.test.array())
    assert again.content_hash == dataset.content_hash != load("quasi_periodic", seed=1).content_hash


def test_generator_is_a_function_of_its_seed():
    first, again = (generated.quasi_periodic(5, (17, 3), seed=2) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert (first.shape, first.dtype) == ((5, 17, 3), np.float32)
    assert first.tobytes() != generated.quasi_periodic(5, (17, 3), seed=3).tobytes()


def test_faults_are_what_they_are_called():
    normal, spike, dropout, shift = (
        generated.quasi_periodic(40, (96, 2), fault=fault, seed=2) for fault in (None, *generated.FAULTS)
    )
    unit = np.float32([0.1, 1.0])
    hit = np.abs(spike - normal) / unit > 1e-3
    assert set(hit.sum(axis=(1, 2))) <= {1, 2, 3}
    assert (hit.sum(axis=(1, 2)) > 0).all()
    assert np.abs((spike - normal) / unit)[hit].min() > 2.9
    flat = (np.diff(dropout, axis=1) == 0).sum(axis=1)
    assert (flat.max(axis=1) >= 96 // 4 - 1).all()
    assert (flat.min(axis=1) == 0).all()  # of two channels one
    assert (np.diff(normal, axis=1) != 0).mean() > 0.99
    assert np.allclose(shift[:, : 96 // 4 - 1], normal[:, : 96 // 4 - 1], atol=1e-4)

    def crossings(sequences):
        ends = sequences[:, 48:, 1] - sequences[:, 48:, 1].mean(axis=1, keepdims=True)
        return (np.diff(np.sign(ends), axis=1) != 0).sum(axis=1)

    assert crossings(shift).mean() > 1.25 * crossings(normal).mean()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, ["count=0"]),
        ({"count": 2, "sequence_shape": (3, 1)}, ["(steps, features)", "(3, 1)"]),
        ({"count": 2, "sequence_shape": 8}, ["(steps, features)", "=8"]),
        ({"count": 2, "sequence_shape": (8, 0)}, ["(steps, features)", "=(8, 0)"]),
        ({"count": 2, "fault": "spikes"}, ["did you mean 'spike'?"]),
    ],
)
def test_generator_refuses(options, words):
    with pytest.raises(OptionError) as error:
        generated.quasi_periodic(**options)
    four_lines(error, *words)


# --- what sktime ships


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The folder of data of a package sktime that must not be imported."""
    folder = tmp_path / "sktime" / "datasets" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "sktime" / "__init__.py").write_text("raise AssertionError('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sktime", raising=False)
    return folder


def test_sktime(shipped):
    (shipped / "Toy").mkdir()
    written(shipped / "Toy" / "Toy_TRAIN.ts")
    written(shipped / "Toy" / "Toy_TEST.ts")
    dataset = load("sktime:Toy", validation_fraction=0.25)
    assert (dataset.name, dataset.source, dataset.label_names) == ("Toy", "sktime:Toy", ("up", "down"))
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [3, 1, 4]
    with pytest.raises(OptionError) as error:
        load("sktime:Toyy")
    four_lines(error, "did you mean 'sktime:Toy'?")


def test_sktime_without_data(shipped):
    with pytest.raises(DataError) as error:
        load("sktime:Toy")
    four_lines(error, "ships no series", str(shipped), "aezoo[sequences]")


def test_sktime_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "sktime", None)
    with pytest.raises(MissingExtraError) as error:
        load("sktime:GunPoint")
    four_lines(error, 'pip install "aezoo[sequences]"')


@pytest.mark.skipif(importlib.util.find_spec("sktime") is None, reason="no sktime")
def test_sktime_as_installed():
    dataset = load("sktime:GunPoint")
    assert (len(dataset.train) + len(dataset.validation), len(dataset.test)) == (50, 150)
    assert dataset.shape == (150, 1)
    assert np.bincount(dataset.test.labels).tolist() == [76, 74]
    assert load("sktime:BasicMotions").shape == (100, 6)


# --- what the command reads


def test_inputs(tmp_path):
    sequences = noise(4, 6, 2).clip(0, 1)  # would be images for a model of images
    np.save(tmp_path / "a.npy", sequences)
    found = reading.read_path(tmp_path / "a.npy", (6, 2))
    assert list(found.names) == ["0", "1", "2", "3"]
    assert np.array_equal(found.array, sequences.astype(np.float32))
    assert reading.read_path(tmp_path / "a.npy", (6, 2, 1)).array.shape == (4, 6, 2, 1)
    np.save(tmp_path / "b.npy", noise(4, 6))
    assert reading.read_path(tmp_path / "b.npy", (6, 1)).array.shape == (4, 6, 1)
    assert reading.read_path(tmp_path / "b.npy", (6,)).array.shape == (4, 6)
    written(tmp_path / "toy_TRAIN.ts")
    written(tmp_path / "toy_TEST.ts", HEADER + "1,2,3:up\n")
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    assert len(reading.read_path(tmp_path / "toy_TEST.ts", (3, 1)).array) == 1  # that file, not the pair
    with pytest.raises(DataError) as error:
        reading.read_path(tmp_path / "a.png", (3, 1))
    four_lines(error, "takes sequences, not images", "(3, 1)")


# --- batches with labels


@pytest.mark.parametrize("seed", [None, 4])
def test_labels_keep_in_step_with_their_examples(seed):
    labels = np.array([3, 9, 5] * 15)
    sequences = np.broadcast_to(labels[:, None, None], (45, 2, 3)).astype(np.float32)
    part = ArrayPart(sequences, labels, np.unique(labels))
    batches = list(part.batches(8, shuffle_seed=seed, epochs=2, labels=True).as_numpy_iterator())
    assert [len(batch["labels"]) for batch in batches] == [8, 8, 8, 8, 8, 5] * 2
    for batch in batches:
        assert batch["labels"].dtype == np.int32
        assert np.array_equal(np.array([3, 5, 9])[batch["labels"]], batch["examples"][:, 0, 0])
    plain = list(part.batches(8, shuffle_seed=seed, epochs=2).as_numpy_iterator())
    assert all(np.array_equal(a, b["examples"]) for a, b in zip(plain, batches, strict=True))
    rest = list(part.batches(8, shuffle_seed=seed, epochs=2, skip=7, labels=True).as_numpy_iterator())
    assert np.array_equal(rest[0]["labels"], batches[7]["labels"])
    assert len(rest) == 5


def test_class_numbers_begin_at_0_in_all_parts(tmp_path):
    np.savez(
        tmp_path / "set.npz",
        x_train=noise(6, 3),
        y_train=[2, 8, 2, 8, 2, 8],
        x_test=noise(2, 3),
        y_test=[5, 8],
    )
    dataset = load(tmp_path / "set.npz")
    assert dataset.class_count == 3
    assert dataset.test.labels.tolist() == [5, 8]
    assert dataset.test.class_numbers.tolist() == [1, 2]
    assert set(dataset.train.class_numbers) == {0, 2}
    np.save(tmp_path / "plain.npy", noise(6, 3))
    part = load(tmp_path / "plain.npy").train
    with pytest.raises(DataError) as error:
        part.batches(4, labels=True)
    four_lines(error, "no labels", "without labels")


@pytest.mark.skipif(not MNIST_DIR.is_dir(), reason="no prepared sets beside the checkout")
def test_streams_with_labels(monkeypatch):
    from aezoo.data import streams

    monkeypatch.setattr(streams, "WINDOW", 400)
    part = load("mnist", data_dir=MNIST_DIR, validation_fraction=0.015).validation
    known = {image.tobytes(): label for image, label in zip(part.array(), part.labels, strict=True)}
    for seed in (None, 3):
        batch = next(iter(part.batches(900, shuffle_seed=seed, labels=True).as_numpy_iterator()))
        assert sorted(batch) == ["images", "labels"]
        assert [known[image.tobytes()] for image in batch["images"]] == batch["labels"].tolist()
