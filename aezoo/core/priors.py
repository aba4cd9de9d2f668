"""What latents are drawn from. NumPy only: a seed gives the same latents whatever runs the decoder.

A prior is data. It lies in a .keras file and in a bundle as a few arrays, and is drawn from by
NumPy's Philox generator, never inside a graph, so that Keras, onnxruntime and any other runtime
decode the very same latents. Philox's bits are the same for good; how NumPy makes normal numbers of
them is not promised across its releases (NEP 19), so a seed's latents are those of one release.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.arrays import Like
from aezoo.core.errors import OptionError
from aezoo.core.options import check_positive, check_seed
from aezoo.core.strict_json import Damaged

LARGEST = 2**28  # bytes of a prior's arrays that are read
_HUGE = 1e30  # numbers beyond it are infinite in float32 once they are added up
_MOST_FULL = 128  # latent axes up to which a covariance is fitted with all its entries


class Prior:
    """What all priors share.

    Attributes:
        latent_shape: of one example's latents, (D,) or (h, w, D).
        likes: {name: what the array is like}, of those that `to_arrays` gives beside latent_shape.
    """

    kind: Literal["standard_normal", "gaussian_mixture", "categorical"]
    likes: ClassVar[Mapping[str, Like]]

    def __init__(self, latent_shape: Iterable[int]) -> None:
        self.latent_shape = tuple(int(size) for size in latent_shape)

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Returns n latents, float32 (n, *latent_shape); the same for a seed with one release of NumPy.

        Raises:
            OptionError: n is no number of at least 1, or the seed none of 32 bits.
        """
        check_positive("n", n, usual=64)
        draw = np.random.Generator(np.random.Philox(check_seed(seed)))
        return self._draw(draw, n).reshape(n, *self.latent_shape).astype("float32")

    def log_density(self, latents: ArrayLike) -> np.ndarray:
        """Returns the logarithm of the density of latents (n, *latent_shape): (n,) float64, nats."""
        raise OptionError(
            "this prior has no density",
            got=f"a {self.kind} prior",
            expected="a standard_normal or gaussian_mixture prior",
            fix="measure a variational model",
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns {name: array}, all that `from_arrays` needs."""
        return {"latent_shape": np.asarray(self.latent_shape, "int64")}

    def _draw(self, draw: np.random.Generator, n: int) -> np.ndarray:
        raise NotImplementedError


class StandardNormal(Prior):
    """Independent latents of mean 0 and variance 1: what a VAE is trained towards."""

    kind = "standard_normal"
    likes: ClassVar = {}

    def _draw(self, draw, n):
        return draw.standard_normal((n, *self.latent_shape))

    def log_density(self, latents: ArrayLike) -> np.ndarray:
        latents = np.asarray(latents, "float64").reshape(np.shape(latents)[0], -1)
        return -0.5 * (np.square(latents) + math.log(2 * math.pi)).sum(axis=1)

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Prior:
        return cls(arrays["latent_shape"])


class GaussianMixture(Prior):
    """A mixture of Gaussians: the posteriors of a VampPrior's pseudo-inputs, or what was fitted to latents.

    Args:
        weights: (K,), positive; they are divided by their sum.
        means: (K, D).
        factors: (K, D, D) lower triangular Cholesky factors of the covariances, or (K, D) standard
            deviations of independent latents.
        latent_shape: of one example's latents; (D,) where it is None.
    """

    kind = "gaussian_mixture"
    likes: ClassVar = {"weights": Like("f", (None,)), "means": Like("f", (None, None)), "factors": Like("f")}

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        factors: ArrayLike,
        latent_shape: Iterable[int] | None = None,
    ) -> None:
        self.weights = np.asarray(weights, "float64") / np.sum(weights, dtype="float64")
        self.means = np.asarray(means, "float64")
        self.factors = np.asarray(factors, "float64")
        super().__init__((self.means.shape[1],) if latent_shape is None else latent_shape)

    def _draw(self, draw, n):
        chosen = draw.choice(len(self.weights), size=n, p=self.weights)
        noise = draw.standard_normal((n, self.means.shape[1]))
        factors = self.factors[chosen]
        spread = noise * factors if factors.ndim == 2 else np.einsum("nij,nj->ni", factors, noise)
        return self.means[chosen] + spread

    def log_density(self, latents: ArrayLike) -> np.ndarray:
        latents = np.asarray(latents, "float64").reshape(np.shape(latents)[0], -1)
        constant = 0.5 * latents.shape[1] * math.log(2 * math.pi)
        each = np.log(self.weights) - constant - self._log_determinants() - 0.5 * self._distances(latents)
        highest = each.max(axis=1, keepdims=True)
        return highest[:, 0] + np.log(np.exp(each - highest).sum(axis=1))

    def _log_determinants(self):
        """Half the logarithms of the covariances' determinants, (K,)."""
        if self.factors.ndim == 2:
            return np.log(self.factors).sum(axis=1)
        return np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)

    def _distances(self, latents):
        """Squared Mahalanobis distances (n, K) of latents (n, D) from the means."""
        if self.factors.ndim == 2:  # matrix products: a VampPrior has hundreds of components
            precision = self.factors**-2.0
            far = np.square(latents) @ precision.T - 2 * latents @ (self.means * precision).T
            return far + (np.square(self.means) * precision).sum(axis=1)
        whitened = [
            np.linalg.solve(factor, (latents - mean).T)
            for mean, factor in zip(self.means, self.factors, strict=True)
        ]
        return np.square(whitened).sum(axis=1).T

    def to_arrays(self) -> dict[str, np.ndarray]:
        arrays = {"weights": self.weights, "means": self.means, "factors": self.factors}
        return {**super().to_arrays(), **arrays}

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Prior:
        weights, means, factors = (arrays[name] for name in ("weights", "means", "factors"))
        count, size = np.shape(weights)[:1], math.prod(arrays["latent_shape"])
        _check("weights", count != (0,) and bool((weights > 0).all()), "a weight above 0 for each Gaussian")
        _check("means", means.shape == (*count, size), f"a mean of {size} axes for each weight")
        roots = factors.shape in ((*count, size), (*count, size, size))
        _check("factors", roots, f"{size} deviations, or a Cholesky factor, for each weight")
        if factors.ndim == 2:  # a deviation may be as small as 0, a factor must be solved for
            _check("factors", bool((factors >= 0).all()), "deviations of at least 0")
        else:
            roots = bool((np.diagonal(factors, axis1=1, axis2=2) > 0).all()) and not np.triu(factors, 1).any()
            _check("factors", roots, "factors that are 0 above their diagonal and positive on it")
        return cls(weights, means, arrays["factors"], arrays["latent_shape"])

    @classmethod
    def fit(cls, latents: np.ndarray, components: int = 10, seed: int = 0) -> "GaussianMixture":
        """Fits a mixture to latents by expectation maximisation.

        Covariances are full up to 128 axes, and diagonal above.

        Source: Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", arXiv:1903.12436,
        section 4: a density that is fitted to the latents of the training part afterwards.

        Args:
            latents: (N, ...), N of at least 2.
            components: K; fewer where there are not ten examples for each.
            seed: of the initialisation.
        """
        from aezoo.core.imports import need

        mixture = need("sklearn.mixture", extra="train")
        latents = np.asarray(latents, "float64")
        flat = latents.reshape(np.shape(latents)[0], -1)
        components = max(1, min(check_positive("components", components), len(flat) // 10))
        # A full covariance of many axes is more numbers than the examples can tell.
        shape = "full" if flat.shape[1] <= _MOST_FULL else "diag"
        fitted = mixture.GaussianMixture(
            components, covariance_type=shape, random_state=seed, reg_covar=1e-6, max_iter=200
        )
        with warnings.catch_warnings():
            # A fit that still creeps after 200 rounds is a fit; few or equal examples are few components.
            warnings.simplefilter("ignore")
            fitted.fit(flat)
        root = np.linalg.cholesky if shape == "full" else np.sqrt
        factors = root(fitted.covariances_)
        return cls(fitted.weights_, fitted.means_, factors, latents.shape[1:])


class Categorical(Prior):
    """A code of a codebook for each position, drawn independently: the frequencies of the training part.

    Positions are not independent in truth, so what it draws is locally right and globally wrong;
    van den Oord et al. 2017 train an autoregressive model in its place.

    Args:
        frequencies: (positions, K), how often each code was met at each position.
        codebook: (K, D).
        latent_shape: (h, w, D), with h * w positions.
    """

    kind = "categorical"
    likes: ClassVar = {"frequencies": Like("iuf", (None, None)), "codebook": Like("f", (None, None))}

    def __init__(self, frequencies: ArrayLike, codebook: ArrayLike, latent_shape: Iterable[int]) -> None:
        super().__init__(latent_shape)
        frequencies = np.asarray(frequencies, "float64")
        self.frequencies = frequencies / frequencies.sum(axis=1, keepdims=True)
        self.codebook = np.asarray(codebook, "float32")

    def sample_indices(self, n: int, seed: int = 0) -> np.ndarray:
        """Returns n code_indices, int32 (n, h, w)."""
        check_positive("n", n, usual=64)
        return self._indices(np.random.Generator(np.random.Philox(check_seed(seed))), n)

    def _indices(self, draw, n):
        bounds = np.cumsum(self.frequencies, axis=1)
        uniform = draw.random((n, len(bounds))) * bounds[:, -1]
        indices = np.stack(
            [np.searchsorted(row, drawn, side="right") for row, drawn in zip(bounds, uniform.T, strict=True)],
            axis=1,
        )
        highest = self.frequencies.shape[1] - 1
        return np.minimum(indices, highest).reshape(n, *self.latent_shape[:-1]).astype("int32")

    def _draw(self, draw, n):
        return self.codebook[self._indices(draw, n)]

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {**super().to_arrays(), "frequencies": self.frequencies, "codebook": self.codebook}

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Prior:
        frequencies, codebook = arrays["frequencies"], arrays["codebook"]
        *places, size = arrays["latent_shape"]
        _check("codebook", codebook.shape[1] == size, f"codes of {size} axes")
        shape = (math.prod(places), len(codebook))
        _check("frequencies", frequencies.shape == shape, f"shape {shape}, a number for each code")
        counted = bool((frequencies >= 0).all() and (frequencies.sum(axis=1) > 0).all())
        _check("frequencies", counted, "numbers of at least 0, and above 0 for one code of each place")
        return cls(frequencies, codebook, arrays["latent_shape"])

    @classmethod
    def fit(cls, code_indices: ArrayLike, codebook: np.ndarray) -> "Categorical":
        """Counts the codes of (N, h, w) at each position; a code that was never met is never drawn."""
        code_indices = np.asarray(code_indices)
        flat = code_indices.reshape(len(code_indices), -1)
        counts = np.stack([np.bincount(column, minlength=len(codebook)) for column in flat.T])
        return cls(counts, codebook, (*code_indices.shape[1:], np.shape(codebook)[1]))


KINDS: dict[str, Any] = {prior.kind: prior for prior in (StandardNormal, GaussianMixture, Categorical)}


def likes(kind: str, latent_shape: Iterable[int]) -> dict[str, Like]:
    """Returns {name: what the array is like} of a kind of `KINDS`: what a reader is to expect of a file."""
    return {"latent_shape": Like("iu", (len(tuple(latent_shape)),)), **KINDS[kind].likes}


def from_arrays(kind: str, arrays: Mapping[str, np.ndarray]) -> Prior:
    """Returns the prior that `to_arrays` was called on.

    Args:
        kind: one of `KINDS`.
        arrays: {name: array}.

    Raises:
        OptionError: there is no such kind.
        Damaged: an array is missing, or the arrays are no prior of this kind.
    """
    if kind not in KINDS:
        raise OptionError(
            "there is no prior of this kind",
            got=f"{kind!r}",
            expected=f"one of {', '.join(KINDS)}",
            fix="update aezoo",
        )
    shape = tuple(int(size) for size in np.ravel(arrays["latent_shape"])) if "latent_shape" in arrays else ()
    _check("latent_shape", bool(shape) and min(shape) > 0, "sizes of at least 1")
    for name, like in KINDS[kind].likes.items():
        _check(name, name in arrays, "an array")
        like.check(name, arrays[name].shape, arrays[name].dtype)
        # NaN is not below anything
        _check(name, bool((np.abs(arrays[name]) < _HUGE).all()), f"numbers between -{_HUGE:g} and {_HUGE:g}")
    return KINDS[kind]._from_arrays({**arrays, "latent_shape": np.asarray(shape)})


def _check(name: str, holds: bool, expected: str) -> None:
    if not holds:
        raise Damaged(name, "is none of a prior", expected)
