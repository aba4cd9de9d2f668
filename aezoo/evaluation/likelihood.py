"""How probable a variational model finds examples: `nll_nats`, `elbo_nats`, `kl_nats`, `active_units`.

Everything is of one example, summed over its values and over its latent axes, and averaged over the
examples alone. Rows and sequences count in standard deviations of their columns, so their nats are
those of the standardised values: for raw units add the sum of log(error_scale) over the values.
"""

import math
import typing
from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.model import Model
from aezoo.core.options import check_positive, check_seed

BATCH = 4096  # latents that are decoded at a time: what bounds the memory
_SMALLEST = 1e-7  # probabilities are kept this far from 0 and 1, as in the loss
_LOG_2PI = math.log(2 * math.pi)
_KL_DRAWS = 10
_ACTIVE = 0.01
# The binarisation and the draws of the posterior are two streams of one seed.
_OF_POSTERIOR = 1


def nll_nats(
    model: Model,
    examples: np.ndarray,
    samples: int = 200,
    seed: int = 0,
    batch: int = BATCH,
    labels: np.ndarray | None = None,
) -> tuple[float, float]:
    """Negative log-likelihood by importance sampling, in nats per example.

    The mean over the examples of -log 1/K sum_k p(x, z_k) / q(z_k | x), with z_k of the posterior q:
    never below the true figure on average, and nearer to it with more samples.

    Source: Rezende, Mohamed & Wierstra 2014, arXiv:1401.4082, appendix E; Burda, Grosse &
    Salakhutdinov 2016, arXiv:1509.00519.

    Args:
        model: with `posterior`, `decode`, `likelihood` and `prior`.
        examples: (N, ...), images in [0, 1] or raw rows. Where the model's likelihood is of binarised
            images they are binarised first, once, see `binarize`.
        samples: K, draws of each example's posterior.
        seed: 32 bits, of the binarisation and of the draws. Neither depends on `batch`.
        batch: latents that are decoded at a time.
        labels: (N,) class numbers, for a conditional model.

    Returns:
        (nats per example, standard error of that mean over the examples; NaN for a single one).

    Raises:
        OptionError: the model has no likelihood, or an argument cannot be used.
    """
    posed = _posed(model, examples, seed, labels)
    figures = _of_draws(model, posed, check_positive("samples", samples, usual=200), seed, batch, labels)
    return figures["nll_nats"], figures["nll_standard_error"]


def elbo_nats(
    model: Model,
    examples: np.ndarray,
    samples: int = 1,
    seed: int = 0,
    batch: int = BATCH,
    labels: np.ndarray | None = None,
) -> float:
    """Evidence lower bound of the log-likelihood, in nats per example; usually negative.

    The mean over examples and draws of log p(x, z) - log q(z | x), and so never above
    -`nll_nats` of the same draws.

    Source: Kingma & Welling 2014, arXiv:1312.6114, equation 2.

    Args:
        model, examples, samples, seed, batch, labels: as for `nll_nats`.
    """
    posed = _posed(model, examples, seed, labels)
    return _of_draws(model, posed, check_positive("samples", samples, usual=1), seed, batch, labels)[
        "elbo_nats"
    ]


def figures(
    model: Model,
    examples: np.ndarray,
    samples: int | None = None,
    seed: int = 0,
    batch: int = BATCH,
    labels: np.ndarray | None = None,
) -> dict[str, Any]:
    """Returns all figures of this module in one go, for little more than the dearest of them costs.

    Args:
        model, examples, seed, batch, labels: as for `nll_nats`.
        samples: as for `nll_nats`; None draws one, and leaves importance sampling out.

    Returns:
        dict: `elbo_nats`, `kl_nats`, `active_units`, `examples`; for a prior of N(0, I) also
        `kl_nats_per_axis`, a list; with samples also `nll_nats`, `nll_standard_error`, `samples`.
    """
    posed = _posed(model, examples, seed, labels)
    drawn = _of_draws(
        model,
        posed,
        check_positive("samples", 1 if samples is None else samples, usual=200),
        seed,
        batch,
        labels,
    )
    if samples is None:
        drawn = {name: drawn[name] for name in ("elbo_nats", "examples")}
    total, per_axis = _kl(model, posed, _KL_DRAWS, seed)
    more = {} if per_axis is None else {"kl_nats_per_axis": per_axis.tolist()}
    return {**drawn, "kl_nats": total, **more, "active_units": _active(posed.mean, _ACTIVE)}


def kl_nats(
    model: Model,
    examples: np.ndarray,
    samples: int = _KL_DRAWS,
    seed: int = 0,
    labels: np.ndarray | None = None,
) -> tuple[float, np.ndarray | None]:
    """KL(posterior || prior), in nats per example: what the latents tell of an example, at most.

    Exact, and axis by axis, where the prior is N(0, I); by `samples` draws of each posterior, and as
    a total alone, for any other prior.

    Source: Kingma & Welling 2014, arXiv:1312.6114, appendix B.

    Args:
        model, examples, seed, labels: as for `nll_nats`.
        samples: draws of each example's posterior, where the prior is not N(0, I).

    Returns:
        (total, (D,) float64 or None): both averaged over the examples, the total summed over the axes.
    """
    posed = _posed(model, examples, seed, labels)
    return _kl(model, posed, check_positive("samples", samples, usual=_KL_DRAWS), seed)


def active_units(
    model: Model,
    examples: np.ndarray,
    threshold: float = _ACTIVE,
    seed: int = 0,
    labels: np.ndarray | None = None,
) -> int:
    """Number of latent axes whose posterior mean moves with the example.

    Source: Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5.2.

    Args:
        model, examples, seed, labels: as for `nll_nats`.
        threshold: an axis is active where the variance of its posterior mean over the examples is more.
    """
    return _active(_posed(model, examples, seed, labels).mean, threshold)


def binarize(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns images of 0 and 1, float32: each pixel is 1 with its value as probability.

    Drawn by NumPy's Philox generator, so that a seed stands for one set of test images.

    Source: Salakhutdinov & Murray 2008, doi:10.1145/1390156.1390266.

    >>> binarize([[0.0, 1.0]]).tolist()
    [[0.0, 1.0]]
    """
    images = np.asarray(images, "float32")
    draw = np.random.Generator(np.random.Philox(check_seed(seed)))
    return (draw.random(images.shape, dtype="float32") < images).astype("float32")


class _Posed(typing.NamedTuple):
    """Examples (N, ...), binarised where the model says so, their posterior (N, D), and the prior.

    The prior is here so that it is asked for once: that of a VampPrior is computed each time.
    """

    examples: np.ndarray
    mean: np.ndarray
    log_var: np.ndarray
    prior: object


def _posed(model, examples, seed, labels):
    """Returns the question that all figures of this module answer, a `_Posed`."""
    prior = model.prior
    if model.likelihood is None or prior is None:
        raise OptionError(
            "this model has no likelihood",
            got=f"a model whose likelihood is {model.likelihood!r}",
            expected="a variational model: a posterior, a likelihood and a prior",
            fix="measure its mse instead, or train 'vae'",
        )
    examples = np.asarray(examples)
    examples = binarize(examples, seed) if model.likelihood["binarize"] else examples
    posterior = model.posterior(examples, labels=labels)
    return _Posed(
        examples, *(np.asarray(each, "float64").reshape(len(each), -1) for each in posterior), prior
    )


def _of_draws(model, posed, samples, seed, batch, labels):
    """Returns the figures that one pass over the draws gives."""
    draw, examples, axes = _draw(seed), posed.examples, posed.mean.shape[1]
    at_once = max(1, check_positive("batch", batch, usual=BATCH) // samples)
    each, bound = np.empty(len(examples)), np.empty(len(examples))
    for start in range(0, len(examples), at_once):
        chosen = slice(start, start + at_once)
        some = _Posed(*(values[chosen] for values in posed[:3]), posed.prior)
        noise = draw.standard_normal((len(some.mean), samples, axes))
        given = None if labels is None else np.asarray(labels)[chosen]
        weights = _log_weights(model, some, noise, batch, given)
        highest = weights.max(axis=1)
        each[chosen] = -highest - np.log(np.exp(weights - highest[:, None]).mean(axis=1))
        bound[chosen] = weights.mean(axis=1)
    error = each.std(ddof=1) / math.sqrt(len(each)) if len(each) > 1 else math.nan
    return {
        "nll_nats": float(each.mean()),
        "nll_standard_error": float(error),
        "elbo_nats": float(bound.mean()),
        "samples": samples,
        "examples": len(examples),
    }


def _draw(seed):
    return np.random.Generator(np.random.Philox([check_seed(seed), _OF_POSTERIOR]))


def _kl(model, posed, samples, seed):
    _, mean, log_var, prior = posed
    if prior.kind == "standard_normal":
        per_axis = 0.5 * (np.square(mean) + np.exp(log_var) - log_var - 1).mean(axis=0)
        return float(per_axis.sum()), per_axis
    draw, deviation, log_prior = _draw(seed), np.exp(0.5 * log_var), 0.0
    for _ in range(samples):
        latents = mean + deviation * draw.standard_normal(mean.shape)
        log_prior += prior.log_density(latents.reshape(-1, *model.latent_shape)).mean() / samples
    entropy = 0.5 * (log_var + _LOG_2PI + 1).sum(axis=1).mean()
    return float(-log_prior - entropy), None


def _active(mean, threshold):
    return int(np.count_nonzero(mean.var(axis=0) > threshold))


def _log_weights(model, posed, noise, batch, labels):
    """Returns log p(x | z) + log p(z) - log q(z | x), float64 (N, K), for noise (N, K, D)."""
    examples, mean, log_var, prior = posed
    latents = mean[:, None] + np.exp(0.5 * log_var)[:, None] * noise
    log_q = -0.5 * (np.square(noise) + log_var[:, None] + _LOG_2PI).sum(axis=2)
    latents = latents.reshape(-1, *model.latent_shape)
    weights = prior.log_density(latents).reshape(log_q.shape) - log_q
    flat = weights.reshape(-1)
    of_example = np.repeat(np.arange(len(mean)), noise.shape[1])
    for start in range(0, len(flat), batch):
        chosen = slice(start, start + batch)
        given = of_example[chosen]
        some = None if labels is None else labels[given]
        reconstructions = model.decode(latents[chosen].astype("float32"), labels=some, batch_size=batch)
        flat[chosen] += _log_likelihood(model, examples[given], reconstructions)
    return weights


def _log_likelihood(model, examples, reconstructions):
    """Returns log p(x | z) of each pair, float64 (B,)."""
    kind, scale = model.likelihood["kind"], model.likelihood["scale"]
    if kind == "gaussian":
        squared = np.square((examples - reconstructions) / (model.error_scale * scale))
        each = -0.5 * (squared + _LOG_2PI) - math.log(scale)
    else:
        probabilities = np.clip(reconstructions, _SMALLEST, 1 - _SMALLEST)
        if model.likelihood["binarize"]:  # one logarithm a pixel in place of two
            each = np.log(np.where(examples > 0.5, probabilities, 1 - probabilities))
        else:
            each = examples * np.log(probabilities) + (1 - examples) * np.log(1 - probabilities)
    return each.reshape(len(each), -1).sum(axis=1, dtype="float64")
