"""What training shows while it runs: a bar within the epoch on a terminal, a line after each."""

import math
import time
from typing import Any

import numpy as np

from aezoo.core.errors import TrainingError
from aezoo.core.files import replacing, sha256_of
from aezoo.core.progress import progress_bar
from aezoo.nn.layers import Standardize, Unstandardize, keras, leaves
from aezoo.training import checkpoint
from aezoo.training.optimizers import swap_averages
from aezoo.training.records import best_epoch, epochs_done
from aezoo.training.run import Run
from aezoo.training.settings import Settings

SHARE = 0.05  # of a run's time, that goes into what a killed one goes on from
_FIRST_COST = 0.5  # seconds, before one was measured


class EpochLines(keras.callbacks.Callback):
    """Prints one line an epoch; on a terminal a bar with the loss stands below them.

    Args:
        steps: in an epoch.
        epochs: in all.
    """

    def __init__(self, steps: int, epochs: int) -> None:
        super().__init__()
        self.steps, self.epochs = steps, epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.bar = progress_bar("{task.fields[loss]}")
        self.bar.start()
        self.task = self.bar.add_task("", total=self.steps, loss="")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar.reset(self.task, description=f"epoch {epoch + 1}/{self.epochs}", loss="")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # A Python number out of a tensor waits for the device: not at every step.
        loss = f"loss {float(logs['loss']):.5f}" if batch % 20 == 0 and logs else None
        fields: dict[str, Any] = {"loss": loss} if loss else {}
        self.bar.update(self.task, completed=batch + 1, **fields)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None  # Keras passes them
        self.bar.console.print(
            f"epoch {epoch + 1:>3}/{self.epochs}  loss {logs['loss']:.5f}  val_loss {logs['val_loss']:.5f}"
        )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.stop()


class _Keeper(keras.callbacks.Callback):
    """After each epoch the history; by time the best model, then the checkpoint; and early stopping."""

    def __init__(self, run: Run, point: checkpoint.Point, settings: Settings) -> None:
        super().__init__()
        self.run, self.point, self.settings = run, point, settings
        self.least_gain = run.info.get("least_gain", 0.0)
        self._best: list[np.ndarray] | None = None  # what model.keras does not hold yet
        self._written, self._cost = time.monotonic(), _FIRST_COST

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None  # Keras passes them
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.keep(epoch + 1, logs["loss"], logs["val_loss"], rate, time.monotonic() - self.begun)
        if self.exhausted():
            self.model.stop_training = True

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        swap_averages(self.point.model)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        swap_averages(self.point.model)

    def keep(self, epoch: int, loss: float, val_loss: float, rate: float, seconds: float) -> None:
        """Writes what an epoch has come to; 0 is the model before its training.

        Args:
            epoch: its number.
            loss, val_loss: of the training and of the validation part.
            rate: of learning, at its end.
            seconds: that it took.
        """
        row = {
            "epoch": epoch,
            "loss": float(loss),
            "val_loss": float(val_loss),
            "learning_rate": rate,
            "seconds": round(seconds, 2),
        }
        if not math.isfinite(row["loss"] + row["val_loss"]):
            raise TrainingError(
                "the loss is no longer a number",
                got=f"loss={row['loss']}, val_loss={row['val_loss']} in epoch {row['epoch']}",
                expected="finite losses",
                fix=f"pass a lower learning rate than {self.settings.learning_rate:g}",
            )
        rows = self.point.rows
        rows.append(row)
        self.run.write_history(rows)
        if best_epoch(rows, self.least_gain) == row["epoch"]:
            swap_averages(self.point.model)
            self._best = _values(self.point.model)
            swap_averages(self.point.model)
        if (time.monotonic() - self._written) * SHARE >= self._cost:
            self.write()

    def write(self) -> None:
        """Writes what a killed run goes on from."""
        begun = time.monotonic()
        self.write_best()
        checkpoint.write(self.point, self.run)
        self._written = time.monotonic()
        self._cost = self._written - begun

    def write_best(self) -> None:
        """Writes model.keras, unless it holds the best epoch already."""
        if self._best is None:
            return
        model, now = self.point.model, _values(self.point.model)
        _assign(model, self._best)
        # Only the arithmetic of training is of lower precision, never the file.
        _set_precision(model, "float32")
        with replacing(self.run.model_file) as path:
            model.save(path, include_optimizer=False)
            self.point.model_sha256 = sha256_of(path)
        _set_precision(model, self.settings.precision)
        _assign(model, now)
        self._best = None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.write_best()

    def exhausted(self) -> bool:
        """Whether the last epoch is done or patience has run out."""
        done = epochs_done(self.point.rows)
        patience = self.settings.patience
        return done >= self.settings.epochs or (
            patience is not None and done > 0 and done - best_epoch(self.point.rows) >= patience
        )


def _values(model):
    """Returns all that a model, its random generators too, or an optimiser remembers, as arrays."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]


def _assign(model, values):
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def _set_precision(model, precision):
    # Raw units of a table need more digits than bfloat16 has, and so do the final values.
    exact = (Standardize, Unstandardize)
    last = list(leaves(model.decoder))[-1]
    for part in (model.encoder, model.decoder):
        for layer in leaves(part):
            keep = isinstance(layer, exact) or layer is last
            layer.dtype_policy = "float32" if keep else precision
