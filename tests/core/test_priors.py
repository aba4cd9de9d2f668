"""What latents are drawn from: repeatable, of the right density, and the same after a trip through arrays."""

import numpy as np
import pytest
from conftest import four_lines
from scipy import stats

from aezoo.core import priors
from aezoo.core.errors import OptionError

MEANS = np.array([[0.0, 4.0], [-3.0, 0.0], [2.0, -2.0]])
FACTORS = np.array([[[1.0, 0.0], [0.5, 0.3]], [[0.2, 0.0], [-0.4, 0.7]], [[0.6, 0.0], [0.0, 0.6]]])
WEIGHTS = [2.0, 1.0, 1.0]  # not yet divided by their sum
CODEBOOK = np.arange(12, dtype="float32").reshape(4, 3)
COUNTS = np.array([[1, 0, 3, 0], [0, 0, 0, 5], [2, 2, 2, 2], [1, 1, 0, 0], [0, 9, 1, 0], [1, 0, 0, 0]])


def every_prior():
    return [
        priors.StandardNormal((3,)),
        priors.StandardNormal((2, 3, 4)),
        priors.GaussianMixture(WEIGHTS, MEANS, FACTORS),
        priors.GaussianMixture(WEIGHTS, MEANS, np.exp(MEANS / 4)),  # standard deviations
        priors.GaussianMixture([1.0], np.zeros((1, 12)), np.eye(12)[None], (2, 3, 2)),
        priors.Categorical(COUNTS, CODEBOOK, (2, 3, 3)),
    ]


each = pytest.mark.parametrize("prior", every_prior(), ids=lambda prior: f"{prior.kind} {prior.latent_shape}")


@each
def test_a_seed_gives_the_same_latents(prior):
    drawn = prior.sample(11, seed=5)
    assert drawn.shape == (11, *prior.latent_shape)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, prior.sample(11, seed=5))
    assert not np.array_equal(drawn, prior.sample(11, seed=6))
    before = np.random.get_state()[1:3]
    np.random.random()  # a generator of its own, not NumPy's global one
    np.testing.assert_array_equal(drawn, prior.sample(11, seed=5))
    np.random.seed(0)
    prior.sample(3, seed=5)
    np.testing.assert_equal(np.random.get_state()[1:3], before)


def test_latents_of_a_seed_never_change():
    """These numbers are part of every bundle: seed 7 means them, in any version."""
    drawn = priors.StandardNormal((2,)).sample(2, seed=7)
    expected = np.random.Generator(np.random.Philox(7)).standard_normal((2, 2))
    np.testing.assert_array_equal(drawn, expected.astype("float32"))


@each
def test_the_way_through_arrays(prior):
    arrays = prior.to_arrays()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in arrays.values())
    again = priors.from_arrays(prior.kind, arrays)
    assert type(again) is type(prior)
    assert again.latent_shape == prior.latent_shape
    np.testing.assert_array_equal(again.sample(9, 3), prior.sample(9, 3))


@each
def test_wrong_numbers(prior):
    for n in (0, -1, 2.5, True):
        with pytest.raises(OptionError) as error:
            prior.sample(n)
        four_lines(error, f"n={n!r}")
    for seed in (-1, 2**32, 0.5):
        with pytest.raises(OptionError) as error:
            prior.sample(2, seed)
        four_lines(error, f"seed={seed!r}")


def test_an_unknown_kind():
    with pytest.raises(OptionError) as error:
        priors.from_arrays("laplace", {})
    four_lines(error, "laplace", "standard_normal, gaussian_mixture, categorical")


def test_moments_of_standard_normal():
    drawn = priors.StandardNormal((3,)).sample(20000, 1).astype("float64")
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(3), atol=0.04)


def covariances(factors):
    if factors.ndim == 2:
        return np.stack([np.diag(row**2) for row in factors])
    return factors @ factors.transpose(0, 2, 1)


@pytest.mark.parametrize("factors", [FACTORS, np.exp(MEANS / 4)], ids=["full", "diagonal"])
def test_moments_of_a_mixture(factors):
    drawn = priors.GaussianMixture(WEIGHTS, MEANS, factors).sample(40000, 2).astype("float64")
    shares = np.array(WEIGHTS) / sum(WEIGHTS)
    mean = shares @ MEANS
    spread = covariances(factors) + np.einsum("ki,kj->kij", MEANS - mean, MEANS - mean)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.einsum("k,kij->ij", shares, spread), atol=0.15)


@pytest.mark.parametrize("factors", [FACTORS, np.exp(MEANS / 4)], ids=["full", "diagonal"])
def test_density_of_a_mixture(factors):
    prior = priors.GaussianMixture(WEIGHTS, MEANS, factors)
    latents = np.concatenate([prior.sample(20, 3), [[30.0, -40.0]]])  # far off, where densities are 0
    shares = np.array(WEIGHTS) / sum(WEIGHTS)
    parts = zip(shares, MEANS, covariances(factors), strict=True)
    logs = [np.log(w) + stats.multivariate_normal(m, c).logpdf(latents) for w, m, c in parts]
    np.testing.assert_allclose(prior.log_density(latents), np.logaddexp.reduce(logs, axis=0), rtol=1e-9)


def test_density_of_standard_normal():
    prior = priors.StandardNormal((2, 3))
    latents = prior.sample(5, 0)
    expected = stats.norm.logpdf(latents.astype("float64")).sum(axis=(1, 2))
    np.testing.assert_allclose(prior.log_density(latents), expected)


def test_a_categorical_prior_has_no_density():
    prior = priors.Categorical(COUNTS, CODEBOOK, (2, 3, 3))
    with pytest.raises(OptionError) as error:
        prior.log_density(prior.sample(2))
    four_lines(error, "categorical prior", "gaussian_mixture")


def test_frequencies_of_codes():
    prior = priors.Categorical(COUNTS, CODEBOOK, (2, 3, 3))
    indices = prior.sample_indices(8000, 4)
    assert indices.shape == (8000, 2, 3)
    assert indices.dtype == np.int32
    met = np.stack([np.bincount(column, minlength=4) for column in indices.reshape(-1, 6).T]) / 8000
    np.testing.assert_allclose(met, COUNTS / COUNTS.sum(axis=1, keepdims=True), atol=0.025)
    assert (met[COUNTS == 0] == 0).all()  # a code that was never met is never drawn


def test_latents_of_codes_are_rows_of_the_codebook():
    prior = priors.Categorical(COUNTS, CODEBOOK, (2, 3, 3))
    np.testing.assert_array_equal(prior.sample(7, 5), CODEBOOK[prior.sample_indices(7, 5)])


def test_codes_are_counted_by_position():
    code_indices = np.array([[[0, 1]], [[0, 2]], [[3, 1]], [[0, 1]]])
    prior = priors.Categorical.fit(code_indices, CODEBOOK)
    assert prior.latent_shape == (1, 2, 3)
    np.testing.assert_allclose(prior.frequencies, [[0.75, 0, 0, 0.25], [0, 0.75, 0.25, 0]])


def test_a_fitted_mixture_finds_the_clusters():
    true = priors.GaussianMixture(WEIGHTS, MEANS, FACTORS)
    latents = true.sample(1500, 6)
    fitted = priors.GaussianMixture.fit(latents, components=3)
    order = [int(np.square(fitted.means - mean).sum(axis=1).argmin()) for mean in MEANS]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(fitted.means[order], MEANS, atol=0.15)
    np.testing.assert_allclose(fitted.weights[order], [0.5, 0.25, 0.25], atol=0.04)
    np.testing.assert_allclose(covariances(fitted.factors)[order], covariances(FACTORS), atol=0.15)
    other = true.sample(1500, 7)
    assert abs(fitted.log_density(other).mean() - true.log_density(other).mean()) < 0.05
    np.testing.assert_array_equal(fitted.means, priors.GaussianMixture.fit(latents, components=3).means)


def test_fits_of_few_or_equal_latents():
    few = priors.GaussianMixture.fit(np.ones((25, 2, 2)), components=10)
    assert len(few.weights) == 2  # ten examples for each
    assert few.latent_shape == (2, 2)
    np.testing.assert_allclose(few.sample(4), 1.0, atol=0.01)
    with pytest.raises(OptionError) as error:
        priors.GaussianMixture.fit(np.ones((25, 2)), components=0)
    four_lines(error, "components=0")
