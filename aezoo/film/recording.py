"""Films two latents during training: the same autoencoder with different activations of its latents.

All panels begin with the same weights and see the same examples in the same order, so that what
differs between them is the activation alone; the word `vae` adds a panel with the prior N(0, I).
Latents of all frames are taken first and drawn afterwards: only then is known which axes hold them all.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import DataError, OptionError
from aezoo.core.options import Sizes, check_positive, nearest
from aezoo.core.progress import progress_bar
from aezoo.data.classes import class_names, only_classes
from aezoo.models import build
from aezoo.nn.layers import activation_names, keras, layers
from aezoo.plots.style import MOST_CLASSES
from aezoo.training.loop import seed_everything
from aezoo.training.settings import Settings

VAE = "vae"
MOST_PANELS = 6
_POINTS = 2000  # test examples whose latents are shown; more hide each other
_TESTED = 10_000
_LEARNING_RATE = 1e-3  # of Adam
# Without normalisation the first hundred steps push all latents of tanh into one corner, where its gradient
# ends (seen with gelu, relu and leaky_relu, at 0.0001 to 0.002). An encoder's statistics must not trail
# behind its weights, or frames would show their catching up: Keras's own momentum takes hundreds of steps.
_NORMALIZATION, _MOMENTUM = "batch", 0.9
_GROWTH = 2.5  # frames lie at steps that grow with this power: most happens at the beginning
_HEADS = {"posterior_mean": "bottleneck"}  # a layer of `vae` that begins as one of `dense`
# What the values of an activation cannot leave.
BOUNDS = {
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "relu6": (0.0, 6.0),
}


@dataclasses.dataclass(frozen=True)
class Panel:
    """One training.

    Attributes:
        name: of the activation, or "vae".
        latents: (frames, N, 2) float32, of the same test examples in every frame.
        mse: of the test part at the end; of rows in standard deviations of the columns.
    """

    name: str
    latents: np.ndarray
    mse: float

    @property
    def bounds(self) -> Any:
        """(lowest, highest) that the activation lets a latent be, or None."""
        return BOUNDS.get(self.name)


@dataclasses.dataclass(frozen=True)
class Film:
    """Latents of several trainings, frame by frame.

    Attributes:
        panels: a `Panel` each.
        steps: (frames,) int: the step after which each frame was taken; the first is 0.
        numbers: (N,) class numbers of the examples, or None.
        names: of the classes, by number; None without labels.
        data: name of the dataset.
    """

    panels: tuple
    steps: np.ndarray
    numbers: np.ndarray | None
    names: list | None
    data: str


def make_film(
    dataset: Any,
    activations: Sequence[str] = ("tanh", "leaky_relu", VAE),
    *,
    classes: Sequence[str] | None = None,
    epochs: int = 10,
    frames: int = 120,
    every: int | None = None,
    seed: int = 0,
    units: Sizes = (512, 256),
    progress: Any = True,
) -> Film:
    """Trains a two-latent `dense` autoencoder for each activation, and keeps the latents of its frames.

    Args:
        dataset: of images or rows.
        activations: Keras names, of the latents; "vae" stands for a variational one without any.
        classes: names or labels of the classes to keep; None is all.
        epochs: of each training.
        frames: how many, at most; close together at the beginning, where most happens.
        every: steps between two frames instead, evenly.
        seed: of initial weights, order of the data and noise; the same for every panel.
        units: sizes of the hidden layers of `dense`.
        progress: whether a bar is shown on a terminal.

    Returns:
        A `Film`.

    Raises:
        OptionError: an unknown activation or class, too many panels, or a number out of range.
        DataError: sequences, more classes than can be told apart, or no labels to choose classes by.
    """
    activations = check_activations(activations)
    settings = Settings(epochs=epochs, learning_rate=_LEARNING_RATE, seed=seed)
    check_positive("frames", frames, least=2, usual=120)
    if every is not None:
        check_positive("every", every)
    dataset = _check_data(dataset, classes)
    total = epochs * -(-len(dataset.train) // settings.batch_size)
    steps = frame_steps(total, frames, every)
    examples = dataset.test.array(_POINTS)
    with progress_bar(enabled=progress) as bar:
        tasks = [bar.add_task(f"training {name}", total=total) for name in activations]
        panels = []
        for name, task in zip(activations, tasks, strict=True):
            model = build_panel(name, dataset, settings, units)
            keeper = _Frames(examples, steps, functools.partial(_tell, bar, task))
            _train(model, dataset, settings, keeper)
            panels.append(Panel(name, np.stack(keeper.latents), _mse(model, dataset)))
    numbers = None if dataset.test.labels is None else dataset.test.class_numbers[: len(examples)]
    return Film(tuple(panels), steps, numbers, class_names(dataset), dataset.name)


def _tell(bar: Any, task: Any, done: int) -> None:
    bar.update(task, completed=done)


def check_activations(activations: Sequence[str]) -> list[str]:
    """Returns the names of the panels, each once; raises OptionError for an unknown one, or too many."""
    names = list(dict.fromkeys(activations))
    known = [VAE, *activation_names()]
    for name in names or [""]:
        if name not in known:
            raise OptionError(
                f"there is no activation of this name{nearest(name, known)}",
                got=f"latent activation {name!r}",
                expected=f"one of {', '.join(known)}",
                fix="pass activations=['tanh', 'leaky_relu', 'vae']",
            )
    if len(names) > MOST_PANELS:
        raise OptionError(
            "so many panels could not be read",
            got=f"{len(names)} activations",
            expected=f"{MOST_PANELS} at most",
            fix=f"pass activations={names[:MOST_PANELS]!r}",
        )
    return names


def frame_steps(total: int, frames: int, every: int | None = None) -> np.ndarray:
    """Returns the steps after which frames are taken, int (F,), rising from 0 to `total`.

    >>> frame_steps(100, 6).tolist(), frame_steps(100, 6, every=40).tolist()
    ([0, 2, 10, 28, 57, 100], [0, 40, 80, 100])
    """
    if every is not None:
        return np.unique(np.append(np.arange(0, total, every), total))
    return np.unique(np.rint(total * np.linspace(0, 1, frames) ** _GROWTH).astype(int))


def _check_data(dataset, classes):
    if dataset.kind == "sequences":
        raise DataError(
            "a film shows autoencoders of images and of rows",
            got=f"{dataset.name}, sequences of shape {tuple(dataset.shape)}",
            expected="images, or a table",
            fix="load 'mnist_mini' instead, or draw maps of a trained conv1d",
        )
    if classes is not None:
        dataset = only_classes(dataset, classes)
    numbers = [] if dataset.test.labels is None else np.unique(dataset.test.labels)
    if len(numbers) > MOST_CLASSES:
        raise DataError(
            "so many classes cannot be told apart by colour and sign",
            got=f"{len(numbers)} classes of {dataset.name}",
            expected=f"{MOST_CLASSES} at most",
            fix=f"pass classes={class_names(dataset)[:4]!r}",
        )
    return dataset


def build_panel(name: str, dataset: Any, settings: Any, units: Sizes = (512, 256)) -> Any:
    """Builds the model of a panel; all panels of a seed have the same initial weights.

    Args:
        name: of an activation, or "vae".
        dataset: whose shape it takes.
        settings: with the seed.
        units: sizes of the hidden layers.
    """
    shape = {"features": dataset.shape[0]} if dataset.kind == "rows" else {"image_shape": dataset.shape}
    seed_everything(settings)
    body = {"units": units, "normalization": _NORMALIZATION}
    plain = build("dense", latent_dim=2, **body, **shape)
    if name == VAE:
        model = build(VAE, latent_dim=2, seed=settings.seed, body_options=body, **shape)
    else:
        model = build("dense", latent_dim=2, latent_activation=name, **body, **shape)
    for part, start in ((model.encoder, plain.encoder), (model.decoder, plain.decoder)):
        for layer in part.layers:
            if layer.weights and layer.name != "posterior_log_var":
                source = start.get_layer(_HEADS.get(layer.name, layer.name))
                layer.set_weights(source.get_weights())
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = _MOMENTUM
    if model.kind == "rows":
        model.adapt(dataset.train.array())
    model.compile(keras.optimizers.Adam(settings.learning_rate))
    return model


class _Frames(keras.callbacks.Callback):
    """Keeps the latents of examples after certain steps."""

    def __init__(self, examples: np.ndarray, steps: np.ndarray, tell: Callable[[int], Any]) -> None:
        super().__init__()
        self.examples, self.wanted, self.tell = examples, set(steps.tolist()), tell
        self.latents: list[np.ndarray] = []
        self.done = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.keep()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done += 1
        self.keep()
        if self.done % 10 == 0:
            self.tell(self.done)

    def on_train_end(self, logs: Any = None) -> None:
        self.tell(self.done)

    def keep(self) -> None:
        if self.done in self.wanted:
            outputs = self.model.encoder.predict_on_batch(self.examples)
            self.latents.append(outputs[0] if isinstance(outputs, (list, tuple)) else outputs)


def _train(model, dataset, settings, keeper):
    batches = dataset.train.batches(settings.batch_size, shuffle_seed=settings.seed, epochs=settings.epochs)
    steps = -(-len(dataset.train) // settings.batch_size)
    model.fit(
        batches, epochs=settings.epochs, steps_per_epoch=steps, callbacks=[keeper], verbose=0, shuffle=False
    )
    latents = keeper.latents[-1]
    if not np.isfinite(latents).all():
        raise DataError(
            "latents are no longer numbers",
            got=f"{np.count_nonzero(~np.isfinite(latents))} of {latents.size} after {keeper.done} steps",
            expected="finite latents",
            fix="choose another activation, or fewer epochs",
        )


def _mse(model, dataset):
    examples = dataset.test.array(_TESTED)
    return float(np.square((model.reconstruct(examples) - examples) / model.error_scale).mean())
