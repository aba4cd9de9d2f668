"""Terms of objectives, each of one example: summed over its values, never averaged; in nats.

Sums keep the terms in one unit, so that a weight of 1 is the bound of the paper whatever the size
of the image; an objective is the mean of them over the batch.
"""

import math
from collections.abc import Sequence

from aezoo.nn.layers import Tensor, keras, ops

SMALLEST_PROBABILITY = 1e-7  # probabilities are kept this far from 0 and 1, as Keras's own cross-entropy does


def _summed(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def squared_error(examples: Tensor, reconstructions: Tensor) -> Tensor:
    """Squared error of each example, summed over its values.

    Args:
        examples, reconstructions: (B, ...).

    Returns:
        (B,).

    >>> float(squared_error(ops.ones((1, 2)), ops.zeros((1, 2)))[0])
    2.0
    """
    return _summed(ops.square(examples - reconstructions))


def bernoulli_nll(examples: Tensor, probabilities: Tensor) -> Tensor:
    """Negative log-likelihood of examples in [0, 1] under independent Bernoulli variables, in nats.

    Source: Kingma & Welling 2014, arXiv:1312.6114, appendix C.1.

    Args:
        examples: (B, ...), 0 or 1, or shares in between (then a cross-entropy).
        probabilities: (B, ...), of a 1.

    Returns:
        (B,).

    >>> round(float(bernoulli_nll(ops.ones((1, 2)), 0.5 * ops.ones((1, 2)))[0]), 4)
    1.3863
    """
    probabilities = ops.clip(probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -_summed(examples * ops.log(probabilities) + (1 - examples) * ops.log(1 - probabilities))


def gaussian_nll(examples: Tensor, means: Tensor, scale: float) -> Tensor:
    """Negative log-likelihood under independent Gaussians, in nats.

    Source: Kingma & Welling 2014, arXiv:1312.6114, appendix C.2, with one fixed standard deviation.

    Args:
        examples, means: (B, ...).
        scale: standard deviation, a number.

    Returns:
        (B,).

    >>> round(float(gaussian_nll(ops.zeros((1, 1)), ops.zeros((1, 1)), 1.0)[0]), 4)
    0.9189
    """
    constant = math.log(scale) + 0.5 * math.log(2 * math.pi)
    return _summed(0.5 * ops.square((examples - means) / scale) + constant)


def gaussian_kl(posterior_mean: Tensor, posterior_log_var: Tensor) -> Tensor:
    """KL from N(0, I) of a diagonal Gaussian posterior, in nats.

    Source: Kingma & Welling 2014, arXiv:1312.6114, appendix B.

    Args:
        posterior_mean, posterior_log_var: (B, D), the second the natural logarithm of the variance.

    Returns:
        (B,); never negative, 0 where the posterior is N(0, I).

    >>> gaussian_kl(ops.ones((1, 2)), ops.zeros((1, 2))).numpy().tolist()
    [1.0]
    """
    each = ops.square(posterior_mean) + ops.exp(posterior_log_var) - posterior_log_var - 1.0
    return 0.5 * _summed(each)


def gaussian_log_density(latents: Tensor, mean: Tensor, log_var: Tensor, axis: int | None = -1) -> Tensor:
    """Logarithm of the density of a diagonal Gaussian, in nats, summed over an axis.

    Args:
        latents, mean, log_var: shapes that broadcast, D along `axis`.
        axis: the axis that is summed over; None sums over none.

    >>> round(float(gaussian_log_density(ops.zeros((1,)), ops.zeros((1,)), ops.zeros((1,)))), 4)
    -0.9189
    """
    each = -0.5 * (math.log(2 * math.pi) + log_var + ops.square(latents - mean) / ops.exp(log_var))
    return each if axis is None else ops.sum(each, axis=axis)


MMD_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def mmd_imq(first: Tensor, second: Tensor, scales: Sequence[float] = MMD_SCALES) -> Tensor:
    """Squared maximum mean discrepancy of two samples under inverse multiquadratic kernels.

    k(a, b) = sum over scales of C / (C + |a - b|^2), with C = 2 * D * scale, made for a second sample
    of N(0, I), whose pairs lie at squared distances around 2 * D.

    Source: Tolstikhin et al. 2018, "Wasserstein Auto-Encoders", arXiv:1711.01558, section 4 and algorithm 2:
    the estimate without bias, which is around 0, and so at times below it, where the samples are of one
    distribution.

    Args:
        first, second: (B, D), of one batch size.
        scales: positive numbers.

    Returns:
        A scalar of no unit, of the whole batch; at most 2 * len(scales), and 0 for a batch of one.

    >>> mmd = float(mmd_imq(ops.array([[0.0], [0.0]]), ops.array([[9.0], [9.0]]), scales=(1.0,)))
    >>> round(mmd, 4)  # 1 + 1 - 2 * 2 / (2 + 81)
    1.9518
    """
    count = ops.cast(ops.shape(first)[0], first.dtype)
    # A last batch of one example has no pairs, so there is no estimate of it: 0, rather than a pull on it.
    others = ops.maximum(count - 1.0, 1.0)
    pairs = ops.cast(ops.greater(count, 1.0), first.dtype)
    constants = [2.0 * first.shape[-1] * scale for scale in scales]

    def kernels(a, b):
        squares = _squared_distances(a, b)
        return sum(constant / (constant + squares) for constant in constants)

    def within(a):
        # An example and itself give 1 a kernel, whatever the rounding of a distance of 0.
        own = 1.0 - ops.eye(ops.shape(a)[0], dtype=a.dtype)
        return ops.sum(kernels(a, a) * own) / (count * others)

    return pairs * (within(first) + within(second) - 2.0 * ops.mean(kernels(first, second)))


def _squared_distances(first, second):
    """Squared distances (B, B) of all pairs; by differences, which round to no negative number."""
    return ops.sum(ops.square(first[:, None, :] - second[None, :, :]), axis=-1)


def permute_axes(latents: Tensor, seed: int) -> Tensor:
    """Shuffles each axis of the latents over the batch on its own: a draw of the product of marginals.

    Source: Kim & Mnih 2018, arXiv:1802.05983, algorithm 1.

    Args:
        latents: (B, D).
        seed: a `keras.random.SeedGenerator`, or an int.

    Returns:
        (B, D), column by column the values of the latents.

    >>> latents = ops.reshape(ops.arange(6.0), (3, 2))
    >>> sorted(ops.convert_to_numpy(permute_axes(latents, 1))[:, 0].tolist())
    [0.0, 2.0, 4.0]
    """
    order = ops.argsort(keras.random.uniform(ops.shape(latents), seed=seed), axis=0)
    return ops.take_along_axis(latents, order, axis=0)


def mixture_log_density(latents: Tensor, means: Tensor, log_vars: Tensor) -> Tensor:
    """Logarithm of the density of an even mixture of diagonal Gaussians, in nats.

    Squares are multiplied out, so that matrix products do the work and nothing of (B, K, D) is held;
    what that rounds away is of the order of 1e-7 of the squared distance in standard deviations.

    Args:
        latents: (B, D).
        means, log_vars: (K, D).

    Returns:
        (B,).

    >>> round(float(mixture_log_density(ops.zeros((1, 1)), ops.zeros((3, 1)), ops.zeros((3, 1)))[0]), 4)
    -0.9189
    """
    precisions = ops.exp(-log_vars)
    squares = ops.matmul(ops.square(latents), ops.transpose(precisions))
    squares = squares - 2.0 * ops.matmul(latents, ops.transpose(means * precisions))
    constants = ops.sum(ops.square(means) * precisions + log_vars + math.log(2 * math.pi), axis=1)
    return ops.logsumexp(-0.5 * (squares + constants), axis=1) - math.log(means.shape[0])
