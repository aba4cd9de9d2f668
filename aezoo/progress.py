"""What a training shows while it runs: a bar within the epoch on a terminal, a line after each."""

from aezoo.bars import progress_bar
from aezoo.quiet import import_keras

keras = import_keras()


class EpochLines(keras.callbacks.Callback):
    """Prints one line an epoch; on a terminal a bar with the loss stands below them.

    Args:
        steps: in an epoch.
        epochs: in all.
    """

    def __init__(self, steps, epochs):
        super().__init__()
        self.steps, self.epochs = steps, epochs

    def on_train_begin(self, logs=None):
        self.bar = progress_bar("{task.fields[loss]}")
        self.bar.start()
        self.task = self.bar.add_task("", total=self.steps, loss="")

    def on_epoch_begin(self, epoch, logs=None):
        self.bar.reset(self.task, description=f"epoch {epoch + 1}/{self.epochs}", loss="")

    def on_train_batch_end(self, batch, logs=None):
        # A Python number out of a tensor waits for the device: not at every step.
        loss = f"loss {float(logs['loss']):.5f}" if batch % 20 == 0 and logs else None
        self.bar.update(self.task, completed=batch + 1, **({"loss": loss} if loss else {}))

    def on_epoch_end(self, epoch, logs=None):
        self.bar.console.print(
            f"epoch {epoch + 1:>3}/{self.epochs}  loss {logs['loss']:.5f}  val_loss {logs['val_loss']:.5f}"
        )

    def on_train_end(self, logs=None):
        self.bar.stop()
