"""`load`: a name or a path becomes a Dataset.

"mnist_mini"              the embedded digits
"sklearn:breast_cancer"   and the other tables that scikit-learn ships
"sktime:GunPoint"         and the other series of equal length that sktime ships
"quasi_periodic"          signals made by a generator, with faults in the test part
a path                    to a folder of images, a .npy, .npz, .csv, .tsv, .parquet or .ts file;
                          NAME_TRAIN.ts brings NAME_TEST.ts along
"mnist", "mnist:3.0.1"    and the other image sets of TensorFlow Datasets; an existing path comes first
"""

import dataclasses
import functools
import importlib.util
import os
import pathlib
from collections.abc import Sequence
from typing import Unpack

from numpy.typing import ArrayLike

from aezoo.core.digits import check_digits
from aezoo.core.errors import DataError, OptionError
from aezoo.core.options import nearest
from aezoo.data.classes import chosen_classes
from aezoo.data.contents import told_of
from aezoo.data.dataset import Dataset
from aezoo.data.load_options import Cut
from aezoo.data.pairs import check_noisy, paired
from aezoo.data.pixels import BYTES, UNIT, Scale, scaled_parts
from aezoo.data.sources.embedded import FILES, read_embedded
from aezoo.data.sources.generated import GENERATORS, generate
from aezoo.data.sources.image_files import SUFFIXES
from aezoo.data.sources.image_folder import read_image_folder
from aezoo.data.sources.in_memory import IN_MEMORY, check_there, is_series, read_series
from aezoo.data.sources.numpy_files import read_numpy
from aezoo.data.sources.scikit_learn import PREFIX, read_scikit_learn
from aezoo.data.sources.sktime_series import PREFIX as SKTIME
from aezoo.data.sources.sktime_series import read_sktime
from aezoo.data.sources.table_options import Said, TableOptions
from aezoo.data.sources.tables import read_table
from aezoo.data.sources.ts_files import problem_name, read_ts
from aezoo.data.splitting import three_parts

READERS = {
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".csv": read_table,
    ".tsv": read_table,
    ".parquet": read_table,
    ".ts": read_ts,
}
TABLES = (".csv", ".tsv", ".parquet")
PARTS = {"train": "training", "validation": "validation", "test": "test"}  # and the word for each
_USUAL = (("uint8", BYTES), ("float32", UNIT))  # what images hold where nobody states a range
_SOURCES = "an existing path, mnist_mini, quasi_periodic, sklearn:NAME, sktime:NAME"
# Suffixes that say "a file" of a source that is not there; no set of TensorFlow Datasets ends so.
FILE_SUFFIXES = (*READERS, *SUFFIXES, ".zip", ".txt", ".h5", ".pkl", ".gz", ".json")


def load(
    source: str | os.PathLike[str] | Sequence[ArrayLike],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_shape: Sequence[int] | None = None,
    kind: str | None = None,
    value_range: Sequence[float] | Scale | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
    download: bool = False,
    feature_names: Sequence[str] | None = None,
    window: int | None = None,
    stride: int | None = None,
    only_classes: Sequence[str | int] | None = None,
    exclude_classes: Sequence[str | int] | None = None,
    noisy: str | os.PathLike[str] | None = None,
    **table: Unpack[Said],
) -> Dataset:
    """Returns a source of examples as a `Dataset` with three parts.

    Parts that the source has of its own are used; what is missing is cut from train, never from test.

    Args:
        source: a path or a name, see the top of this module; or a list of series (n, F) of any lengths.
        data_dir: where TensorFlow Datasets has prepared its sets; None is TFDS_DATA_DIR, else its default.
        image_shape: (H, W, C) to which images of a folder or a set are resized; None keeps them.
        kind: "images", "sequences" or "rows", where a file could hold either, see `as_examples`.
            "sequences" also makes (N, T, 1) of a table or array (N, T).
        value_range: (low, high), the pixel values that become 0 and 1, as of a camera with 12 bits (0, 4095).
            None takes bytes as 0 to 255, floats in [0, 1] as they are, and for deeper images the extremes of
            the training part, which a `DataNote` tells. What lies outside becomes 0 or 1.
        validation_fraction, test_fraction: of train, where the source has no such part.
        seed: of the cut, and of generated signals. Sets of TensorFlow Datasets are cut at their end.
        download: whether a set that is not prepared may be downloaded.
        feature_names: of a model that is to take the data, () where it knows none: the columns of a table
            are taken by these names, and the other options for tables count where the file leaves a choice.
            None where a model is to be trained: then the table must be beyond doubt.
        window, stride: W makes sequences (W, F) of a long series (T, F), a table or array, `stride` rows
            apart (None: an eighth of W). Its last rows are the validation part, then the test part.
        only_classes, exclude_classes: names or labels; see `aezoo.data.classes`.
        noisy: the same examples with noise, for a denoiser; see `aezoo.data.pairs`.
        table: labels, columns, drop, delimiter, decimal, header: what a table holds and how its text is to
            be read, see `table_options.Said`; what is left out is found out.

    Raises:
        OptionError: an option that cannot be used.
        DataError: the source is not there, cannot be read, or breaks the contract of examples; or
            float32 does not keep the digits of a column.

    >>> dataset = load("mnist_mini")
    >>> len(dataset.train), len(dataset.validation), len(dataset.test)
    (5400, 600, 1000)
    """
    _check_source(source)
    said, scale = TableOptions.checked(**table), Scale.checked(value_range)
    cuts = (validation_fraction, test_fraction, seed, said, feature_names, window, stride)
    cut = Cut.checked(image_shape, kind, scale, *cuts, only_classes, exclude_classes)
    _check_unused(IN_MEMORY if is_series(source) else str(source), cut)
    return _with_pairs(source, noisy, data_dir, download, cut)


def _with_pairs(source, noisy, data_dir, download, cut):
    classes = (cut.only_classes, cut.exclude_classes)
    if noisy is not None:
        check_noisy(source, noisy)
    dataset = chosen_classes(_loaded(source, data_dir, download, cut), *classes)
    if noisy is None:
        return dataset
    # In the range of the clean pixels, whatever their own extremes are.
    recorded = dataset.load_options["value_range"]
    cut = cut if recorded is None else dataclasses.replace(cut, scale=Scale.checked(recorded))
    return paired(dataset, chosen_classes(_loaded(noisy, data_dir, download, cut), *classes))


def _loaded(source, data_dir, download, cut):
    if not is_series(source) and is_image_set(source):
        return _load_set(str(source), data_dir, download, cut)
    contents, name, source = _read(source, cut)
    return _dataset_of(_as_asked(contents, cut, name), name, source, cut)


def is_image_set(source: str | os.PathLike[str]) -> bool:
    """Whether a source is the name of a set of TensorFlow Datasets, if it is anything."""
    if source in FILES or source in GENERATORS or str(source).startswith((PREFIX, SKTIME)):
        return False
    if isinstance(source, os.PathLike) or _means_a_file(source):
        return False
    return not pathlib.Path(source).expanduser().exists()


def _check_source(source):
    if is_series(source):
        return
    check_there(source)
    if not isinstance(source, (str, os.PathLike)) or not str(source).strip():
        raise OptionError(
            "a source is a name or a path",
            got=f"source={source!r}"
            if isinstance(source, str)
            else f"source of type {type(source).__name__}",
            expected="'mnist_mini', a path, or a name of TensorFlow Datasets",
            fix="pass source='mnist_mini'; an array goes into a file first, with numpy.save",
        )
    whole, bracket, part = str(source).rpartition("[")
    if bracket and part.rstrip("]") in PARTS and not pathlib.Path(source).expanduser().exists():
        raise OptionError(
            "this needs a source with all its parts",
            got=f"source={str(source)!r}, one part",
            expected="a name or a path without a part in brackets",
            fix=f"pass source={whole!r}",
        )


def _check_unused(source, cut):
    """Raises OptionError for an option that a source of this name has no use for."""
    if not source.lower().endswith(TABLES):
        cut.table.check_unused(source, takes_labels=source.lower().endswith(".npz"))
    if cut.windows is not None:
        cut.windows.check_source(source)


def _as_asked(contents, cut, name):
    """Returns the contents as the kind that was asked for; windows are cut later."""
    if cut.windows is None:
        return contents.as_kind(cut.kind, source=name)
    cut.windows.check_rows(contents, source=name)
    return contents


def _read(source, cut):
    """Returns (contents, short name, source as `load` takes it again) of all but TensorFlow Datasets."""
    if is_series(source):
        return read_series(source), "series", IN_MEMORY
    if source in FILES:
        return read_embedded(source), source, source
    if source in GENERATORS:
        return generate(source, cut.seed), source, source
    if str(source).startswith(PREFIX):
        return read_scikit_learn(source), source.removeprefix(PREFIX), source
    if str(source).startswith(SKTIME):
        return read_sktime(source), source.removeprefix(SKTIME), source
    path = pathlib.Path(source).expanduser()
    if not path.exists():
        _refuse_missing(path)
    name = problem_name(path) if path.is_file() else path.resolve().name
    return _read_path(path, cut), name, os.path.abspath(path)


def _dataset_of(contents, name, source, cut):
    if contents.kind != "images" and cut.feature_names is None:
        check_digits(
            contents.parts["train"][0],
            source=name,
            names=contents.feature_names,
            droppable=str(source).lower().endswith(TABLES),
        )
    contents = contents.in_float32()
    examples = contents.parts["train"][0]
    _check_image_shape(cut.image_shape, contents.kind, examples.shape[1:], name)
    cut.scale.check_kind(contents.kind, source=name)
    digest = contents.sha256()  # before anything is cut or scaled: the same for every seed and range
    if cut.windows is None:
        parts = three_parts(contents, **cut.fractions, seed=cut.seed, source=name)
    else:
        parts, contents = cut.windows.parts(contents, **cut.fractions, source=name)
    pixel_range, recorded = None, None
    if contents.kind == "images":
        parts, pixel_range = scaled_parts(parts, cut.scale, source=name)
        recorded = None if (str(examples.dtype), pixel_range) in _USUAL else pixel_range
    return Dataset(
        name=name,
        source=str(source),
        load_options=cut.load_options(value_range=recorded),
        kind=contents.kind if cut.windows is None else "sequences",
        shape=parts["train"].shape,
        stored_dtype=str(parts["train"].examples.dtype),
        label_names=contents.label_names,
        feature_names=contents.feature_names,
        hasher=lambda: digest,
        pixel_range=pixel_range,
        pixel_dtype=str(examples.dtype) if contents.kind == "images" else None,
        unread_files=contents.unread_files,
        ragged=contents.ragged,
        notes=(*contents.notes, *told_of(contents, _rows_of(parts["train"]), source=name)),
        cut_parts=tuple(
            name for name in ("validation", "test") if name not in contents.parts and cut.windows is None
        ),
        **parts,
    )


def _rows_of(part):
    """Returns the examples of a part; of windows the rows, each once."""
    return getattr(part, "series", part.examples)


def _read_path(path, cut):
    if path.is_dir():
        return read_image_folder(path, cut.image_shape)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        image = path.suffix.lower() in SUFFIXES
        raise DataError(
            f"{path.name}: no kind of file that can be loaded",
            got=str(path),
            expected=f"a folder of images, or a file that ends in {', '.join(READERS)}",
            fix=f"pass the folder of the images, {str(path.parent)!r}"
            if image
            else "convert it to .npz or .csv",
        )
    if not path.is_file():  # a pipe would never end
        raise DataError(
            f"{path.name}: no file",
            got=f"{path}, a pipe or a device",
            expected="a regular file",
            fix="save what comes out of it to a file first",
        )
    if reader is read_numpy:
        series = cut.windows is not None
        kind = "sequences" if series else cut.kind
        return read_numpy(path, kind, cut.scale, labels=cut.table.labels, series=series)
    if reader is read_table:
        return read_table(path, cut.table, expected=cut.feature_names)
    return reader(path)


def _check_image_shape(image_shape, kind, shape, name):
    """Raises OptionError for an image_shape that arrays and tables do not have: they are not resized."""
    if image_shape is not None and image_shape != tuple(shape):
        what = f"{kind} of shape {tuple(shape)}"
        raise OptionError(
            f"{name}: image_shape resizes the images of folders and sets, not arrays",
            got=f"image_shape={image_shape} for {what}",
            expected=f"no image_shape for {what}",
            fix="leave image_shape out, or resize the array before saving it",
        )


def _means_a_file(source):
    """Whether a source that does not exist was meant as a path, rather than as the name of a set."""
    return (
        source.lower().endswith(FILE_SUFFIXES)
        or source.startswith((".", "~", os.sep))
        or source.endswith(os.sep)
        or "\\" in source
    )


def _refuse_missing(path):
    folder = path.parent
    names = os.listdir(folder) if folder.is_dir() else []
    raise DataError(
        f"no such file or folder{nearest(path.name, names)}",
        got=f"{path} (does not exist)",
        expected=f"a folder of images, or a file that ends in {', '.join(READERS)}",
        fix="check the path" if folder.is_dir() else f"check the path: there is no folder {folder}",
    )


def _load_set(source, data_dir, download, cut):
    """Returns the Dataset of a TensorFlow Datasets name."""
    from aezoo.data.sources import tfds_images

    if cut.kind not in (None, "images"):
        raise OptionError(
            "sets of TensorFlow Datasets are loaded as images",
            got=f"kind={cut.kind!r} for source={source!r}",
            expected="kind='images', or no kind",
            fix="leave kind out, or pass the path of a file",
        )
    if cut.scale.stated not in (None, BYTES) or cut.scale.trained is not None:
        raise OptionError(
            "sets of TensorFlow Datasets are loaded as bytes",
            got=f"a value range of {cut.scale.stated or cut.scale.trained} for source={source!r}",
            expected="bytes from 0 to 255",
            fix="leave value_range out",
        )
    data_dir = None if data_dir is None else os.path.abspath(os.path.expanduser(data_dir))
    builder = None
    if tfds_images.NAME.fullmatch(source):
        builder = _builder(source, data_dir, download)
    if builder is None:
        _refuse_unknown(source, tfds_images.nearest_name(source))
    parts, label_names = tfds_images.open_parts(builder, image_shape=cut.image_shape, **cut.fractions)
    shape = parts["train"].shape
    config = f"/{builder.builder_config.name}" if builder.builder_config else ""
    return Dataset(
        name=builder.name,
        source=f"{builder.name}{config}:{builder.version}",
        load_options=cut.load_options(data_dir),
        kind="images",
        shape=shape,
        stored_dtype="uint8",
        label_names=label_names,
        feature_names=None,
        cut_parts=tuple(name for name in ("validation", "test") if parts[name].split == parts["train"].split),
        hasher=functools.partial(tfds_images.hash_files, builder, shape),
        pixel_range=BYTES,
        pixel_dtype="uint8",
        **parts,
    )


def _builder(source, data_dir, download):
    from aezoo.data.sources import tfds_images

    if importlib.util.find_spec("tensorflow_datasets") is None:  # the base install: most likely a wrong path
        raise DataError(
            f"no path and no dataset on this machine is called {source!r}",
            got=f"source={source!r}, in the folder {os.getcwd()}",
            expected=_SOURCES,
            fix='check the path; image sets of TensorFlow Datasets need pip install "aezoo[train]"',
        )
    return tfds_images.find_builder(source, data_dir=data_dir, download=download)


def _refuse_unknown(source, hint):
    raise DataError(
        f"no path and no dataset is called {source!r}{hint}",
        got=f"source={source!r}, in the folder {os.getcwd()}",
        expected=f"{_SOURCES}, or a name of TensorFlow Datasets",
        fix="check the spelling; for image sets see https://www.tensorflow.org/datasets/catalog for names",
    )
