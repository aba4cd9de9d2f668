"""What a loss looks at where series end at different steps; see `aezoo.core.ragged`."""

from typing import Any

from aezoo.core.errors import OptionError
from aezoo.nn.layers import Tensor, ops


def real_steps(targets: Tensor, predictions: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns (targets, predictions, weights (B, T)) of which a mean is that of the real steps.

    The weights are T / length up to a series' end and 0 behind it, so that the mean over all T steps is the
    mean over the real ones, and each series counts alike. Behind the end both are 0: no gradient comes from
    there, and a prediction that is no number still makes a loss that is none.

    Args:
        targets: (B, T, F), NaN behind the ends.
        predictions: (B, T, F).
        rank: axes of the loss before its mean is taken.

    Raises:
        OptionError: the loss has no value for each step.
    """
    if rank != 2:
        raise OptionError(
            "this loss has no value for each step, so that steps behind an end cannot be left out",
            got=f"a loss of {rank} axes before its mean is taken",
            expected="a loss (B, T) of examples (B, T, F), such as 'mse', 'mae' or 'huber'",
            fix="pass loss='mse'",
        )
    behind = ops.isnan(targets)
    real = 1.0 - ops.cast(ops.all(behind, axis=2), predictions.dtype)
    weights = real / ops.mean(real, axis=1, keepdims=True)
    targets = ops.where(behind, ops.zeros_like(targets), targets)
    return targets, ops.where(behind, ops.zeros_like(predictions), predictions), weights


def check_compiled(own_objective: bool, metrics: Any) -> None:
    """Raises OptionError for what would count steps behind the ends: metrics, and a model's own objective."""
    if own_objective:
        raise OptionError(
            "an objective of a model's own would count what lies behind the ends of series",
            got="Standardize(ragged=True) in a model with own_objective",
            expected="ragged with a compiled loss",
            fix="leave ragged out of Standardize, and train on series of one length",
        )
    if metrics:
        raise OptionError(
            "metrics of series of different lengths would count what lies behind their ends",
            got=f"metrics={metrics!r}",
            expected="no metrics",
            fix="leave the metrics out: the loss is of the real steps; so is model.reconstruction_error",
        )
