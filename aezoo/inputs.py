"""Files that the command reads examples from, and writes arrays and pictures to. No framework."""

import itertools
import json
import os
import pathlib

import numpy as np

from aezoo.checks import check_shape
from aezoo.data.contents import refuse
from aezoo.data.image_folder import PART_FOLDERS, SUFFIXES, read_images
from aezoo.data.loading import READERS
from aezoo.data.numpy_files import read_arrays, read_numpy
from aezoo.data.ts_files import read_ts


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
            refuse(
                "this bundle takes sequences, not images",
                got=str(path),
                expected=f"sequences of shape {tuple(shape)}",
                fix="pass a .npy, .npz or .ts file",
            )
        if len(shape) == 1:
            refuse(
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
        refuse(
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
    run = model.manifest["run"] if hasattr(model, "manifest") else None
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
    refuse(
        f"{path.name}: not the columns that the model was trained on",
        got=f"column {number} is {pair[0]!r}",
        expected=f"{pair[1]!r}; in all {', '.join(map(str, expected))}",
        fix="bring the columns into that order",
    )


def _images_below(folder):
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        refuse(
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
        refuse(
            "no latents can be read from there",
            got=f"{path}" + ("" if path.exists() else " (does not exist)"),
            expected="a .npy or .npz file of (batch, latent_dim)",
            fix="aezoo encode BUNDLE IMAGES -o latents.npy",
        )
    arrays = read_arrays(path)
    if isinstance(arrays, dict):
        key = "latents" if "latents" in arrays else next(iter(arrays), None)
        if key is None or (key != "latents" and len(arrays) > 1):
            refuse(
                f"{path.name}: which array holds the latents?",
                got=", ".join(arrays) or "no array",
                expected="one array, or one called 'latents'",
                fix="numpy.savez(path, latents=latents)",
            )
        arrays = arrays[key]
    if arrays.ndim == 0:
        refuse(
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
        refuse(
            "labels cannot be read",
            got=f"{path}: {str(error).splitlines()[0]}",
            expected="a .npy file of whole numbers",
            fix="numpy.save('labels.npy', labels)",
            cause=error,
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        refuse(
            "labels are one whole number for each example",
            got=f"{path}: {labels.dtype} {labels.shape}",
            expected="int32 (N,)",
            fix="labels.astype('int32').ravel()",
        )
    return labels


_WRITTEN = ".aezoo_wrote.json"  # in a folder of PNG files: their names, so that only they give way


def check_file(path, *, sources):
    """Raises DataError where a file cannot be written or replaces what is read; call it before long work.

    Args:
        path: of the file.
        sources: paths that are read; what does not exist is passed over.
    """
    path = pathlib.Path(path).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        _refuse_writing(path, "a folder" if path.is_dir() else f"there is no folder {path.parent}")
    for source in map(_expanded, sources):
        if path.exists() and source.exists() and os.path.samefile(path, source):
            _refuse_replacing(path, f"{path.with_name(path.stem)}_2{path.suffix}")


def check_output(path, *, as_images, sources):
    """Raises DataError where `write` would; call it before long work.

    A folder for pictures is a new or an empty one, or holds nothing but what an earlier `write` left
    there (hidden files do not count).

    Args:
        path, as_images, sources: as for `write`.
    """
    target = _expanded(path)
    if target.suffix == ".npy" and not target.is_dir():
        check_file(target, sources=sources)
        return
    if not as_images or target.suffix or not target.name:
        refuse(
            "results cannot be written in this form",
            got=str(path),
            expected="a file that ends in .npy" + (", or a folder for PNG files" if as_images else ""),
            fix=f"-o {target.stem or 'results'}.npy",
        )
    check_folder(target, sources=sources, what="the pictures")


def check_folder(path, *, sources, what):
    """Raises DataError unless a folder is new, empty, or holds nothing but what aezoo wrote there earlier.

    Args:
        path: of the folder.
        sources: paths that are read, none of which may lie in it.
        what: goes there, for the error: "the pictures".
    """
    target = _expanded(path)
    if target.is_file():
        _refuse_writing(target, "a file")
    for source in (_expanded(source).resolve() for source in sources):
        if source.exists() and target.resolve() in (source, *source.parents):
            _refuse_replacing(target, f"{target}_2")
    earlier = _earlier(target)
    foreign = [name for name in _files_in(target) if name not in earlier]
    if foreign:
        refuse(
            f"{what} would be mixed into other files",
            got=f"{target}, which holds {', '.join(foreign[:3])}",
            expected="a new folder, an empty one, or one with nothing but what aezoo wrote",
            fix=f"-o {target}_2",
        )


def clear_folder(folder, files):
    """Makes a folder ready for files of these names: removes earlier ones, and notes the new ones as ours."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _files_in(folder):
        (folder / name).unlink()
    # first: a killed call's files are ours as well
    (folder / _WRITTEN).write_text(json.dumps(files), encoding="utf-8")


def write(path, results, names, *, as_images, sources=()):
    """Writes an array as .npy, or images as PNG files into a folder, in the place of an earlier call's.

    Args:
        path: ending in .npy; or, for images, a folder, ending in "/" or without a suffix.
        results: float32, (N, ...); images in [0, 1] are rounded to 8 bits in PNG files.
        names: N texts, from which the PNG files get their names.
        as_images: whether the results are images.
        sources: paths that the examples came from; they are never replaced.

    Raises:
        DataError: another suffix, a source, or a place that cannot be written; see `check_output`.
    """
    check_output(path, as_images=as_images, sources=sources)
    target = _expanded(path)
    if target.suffix == ".npy":
        try:
            np.save(target, results)
        except OSError as error:
            _refuse_writing(target, error)
        return
    from PIL import Image

    # a.png and a.jpg must not both become a.png
    stems = [str(pathlib.Path(name).with_suffix("")) for name in names]
    if len(set(stems)) < len(stems):
        stems = names
    files = [f"{stem}.png" for stem in stems]
    pixels = np.rint(np.clip(results, 0.0, 1.0) * 255).astype("uint8")
    try:
        clear_folder(target, files)
        for name, picture in zip(files, pixels, strict=True):
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file)
    except OSError as error:
        _refuse_writing(target, error)


def _expanded(path):
    return pathlib.Path(path).expanduser()


def _files_in(folder):
    """Returns the names, from the folder on, of all files in it that are not hidden."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    return [path.relative_to(folder).as_posix() for path in found if not path.name.startswith(".")]


def _earlier(folder):
    try:
        return set(json.loads((folder / _WRITTEN).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return set()


def _refuse_replacing(target, other):
    refuse(
        "the results would be written over the examples",
        got=f"-o {target}, where what is read lies",
        expected="another place",
        fix=f"-o {other}",
    )


def _refuse_writing(target, error):
    refuse(
        "the results cannot be written there",
        got=f"{target}: {error}",
        expected="a path that can be written",
        fix=f"mkdir -p {target.parent}, or name another place with -o",
        cause=error if isinstance(error, OSError) else None,
    )
