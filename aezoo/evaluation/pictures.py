"""The pictures of a run: reconstructions, latents, losses. Matplotlib without a screen."""

import numpy as np

from aezoo.errors import need
from aezoo.evaluation import baselines
from aezoo.run import replacing

_SHOWN = 10  # images, or rows
_SCATTERED = 3000  # latents; more hide each other
_STYLE = {
    "figure.dpi": 120,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "savefig.bbox": "tight",
}


def save_all(run, model, dataset):
    """Draws the three pictures into a run's folder; same run, same bytes.

    Args:
        run: a `Run` with its history.
        model: its `Autoencoder`.
        dataset: what it was trained on; the test part is shown.
    """
    matplotlib = need("matplotlib", extra="train")
    matplotlib.use("Agg", force=False)
    with matplotlib.rc_context(_STYLE):
        _save(run.loss_file, losses(run.history))
        _save(run.latents_file, latents(model, dataset.test))
        examples = dataset.test.array(_SHOWN)
        draw = image_rows if model.kind == "images" else columns
        _save(run.reconstructions_file, draw(model, examples, dataset))


def losses(history):
    """Returns a figure of training and validation loss over the epochs, on a logarithmic axis."""
    figure, axes = _subplots(figsize=(4.5, 3))
    epochs = [row["epoch"] for row in history]
    for key, label in (("loss", "training"), ("val_loss", "validation")):
        axes.plot(epochs, [row[key] for row in history], marker=".", label=label)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    return figure


def latents(model, part):
    """Returns a scatter of a part's latents, coloured by label; by PCA where D is not 2."""
    codes = model.encode(part.array(_SCATTERED)).reshape(min(len(part), _SCATTERED), -1)
    labels = None if part.labels is None else np.asarray(part.labels)[: len(codes)]
    names = ("latent 1", "latent 2")
    if codes.shape[1] > 2 and len(codes) < 3:  # too few for components
        codes = codes[:, :2]
    if codes.shape[1] > 2:
        pca = baselines.fit_pca(codes, 2)
        codes = pca.transform(codes)
        names = tuple(
            f"principal component {number} ({share:.0%} of variance)"
            for number, share in enumerate(pca.explained_variance_ratio_, 1)
        )
    if codes.shape[1] == 1:  # one latent, or one component: its index is the other axis
        codes = np.column_stack([codes[:, 0], np.arange(len(codes))])
        names = (names[0], "example")
    figure, axes = _subplots(figsize=(5, 4.2))
    classes = [] if labels is None else np.unique(labels)
    if 1 < len(classes) <= 20:
        colors = need("matplotlib", extra="train").colormaps["tab10" if len(classes) <= 10 else "tab20"]
        for number, label in enumerate(classes):
            chosen = codes[labels == label]
            axes.scatter(*chosen.T, s=5, color=colors(number), label=str(label), linewidths=0)
        axes.legend(markerscale=3, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        axes.scatter(*codes.T, s=5, linewidths=0)
    axes.set(xlabel=names[0], ylabel=names[1])
    return figure


def image_rows(model, images, dataset):
    """Returns a figure with the images above, and what the model makes of them below."""
    rows = {"image": images, "reconstruction": model.reconstruct(images)}
    if getattr(model, "corruption", None) is not None:
        corrupted = model.corrupt(images, seed=1)
        rows = {"clean": images, "corrupted": corrupted, "denoised": model.reconstruct(corrupted)}
    count = len(images)
    figure, grid = _subplots(len(rows), count, figsize=(0.8 * count + 0.9, 0.85 * len(rows)), squeeze=False)
    for line, (label, pictures) in zip(grid, rows.items(), strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            _show(axes, picture)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.subplots_adjust(wspace=0.05, hspace=0.08)
    return figure


def columns(model, rows, dataset):
    """Returns a figure of how well each column of a table is reproduced on the test part."""
    examples = dataset.test.array(_SCATTERED)
    difference = (model.reconstruct(examples) - examples) / model.error_scale
    error = np.square(difference).mean(axis=0)
    names = dataset.feature_names or [f"column {number}" for number in range(len(error))]
    order = np.argsort(error)[-30:]
    figure, axes = _subplots(figsize=(5, 0.6 + 0.2 * len(order)))
    axes.barh([str(names[i]) for i in order], error[order])
    axes.set(xlabel="mean squared error (1 = no better than the column's mean)")
    return figure


def _show(axes, picture):
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    picture = np.clip(picture, 0.0, 1.0)
    if picture.shape[-1] in (1, 2):  # grey, or grey with an opacity that is left out
        axes.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=1)
    else:
        axes.imshow(picture)


def _subplots(*shape, **options):
    return need("matplotlib.pyplot", extra="train").subplots(*shape, **options)


def _save(path, figure):
    with replacing(path) as new:
        # The version of Matplotlib would be written into the file; the bytes should not depend on it.
        figure.savefig(new, metadata={"Software": None})
    need("matplotlib.pyplot", extra="train").close(figure)
