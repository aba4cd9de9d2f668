"""The model that a command is given, and the examples: what stands behind RUN_OR_BUNDLE and SOURCE."""

import argparse
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from aezoo.cli import output, parsing
from aezoo.core.errors import DataError, OptionError

Answer = TypeVar("Answer")


def open_bundle(parsed: argparse.Namespace) -> tuple[Any, Mapping | None]:
    """Loads the bundle of a command, its files of --precision; returns it and what it says of its run."""
    from aezoo import runtime

    precision = getattr(parsed, "precision", "float32")
    bundle = runtime.load(parsed.bundle, precision=precision, digest=parsed.digest)
    return bundle, bundle.manifest.run


def open_model(path: str, precision: str = "float32") -> tuple[Any, Mapping | None]:
    """Loads a run, a bundle or a .keras file.

    Args:
        path: of it.
        precision: of a bundle's files.

    Returns:
        (model, run): the model, and what run.json says of its training, or None.

    Raises:
        RunError, BundleError: there is none.
        OptionError: a precision of what is no bundle.
    """
    from aezoo.loading import load
    from aezoo.runtime.manifest import is_bundle

    if is_bundle(path):
        from aezoo import runtime

        bundle = runtime.load(path, precision=precision)
        return bundle, bundle.manifest.run
    if precision != "float32":
        raise OptionError(
            "only the files of a bundle have a precision",
            got=f"--precision {precision} for {path}, which is no bundle",
            expected="the folder of a bundle",
            fix=f"aezoo export {path} --formats onnx --precision {precision} -o bundle",
        )
    model = load(path)
    if not pathlib.Path(path).is_dir():
        return model, None
    from aezoo.training.run import Run

    return model, Run(path).info


def read_source(parsed: argparse.Namespace, model: Any, run: Mapping | None) -> Any:
    """Returns the `Examples` of a command's SOURCE, as the model takes them; says what was understood of it.

    See `reading.read_for`.
    """
    from aezoo.data.reading import read_for

    labels = getattr(parsed, "labels", None)
    column = labels if parsing.is_column(labels) else None
    options = {"data_dir": parsed.data_dir, "value_range": parsed.value_range, "labels": column}
    options["stride"] = getattr(parsed, "stride", None)
    found = read_for(model, parsed.source, run=run, **options)
    output.say_notes(found.notes)
    return found


def answers(call: Callable[..., Answer], examples: Any, labels: Mapping[str, Any]) -> Iterator[Answer]:
    """Yields what a method of a model says of some examples after the other, so that memory stays flat.

    Args:
        call: takes examples (n, ...), and `labels` by keyword.
        examples: `Examples`, or an array (N, ...).
        labels: {"labels": (N,)}, or {}.

    Raises:
        DataError: as `call`; the error names the place among all examples.
    """
    from aezoo.core.examples import blocks
    from aezoo.core.latent_space import BATCH

    stored = getattr(examples, "stored", examples)
    rows_of = getattr(examples, "rows", stored.__getitem__)
    if any(len(array) != len(stored) for array in labels.values()):
        call(rows_of(slice(None)), **labels)  # refuses that
    for rows in blocks(stored, BATCH):
        try:
            yield call(rows_of(rows), **{name: array[rows] for name, array in labels.items()})
        except DataError:
            call(rows_of(slice(None)), **labels)
            raise


def labels_for(parsed: argparse.Namespace, model: Any, found: Any = None, count: int | None = None) -> dict:
    """Returns {"labels": (count,)} of --labels, or those that the examples have; {} where there are none.

    Args:
        parsed: with `labels`.
        model: which takes labels if it is conditional.
        found: `Examples`, or None.
        count: how many are wanted; None is as many as there are examples.
    """
    count = len(found) if count is None else count
    if parsing.is_column(parsed.labels):
        if found is None or found.labels is None:
            raise OptionError(
                "no column of labels is there",
                got=f"--labels {parsed.labels}" + (f" for {found.source}" if found else ""),
                expected="numbers, a .npy file, or a column of the table in which every cell is filled",
                fix="--labels 3,1,4",
            )
        return {"labels": found.labels[:count]}
    if parsed.labels is not None:
        return {"labels": parsing.labels_of(parsed.labels, count)}
    if model.takes_labels and found is not None and found.labels is not None:
        return {"labels": found.labels[:count]}
    return {}
