"""`load`: a name or a path becomes a Dataset."""

import functools
import os
import pathlib

from aezoo.core.errors import DataError, OptionError
from aezoo.core.options import nearest
from aezoo.data import options
from aezoo.data.dataset import Dataset
from aezoo.data.sources.embedded import FILES, read_embedded
from aezoo.data.sources.generated import GENERATORS, generate
from aezoo.data.sources.image_folder import read_image_folder
from aezoo.data.sources.numpy_files import read_numpy
from aezoo.data.sources.scikit_learn import PREFIX, read_scikit_learn
from aezoo.data.sources.sktime_series import PREFIX as SKTIME
from aezoo.data.sources.sktime_series import read_sktime
from aezoo.data.sources.tables import read_table
from aezoo.data.sources.ts_files import problem_name, read_ts
from aezoo.data.splitting import three_parts

READERS = {
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".csv": read_table,
    ".parquet": read_table,
    ".ts": read_ts,
}
# Suffixes that say "a file" of a source that is not there; no set of TensorFlow Datasets ends so.
FILE_SUFFIXES = (*READERS, ".png", ".jpg", ".jpeg", ".zip", ".tsv", ".txt", ".h5", ".pkl", ".gz", ".json")


def load(
    source,
    *,
    data_dir=None,
    image_shape=None,
    kind=None,
    validation_fraction=0.1,
    test_fraction=0.1,
    seed=0,
    download=False,
):
    """Returns a source of examples as a `Dataset` with three parts.

    Parts that the source has of its own are used. What is missing is cut from train: validation
    always from train, never from test.

    Args:
        source: "mnist_mini", the embedded digits; "sklearn:breast_cancer" and the other tables that
            scikit-learn ships; "sktime:GunPoint" and the other series of equal length that sktime
            ships; "quasi_periodic", signals made by a generator, with faults in the test part; a
            path to a folder of images, an .npy, .npz, .csv, .parquet or .ts; or the name of a
            TensorFlow Datasets image set ("mnist", "cifar10", "mnist:3.0.1"). An existing path
            comes before a set of the same name. NAME_TRAIN.ts brings NAME_TEST.ts along.
        data_dir: where TensorFlow Datasets has prepared its sets; None is TFDS_DATA_DIR, else its
            own default.
        image_shape: (H, W, C) to which the images of a folder or a set are resized; None keeps
            them. Arrays are never resized.
        kind: "images", "sequences" or "rows", where a file could hold either. None: an array of
            four axes holds images, of two rows. Of three (N, ?, ?) it holds sequences (N, T, F) if
            it is called so in its .npz, or if a float is below -1 or above 255; otherwise grey
            images. "sequences" also makes sequences (N, T, 1) of a table or array (N, T).
        validation_fraction: of train, where the source has no validation part.
        test_fraction: of train, where the source has no test part.
        seed: of the cut, and of signals that are generated. Sets of TensorFlow Datasets are cut at
            their end, as they lie shuffled.
        download: whether a set that is not prepared may be downloaded.

    Raises:
        OptionError: an option that cannot be used.
        DataError: the source is not there, cannot be read, or breaks the contract of examples.

    >>> dataset = load("mnist_mini")
    >>> len(dataset.train), len(dataset.validation), len(dataset.test)
    (5400, 600, 1000)
    """
    if not isinstance(source, (str, os.PathLike)) or not str(source).strip():
        raise OptionError(
            "a source is a name or a path",
            got=f"source={source!r}"
            if isinstance(source, str)
            else f"source of type {type(source).__name__}",
            expected="'mnist_mini', a path, or a name of TensorFlow Datasets",
            fix="pass source='mnist_mini'; an array goes into a file first, with numpy.save",
        )
    image_shape, kind = options.image_shape(image_shape), options.kind(kind)
    validation_fraction, test_fraction = options.fractions(validation_fraction, test_fraction)
    seed = options.whole_number("seed", seed, at_least=0)
    load_options = {
        "image_shape": None if image_shape is None else list(image_shape),
        "kind": kind,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "seed": seed,
    }
    if source in FILES:
        contents, name = read_embedded(source), source
    elif source in GENERATORS:
        contents, name = generate(source, seed), source
    elif str(source).startswith(PREFIX):
        contents, name = read_scikit_learn(source), source.removeprefix(PREFIX)
    elif str(source).startswith(SKTIME):
        contents, name = read_sktime(source), source.removeprefix(SKTIME)
    else:
        path = pathlib.Path(source).expanduser()
        if not path.exists():
            if isinstance(source, os.PathLike) or _means_a_file(source):
                _refuse_missing(path)
            return _load_set(source, data_dir, download, image_shape, load_options)
        contents = _read_path(path, image_shape, kind)
        name = problem_name(path) if path.is_file() else path.resolve().name
        source = os.path.abspath(path)
    contents = contents.as_kind(kind, source=name)
    examples = contents.parts["train"][0]
    _check_image_shape(image_shape, contents.kind, examples.shape[1:], name)
    digest = contents.sha256()  # before anything is cut: the same for every seed and fraction
    parts = three_parts(
        contents,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        source=name,
    )
    return Dataset(
        name=name,
        source=str(source),
        load_options={"data_dir": None, **load_options},
        kind=contents.kind,
        shape=tuple(examples.shape[1:]),
        stored_dtype=str(examples.dtype),
        label_names=contents.label_names,
        feature_names=contents.feature_names,
        hasher=lambda: digest,
        **parts,
    )


def _read_path(path, image_shape, kind):
    if path.is_dir():
        return read_image_folder(path, image_shape)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        image = path.suffix.lower() in (".png", ".jpg", ".jpeg")
        raise DataError(
            f"{path.name}: no kind of file that can be loaded",
            got=str(path),
            expected=f"a folder of images, or a file that ends in {', '.join(READERS)}",
            fix=f"pass the folder of the images, {str(path.parent)!r}"
            if image
            else "convert it to .npz or .csv",
        )
    return reader(path, kind) if reader is read_numpy else reader(path)


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
        got=str(path),
        expected=f"a folder of images, or a file that ends in {', '.join(READERS)}",
        fix="check the path" if folder.is_dir() else f"check the path: there is no folder {folder}",
    )


def _load_set(source, data_dir, download, image_shape, load_options):
    """Returns the Dataset of a TensorFlow Datasets name."""
    from aezoo.data.sources import tfds_images

    if load_options["kind"] not in (None, "images"):
        raise OptionError(
            "sets of TensorFlow Datasets are loaded as images",
            got=f"kind={load_options['kind']!r} for source={source!r}",
            expected="kind='images', or no kind",
            fix="leave kind out, or pass the path of a file",
        )
    data_dir = None if data_dir is None else os.path.abspath(os.path.expanduser(data_dir))
    builder = None
    if tfds_images.NAME.fullmatch(source):
        builder = tfds_images.find_builder(source, data_dir=data_dir, download=download)
    if builder is None:
        raise DataError(
            f"no path and no image set is called {source!r}{tfds_images.nearest_name(source)}",
            got=f"source={source!r}, in the folder {os.getcwd()}",
            expected="'mnist_mini', 'quasi_periodic', an existing path, or a name of TensorFlow Datasets",
            fix="check the spelling; see https://www.tensorflow.org/datasets/catalog for names",
        )
    parts, label_names = tfds_images.open_parts(
        builder,
        image_shape=image_shape,
        validation_fraction=load_options["validation_fraction"],
        test_fraction=load_options["test_fraction"],
    )
    shape = parts["train"].shape
    config = f"/{builder.builder_config.name}" if builder.builder_config else ""
    return Dataset(
        name=builder.name,
        source=f"{builder.name}{config}:{builder.version}",
        load_options={"data_dir": data_dir, **load_options},
        kind="images",
        shape=shape,
        stored_dtype="uint8",
        label_names=label_names,
        feature_names=None,
        hasher=functools.partial(tfds_images.hash_files, builder, shape),
        **parts,
    )
