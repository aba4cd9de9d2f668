"""Where examples come from: ONE notion of a source for every command and for whoever calls it. No framework.

A source is a path (an image, a folder of images, a .npy, .npz, .csv, .tsv, .parquet or .ts file), which is
read whole; or a name that `data.load` knows ("mnist_mini", "sklearn:wine", "mnist"), of which the test part
is read. SOURCE[train], SOURCE[validation] and SOURCE[test] are the parts that a training would get.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import DataError, OptionError, note
from aezoo.core.examples import check_shape
from aezoo.core.options import check_positive, nearest
from aezoo.data.classes import class_names
from aezoo.data.contents import Contents, as_examples
from aezoo.data.dataset import Dataset
from aezoo.data.examples import Examples, Numbers
from aezoo.data.load_options import CLASSES, check_recorded
from aezoo.data.loading import PARTS, READERS, TABLES, is_image_set, load
from aezoo.data.pixels import Scale, scaled
from aezoo.data.series import check_stride, dataset_in_steps, fits, in_steps, in_windows, series_of
from aezoo.data.sources.image_files import SUFFIXES, read_images
from aezoo.data.sources.image_folder import images_at, labels_of_folders
from aezoo.data.sources.numpy_files import read_arrays, read_numpy
from aezoo.data.sources.table_options import TableOptions
from aezoo.data.sources.tables import read_table
from aezoo.data.sources.ts_files import read_ts
from aezoo.data.windows import is_series

_TABLE_OPTIONS = {field.name for field in dataclasses.fields(TableOptions)}
_WITH_PART = re.compile(r"(?P<source>.+)\[(?P<part>\w*)\]", re.DOTALL)


def read_for(
    model: Any,
    source: str | pathlib.Path,
    *,
    run: Mapping[str, Any] | None = None,
    data_dir: str | pathlib.Path | None = None,
    value_range: Sequence[float] | None = None,
    labels: str | None = None,
    stride: int | None = None,
) -> Examples:
    """Reads the examples of a source as a model takes them; of a long series, its windows.

    Args:
        model: an `Autoencoder` or a loaded bundle.
        source: a path, which is read whole, or a name that `load` knows, of which the test part is read;
            either with [train], [validation] or [test] behind it is that part, as a training gets it.
        run: what run.json says of the model's training, or None: a test part is cut as it was for the
            training, and a table has to have the columns of the training.
        data_dir: where TensorFlow Datasets lie prepared.
        value_range: (low, high) of images, in the place of that of the training; see `load`.
        labels: the column of a table, or the array of an .npz file, that holds them; None is what the
            training was told.
        stride: rows between the starts of two windows of a long series; None is that of the training.

    Raises:
        DataError: there is no such source, it cannot be read, or its examples are none that the model takes.
        OptionError: no such part, or a stride that cannot be used.
    """
    takes_bytes = model.example_dtype == "uint8"
    if pathlib.Path(source).expanduser().exists():
        columns = run["data"].get("feature_names") if run else model.feature_names
        dtype = "uint8" if takes_bytes else "float32"
        table = _table_options(run, source, labels)
        scale = Scale.of_run(run, value_range)
        told: dict[str, Any] = {"table": table, "scale": scale, "stride": _stride_of(run, model, stride)}
        told["ragged"] = model.ragged
        found = read_path(source, model.example_shape, dtype=dtype, feature_names=columns, **told)
        check_stride(found, stride)
        return _with_class_numbers(found, model.classes)
    name, part = split_part(source)
    options: dict[str, Any] = {"labels": labels, "value_range": value_range, "stride": stride}
    dataset = load_for(model, name, run=run, data_dir=data_dir, **options)
    chosen = getattr(dataset, part)
    examples = chosen.array()
    if takes_bytes and dataset.stored_dtype == "uint8":
        examples = np.rint(examples * 255).astype("uint8")
    found = Examples(
        examples,
        Numbers(len(examples)),
        None if chosen.labels is None else chosen.class_numbers.astype("int64"),
        class_names(dataset),
        dataset.feature_names,
        f"{dataset.name}, {PARTS[part]} part",
        dataset,
        notes=dataset.notes,
        series=series_of(chosen, stride),
    )
    check_stride(found, stride)
    return found


def load_for(
    model: Any,
    source: str | pathlib.Path | None = None,
    *,
    run: Mapping[str, Any] | None = None,
    data_dir: str | pathlib.Path | None = None,
    value_range: Sequence[float] | None = None,
    labels: str | None = None,
    stride: int | None = None,
) -> Dataset:
    """Loads a source with all its parts, in the shape that a model takes and cut as its training was.

    Args:
        model: an `Autoencoder` or a loaded bundle.
        source: what `load` takes; None is what the model was trained on, as `run` says.
        run: what run.json says of the model's training, or None.
        data_dir: where TensorFlow Datasets lie prepared.
        value_range: (low, high) of images, in the place of that of the training; see `load`.
        labels, stride: as for `read_for`.

    Raises:
        DataError: there is no such source, it cannot be read, or its examples have another shape.
    """
    # The cut of the training, so that the test part holds nothing that was trained on.
    options = dict(run["data"]["load_options"]) if run else {}
    check_recorded(options)  # a bundle's are anybody's
    options["data_dir"] = data_dir or options.get("data_dir")
    options["value_range"] = Scale.of_run(run, value_range)
    if source is None:
        source = run["data"]["source"] if run else None
        if source is None:  # a bundle carries no path
            raise DataError(
                "nothing says what this model was trained on",
                got="no source",
                expected="a path, or the name of a dataset",
                fix="pass source='mnist_mini'",
            )
        path = pathlib.Path(source)
    else:
        path = pathlib.Path(source).expanduser()
        resized = path.is_dir() or is_image_set(source)
        of_arrays = path.suffix.lower() in (".npy", ".npz")
        options["kind"] = model.kind if of_arrays else None
        if not _is_that_of(run, source):  # whose classes are others
            options = {name: value for name, value in options.items() if name not in CLASSES}
        options["image_shape"] = model.example_shape if resized and model.kind == "images" else None
        options = {name: value for name, value in options.items() if name not in _TABLE_OPTIONS}
        options |= _table_options(run, source, labels).given()
        options |= {} if stride is None or "window" not in options else {"stride": stride}
        if not is_series(path):
            options = {name: value for name, value in options.items() if name not in ("window", "stride")}
        options["feature_names"] = (run["data"].get("feature_names") if run else model.feature_names) or ()
    dataset = load(source, **options)
    if model.ragged:
        dataset = dataset_in_steps(dataset, model.example_shape[0])
    count = sum(len(getattr(dataset, part)) for part in PARTS)
    name = path.name if path.exists() else dataset.name
    check_shape(np.broadcast_to(False, (count, *dataset.shape)), model.example_shape, source=name)
    return dataset


def _is_that_of(run, source):
    """Whether a source is what a run was trained on."""
    trained = str(run["data"]["source"]) if run else ""
    return trained in (str(source), os.path.abspath(source)) or trained.startswith(f"{source}:")


def _table_options(run, source, labels):
    """Returns the `TableOptions` for a source: those of the training if it is a table, and the labels."""
    suffix = pathlib.PurePath(source).suffix.lower()
    if labels is not None and suffix not in (*TABLES, ".npz"):
        TableOptions(labels).check_unused(str(source))
    given = dict(run["data"]["load_options"]) if run and suffix in TABLES else {}
    given = {name: value for name, value in given.items() if name in _TABLE_OPTIONS}
    return TableOptions.checked(**given | ({} if labels is None else {"labels": labels}))


def _stride_of(run, model, stride):
    """Returns the stride that was asked for; else that of the training, at most a window, or None."""
    trained = run["data"]["load_options"].get("stride") if run else None
    if stride is not None or trained is None:
        return stride
    return min(check_positive("stride", trained), model.example_shape[0])


def split_part(source: str | pathlib.Path) -> tuple[str, str]:
    """Returns (source, part) of "SOURCE[PART]"; without one the part is "test".

    Raises:
        OptionError: no such part.

    >>> split_part("mnist_mini"), split_part("sklearn:wine[train]")
    (('mnist_mini', 'test'), ('sklearn:wine', 'train'))
    """
    match = _WITH_PART.fullmatch(str(source))
    if match is None:
        return str(source), "test"
    if match["part"] not in PARTS:
        raise OptionError(
            f"a source has no part {match['part']!r}{nearest(match['part'], PARTS)}",
            got=str(source),
            expected=f"{', '.join(f'[{part}]' for part in PARTS)}, or nothing, which is the test part",
            fix=f"{match['source']}[train]",
        )
    return match["source"], match["part"]


def _with_class_numbers(found, classes):
    """Returns examples of a path whose labels are class numbers, each with a name."""
    if found.labels is None or found.class_names is not None:
        return found
    if classes is not None:  # a conditional model's numbers, each as it was trained with
        return dataclasses.replace(found, class_names=[str(number) for number in range(classes)])
    known, numbers = np.unique(found.labels, return_inverse=True)
    return dataclasses.replace(found, labels=numbers, class_names=[str(label) for label in known])


def read_path(
    path: str | pathlib.Path,
    shape: tuple[int, ...],
    *,
    dtype: str = "float32",
    feature_names: Sequence[str] | None = None,
    scale: Scale | None = None,
    table: TableOptions | None = None,
    stride: int | None = None,
    ragged: bool = False,
) -> Examples:
    """Reads all examples of a file or a folder for a model of a given shape.

    Labels are those of a file that has them, or of a folder whose images all lie in folders; names of
    classes are None where labels are numbers alone.

    Args:
        path: an image, a folder of images at any depth, or a .npy, .npz, .csv, .tsv, .parquet or .ts file.
        shape: of one example, (H, W, C), (T, F) or (F,); images of a folder are resized and
            converted to it, an array (N, ?, ?) is taken for images or sequences by it.
        feature_names: of the columns that the model was trained on: a table's are taken by name.
        dtype: "float32" gives images in [0, 1]; "uint8" gives bytes, or floats where the images are deeper.
        scale: of images; None where nothing is known of a training.
        table: what is known of a table, or None; of an .npz file its `labels` count.
        stride: of the windows, where the file holds a long series; see `series.in_windows`.
        ragged: whether series may end before T, which a file of shorter ones need not reach.

    Raises:
        DataError: no such file, an unknown suffix, or examples that break the contract.
    """
    path = pathlib.Path(path).expanduser()
    scale = Scale(of_model=True) if scale is None else scale
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in SUFFIXES:
        found = _read_images(path, shape)
    elif suffix == ".npy" and path.is_file():
        found = _map_file(path, shape, dtype, feature_names, scale, ragged)
        return in_windows(found, shape, stride) if fits(found.stored.shape, shape) else found
    elif suffix in READERS and path.is_file():
        found = _read_file(path, suffix, shape, feature_names, table or TableOptions(), scale)
        stored = in_steps(found.stored, shape, ragged, source=path.name)
        found = dataclasses.replace(found, stored=stored)
    else:
        raise DataError(
            "no examples can be read from there",
            got=f"{path}" + ("" if path.exists() else " (does not exist)"),
            expected=f"a folder of images, or a file that ends in {', '.join((*SUFFIXES, *READERS))}",
            fix="check the path, or save an array with numpy.save('images.npy', images)",
        )
    if fits(found.stored.shape, shape):
        return in_windows(found, shape, stride)
    check_shape(found.stored, shape, source=path.name)
    scale.check_kind("images" if len(shape) == 3 else "rows and sequences", source=path.name)
    if len(shape) < 3:
        return found
    return dataclasses.replace(found, stored=_for_model(found.stored, scale, dtype, path.name))


def _for_model(images, scale, dtype, source):
    """Returns images as a model takes them: float32 in [0, 1], or bytes where they are stored so."""
    value_range = scale.range_for(images, source=source)
    assert value_range is not None  # of a model's images it is known, or refused
    array = scaled(images, value_range, source=source)
    if dtype == "float32" and array.dtype == np.uint8:
        return array / np.float32(255)
    if dtype == "uint8" and array.dtype != np.uint8 and images.dtype.kind != "f":
        note(f"{source}: the model takes bytes, so its value range is cut into 256 levels")
    return array


def _read_images(path, shape):
    if len(shape) < 3:
        what, instead = {
            2: ("sequences", f"sequences of shape {tuple(shape)}"),
            1: ("rows", f"a table of {shape[0]} columns"),
        }[len(shape)]
        raise DataError(
            f"this model takes {what}, not images",
            got=str(path),
            expected=instead,
            fix=f"pass a .npy, {'.npz or .ts' if what == 'sequences' else '.csv or .parquet'} file",
        )
    files = images_at(path)
    names = [str(file.relative_to(path)) if path.is_dir() else file.name for file in files]
    return Examples(
        read_images(files, shape, name=path.name), names, *labels_of_folders(names), None, path.name
    )


def _map_file(path, shape, dtype, feature_names, scale, ragged):
    """Returns the `Examples` of a .npy file, which are read and checked as they are taken."""
    stored = read_arrays(path, mapped=True)
    kind, known = _kind_of(shape), scale.known_for(stored.dtype)
    scale.check_kind("images" if len(shape) == 3 else "rows and sequences", source=path.name)

    if stored.ndim == 1 and shape[1:] == (1,):
        stored = stored[:, None]
    if fits(stored.shape, shape):
        rows = as_examples(stored, source=path.name)
        return Examples(rows, Numbers(len(rows)), None, None, feature_names, path.name)

    def take(examples):
        checked = as_examples(examples, source=path.name, kind=kind, value_range=known)
        found = _as_series(Contents({"train": (checked, None)}), shape, path).in_float32().parts["train"][0]
        found = in_steps(found, shape, ragged, source=path.name)
        return found if kind != "images" else _for_model(found, scale, dtype, path.name)

    try:
        like = take(stored[:1])
    except (DataError, IndexError):
        like = take(stored)  # names the place in the whole
    check_shape(np.broadcast_to(like[:1], (len(stored), *like.shape[1:])), shape, source=path.name)
    return Examples(stored, Numbers(len(stored)), None, None, feature_names, path.name, take=take)


def _read_file(path, suffix, shape, feature_names, table, scale):
    contents = _contents(path, suffix, shape, feature_names, table, scale).in_float32()
    examples, labels = zip(*contents.parts.values(), strict=True)
    array = examples[0] if len(examples) == 1 else np.concatenate(examples)
    labelled = all(each is not None for each in labels)
    names = contents.label_names if labelled else None
    return Examples(
        array,
        Numbers(len(array)),
        np.concatenate(labels) if labelled else None,
        None if names is None else list(names),
        contents.feature_names or feature_names,
        path.name,
        notes=contents.notes,
    )


def _contents(path, suffix, shape, feature_names, table, scale):
    """Returns the `Contents` of a file; what its axes leave open, the model's shape tells."""
    reader = READERS[suffix]
    if reader is read_ts:
        return read_ts(path, alone=True)
    if reader is read_table:
        contents = read_table(path, table, expected=tuple(feature_names or ()))
    else:
        # Of several features two axes can only be one long series.
        series = len(shape) == 2 and shape[1] > 1
        contents = read_numpy(path, _kind_of(shape), scale, labels=table.labels, series=series)
    return _as_series(contents, shape, path)


def _kind_of(shape):
    return {2: "sequences", 3: "images"}.get(len(shape))


def _as_series(contents, shape, path):
    """Returns rows, where a model takes sequences of one value, as such sequences."""
    are_series = contents.kind == "rows" and _kind_of(shape) == "sequences" and shape[-1] == 1
    if are_series and fits(contents.parts["train"][0].shape, shape):  # one long series
        return contents
    return contents.as_kind("sequences", source=path.name) if are_series else contents
