"""Draws the frames of a `Film`, and writes them as MP4, GIF and poster.

A frame is the background, drawn once, and the points of that moment on top of it. Axes are those that
hold the latents of all frames, and every panel is square with one scale on both axes: what turns or
grows in the film turned or grew in the latent space.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import AezooError, MissingExtraError, OptionError
from aezoo.core.files import replacing
from aezoo.core.imports import need
from aezoo.core.options import check_choice, check_positive
from aezoo.film.recording import Film
from aezoo.plots import style

FORMATS = ("mp4", "gif", "png")
_GIF = {"width": 720, "points": 400, "frames": 64, "colors": 32}  # what keeps it below 1.5 MB
_HELD = 1.5  # seconds that the last frame stays
_LEAST, _MOST = 320, 3840  # pixels of the width
_CIRCLE = 2.4477  # radius that holds 95 % of N(0, I) of two axes
_APART = 2.0  # scales of panels that differ by more than this are drawn on axes of their own


def limits(film: Film) -> Any:
    """Returns the axes of each panel, [(x0, x1, y0, y1)]: squares that hold all latents of all frames.

    Panels whose scales are within a factor of 2 of each other share one.
    """
    boxes = []
    for panel in film.panels:
        points = panel.latents.reshape(-1, 2).astype("float64")
        low, high = points.min(axis=0), points.max(axis=0)
        if panel.bounds is not None:
            low, high = np.minimum(low, panel.bounds[0]), np.maximum(high, panel.bounds[1])
        if panel.name == "vae":
            low, high = np.minimum(low, -_CIRCLE), np.maximum(high, _CIRCLE)
        boxes.append((low, high))
    sizes = [max((high - low).max(), 1e-6) for low, high in boxes]
    if max(sizes) / min(sizes) <= _APART:
        low = np.min([low for low, _ in boxes], axis=0)
        high = np.max([high for _, high in boxes], axis=0)
        boxes, sizes = [(low, high)] * len(boxes), [max((high - low).max(), 1e-6)] * len(boxes)
    found = []
    for (low, high), size in zip(boxes, sizes, strict=True):
        middle, half = (low + high) / 2, 0.54 * size
        found.append(tuple(np.array([middle - half, middle + half]).T.ravel().tolist()))
    return found


class Stage:
    """The drawing of a film at one size.

    Args:
        film: a `Film`.
        width: of a frame, in pixels; rounded down to an even number, as video wants it.
        points: how many of its latents are drawn; None is all.

    Attributes:
        size: (width, height) of a frame in pixels, both even.
    """

    def __init__(self, film: Film, width: int = 960, points: np.ndarray | None = None) -> None:
        backend = need("matplotlib.backends.backend_agg", extra="train")
        self.film, self.chosen = film, slice(points)
        columns = min(len(film.panels), 3)
        rows = -(-len(film.panels) // columns)
        across = {1: 5.2, 2: 7.6, 3: 9.6}[columns]  # inches: text stays as large beside the panels
        panel = (across - 0.5) / columns
        width = width // 2 * 2
        dpi = width / across
        height = int((0.5 + rows * (panel + 0.2) + 0.12) * dpi) // 2 * 2
        self.size = (width, height)
        figure = need("matplotlib.figure", extra="train").Figure(
            figsize=(width / dpi, height / dpi), dpi=dpi, facecolor="white"
        )
        self.canvas = backend.FigureCanvasAgg(figure)
        left, right = 0.42 / across, 1 - 0.1 / across
        grid = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(
            left=left,
            right=right,
            top=1 - 0.48 * dpi / height,
            bottom=0.28 * dpi / height,
            wspace=0.14,
            hspace=0.26,
        )
        self.axes = list(grid.ravel()[: len(film.panels)])
        for unused in grid.ravel()[len(film.panels) :]:
            unused.set_axis_off()
        self.moving: list[Any] = []
        for axes, panel, box in zip(self.axes, film.panels, limits(film), strict=True):
            self._prepare(axes, panel, box)
        self._head(figure, 1 - 0.16 * dpi / height, left, right)
        self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def _prepare(self, axes, panel, box):
        axes.set(xlim=box[:2], ylim=box[2:], aspect="equal")
        axes.set_title(style.literal(panel.name))
        axes.set_title(
            f"test mse in the end {panel.mse:.3g}",
            loc="right",
            fontsize=8,
            fontweight="normal",
            color="#606060",
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(need("matplotlib.ticker", extra="train").MaxNLocator(4, integer=False))
        axes.tick_params(labelsize=7.5, length=2, pad=2)
        patches = need("matplotlib.patches", extra="train")
        line = {
            "fill": False,
            "edgecolor": "#404040",
            "linewidth": 0.9,
            "linestyle": (0, (4, 3)),
            "zorder": 1.5,
        }
        squares = {each.bounds for each in self.film.panels if each.bounds is not None}
        # The bounds of one panel, drawn in all of them, show how the scales differ.
        for low, high in sorted(squares):
            axes.add_patch(patches.Rectangle((low, low), high - low, high - low, **line))
        if panel.name == "vae":
            axes.add_patch(patches.Circle((0, 0), _CIRCLE, **line))
        film = self.film
        numbers = None if film.numbers is None else film.numbers[self.chosen]
        groups = [(None, slice(None), "C0", "o")]
        if numbers is not None:
            groups = [(n, numbers == n, *style.sign_of(i)) for i, n in enumerate(np.unique(numbers))]
        for _, chosen, color, marker in groups:
            dots = axes.scatter(
                [], [], s=9, color=color, marker=marker, linewidths=0, alpha=0.75, animated=True
            )
            self.moving.append((axes, dots, panel, chosen))
        for number, chosen, _, _ in groups if numbers is not None else ():
            name = style.literal(film.names[number])
            text = axes.text(
                0, 0, name, ha="center", va="center", weight="bold", fontsize=10, color="black",
                path_effects=style.outlined(), clip_on=True, animated=True,
            )  # fmt: skip
            self.moving.append((axes, text, panel, chosen))

    def _head(self, figure, top, left, right):
        lines = need("matplotlib.lines", extra="train")
        self.step = figure.text(left, top, "", va="center", fontsize=10, animated=True)
        figure.text(
            right,
            top,
            f"latents of {style.literal(self.film.data)}, in training",
            va="center",
            ha="right",
            fontsize=8.5,
            color="#606060",
        )
        self.bar = lines.Line2D(
            [left, left],
            [0.012, 0.012],
            color="#404040",
            linewidth=2,
            animated=True,
            transform=figure.transFigure,
        )
        figure.add_artist(self.bar)
        self.ends = left, right

    def draw(self, number: int) -> np.ndarray:
        """Returns frame `number`: uint8 (H, W, 3)."""
        film = self.film
        self.canvas.restore_region(self.background)
        for axes, artist, panel, chosen in self.moving:
            points = panel.latents[number][self.chosen][chosen]
            if hasattr(artist, "set_offsets"):
                artist.set_offsets(points)
            else:
                artist.set_position(np.median(points, axis=0))
            axes.draw_artist(artist)
        self.step.set_text(f"step {film.steps[number]:,} of {film.steps[-1]:,}")
        left, right = self.ends
        self.bar.set_xdata([left, left + (right - left) * film.steps[number] / film.steps[-1]])
        for artist in (self.step, self.bar):
            self.step.figure.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()


# -- files -------------------------------------------------------------------------------------------


def check_formats(formats: Sequence[str]) -> Any:
    """Returns the formats; raises OptionError for an unknown one, MissingExtraError without an encoder."""
    if not formats:
        check_choice("format", "", FORMATS)
    for form in formats:
        check_choice("format", form, FORMATS)
    if "mp4" in formats:
        _encoder()
    return list(dict.fromkeys(formats))


def save_film(
    film: Film,
    stem: str | os.PathLike[str],
    formats: Sequence[str] = FORMATS,
    *,
    width: int = 960,
    fps: float = 20,
    tell: Callable[[int, int], Any] = lambda done, of: None,
) -> list[pathlib.Path]:
    """Writes a film: STEM.mp4, STEM.gif, and STEM.png, its last frame; all of them or none.

    The GIF is for pages: at most 720 pixels, 64 frames and 400 points, so that it stays small.

    Args:
        film: a `Film`.
        stem: path without a suffix.
        formats: among "mp4", "gif", "png".
        width: of the MP4 in pixels, 320 to 3840; the poster has twice as many.
        fps: frames a second, 1 to 60.
        tell: called with (frames that are drawn, frames in all).

    Returns:
        The paths, in the order of `formats`.

    Raises:
        OptionError: a format, width or fps that cannot be used, or a class whose name cannot be set.
        MissingExtraError: an MP4 is asked for, and its encoder is not installed.
    """
    formats = check_formats(formats)
    check_numbers(width, fps)
    present = () if film.numbers is None else np.unique(film.numbers)
    style.check_texts([film.names[number] for number in present] if film.names else [])
    stem = pathlib.Path(stem)
    paths = [stem.with_name(f"{stem.name}.{form}") for form in formats]
    writers = {"mp4": _write_mp4, "gif": _write_gif, "png": _write_png}
    count = len(film.steps)
    costs = {"mp4": count, "gif": min(count, _GIF["frames"]), "png": 1}
    whole, done = sum(costs[form] for form in formats), 0
    with contextlib.ExitStack() as files:
        for form, path in zip(formats, paths, strict=True):
            new = files.enter_context(replacing(path))
            for _ in writers[form](film, new, width, fps):
                done += 1
                tell(done, whole)
    return paths


def check_numbers(width: int, fps: float) -> None:
    """Raises OptionError for a width or a number of frames a second that no film has."""
    for option, value, least, most in (("--size", width, _LEAST, _MOST), ("--fps", fps, 1, 60)):
        check_positive(option, value, least=least)
        if value > most:
            raise OptionError(
                f"{option} is too large",
                got=f"{option} {value}",
                expected=f"{least} to {most}",
                fix=f"{option} {most}",
            )


def _write_png(film, path, width, fps):
    from PIL import Image

    Image.fromarray(Stage(film, min(2 * width, _MOST)).draw(len(film.steps) - 1)).save(path, optimize=True)
    yield


def _write_gif(film, path, width, fps):
    from PIL import Image

    stage = Stage(film, min(width, _GIF["width"]), _GIF["points"])
    last = len(film.steps) - 1
    shown = np.unique(np.rint(np.linspace(0, last, min(last + 1, _GIF["frames"]))).astype(int))
    # One palette for all frames, of the last, where every colour is: else still parts would flicker.
    palette = Image.fromarray(stage.draw(last)).quantize(_GIF["colors"], Image.Quantize.MEDIANCUT)
    images = []
    for number in shown:
        images.append(Image.fromarray(stage.draw(number)).quantize(palette=palette, dither=Image.Dither.NONE))
        yield
    # As long as the MP4, in the hundredths of a second that a GIF counts in.
    duration = 10 * max(2, round(100 * (last + 1) / len(shown) / fps))
    durations = [duration] * (len(shown) - 1) + [duration + int(1000 * _HELD)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False)


def _write_mp4(film, path, width, fps):
    stage = Stage(film, width)
    # One thread, and no version of the encoder: the same film, the same bytes.
    flags = ["-crf", "23", "-preset", "slow", "-threads", "1", "-movflags", "+faststart"]
    flags += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    try:
        writer = _encoder().write_frames(
            str(path), stage.size, fps=fps, codec="libx264", macro_block_size=2, output_params=flags,
            ffmpeg_log_level="error",
        )  # fmt: skip
        try:
            writer.send(None)
            for number in range(len(film.steps)):
                frame = stage.draw(number)
                writer.send(frame)
                yield
            for _ in range(int(_HELD * fps)):
                writer.send(frame)
        finally:
            writer.close()
    except OSError as error:
        raise AezooError(
            "the encoder of MP4 stopped",
            got=str(error).strip().splitlines()[-1][:200],
            expected=f"a film of {stage.size[0]} x {stage.size[1]} pixels at {path.name}",
            fix="look for room on the disk, or pass formats=['gif', 'png']",
        ) from error
    if not path.is_file():
        raise _without_encoder("the encoder wrote no file")


def _encoder():
    """Returns the module imageio_ffmpeg, whose wheel brings the encoder."""
    try:
        module = need("imageio_ffmpeg", extra="film")
        module.get_ffmpeg_exe()
    except MissingExtraError as error:
        raise _without_encoder("no module named 'imageio_ffmpeg'") from error
    except RuntimeError as error:  # a wheel without its program, and none on the PATH
        raise _without_encoder(str(error).splitlines()[0][:120]) from error
    return module


def _without_encoder(got):
    return MissingExtraError(
        "an MP4 is written by a program that is not installed",
        got=got,
        expected="the extra 'film' of aezoo, whose wheel brings the encoder",
        fix="pip install \"aezoo[film]\", or pass formats=['gif', 'png']",
    )
