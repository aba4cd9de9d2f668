"""The terms of objectives against SciPy and slow loops; each is of one example, in nats."""

import numpy as np
import pytest
from scipy import stats

from aezoo.core.priors import GaussianMixture
from aezoo.nn import losses
from aezoo.nn.autoencoder import ops


def drawn(*shape, seed=0, scale=1.0):
    return (scale * np.random.Generator(np.random.Philox(seed)).standard_normal(shape)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_nll_of_images_is_scipys():
    shares = 1 / (1 + np.exp(-drawn(3, 4, 5, 1)))
    images = (drawn(3, 4, 5, 1, seed=1) > 0).astype("float32")
    expected = -stats.bernoulli.logpmf(images, shares).sum(axis=(1, 2, 3))
    assert numpy(losses.bernoulli_nll(images, shares)) == pytest.approx(expected, rel=1e-5)
    expected = -stats.norm.logpdf(images, shares, 0.3).sum(axis=(1, 2, 3))
    assert numpy(losses.gaussian_nll(images, shares, 0.3)) == pytest.approx(expected, rel=1e-5)
    assert numpy(losses.squared_error(images, shares)) == pytest.approx(
        np.square(images - shares).sum(axis=(1, 2, 3)), rel=1e-5
    )


def test_certain_and_wrong_is_finite():
    assert np.isfinite(numpy(losses.bernoulli_nll(ops.ones((1, 2)), ops.zeros((1, 2))))).all()


def test_kl_is_the_mean_difference_of_log_densities():
    mean, log_var = drawn(1, 3), drawn(1, 3, seed=1)
    latents = mean + np.exp(0.5 * log_var) * drawn(200_000, 3, seed=2)
    log_q = stats.norm.logpdf(latents, mean, np.exp(0.5 * log_var)).sum(axis=1)
    log_p = stats.norm.logpdf(latents).sum(axis=1)
    assert numpy(losses.gaussian_kl(mean, log_var))[0] == pytest.approx((log_q - log_p).mean(), abs=0.02)
    assert numpy(losses.gaussian_log_density(latents, mean, log_var)) == pytest.approx(log_q, abs=1e-3)
    each = numpy(losses.gaussian_log_density(latents[:5], mean, log_var, axis=None))
    assert each.sum(axis=1) == pytest.approx(log_q[:5], abs=1e-4)


@pytest.mark.parametrize("spread", [1.0, 10.0])
def test_mixture_is_that_of_the_prior(spread):
    latents, means, log_vars = (
        drawn(6, 4, scale=spread),
        drawn(9, 4, seed=1, scale=spread),
        drawn(9, 4, seed=2),
    )
    prior = GaussianMixture(np.ones(9), means, np.exp(0.5 * log_vars))
    densities = numpy(losses.mixture_log_density(latents, means, log_vars))
    assert densities == pytest.approx(prior.log_density(latents), rel=1e-4, abs=1e-3)


def slow_mmd(first, second, scales):
    count, axes = first.shape

    def kernel(a, b):
        return sum(2 * axes * scale / (2 * axes * scale + np.square(a - b).sum()) for scale in scales)

    pairs = [(i, j) for i in range(count) for j in range(count)]
    within = sum(kernel(x[i], x[j]) for x in (first, second) for i, j in pairs if i != j)
    between = sum(kernel(first[i], second[j]) for i, j in pairs)
    return within / (count * (count - 1)) - 2 * between / count**2


def test_mmd_is_that_of_loops():
    first, second = drawn(7, 3) + 1, drawn(7, 3, seed=1)
    for scales in ((1.0,), losses.MMD_SCALES):
        expected = slow_mmd(first.astype("float64"), second.astype("float64"), scales)
        assert float(losses.mmd_imq(first, second, scales)) == pytest.approx(expected, abs=1e-5)


def test_mmd_has_no_bias_and_sees_a_shift():
    same = [
        float(losses.mmd_imq(drawn(16, 3, seed=2 * seed), drawn(16, 3, seed=2 * seed + 1)))
        for seed in range(60)
    ]
    error = np.std(same) / np.sqrt(len(same))
    assert min(same) < 0
    assert abs(np.mean(same)) < 3 * error
    assert float(losses.mmd_imq(drawn(16, 3) + 1, drawn(16, 3, seed=1))) > max(same)


def test_a_batch_of_one_has_no_discrepancy():
    assert float(losses.mmd_imq(drawn(1, 3) + 4, drawn(1, 3, seed=1))) == 0


def test_shuffled_axes_keep_their_values_and_lose_their_ties():
    latents = np.repeat(drawn(4000, 1), 3, axis=1)
    shuffled = numpy(losses.permute_axes(latents, 1))
    assert np.array_equal(np.sort(shuffled, axis=0), np.sort(latents, axis=0))
    assert np.abs(np.corrcoef(shuffled.T) - np.eye(3)).max() < 0.06
    assert not np.array_equal(shuffled, numpy(losses.permute_axes(latents, 2)))
