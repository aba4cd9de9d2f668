"""Names of classes, columns and data sets that mean something to Matplotlib, or nothing to anybody."""

import types

import numpy as np
import pytest

from aezoo.film.frames import Stage, save_film
from aezoo.film.recording import Film, Panel
from aezoo.plots import maps, pictures, style
from aezoo.plots.shown import Shown

NAMES = ["$\\frac{$", "_background", "a\nb\x1b[31m", "x" * 100_000, "\u202eabc $5 or $10"]
SEEN = [
    r"\$\frac{\$",
    "_background",
    r"a\nb\x1b[31m",
    "x" * 60 + "... (100,000 letters)",
    r"\u202eabc \$5 or \$10",
]


def texts_of(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def test_names_are_drawn_as_they_are(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 2))
    with style.style():
        style.check_texts(NAMES)  # what cannot be drawn is spelled out
        figure = pictures.scatter(points, np.arange(50) % 5, NAMES)
        assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == SEEN
        style.save(tmp_path / "a.png", figure)
        style.save(tmp_path / "a.svg", figure)


class Scores:
    """A model that gives scores, and no more."""

    kind, held_parts, score_name, takes_labels = "rows", frozenset(), None, False
    error_scale = 1.0

    def reconstruction_error(self, examples, labels=None):
        return np.square(examples).mean(axis=1)

    def reconstruct(self, examples, labels=None):
        return 0.5 * examples


def test_a_class_is_not_left_out_of_the_legend(tmp_path):
    examples = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    shown = Shown(examples, np.arange(40) % 2, NAMES[:2])
    with style.style():
        figure = maps.scores(Scores(), shown, 0)
        assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == SEEN[:2]
        style.save(tmp_path / "a.png", figure)


@pytest.mark.parametrize("names", [NAMES, ["same"] * 5])
def test_columns_keep_their_places(names, tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 5)).astype("float32") * np.arange(1, 6)
    part = types.SimpleNamespace(array=lambda most: rows, labels_for=lambda model, count: None)
    dataset = types.SimpleNamespace(test=part, feature_names=names)
    with style.style():
        figure = pictures.columns(Scores(), rows, dataset)
        (axes,) = figure.axes
        assert len(axes.patches) == 5  # a bar for each, whether names are alike or not
        expected = [style.literal(name) for name in names]
        assert [label.get_text() for label in axes.get_yticklabels()] == expected
        style.save(tmp_path / "a.png", figure)


def test_a_film_of_such_names(tmp_path):
    draw = np.random.default_rng(0)
    panel = Panel("$x$", draw.normal(size=(2, 20, 2)).astype("float32"), 0.1)
    film = Film((panel,), np.array([0, 2]), np.arange(20) % 5, NAMES, "$\\frac{$\x1b")
    with style.style():
        stage = Stage(film, 400)
        told = texts_of(stage.canvas.figure)
        assert r"latents of \$\frac{\$\x1b, in training" in told
        assert r"\$x\$" in told
        assert set(SEEN) <= set(told)
        (path,) = save_film(film, tmp_path / "a", ["png"], width=400)
        assert path.is_file()
