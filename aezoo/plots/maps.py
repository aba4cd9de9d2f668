"""Maps of a trained model, a run's or a bundle's: one function per map, each returns a Matplotlib figure.

    figure = draw("manifold", model, shown)      # within `drawing.style()`

A model is an `Autoencoder` or a loaded bundle; where Keras is not installed, Matplotlib is enough.
"""

from typing import Any

import numpy as np

from aezoo.core.calibration import Calibration
from aezoo.core.errors import BundleError, OptionError
from aezoo.core.model import Model
from aezoo.evaluation import codebook
from aezoo.plots import decoder_maps, pictures, style
from aezoo.plots.style import Figure

_RATE = 0.01  # of normal examples that a run's threshold lets through, as a bundle's does by default
_ACTIVE = 0.01  # variance of a posterior mean above which a unit is active: Burda et al. 2016, section 5.2
_UNITS = 128  # bars that can be told apart
_BINS = 50
_NORMALS = 19  # normal scores below which no threshold of a run is worth drawing


def latents(model: Model, shown: Any, seed: int) -> Figure:
    """Returns a scatter of the latents by class, by principal components where there are more than two."""
    codes = model.encode(shown.examples, labels=shown.labels_for(model))
    return pictures.scatter(codes, shown.numbers, shown.names)


def scores(model: Model, shown: Any, seed: int) -> Figure:
    """Returns a histogram of anomaly scores with the threshold; by class where there are two."""
    values, threshold, name, how = _scored(model, shown)
    figure, axes = style.subplots(figsize=(6.4, 3.4))
    known = np.isfinite(values)  # float32 overflows at examples that nothing like them was seen of
    if not known.all():
        values = np.where(known, values, np.max(values, where=known, initial=threshold or 0))
    low, high = values.min(), max(values.max(), threshold or 0)
    logarithmic = low > 0 and high / low > 20
    bins = np.geomspace(low, high, _BINS) if logarithmic else np.linspace(low, high + 1e-9, _BINS)
    present: Any = [] if shown.numbers is None else np.unique(shown.numbers)
    drawn, labels = [], []  # for the legend; a label that begins with "_" is none to Matplotlib
    if len(present) == 2:
        for rank, number in enumerate(present):
            color, _ = style.sign_of(rank)
            given = {"color": color, "alpha": 0.65, "hatch": "///" if rank else None, "edgecolor": "white"}
            drawn.append(axes.hist(values[shown.numbers == number], bins, **given)[2])
            labels.append(style.literal(shown.names[number]))
    else:
        drawn.append(axes.hist(values, bins, color="C0", edgecolor="white", linewidth=0.4)[2])
        labels.append(f"{len(values):,} examples")
    if logarithmic:
        axes.set_xscale("log")
        ticks = np.geomspace(low, high, 5)  # a logarithmic locator names all or nothing of a decade
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        axes.set_xticks([], minor=True)
    if threshold is not None:
        share = 1 - np.mean(values <= threshold)
        labels.append(f"threshold {threshold:.4g}:\n{how}\n{share:.2%} of these")
        drawn.append(axes.axvline(threshold, color="black", linewidth=1.4, linestyle="--"))
    axes.set(xlabel=f"{name}, of each example", ylabel="examples")
    axes.grid(axis="x", visible=False)
    axes.legend(drawn, labels, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _scored(model, shown):
    """Returns (scores (N,), threshold or None, name of the score, what the threshold comes from)."""
    labels = shown.labels_for(model)
    if _is_calibrated(model):
        found, rate = model.score(shown.examples, labels=labels), model.false_positive_rate
        return (
            found[model.score_name],
            model.threshold,
            model.score_name,
            f"{rate:.2%} of normal ones are above,",
        )
    values = _errors(model, shown.examples, labels)
    threshold, how = None, ""
    if shown.normals is not None and len(shown.normals) >= _NORMALS:
        normal_labels = shown.normal_numbers if labels is not None else None
        rate = max(_RATE, 1.001 / (len(shown.normals) + 1))
        normal = _errors(model, shown.normals, normal_labels)
        threshold = Calibration.fit(normal, rate).threshold
        how = f"{rate:.2%} of {len(normal):,} held-back examples are above,"
    return values, threshold, "reconstruction_error", how


def _errors(model, examples, labels):
    return np.asarray(model.reconstruction_error(examples, labels=labels), "float64")


def _is_calibrated(model):
    return "scorer" in model.held_parts and model.score_name is not None


def activity(model: Model, shown: Any, seed: int) -> Figure:
    """Returns how much each unit of the latents varies; of a variational model its KL, of codes their use."""
    labels = shown.labels_for(model)
    if model.codebook_size is not None:
        return _use_of_codes(model, shown)
    codes = np.asarray(model.encode(shown.examples, labels=labels), "float64")
    flat = codes.reshape(-1, codes.shape[-1])
    variances = flat.var(axis=0)
    order = np.argsort(-variances, kind="stable")
    variational = model.likelihood is not None
    kl = None
    if decoder_maps.has_normal_prior(model):
        posterior = model.posterior(shown.examples, labels=labels)
        mean, log_var = (np.asarray(each, "float64").reshape(len(each), -1) for each in posterior)
        kl = 0.5 * (np.square(mean) + np.exp(log_var) - log_var - 1).mean(axis=0)
    zeros = (flat == 0).mean(axis=0)
    panels = [("variance of the posterior mean" if variational else "variance", variances)]
    if kl is not None:
        panels.append(("KL, nats", kl))
    elif zeros.any():
        panels.append(("share of examples where it is not 0", 1 - zeros))
    figure, grid = style.subplots(
        len(panels),
        1,
        figsize=(7.2, 0.7 + 1.7 * len(panels)),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    shown_units = order[:_UNITS]
    for axes, (label, values) in zip(grid[:, 0], panels, strict=True):
        axes.bar(np.arange(len(shown_units)), values[shown_units], color="C0", width=0.85)
        axes.set_ylabel(label, fontsize=8)
        axes.grid(axis="x", visible=False)
    first = grid[0, 0]
    first.set_xlim(-0.6, max(len(shown_units), 12) - 0.4)  # a few units are not as broad as walls
    positive = variances[variances > 0]
    if len(positive) and positive.max() / positive.min() > 30:
        first.set_yscale("log")
    active = np.count_nonzero(variances > _ACTIVE) if variational else np.count_nonzero(variances > 1e-8)
    if variational:
        first.axhline(_ACTIVE, color="black", linewidth=1, linestyle="--")
    first.set_title(f"{active} of {len(variances)} units are active")
    below = grid[-1, 0]
    below.set_xlabel(
        "unit of the latents, by variance" + ("" if len(order) <= _UNITS else f"; the first {_UNITS}")
    )
    below.set_xticks(
        np.arange(len(shown_units)),
        shown_units,
        fontsize=8 if len(shown_units) <= 32 else 6,
        rotation=0 if len(shown_units) <= 20 else 90,
    )
    if len(shown_units) > 64:
        below.set_xticks([])
    return figure


def _use_of_codes(model, shown):
    codes = model.codebook_size
    indices = model.code_indices(shown.examples)
    shares = np.sort(codebook.usage(indices, codes))[::-1]
    figure, axes = style.subplots(figsize=(6.4, 3))
    axes.bar(np.arange(codes), shares, width=1.0, color="C0")
    axes.axhline(1 / codes, color="black", linewidth=1, linestyle="--", label="all alike")
    used, perplexity = codebook.used_codes(indices, codes), codebook.perplexity(indices, codes)
    axes.set_title(f"{used} of {codes} codes are used, perplexity {perplexity:.0f}")
    axes.set(xlabel="code, by how often it is met", ylabel="share of positions")
    axes.legend()
    return figure


# THE table: name -> (function, parts of a bundle that it calls, examples that it wants).
MAPS = {
    "latents": (latents, ("encoder",), 1),
    "manifold": (decoder_maps.manifold, ("encoder", "decoder"), 3),
    "traversals": (decoder_maps.traversals, ("encoder", "decoder"), 2),
    "interpolations": (decoder_maps.interpolations, ("encoder", "decoder"), 2),
    "reconstructions": (decoder_maps.reconstructions, ("reconstructor",), 1),
    "scores": (scores, ("scorer",), 2),
    "activity": (activity, ("encoder",), 2),
}
_OF_PLANES = ("manifold", "traversals")


def obstacle(name: str, model: Model, shown: Any) -> str | None:
    """Returns why a map of a model cannot be drawn, a text; None where it can.

    Args:
        name: of the map.
        model: an `Autoencoder` or a loaded bundle.
        shown: `Shown`.
    """
    _, parts, least = MAPS[name]
    held = model.held_parts
    missing = [part for part in parts if part not in held]
    # Without a scorer the reconstruction errors are shown.
    if missing and not (name == "scores" and "reconstructor" in held):
        return f"this bundle holds no {missing[0]} as ONNX"
    if name in _OF_PLANES and model.codebook_size is not None:
        return "the decoder of a quantised model knows its codes and nothing between them"
    if len(shown.examples) < least:
        return f"it wants {least} examples, and there {'is 1' if len(shown.examples) == 1 else 'are 0'}"
    return None


def refusal(name: str, reason: str, model: Model) -> BundleError | OptionError:
    """Returns the error for a map that was asked for by name and cannot be drawn."""
    held = sorted(model.held_parts)
    part = reason.startswith("this bundle")
    return (BundleError if part else OptionError)(
        f"the map {name!r} cannot be drawn",
        got=f"{reason}; it holds {', '.join(held)}" if part else reason,
        expected=f"a bundle with {' and '.join(MAPS[name][1])}"
        if part
        else "a model or data of another kind",
        fix="export again without parts, or draw the run itself" if part else f"leave {name} out",
    )


def draw(name: str, model: Model, shown: Any, *, seed: int = 0) -> Figure:
    """Draws a map.

    Args:
        name: a key of `MAPS`.
        model: an `Autoencoder` or a loaded bundle.
        shown: `Shown`.
        seed: 32 bits, of the choice of examples.

    Returns:
        A Matplotlib figure.

    Raises:
        OptionError, BundleError: the map cannot be drawn of this model, see `obstacle`.
    """
    reason = obstacle(name, model, shown)
    if reason:
        raise refusal(name, reason, model)
    return MAPS[name][0](model, shown, seed)
