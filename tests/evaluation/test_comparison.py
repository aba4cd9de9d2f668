"""May latents of one model be used with an index built from another?"""

import json
import sys

import numpy as np
import pytest
from conftest import four_lines

import aezoo
from aezoo.cli import main
from aezoo.core.errors import DataError, MissingExtraError, OptionError
from aezoo.core.model import Model
from aezoo.evaluation import comparison
from aezoo.export import ExportOptions, export_bundle
from aezoo.testing import fit_on, smooth_examples


class Turned(Model):
    """A model whose latents went through a matrix."""

    example_shape = latent_shape = ()

    def __init__(self, model, matrix, shift=0.0):
        self.model, self.matrix, self.shift = model, matrix, shift
        self.example_shape, self.classes = model.example_shape, model.classes
        self.latent_shape = (matrix.shape[1],)

    def _encode(self, examples, labels, batch_size, wanted):
        latents = self.model.encode(examples, labels=labels, batch_size=batch_size)
        return [(latents @ self.matrix + self.shift).astype("float32")]

    def _decode(self, latents, labels, batch_size):
        raise NotImplementedError

    def _reconstruct(self, examples, labels, batch_size):
        return self.model.reconstruct(examples, labels=labels, batch_size=batch_size)


def orthogonal(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


@pytest.fixture(scope="module")
def old(exported):
    return aezoo.load(exported)


@pytest.fixture(scope="module")
def examples(old):
    return smooth_examples(old.example_shape, 300, seed=3)


@pytest.fixture(scope="module")
def retrained(old, tmp_path_factory):
    from aezoo.nn.autoencoder import keras

    keras.utils.set_random_seed(1)
    model = aezoo.build("conv", latent_dim=4, image_shape=old.example_shape, filters=(8, 16))
    model.fit(smooth_examples(old.example_shape), epochs=2, verbose=0)
    return export_bundle(
        model, tmp_path_factory.mktemp("retrained") / "bundle", ExportOptions(formats=["onnx"])
    )


def test_the_same_bundle(old, examples, trained):
    found = comparison.compare(old, old, examples)
    assert found["verdict"] == "same"
    assert found["max_difference"] == 0.0
    assert found["rotation_residual"] < 1e-6
    assert found["cka"] == pytest.approx(1.0)
    assert found["neighbours"]["kept"] == found["neighbours"]["across"] == 1.0
    assert found["reconstruction_error"]["drift"] == found["reconstruction_error"]["ks_statistic"] == 0.0
    # the Keras model that it came from, and what the tolerance is for
    assert comparison.compare(trained[0], old, examples)["verdict"] == "same"
    shifted = comparison.compare(Turned(old, np.eye(4), 0.01), old, examples)
    assert shifted["verdict"] == "different"
    assert shifted["cka"] == pytest.approx(1.0, abs=1e-5)


def test_turned_by_an_orthogonal_matrix(old, examples):
    matrix = orthogonal(4)
    turned = Turned(old, matrix)
    found = comparison.compare(turned, old, examples)
    assert found["verdict"] == "rotation"
    assert found["max_difference"] > 100 * found["allowed"]
    assert found["rotation_residual"] < 1e-5
    assert found["cka"] == pytest.approx(1.0, abs=1e-5)
    assert found["neighbours"]["kept"] > 0.999
    assert found["neighbours"]["across"] < 0.9
    rotation, _ = comparison.procrustes(turned.encode(examples), old.encode(examples))
    np.testing.assert_allclose(rotation, matrix.T, atol=1e-5)
    assert "turn latents of A" in comparison.say(found)
    # what float16 does: no turn, and more than two proofs allow
    rounded = comparison.compare(Turned(old, np.eye(4) * 1.0002), old, examples)
    assert rounded["verdict"] == "rotation"
    assert rounded["residual"] < 1e-3
    assert "as lower precision leaves" in comparison.say(rounded)
    stretched = comparison.compare(Turned(old, 1.01 * matrix), old, examples)
    assert stretched["verdict"] == "different"
    assert stretched["rotation_residual"] > 5e-3


def test_trained_again(old, retrained, examples):
    found = comparison.compare(aezoo.load(retrained), old, examples)
    assert found["verdict"] == "different"
    assert found["rotation_residual"] > 0.1
    assert found["cka"] < 0.999
    near = found["neighbours"]
    assert near["by_chance"] == pytest.approx(10 / 299)
    assert near["by_chance"] < near["kept"] < 0.99
    assert 0 < found["reconstruction_error"]["ks_statistic"] <= 1


def test_latents_of_another_size(old, examples):
    found = comparison.compare(Turned(old, np.eye(4)[:, :2]), old, examples)
    assert found["verdict"] == "different"
    assert found["latent_shapes"] == [[2], [4]]
    assert found["max_difference"] is found["residual"] is found["neighbours"]["across"] is None
    assert 0 < found["cka"] < 1
    assert 0 < found["neighbours"]["kept"] < 1
    assert "not comparable coordinate by coordinate" in comparison.say(found)


def test_maps_are_turned_channel_by_channel():
    maps = np.random.default_rng(0).normal(size=(50, 4, 3, 5))
    matrix = orthogonal(5)
    rotation, residual = comparison.procrustes(maps, maps @ matrix)
    np.testing.assert_allclose(rotation, matrix, atol=1e-12)
    assert residual < 1e-12
    # 60 values for 50 examples: the Gram matrices are the smaller ones, and give the same number
    few = np.random.default_rng(1).normal(size=(50, 60))
    by_gram = comparison.linear_cka(maps, few)
    centred = [a.reshape(50, -1) - a.reshape(50, -1).mean(axis=0) for a in (maps, few)]
    cross = np.linalg.norm(centred[0].T @ centred[1]) ** 2
    assert by_gram == pytest.approx(cross / np.prod([np.linalg.norm(c.T @ c) for c in centred]))


def test_neighbours_are_counted_right():
    latents, reference = np.random.default_rng(0).normal(size=(2, 40, 3))

    def nearest(points):
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        return np.argsort(distances, axis=1)[:, :4]

    pairs = zip(nearest(latents), nearest(reference), strict=True)
    expected = np.mean([len(set(a) & set(b)) / 4 for a, b in pairs])
    assert comparison.neighbours_kept(latents, reference, 4)["kept"] == pytest.approx(expected)
    # asked in the reference's own index, where an example's own entry is no neighbour
    across = np.linalg.norm(latents[:, None] - reference[None], axis=2)
    np.fill_diagonal(across, np.inf)
    pairs = zip(np.argsort(across, axis=1)[:, :4], nearest(reference), strict=True)
    expected = np.mean([len(set(a) & set(b)) / 4 for a, b in pairs])
    assert comparison.neighbours_kept(latents, reference, 4)["across"] == pytest.approx(expected)
    # many at one distance, as codes are: which of them are found is no difference
    codes = np.repeat(np.eye(4), 10, axis=0)
    noisy = codes + np.random.default_rng(1).normal(size=codes.shape) * 1e-7
    assert comparison.neighbours_kept(noisy, codes, 4)["kept"] == 1.0


def test_conditional_models_take_labels(tmp_path, capsys):
    model = aezoo.build("conditional_vae", latent_dim=2, image_shape=(8, 8, 1), classes=3)
    images, labels = smooth_examples((8, 8, 1), 60), np.arange(60, dtype="int32") % 3
    fit_on(model, images)
    plain = aezoo.build("conv", latent_dim=2, image_shape=(8, 8, 1), filters=(4,))
    found = comparison.compare(model, plain, images, labels=labels)  # only the first one takes them
    expected = model.reconstruction_error(images, labels=labels)
    assert found["reconstruction_error"]["medians"][0] == pytest.approx(np.median(expected))
    with pytest.raises(DataError) as error:
        comparison.compare(model, model, images)
    four_lines(error, "takes a label with each example")
    with pytest.raises(DataError) as error:
        comparison.compare(plain, plain, images, labels=labels)
    four_lines(error, "takes no labels")
    folder = str(
        export_bundle(model, tmp_path / "b", ExportOptions(formats=["onnx"]), examples=images, labels=labels)
    )
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    command = ["compare", folder, folder, "--data", str(tmp_path / "x.npy"), "--examples", "30"]
    assert main.main([*command, "--labels", str(tmp_path / "labels.npy"), "--require", "same"]) == 0
    assert "may be used with an index built from B" in capsys.readouterr().out


def test_bytes_and_floats(old, examples, trained, tmp_path):
    folder = export_bundle(trained[0], tmp_path / "b", ExportOptions(formats=["onnx"], input_dtype="uint8"))
    pixels = np.rint(examples * 255).astype("uint8")
    for pair in ((aezoo.load(folder), old), (old, aezoo.load(folder))):
        assert comparison.compare(*pair, pixels)["verdict"] == "same"


def test_what_is_refused(old, examples):
    other = aezoo.build("dense", latent_dim=4, features=6, units=(8,))
    with pytest.raises(OptionError) as error:
        comparison.compare(other, old, examples)
    four_lines(error, "take different examples", (6,), old.example_shape)
    with pytest.raises(DataError) as error:
        comparison.compare(old, old, examples[:20])
    four_lines(error, "too few examples", "at least 21")
    with pytest.raises(DataError) as error:
        comparison.compare(Turned(old, np.zeros((4, 4))), old, examples)
    four_lines(error, "do not vary")


def test_without_scikit_learn(old, examples, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError) as error:
        comparison.compare(old, old, examples)
    four_lines(error, 'pip install "aezoo[train]"')


def test_the_command(exported, retrained, examples, tmp_path, capsys):
    np.save(tmp_path / "x.npy", examples)
    command = ["compare", str(retrained), str(exported), "--data", str(tmp_path / "x.npy")]
    assert main.main(command) == 0
    printed = capsys.readouterr().out
    for words in ("linear CKA", "10 nearest neighbours kept", "Kolmogorov-Smirnov", "must be built anew"):
        assert words in printed
    for required in ("rotation", "same"):
        assert main.main([*command, "--require", required]) == 1
        four_lines(capsys.readouterr().err.strip(), "may not be used", f"{required}, as --require says")
    assert main.main([*command, "--json", "--examples", "100", "--neighbours", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["examples"], found["neighbours"]["k"]) == ("different", 100, 5)
    # limits that let everything pass
    assert main.main([*command, "--rotation-limit", "9", "--require", "rotation"]) == 0
    assert main.main([*command, "--tolerance", "9", "--require", "same"]) == 0


@pytest.mark.parametrize("limits", [{"tolerance": float("nan")}, {"rotation_limit": -1.0}])
def test_limits_are_numbers(limits, exported):
    bundle = aezoo.load(exported)
    with pytest.raises(OptionError) as error:
        comparison.compare(bundle, bundle, smooth_examples(bundle.example_shape, 64), **limits)
    four_lines(error, next(iter(limits)))


def test_two_bundles_have_two_precisions_at_most(exported, tmp_path, capfd):
    np.save(tmp_path / "x.npy", smooth_examples((16, 12, 1), 64))
    arguments = ["compare", str(exported), str(exported), "--data", str(tmp_path / "x.npy")]
    assert main.main([*arguments, "--precision", "float32,float32,int8"]) == 2
    four_lines(capfd.readouterr().err.strip(), "two precisions at most", "--precision float32,float32")
