"""The scorer of a bundle: what its verdict goes by, and the one graph that says it."""

from aezoo.export.scoring.graph import build, score_examples
from aezoo.export.scoring.scores import SCORES, Score, fit

__all__ = ["SCORES", "Score", "build", "fit", "score_examples"]
