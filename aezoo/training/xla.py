"""Whether a training is compiled by XLA: what is quicker differs by model and processor, and is measured."""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

from aezoo.core.imports import refused_by_tensorflow
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.layers import keras
from aezoo.training.callbacks import _assign, _values

_LONG = 120.0  # seconds of steps, from which looking for the quicker way is worth its own time
_FEWEST = 1000  # steps, which are never so long that they would be worth it otherwise
_WARM, _TIMED = 3, 9  # steps: the first ones trace, compile and fill caches
_GAIN = 0.95  # of a step's time: what is less of a gain may be noise


class _Clock(keras.callbacks.Callback):
    """Notes how long each step takes."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._begun)


def compile_quicker(
    model: Autoencoder,
    compiled: Callable[[bool], None],
    batches: Callable[[], Any],
    steps: int,
) -> dict[str, Any] | None:
    """Compiles a model by XLA where that makes its steps quicker; the model stays as it is.

    Args:
        model: compiled, without XLA.
        compiled: compiles it anew, with XLA or without, with a new optimiser.
        batches: returns a stream of training batches.
        steps: of the whole training.

    Returns:
        {"chosen": whether, "step_ms": median milliseconds of a step with it, None where it cannot,
        "step_ms_without": of one without}; None where nothing was measured, because the training is short.
    """
    if steps < _FEWEST:
        return None
    plain = _step(model, batches)
    if plain * steps < _LONG:
        return None
    compiled(True)
    try:
        by_xla = _step(model, batches)
    except Exception as error:  # an operation that XLA does not know has an error of TensorFlow's own
        if refused_by_tensorflow(error) is None and "XLA" not in str(error):
            raise
        by_xla = math.inf
    chosen = by_xla <= _GAIN * plain
    if not chosen:
        compiled(False)
    return {
        "chosen": chosen,
        "step_ms": round(1000 * by_xla, 2) if math.isfinite(by_xla) else None,
        "step_ms_without": round(1000 * plain, 2),
    }


def _step(model, batches):
    """Returns the median seconds of a training step; model and optimiser are afterwards what they were.

    So the training goes on with what was compiled here.
    """
    clock, before = _Clock(), [_values(each) for each in (model, model.optimizer)]
    try:
        model.fit(batches(), steps_per_epoch=_WARM + _TIMED, callbacks=[clock], verbose=0, shuffle=False)
    finally:
        for each, values in zip((model, model.optimizer), before, strict=True):
            _assign(each, values)
    return statistics.median(clock.seconds[_WARM:])
