"""The figures of metrics.json as rows of tables: what the command prints and a bundle's card says."""

from collections.abc import Mapping
from typing import Any

_RECONSTRUCTION = ("mse", "psnr_db", "ssim")
_DENOISERS = ("corrupted", "median_filter", "pca", "model")
_LIKELIHOOD = (
    "nll_nats",
    "nll_standard_error",
    "elbo_nats",
    "kl_nats",
    "active_units",
    "samples",
    "examples",
)
_CODEBOOK = ("codes", "used_codes", "perplexity", "bits_per_image", "entropy_bits_per_image", "bits_per_dim")
_JPEG = ("quality", "mse", "bits_per_image", "bits_per_image_with_header")
_LATENTS = ("explained_variance", "trustworthiness", "knn_accuracy", "linear_probe_accuracy")
_DISTANCES = {  # what is compared with the test images -> key of metrics.json
    "samples": "frechet_digit_distance",
    "reconstructions": "frechet_digit_distance_of_reconstructions",
    "train images": "frechet_digit_distance_of_train_images",
}


def rows(metrics: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns the figures as rows; neighbours with the same names make one table, see `tables`.

    Lists, such as the KL of each axis, stay in metrics.json.

    Args:
        metrics: what `evaluate` returns, or the content of metrics.json; older ones lack parts.

    Returns:
        list of (label, {name: value}).

    >>> rows({"mse": 0.01, "pca": {"components": 2, "mse": 0.02}})
    [('model', {'mse': 0.01}), ('PCA, 2 components', {'mse': 0.02})]
    """
    pca = f"PCA, {metrics['pca']['components']} components"
    found = [("model", _named(metrics, _RECONSTRUCTION)), (pca, _named(metrics["pca"], _RECONSTRUCTION))]
    if odd := metrics.get("unseen_classes"):
        told = f"{odd['examples']:,} of other classes: {', '.join(map(str, odd['classes'][:3]))}"
        found.append((told + (", ..." if len(odd["classes"]) > 3 else ""), _named(odd, _RECONSTRUCTION)))
    noisy = metrics.get("denoising", {})
    for name in _DENOISERS:
        if name in noisy:
            # Noise that came with the data has no level.
            level = "" if noisy["level"] is None else f" {noisy['level']:g}"
            label = f"{noisy['kind']}{level}, {name.replace('_', ' ')}"
            found.append((label, _named(noisy[name], _RECONSTRUCTION)))
    found.append(("likelihood", _named(metrics.get("likelihood", {}), _LIKELIHOOD)))
    codebook = metrics.get("codebook", {})
    found += [("codebook", _named(codebook, _CODEBOOK)), ("JPEG", _named(codebook.get("jpeg", {}), _JPEG))]
    latents = metrics.get("latents", {})
    found += [("latents", _named(latents, _LATENTS)), (pca, _named(latents.get("pca", {}), _LATENTS))]
    found.append(("latents", _named(metrics.get("sparsity", {}), ("sparsity", "dead_units"))))
    generation = metrics.get("generation", {})
    for label, name in _DISTANCES.items():
        if name in generation:
            figures = {"frechet_digit_distance": generation[name], **_named(generation, ("images",))}
            found.append((f"{label} against test images", figures))
    return [(label, figures) for label, figures in found if figures]


def tables(metrics: Mapping[str, Any]) -> list[tuple[tuple[str, ...], list[tuple[str, tuple[str, ...]]]]]:
    """Returns the rows as tables: a list of (names, [(label, texts)]), one for each set of names.

    Args:
        metrics: as for `rows`.

    >>> tables({"mse": 0.0123456, "pca": {"components": 2, "mse": 0.02}})
    [(('mse',), [('model', ('0.01235',)), ('PCA, 2 components', ('0.02',))])]
    """
    found: list[Any] = []
    for label, figures in rows(metrics):
        names = tuple(figures)
        if not found or found[-1][0] != names:
            found.append((names, []))
        found[-1][1].append((label, tuple(text(value) for value in figures.values())))
    return found


def text(value: object) -> str:
    """Returns a figure as a table shows it: four digits, whole numbers whole.

    >>> text(0.0123456), text(10000), text(None)
    ('0.01235', '10,000', '-')
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _named(figures, names):
    return {name: figures[name] for name in names if name in figures}
