"""What maps show: examples of a run's own data, of data that are named, or a bundle's golden ones."""

import dataclasses
import pathlib

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.examples import check_shape
from aezoo.data.classes import class_names
from aezoo.loading import load
from aezoo.runtime import manifest as contract

MOST = 3000  # examples; more hide each other


@dataclasses.dataclass(frozen=True)
class Shown:
    """Examples, and what is known about them.

    Attributes:
        examples: float32 (N, ...); images in [0, 1].
        numbers: (N,) class numbers, or None.
        names: of the classes, by number, or None.
        feature_names: of the columns, or None.
        source: where the examples come from, a text.
        normals: (M, ...) float32, others that were not trained on, to calibrate scores of a run on; or None.
        normal_numbers: (M,) their class numbers, or None.
    """

    examples: np.ndarray
    numbers: np.ndarray | None = None
    names: list | None = None
    feature_names: tuple | None = None
    source: str = "examples"
    normals: np.ndarray | None = None
    normal_numbers: np.ndarray | None = None

    @classmethod
    def of(cls, dataset):
        """Returns the test part of a dataset; its validation part calibrates."""
        count, labelled = min(len(dataset.test), MOST), dataset.test.labels is not None
        return cls(
            dataset.test.array(MOST),
            dataset.test.class_numbers[:count] if labelled else None,
            class_names(dataset),
            dataset.feature_names and tuple(dataset.feature_names),
            f"the first {count:,} of the test part of {dataset.name}"
            if count < len(dataset.test)
            else f"the test part of {dataset.name}, {count:,} examples",
            dataset.validation.array(MOST),
            dataset.validation.class_numbers[:MOST] if labelled else None,
        )

    def labels_for(self, model, chosen=slice(None)):
        """Returns the class numbers of chosen examples for a conditional model, None for any other."""
        if not getattr(model, "takes_labels", False):
            return None
        if self.numbers is None:
            raise DataError(
                "this model is told the class of each example, and these have none",
                got=f"{self.source}, without labels",
                expected="labelled examples",
                fix="name data with labels, for example --data mnist_mini",
            )
        return self.numbers[chosen]


def open_shown(path, *, data_source=None, data_dir=None):
    """Opens a run or a bundle, and the examples that its maps show.

    Args:
        path: of the run or bundle.
        data_source: a file or a folder, which is shown whole, or a name that `data.load` knows, whose test
            part is shown; None is a run's own data (its held-out examples, where those
            are not there any more), of a bundle the golden examples.
        data_dir: where TensorFlow Datasets lie prepared.

    Returns:
        (model, `Shown`).

    Raises:
        RunError, BundleError: there is none.
        DataError: the data cannot be loaded, or have another shape than the model takes.
    """
    model = load(path)
    is_bundle = contract.is_bundle(path)
    info = model.manifest.run if is_bundle else _info(path)
    if data_source is None and is_bundle:
        return model, _golden(model, info)
    if data_source is None and info is None:  # a .keras file
        data_source = "mnist_mini"
    if data_source is not None and pathlib.Path(data_source).expanduser().exists():
        return model, _file(model, info, data_source, None if is_bundle else path)
    shown = _loaded(model, info, data_source, data_dir, path)
    check_shape(shown.examples, model.example_shape, source=str(data_source or path))
    return model, shown


def _info(path):
    from aezoo.training.run import Run

    return Run(path).info if pathlib.Path(path).is_dir() else None


def _file(model, info, source, run):
    """Returns what is shown of a file or a folder: all of it. Held-out examples of a run calibrate."""
    from aezoo.data.reading import read_labelled_for
    from aezoo.training.run import Run

    _, examples, labels, texts = read_labelled_for(model, source)
    if examples.dtype == np.uint8:
        examples = examples / np.float32(255)
    names = texts
    if labels is not None and texts is None:
        known = np.unique(labels)
        if model.classes is None:  # any whole numbers, of which each is a class
            labels, names = np.searchsorted(known, labels), [str(value) for value in known]
        else:
            names = [str(value) for value in range(model.classes)]
    held = Run(run).held_out if run is not None and info is not None else {}
    features = info and info["data"].get("feature_names")
    chosen = np.unique(np.linspace(0, len(examples) - 1, MOST).astype(int))  # files often lie in order
    count = f"{len(chosen):,} of {len(examples):,}" if len(chosen) < len(examples) else f"{len(chosen):,}"
    return Shown(
        examples[chosen],
        None if labels is None else labels[chosen],
        names and list(names),
        features and tuple(features),
        f"{count} examples of {pathlib.Path(source).name}",
        held.get("examples"),
        held.get("labels"),
    )


def _loaded(model, info, source, data_dir, path):
    """Returns what is shown of named data, or of a run's own."""
    from aezoo import data

    options = dict(info["data"]["load_options"]) if info else {}
    options["data_dir"] = data_dir or options.get("data_dir")
    if source is not None:
        options["kind"] = model.kind if str(source).endswith((".npy", ".npz")) else None
        options["image_shape"] = model.example_shape if pathlib.Path(source).is_dir() else None
        return Shown.of(data.load(source, **options))
    try:
        return Shown.of(data.load(info["data"]["source"], **options))
    except DataError:
        from aezoo.training.run import Run

        held = Run(path).held_out
        names = info["data"].get("feature_names")
        return Shown(
            held["examples"],
            held.get("labels"),
            feature_names=names and tuple(names),
            source=f"{len(held['examples'])} held-out examples, since {info['data']['name']} is not there",
        )


def _golden(model, info):
    """Returns what is shown of a bundle alone: the examples that it was proven on."""
    contract.check_files(model.folder, model.manifest.golden.files)
    with np.load(model.folder / contract.GOLDEN) as arrays:
        examples = arrays["examples"]
        numbers = dict(arrays).get("labels")
    if examples.dtype == np.uint8:
        examples = examples / np.float32(255)
    features = info and info["data"].get("feature_names")
    return Shown(
        examples,
        numbers,
        None if numbers is None else [str(number) for number in range(model.classes)],
        features and tuple(features),
        f"the {len(examples)} golden examples of the bundle"
        + ("" if numbers is not None else ", which have no labels; --data names others"),
    )
