"""Codebooks, latents and generated digits: figures whose exact value is known."""

import math

import numpy as np
import onnx
import pytest
from conftest import ROOT, four_lines

from aezoo.core.errors import DataError
from aezoo.core.model import Model
from aezoo.evaluation import codebook, generation, latents
from aezoo.testing import smooth_examples

# -- codebook -----------------------------------------------------------------------------------


def test_perplexity_goes_from_one_to_all():
    same, all_alike = np.full((3, 2, 2), 7), np.arange(16).reshape(4, 2, 2)
    assert codebook.perplexity(same, 16) == 1
    assert codebook.perplexity(all_alike, 16) == pytest.approx(16)
    assert codebook.used_codes(same, 16) == 1
    assert codebook.used_codes(all_alike, 16) == 16
    skewed = np.array([[[0, 0]], [[0, 1]]])  # three quarters and one
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert codebook.perplexity(skewed, 512) == pytest.approx(math.exp(entropy))
    np.testing.assert_allclose(codebook.usage(skewed, 3), [0.75, 0.25, 0])


def test_bits():
    indices = np.arange(16).reshape(4, 2, 2)
    assert codebook.bits_per_image(indices, 16) == 16
    assert codebook.bits_per_dim(indices, 16, (4, 4, 2)) == 0.5
    assert codebook.entropy_bits_per_image(indices, 1024) == pytest.approx(16)  # 16 alike of 1024
    assert codebook.entropy_bits_per_image(np.zeros((4, 2, 2), int), 1024) == 0


@pytest.mark.parametrize("indices", [[[0, 4]], [[-1, 0]], [[0.0, 1.0]]])
def test_indices_outside_the_codebook_are_refused(indices):
    with pytest.raises(DataError) as error:
        codebook.perplexity(np.array(indices), 4)
    four_lines(error, "0 to 3")


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_to_its_budget_and_gets_better_with_it(channels):
    images = smooth_examples((32, 24, channels), 12)
    generous, tight = codebook.jpeg_at_bits(images, 4000), codebook.jpeg_at_bits(images, 600)
    assert 400 < tight["bits_per_image"] <= 600 < generous["bits_per_image"] <= 4000
    assert generous["mse"] < tight["mse"] < images.var()
    assert tight["quality"] < generous["quality"]
    # Markers 4, JFIF 18; grey: 69 of a table, frame 13, Huffman 33 + 183, scan 10; colour: 138, 19, 432, 14.
    header = tight["bits_per_image_with_header"] - tight["bits_per_image"]
    assert header / 8 == pytest.approx({1: 330, 3: 625}[channels], abs=0.01)
    # One more step of quality would not have fitted.
    more = codebook.jpeg_at_bits(images, tight["bits_per_image"] * 1.0001)
    assert more["quality"] == tight["quality"]
    lowest = codebook.jpeg_at_bits(images, 1)
    assert lowest["quality"] == 1
    assert lowest["bits_per_image"] > 1  # and says so


def test_jpeg_wants_colours():
    with pytest.raises(DataError) as error:
        codebook.jpeg_at_bits(np.zeros((2, 8, 8, 4)), 100)
    four_lines(error, "(2, 8, 8, 4)")


# -- latents ------------------------------------------------------------------------------------


def two_clouds(count, distance, seed=0):
    """Two Gaussian clouds that the second axis tells apart; the first is a thousand times wider."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    points = draw.normal(size=(count, 2))
    points[:, 1] += distance * labels
    return points * [1000.0, 1.0], labels


@pytest.mark.parametrize("accuracy", [latents.knn_accuracy, latents.linear_probe_accuracy])
def test_accuracies(accuracy):
    train, test = two_clouds(600, 12.0), two_clouds(300, 12.0, seed=1)
    assert accuracy(*train, *test) == 1  # though the wide axis would drown the other
    assert accuracy(train[0], train[1], test[0], 1 - test[1]) == 0
    mixed, tested = two_clouds(600, 0.0), two_clouds(300, 0.0, seed=1)
    assert accuracy(*mixed, *tested) == pytest.approx(0.5, abs=0.12)
    # A constant axis is no division by zero, and text is as good a label as any.
    train_latents = np.column_stack([train[0], np.full(600, 3.0)])
    test_latents = np.column_stack([test[0], np.full(300, 3.0)])
    assert accuracy(train_latents, train[1].astype(str), test_latents, test[1].astype(str)) == 1


def test_the_best_linear_probe_of_two_clouds():
    """Bayes: two unit Gaussians two apart are told apart in Phi(1) = 84.1 % of the cases."""
    accuracy = latents.linear_probe_accuracy(*two_clouds(4000, 2.0), *two_clouds(4000, 2.0, seed=1))
    assert accuracy == pytest.approx(0.8413, abs=0.02)


def test_maps_are_averaged_over_their_positions():
    maps = np.arange(24.0).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(latents.pooled(maps), [[5, 6], [17, 18]])
    np.testing.assert_array_equal(latents.pooled(maps[:, 0, 0]), maps[:, 0, 0])
    train, labels = two_clouds(200, 12.0)
    spread = train[:, None, None] + np.array([-5.0, 5.0])[None, :, None, None]  # (N, 2, 1, 2), the same mean
    assert latents.knn_accuracy(spread, labels, spread, labels) == 1


def test_classifiers_refuse_what_has_no_classes():
    points, labels = two_clouds(10, 1.0)
    for train_labels in (np.zeros(10), labels[:5]):
        with pytest.raises(DataError) as error:
            latents.linear_probe_accuracy(points, train_labels, points, labels)
        four_lines(error, "two classes")


def test_trustworthiness():
    examples = np.random.default_rng(0).normal(size=(80, 4, 2))
    assert latents.trustworthiness(examples, 3 * examples.reshape(80, 8) + 1) == 1
    shuffled = np.random.default_rng(1).normal(size=(80, 2))
    assert latents.trustworthiness(examples, shuffled) == pytest.approx(0.5, abs=0.1)
    assert latents.trustworthiness(examples[:3], examples.reshape(80, 8)[:3]) == 1
    with pytest.raises(DataError) as error:
        latents.trustworthiness(examples[:2], shuffled[:2])
    four_lines(error, "at least 3")


def test_explained_variance_is_that_of_scikit_learn():
    from aezoo.evaluation.baselines import fit_pca, project

    rows = np.random.default_rng(0).normal(size=(100, 6)) * [5, 3, 1, 1, 0.5, 0.1] + 7
    pca = fit_pca(rows, 2)
    share = latents.explained_variance(rows, project(pca, rows))
    assert share == pytest.approx(pca.explained_variance_ratio_.sum(), rel=1e-5)
    assert latents.explained_variance(rows, np.broadcast_to(rows.mean(axis=0), rows.shape)) == 0
    assert latents.explained_variance(rows, rows) == 1
    assert latents.explained_variance(rows, -rows) < 0
    assert latents.explained_variance(np.ones((3, 2)), np.zeros((3, 2))) == 0
    units = np.array([1.0, 10, 100, 1000, 1, 1])
    assert latents.explained_variance(rows * units, project(pca, rows) * units, units) == pytest.approx(share)


def test_dead_units_and_sparsity():
    codes = np.random.default_rng(0).normal(size=(20, 3, 3, 4))
    assert latents.dead_units(codes) == 0
    assert latents.sparsity(codes) == 0
    codes[..., 1] = 0
    codes[..., 2] = 0.5  # does not move, though it is not 0
    assert latents.dead_units(codes) == 0.5
    assert latents.sparsity(codes) == 0.25
    codes[3, 1, 2, 1] = 0.1  # once, at one position
    assert latents.dead_units(codes) == 0.25


# -- generation ---------------------------------------------------------------------------------


def test_frechet_is_that_of_gaussians():
    draw = np.random.default_rng(0)
    means, factors = draw.normal(size=(2, 6)), draw.normal(size=(2, 6, 6))
    first, second = (factor @ factor.T for factor in factors)
    from scipy.linalg import sqrtm

    expected = np.square(means[0] - means[1]).sum() + np.trace(
        first + second - 2 * sqrtm(first @ second).real
    )
    assert generation.frechet(means[0], first, means[1], second) == pytest.approx(expected)
    assert generation.frechet(means[1], second, means[0], first) == pytest.approx(expected)
    assert generation.frechet(means[0], first, means[0], first) == pytest.approx(0, abs=1e-9)
    assert generation.frechet([0.0], np.eye(1), [3.0], 4 * np.eye(1)) == pytest.approx(9 + 1)
    flat = np.diag([1.0, 0.0])  # an axis that never moves, as a dead feature is
    assert generation.frechet(np.zeros(2), flat, np.zeros(2), 4 * flat) == pytest.approx(1)


def test_features_know_digits(mini):
    images, labels = mini.test.array(), mini.test.labels
    seen = generation.features(images)
    assert seen.shape == (1000, 64)
    assert seen.dtype == np.float32
    np.testing.assert_allclose(generation.features(images[510:515]), seen[510:515], atol=1e-4)
    train = generation.features(mini.train.array(2000))
    assert latents.knn_accuracy(train, mini.train.labels[:2000], seen, labels) > 0.97


def test_the_classifier_says_what_it_is():
    path = generation.FILE
    assert path.stat().st_size < 400_000
    told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert told["trained_on"] == "MNIST, train part"
    assert float(told["test_accuracy"]) > 0.985
    assert told["test_accuracy"] in (ROOT / "docs" / "reference" / "figures.md").read_text("utf-8").replace(
        "%", ""
    )


def test_the_worse_the_digits_the_farther(mini):
    images, train = mini.test.array(), mini.train.array(1000)
    noise = np.random.default_rng(0).normal(size=images.shape).astype("float32")
    distance = [
        generation.frechet_digit_distance_of_images(images + level * noise, images) for level in (0.2, 0.5)
    ]
    floor = generation.frechet_digit_distance_of_images(train, images)
    assert generation.frechet_digit_distance_of_images(images, images) == pytest.approx(0, abs=1e-3)
    assert 0 < floor < distance[0] < distance[1]


class Copies(Model):
    """ "Generates" the first training images: the floor, if anything does."""

    example_shape = latent_shape = (28, 28, 1)

    def __init__(self, images):
        self.images, self.asked = images, None

    def sample(self, n=64, seed=0, *, labels=None, batch_size=256):
        self.asked = (n, seed)
        return self.images[:n]

    def _encode(self, examples, labels, batch_size, wanted):
        return [np.zeros_like(examples)]

    def _decode(self, latents, labels, batch_size):
        return latents


def test_frechet_digit_distance_of_a_model(mini):
    model = Copies(mini.train.array())
    distance = generation.frechet_digit_distance(model, mini, n=300, seed=4)
    assert model.asked == (300, 4)
    assert distance == generation.frechet_digit_distance_of_images(
        mini.train.array(300), mini.test.array(300)
    )
    figures = generation.generation_figures(model, mini, n=300)
    assert figures["frechet_digit_distance"] == figures["frechet_digit_distance_of_train_images"] == distance
    assert figures["frechet_digit_distance_of_reconstructions"] > 10 * distance
    assert figures["images"] == 300
    generation.frechet_digit_distance(model, mini)
    assert model.asked == (1000, 0)  # as many as there are test images


def test_other_images_have_no_digit_distance():
    for function in (
        generation.features,
        lambda images: generation.frechet_digit_distance_of_images(images, images),
    ):
        with pytest.raises(DataError) as error:
            function(np.zeros((3, 32, 32, 1)))
        four_lines(error, "(32, 32, 1)", "(28, 28, 1)", "mnist")
    with pytest.raises(DataError) as error:
        generation.frechet_digit_distance_of_images(np.zeros((1, 28, 28, 1)), np.zeros((2, 28, 28, 1)))
    four_lines(error, "at least 2")
