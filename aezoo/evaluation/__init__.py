"""Figures of a trained model, each with its unit in its name.

`evaluate(model, dataset)` gives the figures of the test part; the modules hold them one by one.
"""

from aezoo.evaluation.summary import evaluate

__all__ = ["evaluate"]
