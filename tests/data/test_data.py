"""Loading by name, the three parts, their batches, and TensorFlow Datasets."""

import importlib.util
import itertools
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from aezoo.core.errors import OptionError
from aezoo.data import load
from aezoo.data.contents import Contents
from aezoo.data.parts import ArrayPart

ROOT = pathlib.Path(__file__).parents[2]
PREPARED = ROOT.parent / "shared" / "tfds"
needs_prepared = pytest.mark.skipif(not PREPARED.is_dir(), reason="no prepared sets beside the checkout")


def lines_of(error):
    """The four lines of an error, and that there are four."""
    lines = str(error.value).splitlines()
    assert [line[:12] for line in lines[1:]] == ["  got:      ", "  expected: ", "  fix:      "], lines
    assert all(len(line) > 12 for line in lines)
    return lines


def collected(batches):
    return list(batches.as_numpy_iterator())


def same(some, others):
    return len(some) == len(others) and all(np.array_equal(a, b) for a, b in zip(some, others, strict=True))


@pytest.fixture(scope="module")
def mini():
    return load("mnist_mini")


@pytest.fixture(scope="module")
def mnist():
    return load("mnist", data_dir=PREPARED)


@pytest.fixture(scope="module")
def other_process():
    """A fresh process that loads, batches and prints the third epoch of 50 numbered examples."""
    code = f"""
import warnings
warnings.simplefilter("error")
from aezoo.data import load
sets = [load("mnist_mini")]
if {PREPARED.is_dir()}:
    sets.append(load("mnist", data_dir={str(PREPARED)!r}))
for dataset in sets:
    next(iter(dataset.test.batches(8, shuffle_seed=0)))
    dataset.test.array(5), dataset.test.labels, dataset.content_hash
import sys, keras
sys.path[:0] = ["tests", "tests/data"]
warnings.simplefilter("ignore")
from test_data import numbered, numbers
keras.utils.set_random_seed(99)
print(numbers(numbered(50).batches(50, shuffle_seed=7, epochs=3, skip=2).as_numpy_iterator())[0])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("AEZOO_VERBOSE", "PYTHONWARNINGS"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8"
    )


def numbered(count, labels=None):
    """A part whose examples carry their own index, as 2x2 images of 3 channels."""
    index = np.arange(count)
    images = np.stack([index % 256, index // 256, np.zeros_like(index)], axis=-1).astype(np.uint8)
    return ArrayPart(np.broadcast_to(images[:, None, None], (count, 2, 2, 3)).copy(), labels)


def numbers(batches):
    """The index that each example of `numbered` carries, batch by batch."""
    return [np.rint(b[:, 0, 0, 0] * 255 + 256 * 255 * b[:, 0, 0, 1]).astype(int).tolist() for b in batches]


# --- the embedded images


def test_mnist_mini(mini):
    assert (len(mini.train), len(mini.validation), len(mini.test)) == (5400, 600, 1000)
    assert (mini.name, mini.source, mini.kind, mini.shape) == (
        "mnist_mini",
        "mnist_mini",
        "images",
        (28, 28, 1),
    )
    assert (mini.value_range, mini.stored_dtype, mini.feature_names) == ((0.0, 1.0), "uint8", None)
    assert mini.label_names == tuple("0123456789")
    for part, each in ((mini.train, 540), (mini.validation, 60), (mini.test, 100)):
        assert np.bincount(part.labels).tolist() == [each] * 10
        images = part.array()
        assert images.shape == (len(part), 28, 28, 1)
        assert images.dtype == np.float32
        assert images.min() == 0.0
        assert images.max() == 1.0


def test_the_same_again(mini):
    options = json.loads(json.dumps(mini.load_options))
    again = load(mini.source, **options)
    assert again.content_hash == mini.content_hash
    assert len(again.content_hash) == 64
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(again, part).array(), getattr(mini, part).array())
        assert np.array_equal(getattr(again, part).labels, getattr(mini, part).labels)


def test_seed_changes_the_cut_and_not_the_content(mini):
    other = load("mnist_mini", seed=1)
    assert other.content_hash == mini.content_hash
    assert not np.array_equal(other.validation.array(), mini.validation.array())
    assert np.array_equal(other.test.array(), mini.test.array())


def test_validation_comes_from_train_alone(mini):
    with np.load(ROOT / "aezoo" / "data" / "sources" / "mnist_mini.npz") as stored:
        train = {image.tobytes() for image in stored["x_train"]}
        test = {image.tobytes() for image in stored["x_test"]}
    validation = {np.rint(image * 255).astype(np.uint8).tobytes() for image in mini.validation.array()}
    assert validation <= train
    assert not validation & test


def test_array_is_a_copy_and_takes_a_limit(mini):
    first = mini.test.array(3)
    first[:] = 0.5
    assert mini.test.array(3).max() == 1.0
    assert np.array_equal(mini.test.array(3), mini.test.array()[:3])
    assert len(mini.test.array(10**6)) == 1000
    with pytest.raises(OptionError, match="limit=0"):
        mini.test.array(0)


@needs_prepared
def test_mnist_mini_is_made_byte_for_byte(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("make_mnist_mini", ROOT / "tools" / "make_mnist_mini.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    output = tmp_path / "again.npz"
    monkeypatch.setattr(sys, "argv", ["", "--data-dir", str(PREPARED), "--output", str(output)])
    tool.main()
    assert str(output) in capsys.readouterr().out
    assert output.read_bytes() == tool.TARGET.read_bytes()


# --- batches


def test_batches_in_order_equal_the_array(mini):
    batches = mini.test.batches(64)
    found = collected(batches)
    assert len(found) == batches.cardinality() == 16
    assert found[-1].shape == (1000 - 15 * 64, 28, 28, 1)
    assert batches.element_spec.shape.as_list() == [None, 28, 28, 1]
    assert np.array_equal(np.concatenate(found), mini.test.array())  # to the bit


def test_each_epoch_is_a_new_order_of_all_examples():
    part = numbered(1000)
    found = numbers(part.batches(64, shuffle_seed=5, epochs=3).as_numpy_iterator())
    assert [len(batch) for batch in found] == ([64] * 15 + [40]) * 3
    epochs = [list(itertools.chain(*found[i * 16 : (i + 1) * 16])) for i in range(3)]
    assert all(sorted(epoch) == list(range(1000)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != list(range(1000))
    assert np.mean(np.abs(np.diff(epochs[0]))) > 250  # over the whole part: 333 on average


@pytest.mark.parametrize("skip", [0, 1, 5, 16, 17, 31, 40, 47])
@pytest.mark.parametrize("seed", [None, 5])
def test_skip_gives_what_an_unbroken_run_would_see(skip, seed):
    part = numbered(1000)
    full = collected(part.batches(64, shuffle_seed=seed, epochs=3))
    rest = part.batches(64, shuffle_seed=seed, epochs=3, skip=skip)
    assert same(collected(rest), full[skip:])
    assert rest.cardinality() == 48 - skip


def test_endless_and_all_skipped():
    part = numbered(100)
    endless = part.batches(30, shuffle_seed=1, epochs=None)
    assert endless.cardinality() == -1
    assert same(collected(endless.take(8)), collected(part.batches(30, shuffle_seed=1, epochs=2)))
    far = part.batches(30, shuffle_seed=1, epochs=None, skip=4_000_001).take(1)
    assert len(collected(far)[0]) == 30
    for skip in (8, 9, 1000):
        assert collected(part.batches(30, epochs=2, skip=skip)) == []


def test_order_depends_on_seed_and_epoch_alone(other_process):
    """Neither another process nor TensorFlow's global seed changes it."""
    expected = numbers(numbered(50).batches(50, shuffle_seed=7, epochs=3).as_numpy_iterator())[2]
    assert json.loads(other_process.stdout) == expected
    other = numbers(numbered(50).batches(50, shuffle_seed=8, epochs=3).as_numpy_iterator())[2]
    assert expected != other


def test_labels_keep_in_step_through_a_cut(tmp_path):
    labels = np.arange(200) % 4
    images = np.broadcast_to(labels[:, None, None], (200, 3, 3)).astype(np.uint8) * 10
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    dataset = load(tmp_path / "set.npz", validation_fraction=0.2, test_fraction=0.1, seed=3)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (140, 40, 20)
    for part in (dataset.train, dataset.validation, dataset.test):
        assert np.array_equal(np.rint(part.array()[:, 0, 0, 0] * 25.5), part.labels)
        assert np.ptp(np.bincount(part.labels)) == 0  # balanced


def test_rare_classes_fall_back_to_a_plain_cut(tmp_path):
    labels = np.array([0] * 99 + [1])
    np.savez(tmp_path / "set.npz", x=np.random.default_rng(0).random((100, 5)), y=labels)
    dataset = load(tmp_path / "set.npz")
    sizes = [len(part) for part in (dataset.train, dataset.validation, dataset.test)]
    assert sizes == [80, 10, 10]
    assert sum(part.labels.sum() for part in (dataset.train, dataset.validation, dataset.test)) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"batch_size": True}, "batch_size=True"),
        ({"batch_size": 8, "skip": -1}, "skip=-1"),
        ({"batch_size": 8, "epochs": 0}, "epochs=0"),
        ({"batch_size": 8, "shuffle_seed": "a"}, "shuffle_seed='a'"),
    ],
)
def test_batches_refuses_options(options, text):
    with pytest.raises(OptionError) as error:
        numbered(10).batches(**options)
    assert text in lines_of(error)[1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation_fraction": 0}, "validation_fraction=0"),
        ({"test_fraction": 1.5}, "test_fraction=1.5"),
        ({"test_fraction": float("nan")}, "test_fraction=nan"),
        ({"validation_fraction": "a"}, "validation_fraction='a'"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, "validation_fraction=0.5, test_fraction=0.5"),
        ({"seed": -1}, "seed=-1"),
        ({"image_shape": (28, 28)}, "image_shape=(28, 28)"),
        ({"image_shape": (28, 28, 5)}, "image_shape=(28, 28, 5)"),
        ({"image_shape": 28}, "image_shape=28"),
        ({"image_shape": (32, 32, 1)}, "image_shape=(32, 32, 1) for images of shape (28, 28, 1)"),
    ],
)
def test_load_refuses_options(options, text):
    with pytest.raises(OptionError) as error:
        load("mnist_mini", **options)
    assert text in lines_of(error)[1]


@pytest.mark.parametrize("source", ["", None, 3, np.zeros((3, 3))])
def test_load_refuses_what_is_no_source(source):
    with pytest.raises(OptionError) as error:
        load(source)
    assert "name or a path" in lines_of(error)[0]


def test_content_hash_sees_everything():
    images, labels = np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.int64)
    base = Contents({"train": (images, labels)})
    touched = images.copy()
    touched[3, 1, 1, 0] = 1
    others = [
        Contents({"train": (touched, labels)}),
        Contents({"train": (images, labels + 1)}),
        Contents({"train": (images, None)}),
        Contents({"train": (images.reshape(4, 1, 4, 1), labels)}),
        Contents({"train": (images.astype(np.float32), labels)}),
        Contents({"train": (images[:2], labels[:2]), "test": (images[2:], labels[2:])}),
        Contents({"train": (images, labels)}, label_names=("a",)),
    ]
    assert Contents({"train": (images.copy(), labels.copy())}).sha256() == base.sha256()
    assert len({base.sha256(), *(other.sha256() for other in others)}) == 1 + len(others)


# --- imports and silence


def test_import_loads_no_framework():
    code = (
        "import sys, aezoo.data; "
        "print(sorted({'tensorflow', 'keras', 'tensorflow_datasets', 'pandas', 'PIL'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert found.stdout.strip() == "[]"


def test_nothing_is_printed(other_process):
    """Neither by the first import of TensorFlow, nor by reading, nor as a warning."""
    assert (other_process.returncode, other_process.stderr) == (0, "")
    assert other_process.stdout.count("\n") == 1  # the line that the code itself prints
