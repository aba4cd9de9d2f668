"""What all pictures share: one style sheet, colours and markers of classes, grids of images, files.

Matplotlib without a screen and without `pyplot`, so that drawing changes nothing in a program that has
figures of its own. The same input gives the same bytes, PNG and SVG: no date, no version, no random name.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.files import replacing
from aezoo.core.imports import need
from aezoo.core.options import nearest
from aezoo.core.shown import one_line

Figure = Any  # of Matplotlib, which is imported when something is drawn
STYLE_SHEET = pathlib.Path(__file__).with_name("aezoo.mplstyle")
SIGNS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")  # of classes, beside their colours
MOST_CLASSES = 20  # that colours and signs still tell apart; more are drawn alike
SUFFIXES = ("png", "svg")
_VECTORS = 1000  # points that an SVG draws one by one; more become a picture inside it


@contextlib.contextmanager
def style(font: str | None = None) -> Iterator[None]:
    """Context manager: figures are made, and saved, in the one style.

    Args:
        font: name of the family that texts are set in; None is DejaVu Sans, which Matplotlib brings.

    Raises:
        OptionError: no font of this name is installed.
    """
    matplotlib_style = need("matplotlib.style", extra="train")
    matplotlib = need("matplotlib", extra="train")
    with matplotlib_style.context(STYLE_SHEET):
        if font is not None:
            _check_font(font)
            matplotlib.rcParams["font.family"] = [font, "DejaVu Sans"]
        yield


def _check_font(font):
    manager = need("matplotlib.font_manager", extra="train")
    known = sorted({entry.name for entry in manager.fontManager.ttflist})
    if font not in known:
        raise OptionError(
            f"no font of this name is installed{nearest(font, known)}",
            got=f"font {font!r}",
            expected=f"one of {', '.join(known[:8])}" + (", ..." if len(known) > 8 else ""),
            fix="leave font out, or install the font and delete Matplotlib's font cache",
        )


def check_texts(texts: Iterable[object]) -> None:
    """Raises OptionError where the style's fonts have no sign for a letter, which would become a box.

    Args:
        texts: what is to be written, for example names of classes. Call it within `style`.
    """
    manager = need("matplotlib.font_manager", extra="train")
    matplotlib = need("matplotlib", extra="train")
    families = matplotlib.rcParams["font.family"]
    fonts = [manager.get_font(manager.findfont(manager.FontProperties(family=name))) for name in families]
    known = {code for font in fonts for code in font.get_charmap()}
    for text in map(one_line, texts):
        missing = [letter for letter in text if ord(letter) not in known and not letter.isspace()]
        if missing:
            raise OptionError(
                "the font has no sign for a letter",
                got=f"{missing[0]!r} (U+{ord(missing[0]):04X}) in {text!r}, font {families[0]}",
                expected="letters that the font has",
                fix="name an installed font that has them, for example font='Noto Sans CJK JP'",
            )


def literal(text: object, most: int = 60) -> str:
    """Returns a name that Matplotlib draws as it is, on one line: dollars in it are no formulas.

    Args:
        text: of a class, a column or a data set, whatever it holds.
        most: letters that there is room for.
    """
    return one_line(text, most).replace("$", r"\$")


def subplots(*shape: int, figsize: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """Returns (figure, axes) as `pyplot.subplots` does, with a figure that nothing else knows of."""
    layout = options.pop("layout", None)
    figure = need("matplotlib.figure", extra="train").Figure(figsize=figsize, layout=layout)
    return figure, figure.subplots(*shape, **options)


def save(path: str | os.PathLike[str], figure: Figure) -> None:
    """Writes a figure, whole or not at all; PNG or SVG, by the suffix."""
    nothing = {".png": ("Software",), ".svg": ("Date", "Creator")}[pathlib.Path(path).suffix]
    with replacing(path) as new:
        figure.savefig(new, metadata=dict.fromkeys(nothing))


# -- classes ---------------------------------------------------------------------------------------


def sign_of(number: int) -> tuple[Any, Any]:
    """Returns (colour, marker) of the number-th class that is shown; ten of them differ in both."""
    colors = need("matplotlib", extra="train").rcParams["axes.prop_cycle"].by_key()["color"]
    return colors[number % len(colors)], SIGNS[(number + number // len(colors)) % len(SIGNS)]


def outlined() -> Any:
    """Returns the path effects of a text that must be read on top of points."""
    effects = need("matplotlib.patheffects", extra="train")
    return [effects.withStroke(linewidth=2.5, foreground="white")]


def scatter(
    axes: Any,
    points: np.ndarray,
    numbers: np.ndarray | None,
    names: Any,
    size: int = 9,
) -> Figure:
    """Draws points by class: colour, sign, and the name where the middle of the class lies.

    Args:
        axes: of Matplotlib.
        points: (N, 2).
        numbers: (N,) class numbers, or None.
        names: of the classes.
        size: of a point, in square points.
    """
    rasterized = len(points) > _VECTORS
    present: Any = [] if numbers is None else np.unique(numbers)
    if not 1 < len(present) <= MOST_CLASSES:
        axes.scatter(*points.T, s=size, linewidths=0, alpha=0.8, rasterized=rasterized)
        return
    drawn = []
    for rank, number in enumerate(present):
        color, marker = sign_of(rank)
        dots = axes.scatter(
            *points[numbers == number].T,
            s=2.2 * size if marker == "*" else size,  # a star fills little of its square
            color=color,
            marker=marker,
            linewidths=0,
            alpha=0.8,
            rasterized=rasterized,
        )
        drawn.append(dots)
    for number in present:
        middle = np.median(points[numbers == number], axis=0)
        text = literal(names[number])
        if len(text) <= 12:
            axes.text(
                *middle,
                text,
                ha="center",
                va="center",
                weight="bold",
                path_effects=outlined(),
                clip_on=True,
            )
    # Named here, since a label that begins with "_" is none to Matplotlib.
    labels = [literal(names[number]) for number in present]
    axes.legend(drawn, labels, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0.2)


# -- images ----------------------------------------------------------------------------------------


def montage(images: np.ndarray, columns: int) -> np.ndarray:
    """Returns images (N, H, W, C) as one, `columns` in a line, with a white pixel around each."""
    images = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0)
    count, height, width, depth = images.shape
    grid = images.reshape(count // columns, columns, height, width, depth).transpose(0, 2, 1, 3, 4)
    return grid.reshape(count // columns * height, columns * width, depth)


def show(axes: Any, picture: np.ndarray, **options: Any) -> None:
    """Shows an image (H, W, C) in [0, 1] without axes around it; further options are of `imshow`."""
    axes.set(xticks=[], yticks=[])
    bare(axes)
    picture = np.clip(picture, 0.0, 1.0)
    if picture.shape[-1] in (1, 2):  # grey, or grey with an opacity that is left out
        axes.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=1, **options)
    else:
        axes.imshow(picture, **options)


def bare(axes: Any) -> None:
    """Takes the grid and the frame away from axes."""
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
