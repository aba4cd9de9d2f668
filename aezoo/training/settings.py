"""How a model is trained. No framework is imported here: the command line reads the defaults."""

import dataclasses
import math

from aezoo.core.errors import OptionError
from aezoo.core.options import check_between, check_choice, check_names, check_positive, check_seed

PRECISIONS = ("float32", "mixed_bfloat16")
LOSSES = ("mse", "mae", "huber", "log_cosh", "binary_crossentropy")
SCHEDULES = ("cosine", "constant")
OPTIMIZERS = ("adam", "adamw", "muon")
XLA = ("auto", "on", "off")
AUGMENTATIONS = ("flip", "shift", "crop", "brightness")
# Settings that runs of earlier versions do not hold: what they were trained by is the default.
LATER = ("optimizer", "weight_decay", "ema", "augment", "xla")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a model is trained; the defaults suit MNIST.

    Attributes:
        epochs: passes over the training part, at most.
        batch_size: examples a step.
        learning_rate: of the optimiser, at its highest.
        schedule: "cosine" (warm-up over the first 2 % of the steps, then down to 1 % of the
            highest rate; Loshchilov & Hutter 2017, arXiv:1608.03983) or "constant".
        loss: "mse", "mae", "huber", "log_cosh" or "binary_crossentropy" (images only).
        patience: epochs without a lower validation loss after which training stops; None: never.
        precision: "float32" or "mixed_bfloat16", of the arithmetic in training alone; what is
            saved is float32.
        seed: of initial weights, data order and corruption.
        optimizer: "adam", "adamw" or "muon" (for matrices between hidden layers, AdamW for all else).
        weight_decay: decoupled, of all but biases, scales and codes; None is what Keras takes, nothing for
            "adam" and 0.004 for the others.
        ema: momentum of averages of the weights over the steps, usually 0.99; None takes none. The averages
            are what is validated and kept; training goes on from the weights themselves.
        augment: what is done to the images of a training batch, anew at each step and in this order: "flip"
            (left and right), "shift" (up to a tenth of a side), "crop" (7/8 of the sides, brought back to
            the size), "brightness" (up to a fifth of the range).
        xla: whether steps are compiled by XLA: "on", "off", or "auto", which tries both at the beginning of a
            training of two minutes or more and keeps the quicker, so that the last digits of the weights
            differ where another choice is made; None is off on CPUs and on elsewhere.

    Raises:
        OptionError: a value that cannot be used.
    """

    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    loss: str = "mse"
    patience: int | None = None
    precision: str = "float32"
    seed: int = 0
    optimizer: str = "adam"
    weight_decay: float | None = None
    ema: float | None = None
    augment: tuple[str, ...] = ()
    xla: str | None = None

    def __post_init__(self) -> None:
        check_positive("epochs", self.epochs, usual=Settings.epochs)
        check_positive("batch_size", self.batch_size, usual=Settings.batch_size)
        if self.patience is not None:
            check_positive("patience", self.patience, usual=10)
        check_seed(self.seed)
        check_choice("loss", self.loss, LOSSES)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("precision", self.precision, PRECISIONS)
        object.__setattr__(self, "augment", check_names("augment", self.augment, AUGMENTATIONS))
        for name in self.augment:
            check_choice("augment", name, AUGMENTATIONS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.xla is not None:
            check_choice("xla", self.xla, XLA)
        if self.weight_decay is not None:
            check_between("weight_decay", self.weight_decay, 0.0, math.inf, 0.004)
        if self.ema is not None:
            check_between("ema", self.ema, 0.0, 1.0, 0.99)
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise OptionError(
                "the learning rate is a positive number",
                got=f"learning_rate={self.learning_rate!r}",
                expected="more than 0, usually 0.0001 to 0.01",
                fix="pass learning_rate=0.002",
            )
