"""Ways through the latent space: their ends, their norms, and that a bundle goes the same ones."""

import numpy as np
import pytest
from conftest import four_lines

import aezoo
from aezoo import runtime
from aezoo.core.errors import DataError, OptionError
from aezoo.core.latent_space import LatentSpace, between
from aezoo.nn.autoencoder import keras
from aezoo.testing import smooth_examples

PATHS = ("linear", "spherical")


def randoms(*shape, seed=0):
    return np.random.Generator(np.random.Philox(seed)).standard_normal(shape)


# -- between ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_both_ends_belong_to_the_way(path, shape):
    first, second = randoms(2, *shape)
    way = between(first, second, 6, path)
    assert way.shape == (6, *shape)
    assert way.dtype == np.float32
    np.testing.assert_allclose(way[[0, -1]], [first, second], rtol=1e-6)
    np.testing.assert_allclose(way[::-1], between(second, first, 6, path), rtol=1e-5, atol=1e-6)


def test_a_linear_way_has_equal_steps():
    first, second = randoms(2, 3)
    steps = np.diff(between(first, second, 5), axis=0)
    np.testing.assert_allclose(steps, np.tile((second - first) / 4, (4, 1)), rtol=1e-4)


def test_a_spherical_way_stays_on_the_sphere():
    ends = randoms(2, 6, seed=1)
    first, second = 3 * ends / np.linalg.norm(ends, axis=1, keepdims=True)
    way = between(first, second, 7, "spherical").astype("float64")
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 3, rtol=1e-6)
    cosines = (way[1:] * way[:-1]).sum(axis=1) / 9  # equal angles, not only equal lengths
    np.testing.assert_allclose(np.arccos(cosines), np.arccos(first @ second / 9) / 6, rtol=1e-4)


def test_a_spherical_way_between_other_lengths():
    way = between([4.0, 0.0], [0.0, 1.0], 3, "spherical")
    np.testing.assert_allclose(way[1], np.array([4.0, 1.0]) * np.sqrt(0.5), rtol=1e-6)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0.0, 0.0], [1.0, 2.0]),
        ([1.0, 2.0], [0.0, 0.0]),
        ([1.0, 2.0], [2.0, 4.0]),
        ([1.0, 2.0], [-2.0, -4.0]),
        ([1.0, 2.0], [1.0, 2.0]),
    ],
    ids=["from 0", "to 0", "same way", "against each other", "no way"],
)
def test_where_there_is_no_angle_the_way_is_linear(first, second):
    np.testing.assert_array_equal(between(first, second, 5, "spherical"), between(first, second, 5, "linear"))


def test_wrong_ways():
    with pytest.raises(OptionError) as error:
        between([0.0], [1.0], path="sferical")
    four_lines(error, "did you mean 'spherical'?")
    for steps in (1, 0, 2.5):
        with pytest.raises(OptionError) as error:
            between([0.0], [1.0], steps)
        four_lines(error, f"steps={steps}", "at least")


# -- on a model ---------------------------------------------------------------------------------


class Plane(LatentSpace):
    """Latents are the example itself, and the decoder doubles them: all can be reckoned by hand."""

    latent_shape = (2, 2)

    def encode(self, examples, *, labels=None, batch_size=256):
        return np.array(examples, "float32")

    def decode(self, latents, *, labels=None, batch_size=256):
        return 2 * np.asarray(latents)


def test_interpolation_decodes_the_way():
    first, second = randoms(2, 2, 2).astype("float32")
    for path in PATHS:
        got = Plane().interpolate(first, second, 4, path)
        np.testing.assert_array_equal(got, 2 * between(first, second, 4, path))


def test_a_traversal_moves_one_axis_alone():
    example = randoms(2, 2).astype("float32")
    got = Plane().traverse(example, 2, [-1.0, 0.0, 5.0]) / 2
    assert got.shape == (3, 2, 2)
    np.testing.assert_array_equal(got[:, 1, 0], [-1.0, 0.0, 5.0])
    rest = np.array([[True, True], [False, True]])
    np.testing.assert_array_equal(got[:, rest], np.tile(example[rest], (3, 1)))
    usual = Plane().traverse(example, 0)[:, 0, 0] / 2
    np.testing.assert_allclose(usual, np.linspace(-3, 3, 9))


def test_no_such_axis():
    for axis in (4, -1, 0.5, True):
        with pytest.raises(OptionError) as error:
            Plane().traverse(np.zeros((2, 2)), axis)
        four_lines(error, f"axis={axis}", "0 to 3")


@pytest.mark.parametrize("values", [5.0, [[1, 2]], ["a"], [], [1e300], [float("nan")], [[1], [1, 2]]])
def test_values_of_a_traversal(values):
    with pytest.raises(DataError) as error:
        Plane().traverse(np.zeros((2, 2)), 0, values)
    four_lines(error, "values")


def test_ends_that_are_no_two_examples():
    first = np.zeros((2, 2))
    for second, words in (
        (np.zeros((20, 2)), ("the two ends", "one shape")),
        (None, ("second", "no array", "None")),
    ):
        with pytest.raises(DataError) as error:
            Plane().interpolate(first, second)
        four_lines(error, *words)


@pytest.mark.parametrize(("value", "place"), [(np.nan, 1), (-np.inf, 0), (1e300, 2)])
def test_values_are_finite_numbers(value, place):
    values = np.zeros(3)
    values[place] = value
    with pytest.raises(DataError) as error:
        Plane().traverse(np.zeros((2, 2)), 0, values)
    four_lines(error, "values must be finite numbers", f"values[{place}] is {value}", "values=[-3, 0, 3]")


def test_each_end_is_one_example(pair):
    (first, second), shape = smooth_examples((16, 12, 1), 2), "(16, 12, 1)"
    for one in pair[:2]:
        for name, go in (
            ("first", lambda one=one: one.interpolate(first[None], second[None])),
            ("second", lambda one=one: one.interpolate(first, second[None])),
            ("example", lambda one=one: one.traverse(first[None], 0)),
        ):
            with pytest.raises(DataError) as error:
                go()
            four_lines(error, f"{name} has shape (1, 16, 12, 1)", f"expected: {shape}", f"{name}=x[0]")


def test_a_way_has_one_label(conditional):
    first, second = smooth_examples((9, 8, 1), 2)
    for go in (
        lambda labels: conditional.interpolate(first, second, labels=labels),
        lambda labels: conditional.traverse(first, 0, labels=labels),
    ):
        np.testing.assert_array_equal(go([1]), go(1))
        with pytest.raises(OptionError) as error:
            go([1, 2])
        four_lines(error, "one label", "[1, 2]")


def test_without_a_prior_nothing_is_drawn():
    for draw in (Plane().sample, Plane().sample_latents):
        with pytest.raises(OptionError) as error:
            draw(3)
        four_lines(error, "no prior", "fit_prior")


# -- the Keras model and its bundle -------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(trained, exported):
    return trained[0], runtime.load(exported), trained[1]


def assert_near(ours, theirs):
    """Within 1e-5 of each other, in images of [0, 1]."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_samples_of_model_and_bundle(pair):
    model, bundle, _ = pair
    assert model.prior.kind == bundle.prior.kind == "gaussian_mixture"
    np.testing.assert_array_equal(bundle.sample_latents(6, seed=7), model.sample_latents(6, seed=7))
    drawn = bundle.sample(6, seed=7)
    assert_near(drawn, model.sample(6, seed=7))
    assert np.abs(drawn - bundle.sample(6, seed=8)).max() > 1e-3


def test_ways_of_model_and_bundle(pair):
    model, bundle, images = pair
    for path in PATHS:
        way = bundle.interpolate(images[0], images[1], 5, path)
        assert_near(way, model.interpolate(images[0], images[1], 5, path))
        assert_near(way[[0, -1]], bundle.reconstruct(images[:2]))
    values = [-2.0, 0.0, 2.0]
    assert_near(bundle.traverse(images[0], 1, values), model.traverse(images[0], 1, values))
    at_home = model.encode(images[:1])[0, 1]
    assert_near(model.traverse(images[0], 1, [at_home]), model.reconstruct(images[:1]))


# -- labels -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def conditional():
    keras.utils.set_random_seed(0)
    return aezoo.build(
        "conditional_vae", latent_dim=2, image_shape=(9, 8, 1), classes=3, body_options={"units": (6,)}
    )


def test_samples_go_through_the_labels_in_turn(conditional):
    drawn = conditional.sample(7, seed=2)
    np.testing.assert_array_equal(drawn, conditional.sample(7, seed=2, labels=[0, 1, 2, 0, 1, 2, 0]))
    assert not np.array_equal(drawn, conditional.sample(7, seed=2, labels=[1] * 7))


def test_the_label_of_a_way(conditional):
    first, second = smooth_examples((9, 8, 1), 2)
    way = conditional.interpolate(first, second, 4, labels=2)
    ends = conditional.reconstruct(np.stack([first, second]), labels=np.array([2, 2]))
    np.testing.assert_allclose(way[[0, -1]], ends, atol=1e-6)
    moved = conditional.traverse(first, 0, labels=1)
    assert moved.shape == (9, 9, 8, 1)
    assert not np.allclose(moved, conditional.traverse(first, 0, labels=2))


def test_labels_are_asked_for_and_refused(conditional, trained):
    images = smooth_examples((9, 8, 1), 2)
    with pytest.raises(DataError) as error:
        conditional.interpolate(*images)
    four_lines(error, "a label with each example", "0 to 2")
    with pytest.raises(DataError) as error:
        conditional.sample(2, labels=[0, 3])
    four_lines(error, "no such class", "0 to 3")
    with pytest.raises(DataError) as error:
        trained[0].sample(2, labels=[0, 1])
    four_lines(error, "takes no labels")
