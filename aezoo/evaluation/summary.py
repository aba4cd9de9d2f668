"""The figures of metrics.json: reconstruction, PCA beside it, and for a denoiser its rivals."""

import math

import numpy as np

from aezoo.evaluation import baselines, reconstruction

MOST_TESTED = 10_000  # test examples; all of MNIST's


def evaluate(model, dataset):
    """Measures a model on the test part of a dataset.

    Args:
        model: an `Autoencoder`, or a loaded bundle: anything with `reconstruct`.
        dataset: an `aezoo.data.Dataset` of the model's shape.

    Returns:
        dict: `test_examples`; `mse` (for rows in standard deviations of the columns), for images
        also `psnr_db` and `ssim`; `pca`, the same figures of a PCA with as many components, fitted
        on the training part; for a denoiser also `denoising`, see `denoising_figures`.
    """
    examples = dataset.test.array(MOST_TESTED)
    scale = model.error_scale
    latent_size = math.prod(model.latent_shape)
    fitted_on = dataset.train.array(baselines.MOST_FITTED)
    pca = baselines.fit_pca(fitted_on / scale, latent_size)
    figures = {
        "data": dataset.name,
        "test_examples": len(examples),
        **_compare(examples, model.reconstruct(_as_taken(model, examples)), scale),
        "pca": {
            "components": int(pca.n_components_),
            **_compare(examples, baselines.project(pca, examples / scale) * scale, scale),
        },
    }
    if getattr(model, "corruption", None) is not None and model.kind == "images":
        figures["denoising"] = denoising_figures(model, examples, pca)
    return figures


def denoising_figures(model, images, pca, seed=1):
    """Compares ways of cleaning corrupted images, at the model's own kind and level.

    Args:
        model: a denoising `Autoencoder`.
        images: clean, (N, H, W, C) in [0, 1].
        pca: fitted on clean images, see `baselines.fit_pca`.
        seed: of the corruption; another one than training's validation used.

    Returns:
        dict: `kind`, `level`, and mse, psnr_db, ssim of "corrupted", "median_filter" (3 x 3),
        "pca" (clipped to [0, 1]) and "model", each against the clean images.
    """
    corrupted = model.corrupt(images, seed=seed)
    cleaned = {
        "corrupted": corrupted,
        "median_filter": baselines.median_filter(corrupted),
        "pca": np.clip(baselines.project(pca, corrupted), 0.0, 1.0),
        "model": model.reconstruct(corrupted),
    }
    return {
        "kind": model.corruption.kind,
        "level": model.corruption.level,
        **{name: _compare(images, result) for name, result in cleaned.items()},
    }


def _as_taken(model, examples):
    """Returns the examples as a bundle that was exported for bytes takes them."""
    if getattr(model, "input_dtype", "float32") == "uint8":
        return np.rint(examples * 255).astype("uint8")
    return examples


def _compare(examples, reconstructions, scale=1.0):
    figures = {"mse": reconstruction.mse(examples, reconstructions, scale)}
    if examples.ndim == 4:
        figures["psnr_db"] = reconstruction.psnr_db(examples, reconstructions)
        figures["ssim"] = reconstruction.ssim(examples, reconstructions)
    return {name: float(f"{value:.6g}") for name, value in figures.items()}
