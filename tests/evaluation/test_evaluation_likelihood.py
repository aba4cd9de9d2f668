"""Likelihoods of models whose exact answer is known: linear ones, and one latent on a grid."""

import math

import numpy as np
import pytest
from conftest import four_lines

from aezoo.core.errors import OptionError
from aezoo.core.model import Model
from aezoo.core.priors import GaussianMixture, StandardNormal
from aezoo.evaluation import likelihood

LOG_2PI = math.log(2 * math.pi)


class Linear(Model):
    """Probabilistic PCA (Tipping & Bishop 1999): x = W z + b + noise, every density a Gaussian.

    The columns of W are at right angles, so the true posterior is diagonal; `widened` makes the
    model's posterior wider than the true one by that factor, as a trained encoder's might be.
    """

    example_shape, latent_shape, error_scale = (5,), (2,), None

    def __init__(self, widened=1.0, scale=0.5, error_scale=1.0, prior=None):
        draw = np.random.default_rng(3)
        self.columns = np.linalg.qr(draw.normal(size=(5, 2)))[0] * [2.0, 0.7]
        self.bias, self.scale, self.widened = draw.normal(size=5), scale, widened
        self.error_scale = np.broadcast_to(np.asarray(error_scale, "float64"), (5,))
        self.prior = StandardNormal((2,)) if prior is None else prior
        self.likelihood = {"kind": "gaussian", "scale": scale, "binarize": False}
        self.largest = 0

    def draw_examples(self, count, seed=0):
        draw = np.random.default_rng(seed)
        latents, noise = draw.normal(size=(count, 2)), draw.normal(size=(count, 5))
        return (latents @ self.columns.T + self.bias + self.scale * noise) * self.error_scale

    # In float64, unlike models of the zoo: what is tested is exact to more digits than float32 has.
    def posterior(self, examples, *, labels=None, batch_size=256):
        precision = np.square(self.columns).sum(axis=0) / self.scale**2 + 1
        mean = (examples / self.error_scale - self.bias) @ self.columns / self.scale**2 / precision
        return mean, np.tile(math.log(self.widened) - np.log(precision), (len(mean), 1))

    def decode(self, latents, *, labels=None, batch_size=256):
        self.largest = max(self.largest, len(latents))
        return (latents @ self.columns.T + self.bias) * self.error_scale

    def _encode(self, examples, labels, batch_size, wanted):
        raise NotImplementedError

    _decode = _encode

    def exact_nll(self, examples):
        """Of the standardised values: x / error_scale ~ N(b, W W' + scale^2 I)."""
        covariance = self.columns @ self.columns.T + self.scale**2 * np.eye(5)
        difference = examples / self.error_scale - self.bias
        squared = (difference @ np.linalg.inv(covariance) * difference).sum(axis=1)
        return 0.5 * (squared + np.linalg.slogdet(covariance)[1] + 5 * LOG_2PI)


def test_with_the_true_posterior_one_draw_is_exact():
    model = Linear()
    examples = model.draw_examples(50)
    exact = model.exact_nll(examples)
    nll, error = likelihood.nll_nats(model, examples, samples=1)
    assert nll == pytest.approx(exact.mean(), abs=1e-5)
    assert error == pytest.approx(exact.std(ddof=1) / math.sqrt(50), rel=1e-4)
    assert likelihood.elbo_nats(model, examples) == pytest.approx(-exact.mean(), abs=1e-5)


def test_with_a_wider_posterior_the_bound_tightens_with_samples():
    model = Linear(widened=3.0)
    examples = model.draw_examples(200)
    exact = model.exact_nll(examples).mean()
    loose, _ = likelihood.nll_nats(model, examples, samples=1)
    middle, _ = likelihood.nll_nats(model, examples, samples=2)
    tight, error = likelihood.nll_nats(model, examples, samples=400)
    assert loose > middle > tight
    assert abs(tight - exact) < 3 * error
    assert tight == pytest.approx(exact, abs=0.02)
    # And the looseness of one draw is the KL between the two posteriors, two axes of ratio 3.
    slack = 0.5 * 2 * (3 - 1 - math.log(3))
    bound = likelihood.elbo_nats(model, examples, samples=400)
    assert -bound - exact == pytest.approx(slack, abs=0.03)


def test_the_true_marginal_is_met_within_its_error_on_fresh_examples():
    """The expectation of the exact figure is the entropy of x, which the sample misses by its error."""
    model = Linear()
    nll, error = likelihood.nll_nats(model, model.draw_examples(2000), samples=2)
    covariance = model.columns @ model.columns.T + model.scale**2 * np.eye(5)
    entropy = 0.5 * (np.linalg.slogdet(covariance)[1] + 5 * (LOG_2PI + 1))
    assert abs(nll - entropy) < 3 * error


def test_rows_count_in_standard_deviations():
    model = Linear(error_scale=[1.0, 10.0, 0.1, 3.0, 1000.0])
    examples = model.draw_examples(40)
    nll, _ = likelihood.nll_nats(model, examples, samples=1)
    assert nll == pytest.approx(model.exact_nll(examples).mean(), abs=1e-4)


def test_memory_is_bounded_and_draws_do_not_depend_on_it():
    model = Linear(widened=2.0)
    examples = model.draw_examples(7)
    whole = likelihood.nll_nats(model, examples, samples=30)
    assert model.largest == 210
    for batch in (64, 13):  # two examples at a time, and a half
        model.largest = 0
        again = likelihood.nll_nats(model, examples, samples=30, batch=batch)
        np.testing.assert_allclose(again, whole, rtol=1e-9)
        assert model.largest <= batch
    assert likelihood.nll_nats(model, examples, samples=30, seed=1) != whole


def test_kl_is_that_of_gaussians():
    model = Linear(widened=2.0)
    examples = model.draw_examples(30)
    mean, log_var = model.posterior(examples)
    exact = 0.5 * (np.square(mean) + np.exp(log_var) - log_var - 1).mean(axis=0)
    total, per_axis = likelihood.kl_nats(model, examples)
    np.testing.assert_allclose(per_axis, exact, rtol=1e-12)
    assert total == pytest.approx(exact.sum())
    # The same prior as a mixture of one: by draws, and as a total alone.
    model.prior = GaussianMixture([1.0], np.zeros((1, 2)), np.ones((1, 2)))
    drawn, per_axis = likelihood.kl_nats(model, examples, samples=2000)
    assert per_axis is None
    assert drawn == pytest.approx(total, rel=0.01)


def test_active_units():
    model = Linear()
    examples = model.draw_examples(100)
    assert likelihood.active_units(model, examples) == 2
    variances = model.posterior(examples)[0].var(axis=0)
    assert likelihood.active_units(model, examples, threshold=float(variances.mean())) == 1
    assert likelihood.active_units(model, np.repeat(examples[:1], 5, axis=0)) == 0


class Coins(Model):
    """Three pixels that one latent moves, whose marginal a grid of the latent gives exactly."""

    example_shape, latent_shape = (1, 3, 1), (1,)
    slope, offset = np.array([1.5, -1.0, 0.3]), np.array([0.2, 0.1, -0.4])

    def __init__(self, binarize):
        self.prior = StandardNormal((1,))
        self.likelihood = {"kind": "bernoulli", "scale": 1.0, "binarize": binarize}
        self.seen = []

    def posterior(self, examples, *, labels=None, batch_size=256):
        self.seen.append(examples)
        return np.zeros((len(examples), 1)), np.zeros((len(examples), 1))

    def decode(self, latents, *, labels=None, batch_size=256):
        logits = latents * self.slope + self.offset
        return (1 / (1 + np.exp(-logits))).reshape(-1, 1, 3, 1).astype("float32")

    def _encode(self, examples, labels, batch_size, wanted):
        raise NotImplementedError

    _decode = _encode

    def exact_nll(self, images):
        grid = np.linspace(-9, 9, 4001)
        prior = np.exp(-0.5 * grid**2 - 0.5 * LOG_2PI)
        ones = self.decode(grid[:, None]).reshape(1, -1, 3).astype("float64")
        pixels = images.reshape(-1, 1, 3)
        given = np.exp((pixels * np.log(ones) + (1 - pixels) * np.log(1 - ones)).sum(axis=2))
        return -np.log(np.trapezoid(given * prior, grid, axis=1))


@pytest.mark.parametrize("binarize", [True, False])
def test_bernoulli_against_a_grid(binarize):
    model = Coins(binarize)
    images = np.random.default_rng(1).random((40, 1, 3, 1)).astype("float32")
    measured = likelihood.figures(model, images, samples=3000)
    (seen,) = model.seen  # one posterior for all figures, of the images that the likelihood is of
    assert set(np.unique(seen)) == {0.0, 1.0} if binarize else np.array_equal(seen, images)
    assert measured["nll_nats"] == pytest.approx(model.exact_nll(seen).mean(), abs=0.01)
    assert measured["kl_nats"] == 0
    assert measured["kl_nats_per_axis"] == [0]
    assert measured["active_units"] == 0
    assert (measured["samples"], measured["examples"]) == (3000, 40)
    assert -measured["elbo_nats"] > measured["nll_nats"]
    glance = likelihood.figures(model, images)
    assert set(glance) == {"elbo_nats", "kl_nats", "kl_nats_per_axis", "active_units", "examples"}


def test_binarised_images_have_their_means_and_a_seed():
    images = np.full((2000, 2, 2, 1), [[[0.0], [1.0]], [[0.25], [0.8]]], "float32")
    drawn = likelihood.binarize(images, seed=5)
    np.testing.assert_allclose(drawn.mean(axis=0), images[0], atol=0.03)
    np.testing.assert_array_equal(drawn, likelihood.binarize(images, seed=5))
    assert not np.array_equal(drawn, likelihood.binarize(images, seed=6))


class Labelled(Linear):
    """A linear model whose bias is the label: nothing fits unless each call gets the right one."""

    classes = 7

    def posterior(self, examples, *, labels, batch_size=256):
        return super().posterior(examples - np.asarray(labels)[:, None])

    def decode(self, latents, *, labels, batch_size=256):
        return super().decode(latents) + np.asarray(labels)[:, None]


def test_labels_go_with_their_examples():
    model, labels = Labelled(widened=1.5), np.arange(30, dtype="int32") % 7
    plain, examples = Linear(widened=1.5), Linear().draw_examples(30)
    expected = likelihood.nll_nats(plain, examples, samples=20, batch=70)
    given = likelihood.nll_nats(model, examples + labels[:, None], samples=20, batch=70, labels=labels)
    np.testing.assert_allclose(given, expected, rtol=1e-5)


def test_refusals():
    model = Linear()
    examples = model.draw_examples(3)
    for options in ({"samples": 0}, {"batch": 0}, {"seed": -1}):
        with pytest.raises(OptionError) as error:
            likelihood.nll_nats(model, examples, **options)
        four_lines(error, next(iter(options)))
    assert math.isnan(likelihood.nll_nats(model, examples[:1])[1])
    model.likelihood = None
    for function in (likelihood.nll_nats, likelihood.kl_nats, likelihood.figures):
        with pytest.raises(OptionError) as error:
            function(model, examples)
        four_lines(error, "no likelihood", "vae")
