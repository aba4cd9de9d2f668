"""What a loss looks at where series end at different steps; see `aezoo.core.ragged`."""

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
