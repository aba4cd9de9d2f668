"""Files that the command reads examples from, and writes arrays and pictures to. No framework."""

import itertools
import pathlib

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.examples import check_shape
from aezoo.data.loading import READERS
from aezoo.data.sources.image_folder import PART_FOLDERS, SUFFIXES, read_images
from aezoo.data.sources.numpy_files import read_arrays, read_numpy
from aezoo.data.sources.ts_files import read_ts


def read(path, shape, *, dtype="float32", feature_names=None):
    """Reads the examples of a file or a folder for a model of a given shape.

    Args:
        path: an image, a folder of images at any depth, or a .npy, .npz, .csv, .parquet or .ts file.
        shape: of one example, (H, W, C), (T, F) or (F,); images of a folder are resized and
            converted to it, an array (N, ?, ?) is taken for images or sequences by it.
        feature_names: of the columns that the model was trained on; a table with others is refused.
        dtype: "float32" gives images in [0, 1]; "uint8" gives bytes.

    Returns:
        (names, examples): a list of N texts, and (N, ...).

    Raises:
        DataError: no such file, an unknown suffix, or examples that break the contract.
    """
    return _read(path, shape, dtype, feature_names)[:2]


def _read(path, shape, dtype, feature_names):
    """Returns (names, examples, labels (N,) int64 or None, texts of the labels or None), see `read`."""
    path = pathlib.Path(path).expanduser()
    labels = label_names = None
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in SUFFIXES:
        files = [path] if path.is_file() else _images_below(path)
        if len(shape) == 2:
            raise DataError(
                "this bundle takes sequences, not images",
                got=str(path),
                expected=f"sequences of shape {tuple(shape)}",
                fix="pass a .npy, .npz or .ts file",
            )
        if len(shape) == 1:
            raise DataError(
                "this bundle takes rows, not images",
                got=str(path),
                expected=f"a table of {shape[0]} columns",
                fix="pass a .npy, .csv or .parquet file",
            )
        examples = read_images(files, shape, name=path.name)
        names = [str(file.relative_to(path)) if path.is_dir() else file.name for file in files]
        labels, label_names = _labels_of_folders(names)
    elif suffix in READERS and path.is_file():
        contents = _contents(path, suffix, shape)
        _check_columns(path, contents.feature_names, feature_names)
        parts = contents.parts
        examples = np.concatenate([examples for examples, _ in parts.values()])
        if all(found is not None for _, found in parts.values()):
            labels = np.concatenate([found for _, found in parts.values()])
            label_names = contents.label_names
        names = [str(number) for number in range(len(examples))]
    else:
        raise DataError(
            "no examples can be read from there",
            got=f"{path}" + ("" if path.exists() else " (does not exist)"),
            expected=f"a folder of images, or a file that ends in {', '.join((*SUFFIXES, *READERS))}",
            fix="check the path, or save an array with numpy.save('images.npy', images)",
        )
    check_shape(examples, shape, source=path.name)
    if dtype == "float32" and examples.dtype == np.uint8:
        examples = examples / np.float32(255)
    return names, examples, labels, label_names


def read_for(model, path):
    """Returns (names, examples) of a path as a model or a loaded bundle takes them, see `read`."""
    return read_labelled_for(model, path)[:2]


def read_labelled_for(model, path):
    """Returns (names, examples, labels, texts of the labels) of a path, see `read`.

    Labels (N,) int64 are those of a file that has them, or of a folder whose images all lie in folders; else
    they are None, and so are their texts where labels are numbers alone.
    """
    run = model.manifest.run if hasattr(model, "manifest") else None
    return _read(
        path,
        model.example_shape,
        getattr(model, "input_dtype", "float32"),
        run and run["data"].get("feature_names"),
    )


def _labels_of_folders(names):
    """Returns (labels, texts) from the first folder in each name, train/ and test/ not counted; or Nones."""
    folders = [pathlib.PurePath(name).parts[:-1] for name in names]
    texts = [next((part for part in parts if part.lower() not in PART_FOLDERS), None) for parts in folders]
    if None in texts:
        return None, None
    whole = all(text.isdecimal() for text in texts)  # 10 comes after 9
    found = sorted(set(texts), key=(lambda text: (int(text), text)) if whole else None)
    return np.array([found.index(text) for text in texts], "int64"), tuple(found)


def _contents(path, suffix, shape):
    """Returns the `Contents` of a file; what its axes leave open, the model's shape tells."""
    reader = READERS[suffix]
    if reader is read_ts:
        return read_ts(path, alone=True)
    kind = {2: "sequences", 3: "images"}.get(len(shape))
    contents = reader(path, kind) if reader is read_numpy else reader(path)
    rows_are_sequences = contents.kind == "rows" and kind == "sequences" and shape[-1] == 1
    return contents.as_kind("sequences", source=path.name) if rows_are_sequences else contents


def _check_columns(path, found, expected):
    """Raises DataError where a table names other columns than those of the training, or in another order."""
    if not found or not expected or list(found) == list(expected):
        return
    number, pair = next(
        (number, pair)
        for number, pair in enumerate(itertools.zip_longest(found, expected), 1)
        if pair[0] != pair[1]
    )
    raise DataError(
        f"{path.name}: not the columns that the model was trained on",
        got=f"column {number} is {pair[0]!r}",
        expected=f"{pair[1]!r}; in all {', '.join(map(str, expected))}",
        fix="bring the columns into that order",
    )


def _images_below(folder):
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        raise DataError(
            "there is no image in this folder",
            got=str(folder),
            expected=f"files that end in {', '.join(SUFFIXES)}, at any depth",
            fix="check the path",
        )
    return files


def read_latents(path):
    """Reads latents from a .npy file, or from an .npz with one array or one called "latents".

    Returns:
        (names, latents): a list of N texts, and (N, D).

    Raises:
        DataError: no such file, or it holds no such array.
    """
    path = pathlib.Path(path).expanduser()
    if path.suffix.lower() not in (".npy", ".npz") or not path.is_file():
        raise DataError(
            "no latents can be read from there",
            got=f"{path}" + ("" if path.exists() else " (does not exist)"),
            expected="a .npy or .npz file of (batch, latent_dim)",
            fix="aezoo encode BUNDLE IMAGES -o latents.npy",
        )
    arrays = read_arrays(path)
    if isinstance(arrays, dict):
        key = "latents" if "latents" in arrays else next(iter(arrays), None)
        if key is None or (key != "latents" and len(arrays) > 1):
            raise DataError(
                f"{path.name}: which array holds the latents?",
                got=", ".join(arrays) or "no array",
                expected="one array, or one called 'latents'",
                fix="numpy.savez(path, latents=latents)",
            )
        arrays = arrays[key]
    if arrays.ndim == 0:
        raise DataError(
            f"{path.name}: holds one number, not latents",
            got="an array without axes",
            expected="(batch, latent_dim)",
            fix="numpy.save(path, latents)",
        )
    return [str(number) for number in range(len(arrays))], arrays


def read_labels(path):
    """Reads the labels of a conditional model from a .npy file: whole numbers (N,).

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    path = pathlib.Path(path).expanduser()
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            "labels cannot be read",
            got=f"{path}: {str(error).splitlines()[0]}",
            expected="a .npy file of whole numbers",
            fix="numpy.save('labels.npy', labels)",
        ) from error
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            "labels are one whole number for each example",
            got=f"{path}: {labels.dtype} {labels.shape}",
            expected="int32 (N,)",
            fix="labels.astype('int32').ravel()",
        )
    return labels
