"""The pictures of a run: reconstructions, latents, losses, samples. Matplotlib without a screen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo.core.model import Model
from aezoo.evaluation import baselines
from aezoo.plots import style
from aezoo.plots.style import Figure

_SHOWN = 10  # images, or rows
_SCATTERED = 3000  # latents; more hide each other
_SEQUENCES, _CHANNELS = 4, 4  # sequences beside each other, and channels below each other


def save_all(run: Any, model: Model, dataset: Any) -> None:
    """Draws a run's pictures into its folder; same run, same bytes.

    Samples are drawn where a model of images has a prior, and the run a file for them.

    Args:
        run: a `Run` with its history.
        model: its `Autoencoder`.
        dataset: what it was trained on; the test part is shown.
    """
    with style.style():
        style.save(run.loss_file, losses(run.history))
        style.save(run.latents_file, latents(model, dataset.test))
        examples = dataset.test.array(_SHOWN)
        draw = {"images": image_rows, "sequences": sequences, "rows": columns}[model.kind]
        style.save(run.reconstructions_file, draw(model, examples, dataset))
        samples_file = getattr(run, "samples_file", None)
        if samples_file and model.kind == "images" and model.prior is not None:
            style.save(samples_file, samples(model))


def losses(history: Sequence[dict[str, Any]]) -> Figure:
    """Returns a figure of training and validation loss over the epochs, on a logarithmic axis."""
    figure, axes = style.subplots(figsize=(4.5, 3))
    epochs = [row["epoch"] for row in history]
    for key, label in (("loss", "training"), ("val_loss", "validation")):
        axes.plot(epochs, [row[key] for row in history], marker=".", label=label)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    return figure


def latents(model: Model, part: Any, names: Sequence[str] | range | None = None) -> Figure:
    """Returns a scatter of a part's latents, see `scatter`; names are of its classes."""
    codes = model.encode(part.array(_SCATTERED), labels=part.labels_for(model, _SCATTERED))
    if part.labels is None:
        return scatter(codes)
    numbers = part.class_numbers[: len(codes)]
    if names is None:
        names = range(numbers.max() + 1) if part.classes is None else part.classes
    return scatter(codes, numbers, names)


def scatter(
    codes: np.ndarray, numbers: np.ndarray | None = None, names: Sequence[str] | range | None = None
) -> Figure:
    """Returns a figure of latents, by class; by principal components where there are more than 2; maps flat.

    Args:
        codes: (N, ...).
        numbers: (N,) class numbers, or None.
        names: of the classes.
    """
    codes = codes.reshape(len(codes), -1)
    titles: tuple[str, ...] = ("latent 0", "latent 1")
    if codes.shape[1] > 2 and len(codes) < 3:  # too few for components
        codes = codes[:, :2]
    if codes.shape[1] > 2:
        plane = baselines.principal_plane(codes)
        codes = plane.project(codes)
        titles = tuple(
            f"principal component {number} ({share:.0%} of variance)"
            for number, share in enumerate(plane.shares, 1)
        )
    if codes.shape[1] == 1:  # one latent, or one component: its index is the other axis
        codes = np.column_stack([codes[:, 0], np.arange(len(codes))])
        titles = (titles[0], "example")
    figure, axes = style.subplots(figsize=(5.6, 4.6))
    style.scatter(axes, codes, numbers, names)
    axes.set(xlabel=titles[0], ylabel=titles[1])
    return figure


def image_rows(model: Model, images: np.ndarray, dataset: Any) -> Figure:
    """Returns a figure with the images above, and what the model makes of them below."""
    labels = dataset.test.labels_for(model, len(images))
    rows = {"image": images, "reconstruction": model.reconstruct(images, labels=labels)}
    if model.corruption is not None:
        noisy = dataset.noisy
        corrupted = model.corrupt(images, seed=1) if noisy is None else noisy.test.array(len(images))
        rows = {"clean": images, "corrupted": corrupted, "denoised": model.reconstruct(corrupted)}
    count = len(images)
    figure, grid = style.subplots(
        len(rows), count, figsize=(0.8 * count + 0.9, 0.85 * len(rows)), squeeze=False
    )
    for line, (label, pictures) in zip(grid, rows.items(), strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            style.show(axes, picture)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.subplots_adjust(wspace=0.05, hspace=0.08)
    return figure


def columns(model: Model, rows: np.ndarray, dataset: Any) -> Figure:
    """Returns a figure of how well each column of a table is reproduced on the test part."""
    examples = dataset.test.array(_SCATTERED)
    labels = dataset.test.labels_for(model, len(examples))
    difference = (model.reconstruct(examples, labels=labels) - examples) / model.error_scale
    error = np.square(difference).mean(axis=0)
    names = dataset.feature_names or [f"column {number}" for number in range(len(error))]
    order = np.argsort(error)[-30:]
    figure, axes = style.subplots(figsize=(5, 0.6 + 0.2 * len(order)))
    places = np.arange(len(order))  # names may be alike
    axes.barh(places, error[order])
    axes.set_yticks(places, [style.literal(names[i]) for i in order])
    axes.set(xlabel="mean squared error (1 = no better than the column's mean)")
    return figure


def sequences(model: Model, examples: np.ndarray, dataset: Any) -> Figure:
    """Returns a figure of sequences (N, T, F) and their reconstructions: one a column, a channel a row."""
    examples = examples[:_SEQUENCES]
    again = model.reconstruct(examples, labels=dataset.test.labels_for(model, len(examples)))
    channels = min(examples.shape[-1], _CHANNELS)
    names = dataset.feature_names or [f"channel {number}" for number in range(channels)]
    size = (0.6 + 2.6 * len(examples), 0.6 + 1.2 * channels)
    figure, grid = style.subplots(
        channels, len(examples), figsize=size, squeeze=False, sharex=True, sharey="row", layout="constrained"
    )
    for number, line in enumerate(grid):
        for axes, example, reconstruction in zip(line, examples, again, strict=True):
            axes.plot(example[:, number], linewidth=1.2, label="example")
            axes.plot(reconstruction[:, number], linewidth=1.2, label="reconstruction")
        line[0].set_ylabel(style.literal(names[number]))
    for axes in grid[-1]:
        axes.set_xlabel("step")
    grid[0, 0].legend(frameon=False, fontsize=7)
    return figure


def samples(model: Model, seed: int = 0, side: int = 8) -> Figure:
    """Returns a figure of side x side generated images; a model's seed draws the same in every runtime."""
    figure, axes = style.subplots(figsize=(0.55 * side, 0.55 * side))
    style.show(axes, style.montage(model.sample(side * side, seed), side))
    return figure


def traversals(
    model: Model,
    example: np.ndarray,
    axes: Any = None,
    values: ArrayLike | None = None,
    label: int | None = None,
) -> Figure:
    """Returns a figure of one image decoded with one latent at a time set to each value.

    Args:
        model: of images, with `traverse`.
        example: (H, W, C) in [0, 1].
        axes: which of the flattened latents, a row each; None is ten: of a variational model those
            that its posterior is surest of, of any other the first.
        values: a column each; None is -3 to 3 in 9 steps.
        label: class number of the example, for a conditional model.
    """
    values = np.linspace(-3, 3, 9) if values is None else np.asarray(values)
    if axes is None:
        order = np.arange(int(np.prod(model.latent_shape)))
        if model.likelihood is not None:
            log_var = model.posterior(example[None], labels=None if label is None else [label])[1]
            order = np.argsort(np.ravel(log_var), kind="stable")
        axes = order[:_SHOWN]
    lines = [model.traverse(example, int(axis), values, labels=label) for axis in axes]
    figure, canvas = style.subplots(figsize=(0.6 * len(values) + 0.9, 0.6 * len(lines) + 0.3))
    picture = style.montage(np.concatenate(lines), len(values))
    style.show(canvas, picture)
    rows, columns = (np.arange(count) + 0.5 for count in (len(lines), len(values)))
    canvas.set_yticks(rows * picture.shape[0] / len(lines), [f"latent {axis}" for axis in axes])
    canvas.set_xticks(columns * picture.shape[1] / len(values), [f"{value:g}" for value in values])
    canvas.tick_params(length=0)
    return figure
