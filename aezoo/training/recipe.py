"""A recipe: model, data, settings and the number they reach. `aezoo train` is one without a number."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aezoo.core.errors import OptionError, RunError
from aezoo.training.settings import Settings

if TYPE_CHECKING:  # a recipe is read without Keras
    from aezoo.data import Dataset
    from aezoo.nn.autoencoder import Autoencoder


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What to train, on what, how, and what comes out.

    Attributes:
        model: name in the registry.
        data: what `aezoo.data.load` takes.
        options: of the model.
        settings: how it is trained; None takes settings, and the options that are not here, from the data.
        elsewhere: {data: Settings} where other data want other settings.
        validation_fraction: share of the training part that is held back to choose the best epoch.
        expected: {data: {metric: (value, tolerance)}} on the test part; the metric is a key of
            metrics.json, with dots for nested ones.
        evaluation: options of `aezoo.evaluation.evaluate`, for figures that cost more than a moment.
    """

    model: str
    data: str = "mnist_mini"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    settings: Settings | None = dataclasses.field(default_factory=Settings)
    elsewhere: dict[str, Settings] = dataclasses.field(default_factory=dict)
    validation_fraction: float = 0.1
    expected: dict[str, dict[str, tuple[float, float]]] = dataclasses.field(default_factory=dict)
    evaluation: dict[str, Any] = dataclasses.field(default_factory=dict)

    def settings_for(self, data: str) -> Settings | None:
        """Returns the settings for a source of data, or None where they are to be taken from it."""
        return self.elsewhere.get(unversioned(data), self.settings)


def unversioned(source: str) -> str:
    """Returns a source of data without the version of a TensorFlow Datasets set.

    >>> unversioned("mnist:3.0.1"), unversioned("sklearn:wine")
    ('mnist', 'sklearn:wine')
    """
    name, _, version = str(source).rpartition(":")
    return name if name and version[:1].isdigit() else source


TAKES_ANY = {"images": "conv", "rows": "dense", "sequences": "conv1d"}


def build_for(name: str, options: Mapping[str, Any], dataset: "Dataset") -> "Autoencoder":
    """Builds a model by name in the shape of a dataset: image_shape, sequence_shape, or features for rows.

    A conditional model gets as many classes as the dataset has labels, and whose estimates know the
    number of training examples gets that.
    """
    from aezoo.models import build, describe

    check_kind(name, dataset)
    sizes: dict[str, dict[str, Any]] = {
        "rows": {"features": dataset.shape[0]},
        "sequences": {"sequence_shape": dataset.shape},
        "images": {"image_shape": dataset.shape},
    }
    size = sizes[dataset.kind] | ({"ragged": True} if dataset.ragged else {})
    if "classes" in describe(name).options() and dataset.class_count:
        size["classes"] = dataset.class_count
    if "dataset_size" in describe(name).options():
        size["dataset_size"] = len(dataset.train)
    return build(name, **{**size, **options})


def check_kind(name: str, dataset: "Dataset") -> None:
    """Raises OptionError where the model of this name does not take such examples; imports no Keras."""
    from aezoo.models import describe

    kinds = describe(name).kinds
    if dataset.kind in kinds:
        if dataset.ragged and "ragged" not in describe(name).options():
            raise OptionError(
                f"the model {name!r} takes series of one length",
                got=f"{dataset.name}: series of different lengths, {dataset.shape[0]} steps at most",
                expected="a model with the option ragged, such as 'conv1d' or 'lstm'",
                fix="build 'conv1d', or cut the series to one length",
            )
        return
    source = pathlib.PurePath(dataset.source).name if os.path.isabs(dataset.source) else dataset.source
    raise OptionError(
        f"the model {name!r} does not take {dataset.kind}",
        got=f"{source}: {dataset.kind} of shape {tuple(dataset.shape)}",
        expected=", ".join(sorted(kinds)),
        fix=f"build {TAKES_ANY[dataset.kind]!r}"
        + (", or load the data with kind='sequences'" if "sequences" in kinds else ""),
    )


def start_from(model: "Autoencoder", folder: str | os.PathLike[str]) -> None:
    """Gives a model the weights of a run's encoder and decoder.

    Args:
        model: an `Autoencoder`.
        folder: of the finished run.

    Raises:
        RunError: no run there, or its encoder or decoder has weights of other shapes.
    """
    from aezoo.training.run import Run

    other = Run.load(folder).model
    for name in ("encoder", "decoder"):
        ours, theirs = getattr(model, name), getattr(other, name)
        shapes = [[tuple(weight.shape) for weight in part.weights] for part in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise RunError(
                f"the run's {name} has weights of other shapes",
                got=f"{folder}: {other.model_name} with {other.model_options}",
                expected=f"the body of {model.model_name} with {model.model_options}",
                fix="train both with the same latent size and body",
            )
        ours.set_weights(theirs.get_weights())
