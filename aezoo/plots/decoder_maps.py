"""Maps of what a decoder answers: a plane of latents, single axes, paths between examples, errors."""

import statistics
from typing import Any

import numpy as np

from aezoo.core.model import Model
from aezoo.evaluation import baselines
from aezoo.plots import style
from aezoo.plots.style import Figure

_AXES = 10  # axes of the latents that are traversed
_STEPS = 9
_WAYS = 6  # pairs of examples
_EXAMPLES = 10
_COLUMNS = 24  # of a table, those that vary most
_PANELS = 6


def _of(shown, model, chosen):
    """Returns (examples, labels or None) of chosen positions."""
    return shown.examples[chosen], shown.labels_for(model, chosen)


def _chosen(shown, count, seed):
    """Returns positions of examples, drawn by a seed; class after class where there are labels."""
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(shown.examples))
    if shown.numbers is not None:
        numbers = shown.numbers[order]
        turn = np.empty(len(order), int)  # how many of its class come before each
        for number in np.unique(numbers):
            turn[numbers == number] = np.arange(np.count_nonzero(numbers == number))
        order = order[np.lexsort((numbers, turn))]
    return order[:count]


def has_normal_prior(model: Model) -> bool:
    """Whether a model is variational with the prior N(0, I)."""
    prior = model.prior
    return prior is not None and prior.kind == "standard_normal" and model.likelihood is not None


def _flat_codes(model, shown):
    codes = model.encode(shown.examples, labels=shown.labels_for(model))
    return np.asarray(codes, "float64").reshape(len(codes), -1)


def _decode(model, flat, label):
    labels = None if label is None else np.full(len(flat), label)
    return model.decode(flat.reshape(-1, *model.latent_shape).astype("float32"), labels=labels)


def _label(model, shown, position):
    labels = shown.labels_for(model, np.array([position]))
    return None if labels is None else int(labels[0])


def _feature_names(shown, count, most=26):
    return [style.literal(n, most) for n in shown.feature_names or [f"column {n}" for n in range(count)]]


# -- the plane ---------------------------------------------------------------------------------------


def plane_of(model: Model, codes: np.ndarray, side: int) -> tuple[Any, ...]:
    """Returns (latents (side², D), x (side,), y (side,), titles of both axes) of the plane that is decoded.

    A variational model with the prior N(0, I): normal quantiles, so that every cell is as probable, of its
    two most active axes. Any other: the box that holds 98 % of its two latents, or of its two principal
    components. A single latent goes through its range line by line.
    """
    size = codes.shape[1]
    shares = (np.arange(side) + 0.5) / side
    quantiles = np.array([statistics.NormalDist().inv_cdf(share) for share in shares])
    if size == 1:
        many = (np.arange(side * side) + 0.5) / (side * side)
        normal = [statistics.NormalDist().inv_cdf(share) for share in many]
        line = (
            np.array(normal)
            if has_normal_prior(model)
            else np.quantile(codes, [0.01, 0.99]) @ [1 - many, many]
        )
        return line[:, None], None, None, ("one latent, line by line", "")
    if has_normal_prior(model):
        first, second = np.sort(np.argsort(-codes.var(axis=0), kind="stable")[:2])
        grid = np.zeros((side, side, size))
        grid[..., first], grid[..., second] = quantiles[None, :], quantiles[::-1, None]
        titles = tuple(f"latent {axis}, normal quantiles" for axis in (first, second))
        return grid.reshape(-1, size), quantiles, quantiles, titles
    plane = baselines.principal_plane(codes) if size > 2 else None
    points = codes if plane is None else plane.project(codes)
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    x, y = (np.linspace(low[axis], high[axis], side) for axis in (0, 1))
    coordinates = np.stack(np.broadcast_arrays(x[None, :], y[::-1, None]), axis=-1).reshape(-1, 2)
    titles = tuple(
        f"latent {axis}" if plane is None else f"principal component {axis + 1}" for axis in (0, 1)
    )
    return (coordinates if plane is None else plane.lift(coordinates)), x, y, titles


def manifold(model: Model, shown: Any, seed: int) -> Figure:
    """Returns a figure of the decoded plane of `plane_of`: images, columns of rows, or sequences."""
    kind, shape = model.kind, model.example_shape
    side = {"images": 15 if max(shape[:2]) <= 32 else 8, "rows": 24, "sequences": 7}[kind]
    label = _label(model, shown, _chosen(shown, 1, seed)[0])
    latents, x, y, titles = plane_of(model, _flat_codes(model, shown), side)
    answers = _decode(model, latents, label)
    draw = {"images": _plane_of_images, "rows": _plane_of_rows, "sequences": _plane_of_sequences}[kind]
    figure = draw(model, shown, answers, x, y, titles, side)
    if label is not None:
        figure.suptitle(f"class {style.literal(shown.names[label])}", fontsize=10, x=0.12, ha="left")
    return figure


def _plane_of_images(model, shown, images, x, y, titles, side):
    figure, axes = style.subplots(figsize=(6.2, 6.2))
    picture = style.montage(images, side)
    style.show(axes, picture, interpolation="nearest")
    if x is not None:
        for axis, values, length in (
            (axes.xaxis, x, picture.shape[1]),
            (axes.yaxis, y[::-1], picture.shape[0]),
        ):
            places = np.linspace(0, side - 1, 5).round().astype(int)
            axis.set_ticks(
                (places + 0.5) * length / side - 0.5,
                [f"{values[place]:.2g}" for place in places],
                fontsize=7.5,
            )
    axes.tick_params(length=0)
    axes.set(xlabel=titles[0], ylabel=titles[1])
    return figure


def _plane_of_rows(model, shown, rows, x, y, titles, side):
    moved = rows / model.error_scale
    most = np.argsort(-moved.var(axis=0), kind="stable")[:_PANELS]
    names = _feature_names(shown, rows.shape[1])
    columns = min(3, len(most))
    lines = -(-len(most) // columns)
    figure, grid = style.subplots(
        lines, columns, figsize=(2.7 * columns, 2.35 * lines + 0.3), squeeze=False, layout="constrained"
    )
    for axes in grid.ravel()[len(most) :]:
        axes.set_axis_off()
    for axes, column in zip(grid.ravel(), most, strict=False):
        field = rows[:, column].reshape(side, side)
        extent = None if x is None else (x[0], x[-1], y[0], y[-1])
        image = axes.imshow(field, cmap="viridis", extent=extent, aspect="auto")
        style.bare(axes)
        axes.set_title(names[column], fontsize=9)
        figure.colorbar(image, ax=axes, shrink=0.85).outline.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel(titles[0], fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel(titles[1], fontsize=8)
    return figure


def _plane_of_sequences(model, shown, sequences, x, y, titles, side):
    figure, grid = style.subplots(side, side, figsize=(7.2, 5.2), sharex=True, sharey=True)
    channels = min(sequences.shape[-1], 3)
    for axes, sequence in zip(grid.ravel(), sequences, strict=True):
        axes.set(xticks=[], yticks=[])
        style.bare(axes)
        axes.plot(sequence[:, :channels], linewidth=1.1)
    figure.subplots_adjust(wspace=0.06, hspace=0.06)
    if x is not None:
        for number, axes in enumerate(grid[-1]):
            axes.set_xlabel(f"{x[number]:.2g}", fontsize=7.5)
        for number, axes in enumerate(grid[:, 0]):
            axes.set_ylabel(f"{y[::-1][number]:.2g}", fontsize=7.5, rotation=0, ha="right", va="center")
    figure.supxlabel(titles[0], fontsize=9, y=0.01)
    figure.supylabel(titles[1], fontsize=9, x=0.04)
    return figure


# -- lines in the latent space -----------------------------------------------------------------------


def traversals(model: Model, shown: Any, seed: int) -> Figure:
    """Returns a figure of one example with one axis of its latents set to each of nine values.

    A row an axis, the ten that vary most; from -3 to 3 for a prior of N(0, I), else from the first to the
    ninety-ninth percentile of the axis.
    """
    codes = _flat_codes(model, shown)
    position = _chosen(shown, 1, seed)[0]
    order = np.argsort(-codes.var(axis=0), kind="stable")[:_AXES]
    lines, names = [], []
    for axis in order:
        low, high = (-3.0, 3.0) if has_normal_prior(model) else np.quantile(codes[:, axis], [0.01, 0.99])
        latents = np.repeat(codes[position][None], _STEPS, axis=0)
        latents[:, axis] = np.linspace(low, high, _STEPS)
        lines.append(_decode(model, latents, _label(model, shown, position)))
        names.append(f"latent {axis}\n{low:.3g} to {high:.3g}")
    return _lines(model, shown, lines, names, "value of the latent, from low to high")


def interpolations(model: Model, shown: Any, seed: int) -> Figure:
    """Returns a figure of ways from one example to another, straight through the latent space.

    The two are of different classes, but where a model is told the class: there a way has one.
    """
    conditional = shown.labels_for(model) is not None
    ends = _pairs_of_a_class(shown, seed) if conditional else _chosen(shown, 2 * _WAYS, seed)
    ends = ends[: len(ends) // 2 * 2]
    firsts, seconds = ends[0::2], ends[1::2]
    lines, names = [], []
    for first, second in zip(firsts, seconds, strict=True):
        label = _label(model, shown, first)
        ends_of_way = shown.examples[first], shown.examples[second]
        lines.append(model.interpolate(*ends_of_way, _STEPS, labels=label))
        known = shown.numbers is not None and shown.names is not None
        both = [style.literal(shown.names[shown.numbers[end]]) for end in (first, second)] if known else ()
        names.append("\nto ".join(both) if len(set(both)) == 2 else "".join(both[:1]))
    return _lines(model, shown, lines, names, "from one example to another")


def _pairs_of_a_class(shown, seed):
    """Returns positions (2 n,) of pairs of examples, each of one class; class after class."""
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(shown.examples))
    pairs = [order[shown.numbers[order] == number][:2] for number in np.unique(shown.numbers)]
    return np.array([end for pair in pairs if len(pair) == 2 for end in pair][: 2 * _WAYS], int)


def _lines(model, shown, lines, names, title):
    """Returns a figure of lines (V, ...) of decoded examples, each with its name."""
    draw = {"images": _lines_of_images, "rows": _lines_of_rows, "sequences": _lines_of_sequences}[model.kind]
    figure = draw(model, shown, lines, names)
    along = "; first channel, the darker the further along" if model.kind == "sequences" else ""
    figure.supxlabel(title + along, fontsize=9)
    return figure


def _lines_of_images(model, shown, lines, names):
    height, width = model.example_shape[:2]
    figure, axes = style.subplots(
        figsize=(6.4, 0.5 + 5.4 * len(lines) / _STEPS * height / width), layout="constrained"
    )
    picture = style.montage(np.concatenate(lines), _STEPS)
    style.show(axes, picture, interpolation="nearest")
    places = (np.arange(len(lines)) + 0.5) * picture.shape[0] / len(lines) - 0.5
    axes.set_yticks(places, names, fontsize=7.5)
    axes.tick_params(length=0)
    return figure


def _lines_of_rows(model, shown, lines, names):
    """Rows: a small map a line, what changes in each column, in its standard deviations."""
    moved = [(line - shown.examples.mean(axis=0)) / model.error_scale for line in lines[:_PANELS]]
    most = np.argsort(-np.concatenate(moved).var(axis=0), kind="stable")[:_COLUMNS]
    columns = _feature_names(shown, moved[0].shape[1])
    largest = max(float(np.abs(line[:, most]).max()) for line in moved) or 1.0
    figure, grid = style.subplots(
        1, len(moved), figsize=(1.6 + 1.15 * len(moved), 0.9 + 0.19 * len(most)), squeeze=False, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for axes, line, name in zip(grid[0], moved, names, strict=False):
        image = axes.imshow(line[:, most].T, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
        style.bare(axes)
        axes.set_title(name, fontsize=7.5, fontweight="normal")
        axes.set_xticks([])
    grid[0, 0].set_yticks(np.arange(len(most)), [columns[column] for column in most], fontsize=7.5)
    bar = figure.colorbar(image, ax=grid[0].tolist(), shrink=0.7)
    bar.set_label("standard deviations from the mean", fontsize=8)
    bar.outline.set_visible(False)
    return figure


def _lines_of_sequences(model, shown, lines, names):
    """Sequences: a panel a line; the darker, the further along. Its first channel."""
    colors = _shades(_STEPS)
    columns = min(3, len(lines))
    rows = -(-len(lines) // columns)
    figure, grid = style.subplots(
        rows, columns, figsize=(2.5 * columns, 1.45 * rows + 0.4), squeeze=False, sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for axes in grid.ravel()[len(lines) :]:
        axes.set_axis_off()
    for axes, line, name in zip(grid.ravel(), lines, names, strict=False):
        for sequence, color in zip(line, colors, strict=True):
            axes.plot(sequence[:, 0], color=color, linewidth=1)
        axes.set_title(name.replace("\nto ", " to ").replace("\n", ", "), fontsize=7.5, fontweight="normal")
    return figure


def _shades(count):
    from aezoo.core.imports import need

    return need("matplotlib", extra="train").colormaps["viridis_r"](np.linspace(0.05, 0.95, count))


# -- reconstructions ---------------------------------------------------------------------------------


def reconstructions(model: Model, shown: Any, seed: int) -> Figure:
    """Returns a figure of examples, their reconstructions, and where the two differ."""
    chosen = _chosen(shown, {"images": _EXAMPLES, "rows": 40, "sequences": 4}[model.kind], seed)
    examples, labels = _of(shown, model, chosen)
    again = model.reconstruct(examples, labels=labels)
    draw = {"images": _image_errors, "rows": _row_errors, "sequences": _sequence_errors}[model.kind]
    return draw(model, shown, examples, again)


def _image_errors(model, shown, images, again):
    errors = np.abs(again - images).mean(axis=-1)
    # Bright in the picture is wrong: one scale for all, which a single pixel does not set.
    most = max(float(np.quantile(errors, 0.998)), 1e-6)
    count = len(images)
    figure, grid = style.subplots(
        3, count, figsize=(0.72 * count + 1.6, 2.45), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.02, hspace=0.02)
    for column in range(count):
        style.show(grid[0, column], images[column])
        style.show(grid[1, column], again[column])
        shade = grid[2, column].imshow(errors[column], vmin=0, vmax=most)
        grid[2, column].set(xticks=[], yticks=[])
        style.bare(grid[2, column])
    for line, name in zip(grid, ("image", "reconstruction", "difference"), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    bar = figure.colorbar(shade, ax=grid[2].tolist(), aspect=8, pad=0.01)
    bar.outline.set_visible(False)
    return figure


def _row_errors(model, shown, rows, again):
    wrong = (again - rows) / model.error_scale
    order = np.argsort(-np.square(wrong).mean(axis=0), kind="stable")[:_COLUMNS]
    names = _feature_names(shown, rows.shape[1], 30)
    largest = max(float(np.quantile(np.abs(wrong), 0.99)), 1e-6)
    figure, (axes, bars) = style.subplots(
        1, 2, figsize=(7.4, 0.9 + 0.19 * len(order)), sharey=True, width_ratios=(3, 1), layout="constrained"
    )
    image = axes.imshow(wrong[:, order].T, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
    style.bare(axes)
    axes.set_yticks(np.arange(len(order)), [names[column] for column in order], fontsize=7.5)
    axes.set_xticks([])
    axes.set(xlabel=f"{len(rows)} rows", title="reconstruction - row, in standard deviations")
    figure.colorbar(image, ax=axes, aspect=30).outline.set_visible(False)
    bars.barh(np.arange(len(order)), np.square(wrong).mean(axis=0)[order], color="C0")
    bars.axvline(1.0, color="black", linewidth=1, linestyle="--")
    bars.set(xlabel="mean squared error\n(1: the column's mean)")
    bars.grid(axis="y", visible=False)
    return figure


def _sequence_errors(model, shown, sequences, again):
    channels = min(sequences.shape[-1], 3)
    names = [style.literal(n, 16) for n in shown.feature_names or [f"channel {n}" for n in range(channels)]]
    errors = np.square((again - sequences) / model.error_scale).mean(axis=-1)
    figure, grid = style.subplots(
        channels + 1, len(sequences), figsize=(0.6 + 2.1 * len(sequences), 0.5 + 1.2 * (channels + 1)),
        squeeze=False, sharex=True, sharey="row", layout="constrained",
    )  # fmt: skip
    for column in range(len(sequences)):
        for channel in range(channels):
            axes = grid[channel, column]
            axes.plot(sequences[column, :, channel], label="sequence", color="#606060")
            axes.plot(again[column, :, channel], label="reconstruction", color="C2", linestyle="--")
        below = grid[-1, column]
        below.fill_between(np.arange(errors.shape[1]), errors[column], color="C1", linewidth=0)
        below.set_xlabel("step")
    grid[-1, 0].set_ylim(bottom=0)
    for channel in range(channels):
        grid[channel, 0].set_ylabel(names[channel])
    grid[-1, 0].set_ylabel("squared error", fontsize=8)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure
