"""TensorFlow Datasets as a source: prepared sets, streams of them, and what is refused."""

import json
import socket

import numpy as np
import pytest
from test_data import PREPARED, collected, lines_of, needs_prepared, same

from aezoo.core.errors import DataError
from aezoo.data import load


@pytest.fixture(scope="module")
def mnist():
    return load("mnist", data_dir=PREPARED)


@needs_prepared
def test_mnist_parts(mnist):
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (54_000, 6_000, 10_000)
    assert (mnist.name, mnist.source, mnist.shape) == ("mnist", "mnist:3.0.1", (28, 28, 1))
    assert mnist.label_names == tuple("0123456789")
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    again = load(mnist.source, **json.loads(json.dumps(mnist.load_options)))
    assert again.content_hash == mnist.content_hash


@needs_prepared
def test_mnist_is_not_downloaded(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert len(load("mnist", data_dir=PREPARED, download=True).test) == 10_000


@needs_prepared
@pytest.mark.parametrize("cached_bytes", [2**29, 0], ids=["in memory", "from files"])
def test_stream_batches(monkeypatch, cached_bytes):
    from aezoo.data import streams

    monkeypatch.setattr(streams, "CACHED_BYTES", cached_bytes)
    monkeypatch.setattr(streams, "WINDOW", 400)
    part = load("mnist", data_dir=PREPARED, validation_fraction=0.02).validation
    assert len(part) == 1200
    images = part.array()
    assert np.array_equal(np.concatenate(collected(part.batches(500))), images)
    assert np.array_equal(part.array(7), images[:7])
    full = collected(part.batches(500, shuffle_seed=2, epochs=3))
    assert [len(batch) for batch in full] == [500, 500, 200] * 3
    for skip in (1, 3, 5, 9):
        assert same(collected(part.batches(500, shuffle_seed=2, epochs=3, skip=skip)), full[skip:])
    epochs = [np.concatenate(full[i : i + 3]) for i in (0, 3, 6)]
    assert not np.array_equal(epochs[0], epochs[1])
    known = sorted(image.tobytes() for image in images)
    assert all(sorted(image.tobytes() for image in epoch) == known for epoch in epochs)
    first_window = {image.tobytes() for image in images[:400]}
    assert {image.tobytes() for image in epochs[1][:400]} == first_window


@needs_prepared
def test_stream_labels_belong_to_the_images():
    """The digits of test are recognised by the nearest mean image far more often than by chance."""
    part = load("mnist", data_dir=PREPARED).test
    images, labels = part.array(2000).reshape(2000, -1), part.labels[:2000]
    means = np.stack([images[labels == digit].mean(axis=0) for digit in range(10)])
    nearest = ((images[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
    assert np.mean(nearest == labels) > 0.75


@needs_prepared
def test_stream_decodes_once_when_it_fits(tmp_path):
    import shutil

    shutil.copytree(PREPARED / "mnist", tmp_path / "mnist")
    part = load("mnist", data_dir=tmp_path).test
    before = collected(part.batches(1000))
    shutil.rmtree(tmp_path / "mnist")
    assert same(collected(part.batches(1000)), before)


@needs_prepared
def test_stream_resizes_and_converts():
    dataset = load("mnist", data_dir=PREPARED, image_shape=(14, 14, 3))
    images = dataset.test.array(20)
    assert images.shape == (20, 14, 14, 3)
    assert np.array_equal(images[..., 0], images[..., 2])
    large = load("mnist", data_dir=PREPARED).test.array(20)
    means = large.reshape(20, 14, 2, 14, 2).mean(axis=(2, 4))
    assert np.abs(images[..., 0] - means).mean() < 0.03
    assert dataset.content_hash != load("mnist", data_dir=PREPARED).content_hash
    with pytest.raises(DataError) as error:
        load("mnist", data_dir=PREPARED, image_shape=(14, 14, 2))
    assert "(14, 14, 1)" in lines_of(error)[3]


def test_not_prepared(tmp_path):
    with pytest.raises(DataError) as error:
        load("cifar10", data_dir=tmp_path)
    lines = lines_of(error)
    assert "'cifar10' is not prepared" in lines[0]
    assert str(tmp_path) in lines[1]
    assert "data_dir=" in lines[3]
    assert "download=True" in lines[3]
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path, monkeypatch):
    def no_address(*arguments, **keywords):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError) as error:
        load("cifar10", data_dir=tmp_path, download=True)
    assert "no network" in lines_of(error)[0]
    assert error.value.__cause__ is not None


def test_a_download_that_fails(tmp_path, monkeypatch, capfd):
    from aezoo.data.sources import tfds_images

    def broken(self, **keywords):
        print("Downloading and preparing ...")
        raise ConnectionError("the host hung up\nand more lines")

    tfds = tfds_images.import_tfds()
    monkeypatch.setattr(tfds_images, "_has_network", lambda: True)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", broken)
    with pytest.raises(DataError) as error:
        load("cifar10", data_dir=tmp_path, download=True)
    lines = lines_of(error)
    assert "ConnectionError: the host hung up" in lines[1]
    assert isinstance(error.value.__cause__, ConnectionError)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("source", "near"),
    [("mnits", "'mnist'"), ("mnist_mimi", "'mnist_mini'"), ("cifar/10", "'cifar10'"), ("what is this?", "")],
)
def test_unknown_name(source, near, tmp_path):
    with pytest.raises(DataError) as error:
        load(source, data_dir=tmp_path)
    first = lines_of(error)[0]
    assert repr(source) in first
    assert near in first


def test_unknown_version_and_config(tmp_path):
    for source in ("mnist:9.9.9", "mnist_corrupted/nonsense"):
        with pytest.raises(DataError) as error:
            load(source, data_dir=tmp_path)
        assert repr(source) in lines_of(error)[0]


@pytest.fixture(scope="module")
def odd_sets(tmp_path_factory):
    """A folder with two prepared sets: images of mixed sizes with three splits, and one without images."""
    from aezoo.data.streams import import_tfds

    tfds = import_tfds()
    folder = tmp_path_factory.mktemp("prepared")

    def prepare(name, features, examples):
        import tensorflow as tf

        splits = {
            split: tf.data.Dataset.from_generator(
                lambda rows=rows: iter(rows), output_signature=features.get_tensor_spec()
            )
            for split, rows in examples.items()
        }
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name, version="1.0.0", features=features, split_datasets=splits, data_dir=str(folder)
        )

    generator = np.random.default_rng(0)
    image = tfds.features.FeaturesDict({"picture": tfds.features.Image(shape=(None, None, 3))})
    sizes = {"train": 12, "validation": 5, "test": 4}
    pictures = {
        split: [{"picture": generator.integers(0, 256, (8 + i, 9, 3), dtype=np.uint8)} for i in range(count)]
        for split, count in sizes.items()
    }
    prepare("odd_pictures", image, pictures)
    prepare("odd_no_test", image, {key: pictures[key] for key in ("train", "validation")})
    words = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    prepare("odd_words", words, {"train": [{"text": b"a"}] * 5})
    return folder


def test_set_of_mixed_sizes(odd_sets):
    with pytest.raises(DataError) as error:
        load("odd_pictures", data_dir=odd_sets)
    assert "image_shape=" in lines_of(error)[3]
    dataset = load("odd_pictures", data_dir=odd_sets, image_shape=(8, 8, 1))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (12, 5, 4)
    assert dataset.train.labels is None
    assert dataset.label_names is None
    assert [batch.shape for batch in collected(dataset.train.batches(7))] == [(7, 8, 8, 1), (5, 8, 8, 1)]
    assert dataset.name == "odd_pictures"


def test_validation_split_stands_in_for_test(odd_sets):
    dataset = load("odd_no_test", data_dir=odd_sets, image_shape=(8, 8, 3), validation_fraction=0.25)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (9, 3, 5)


def test_set_without_images(odd_sets):
    with pytest.raises(DataError) as error:
        load("odd_words", data_dir=odd_sets)
    assert "without images" in lines_of(error)[0]
    assert "text" in lines_of(error)[1]


@needs_prepared
def test_damaged_prepared_files(tmp_path):
    import shutil

    shutil.copytree(PREPARED / "mnist", tmp_path / "mnist", copy_function=shutil.copyfile)
    test_file = next(tmp_path.glob("mnist/*/mnist-test*"))
    test_file.parent.chmod(0o755)
    test_file.write_bytes(test_file.read_bytes()[:2_000_000])
    with pytest.raises(DataError) as error:
        load("mnist", data_dir=tmp_path).test.array()
    assert str(tmp_path) in lines_of(error)[1]
    test_file.unlink()
    with pytest.raises(DataError) as error:
        load("mnist", data_dir=tmp_path)
    assert test_file.name in lines_of(error)[1]
