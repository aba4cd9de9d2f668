"""The figures of metrics.json: reconstruction beside PCA, and what else a model's family asks for."""

import math
from typing import Any, cast

import numpy as np

from aezoo.core.model import Model
from aezoo.core.options import check_positive
from aezoo.core.ragged import filled, without_ends
from aezoo.data.held_out import apart
from aezoo.evaluation import baselines, codebook, generation, latents, likelihood, reconstruction

MOST_TESTED = 10_000  # test examples; all of MNIST's
MOST_GLANCED_AT = 1_000  # test examples of the figures that every training computes
_ACCURACIES = {
    "knn_accuracy": latents.knn_accuracy,
    "linear_probe_accuracy": latents.linear_probe_accuracy,
}
DIGITS = ("mnist", "mnist_mini")  # where a Fréchet digit distance means something


def evaluate(
    model: Model,
    dataset: Any,
    *,
    full: bool = False,
    likelihood_samples: int = 200,
    likelihood_examples: int = 1000,
) -> dict[str, Any]:
    """Measures a model on the test part of a dataset.

    Args:
        model: an `Autoencoder`, or a loaded bundle.
        dataset: an `aezoo.data.Dataset` of the model's shape.
        full: whether to compute what takes long, too: `nll_nats`, accuracies and trustworthiness of
            latents, JPEG at a quantised model's bits, distances of generated digits.
        likelihood_samples: draws of each example's posterior for `nll_nats`.
        likelihood_examples: test examples, at most, that likelihoods are averaged over.

    Returns:
        dict, fit for JSON; docs/reference/figures.md defines the figures: `test_examples`, `mse`, of images
        `psnr_db` and `ssim`; `pca`, the same of as many components as the latents' last axis is long;
        `unseen_classes`, of what the test part alone holds, which all others leave out; and what applies of
        `denoising`, `latents`, `likelihood`, `codebook`, `sparsity` and `generation`.
    """
    check_positive("likelihood_samples", likelihood_samples, usual=200)
    check_positive("likelihood_examples", likelihood_examples, usual=1000)
    noisy = dataset.noisy
    dataset, others, unseen = apart(dataset, MOST_TESTED)
    examples, scale = dataset.test.array(MOST_TESTED), model.error_scale
    pca, fill = _fitted_pca(model, dataset.train.array(baselines.MOST_FITTED))
    glance = MOST_TESTED if full else MOST_GLANCED_AT
    labels = dataset.test.labels_for(model, len(examples))
    again = model.reconstruct(examples, labels=labels)
    linear = baselines.project(pca, filled(examples, fill) / scale) * scale
    figures = {
        "data": dataset.name,
        "test_examples": len(examples),
        **_compare(examples, again, scale),
        "pca": {"components": int(pca.n_components_), **_compare(examples, linear, scale)},
        "latents": _explained(examples, again, linear, scale),
    }
    if others is not None and not model.takes_labels:
        figures["unseen_classes"] = {"classes": unseen, **_reconstruction(model, others.array())}
    if model.corruption is not None and model.kind == "images":
        figures["denoising"] = denoising_figures(model, examples, pca, given=_of_test(noisy))
    if full or model.likelihood is None:  # a posterior's mean is never 0, so a glance would show nothing
        codes = model.encode(examples[:glance], labels=_first(labels, glance))
        _merge(figures, _sparsity(model, codes))
    if full:
        _merge(figures["latents"], _latent_figures(model, dataset, filled(examples, fill), codes, pca, fill))
    if model.likelihood is not None:
        few = min(likelihood_examples, glance)
        draws = likelihood_samples if full else None
        figures["likelihood"] = likelihood.figures(model, examples[:few], draws, labels=_first(labels, few))
    if model.codebook_size is not None:
        figures["codebook"] = codebook_figures(model, examples, full)
    if full and _generates_digits(model, dataset):
        figures["generation"] = generation.generation_figures(model, dataset, MOST_TESTED)
    return _rounded(figures)


def _fitted_pca(model, trained):
    """Returns (PCA of training examples, what stands for it behind the ends of series)."""
    # A matrix has no ends: behind them is the mean of the column, as the model sees it.
    fill = without_ends(trained).mean(axis=0) if model.ragged else 0.0
    # Of maps as many components as D, since all positions together often beat the pixels.
    return baselines.fit_pca(filled(trained, fill) / model.error_scale, model.latent_shape[-1]), fill


def _of_test(noisy):
    """Returns the noisy examples of those that are measured, (N, ...), or None."""
    return None if noisy is None else apart(noisy, MOST_TESTED)[0].test.array(MOST_TESTED)


def _first(labels, count):
    return None if labels is None else labels[:count]


def _sparsity(model, codes):
    zeros = latents.sparsity(codes)
    shown = zeros > 0 or model.reports_sparsity
    return {"sparsity": {"sparsity": zeros, "dead_units": latents.dead_units(codes)}} if shown else {}


def _reconstruction(model, examples):
    again = model.reconstruct(examples)
    return {"examples": len(examples), **_compare(examples, again, model.error_scale)}


def _explained(examples, again, linear, scale):
    ours, by_pca = (latents.explained_variance(examples, each, scale) for each in (again, linear))
    return {"explained_variance": ours, "pca": {"explained_variance": by_pca}}


def denoising_figures(
    model: Model, images: np.ndarray, pca: Any, seed: int = 1, given: np.ndarray | None = None
) -> dict[str, Any]:
    """Compares ways of cleaning corrupted images: given ones, or at the model's own kind and level.

    Args:
        model: a denoising `Autoencoder`.
        images: clean, (N, H, W, C) in [0, 1].
        pca: fitted on clean images, see `baselines.fit_pca`.
        seed: of the corruption; another one than training's validation used.
        given: the same images with real noise, or None to corrupt them.

    Returns:
        dict: `kind`, `level` ("given" and None of given ones), and mse, psnr_db, ssim of "corrupted",
        "median_filter" (3 x 3), "pca" (clipped to [0, 1]) and "model", each against the clean images.
    """
    corrupted = model.corrupt(images, seed=seed) if given is None else given
    cleaned = {
        "corrupted": corrupted,
        "median_filter": baselines.median_filter(corrupted),
        "pca": np.clip(baselines.project(pca, corrupted), 0.0, 1.0),
        "model": model.reconstruct(corrupted),
    }
    return {
        "kind": model.corruption.kind if given is None else "given",
        "level": model.corruption.level if given is None else None,
        **{name: _compare(images, result) for name, result in cleaned.items()},
    }


def codebook_figures(model: Model, images: np.ndarray, full: bool = False) -> dict[str, Any]:
    """Returns the figures of a quantised model's codes.

    Args:
        model: with `code_indices`.
        images: (N, H, W, C) in [0, 1].
        full: whether to compress the images as JPEG at the same bits, too.

    Returns:
        dict: `codes` (K), `used_codes`, `perplexity`, `bits_per_image`, `bits_per_dim`,
        `entropy_bits_per_image`; `jpeg`, see `codebook.jpeg_at_bits`.
    """
    indices, codes = model.code_indices(images), cast(int, model.codebook_size)
    figures: dict[str, Any] = {
        "codes": codes,
        "used_codes": codebook.used_codes(indices, codes),
        "perplexity": codebook.perplexity(indices, codes),
        "bits_per_image": codebook.bits_per_image(indices, codes),
        "bits_per_dim": codebook.bits_per_dim(indices, codes, model.example_shape),
        "entropy_bits_per_image": codebook.entropy_bits_per_image(indices, codes),
    }
    if full and model.example_shape[-1] in (1, 3):
        figures["jpeg"] = codebook.jpeg_at_bits(images, figures["bits_per_image"])
    return figures


def _latent_figures(model, dataset, examples, codes, pca, fill):
    """Returns the slow figures of latents, and those of the principal components beside them.

    `fill` stands behind the ends of series, already of the examples.
    """
    scale = model.error_scale

    def components(rows):
        return pca.transform((rows / scale).reshape(len(rows), -1))

    most = latents.MOST_NEIGHBOURS
    figures, linear = {}, {}
    if len(examples) >= 3:
        near = examples[:most] / scale
        figures["trustworthiness"] = latents.trustworthiness(near, codes[:most])
        linear["trustworthiness"] = latents.trustworthiness(near, components(examples[:most]))
    if dataset.test.labels is not None and len(np.unique(dataset.train.labels[: latents.MOST_TRAINED])) > 1:
        trained = dataset.train.array(latents.MOST_TRAINED)
        train_labels = dataset.train.labels[: len(trained)]
        test_labels = dataset.test.labels[: len(examples)]
        train_codes = model.encode(trained, labels=dataset.train.labels_for(model, len(trained)))
        for name, accuracy in _ACCURACIES.items():
            figures[name] = accuracy(train_codes, train_labels, codes, test_labels)
            linear[name] = accuracy(
                components(filled(trained, fill)), train_labels, components(examples), test_labels
            )
    return {**figures, "pca": linear}


def _generates_digits(model, dataset):
    return (
        dataset.name in DIGITS
        and tuple(dataset.shape) == generation.SHAPE
        and model.prior is not None
        and min(len(dataset.train), len(dataset.test)) > 1
    )


def _compare(examples, reconstructions, scale=1.0):
    figures = {"mse": reconstruction.mse(examples, reconstructions, scale)}
    if examples.ndim == 4:
        figures["psnr_db"] = reconstruction.psnr_db(examples, reconstructions)
        figures["ssim"] = reconstruction.ssim(examples, reconstructions)
    return figures


def _merge(figures, more):
    """Adds nested figures to nested figures."""
    for name, value in more.items():
        if isinstance(value, dict) and name in figures:
            _merge(figures[name], value)
        else:
            figures[name] = value


def _rounded(figures):
    """Returns nested figures with six digits, and None for what is no number: JSON has no NaN."""
    if isinstance(figures, dict):
        return {name: _rounded(value) for name, value in figures.items()}
    if isinstance(figures, list):
        return [_rounded(value) for value in figures]
    if isinstance(figures, float):
        return float(f"{figures:.6g}") if math.isfinite(figures) else None
    return figures
