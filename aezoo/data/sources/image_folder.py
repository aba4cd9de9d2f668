"""Reads a folder of images; folders in it are their labels. Files in it that are not read are told of."""

import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from aezoo.core.errors import DataError, note
from aezoo.data.contents import Contents
from aezoo.data.sources.image_files import KINDS, SUFFIXES, read_images

PART_FOLDERS = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}
_MASKS = "ground_truth"  # beside train/ and test/, as MVTec AD lays it out: which pixels of test/ are defects
_OF_THE_SYSTEM = ("thumbs.db", "desktop.ini")  # hidden files of Windows; other systems' begin with a dot


def read_image_folder(folder: pathlib.Path, image_shape: Sequence[int] | None = None) -> Contents:
    """Returns the `Contents` of a folder of images, in numbers of the depth that the files have.

    With sub-folders train/ and test/ (and validation/ or val/) these are the parts. Below that,
    the first level of folders are the labels; deeper ones only hold images. A folder ground_truth/ beside
    them holds masks, as MVTec AD has them, and is not read. A `DataNote` counts and names the files that
    are not read; hidden ones do not count.

    Args:
        folder: pathlib.Path.
        image_shape: as for `read_images`.

    Raises:
        DataError: no image at all, an unreadable image, images that differ.
    """
    folders = _part_folders(folder)
    files, unread = {}, []
    if folder not in folders.values():  # what lies beside train/ and test/, images as well
        unread = [path for path in _visible(folder) if path.is_file() and not _is_hidden(path.name)]
        unread += itertools.chain(*files_below(folder / _MASKS))
    for part, below in folders.items():
        images, others = files_below(below)
        if not images:
            _refuse_empty(below, others)
        files[part] = _with_labels(below, images)
        unread += others
    label_names = _label_names(files)
    paths = [path for found in files.values() for path, _ in found]
    pixels = read_images(paths, image_shape, name=folder.name)
    parts, start = {}, 0
    for part, found in files.items():
        labels = None
        if found[0][1] is not None:
            labels = np.array([label_names.index(label) for _, label in found], dtype=np.int64)
        parts[part] = (pixels[start : start + len(found)], labels)
        start += len(found)
    return Contents(parts, label_names=label_names, unread_files=note_unread(folder, len(paths), unread))


def files_below(folder: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Returns (images, other files) at any depth; links are followed, what is hidden is left out."""
    images: list[pathlib.Path] = []
    others: list[pathlib.Path] = []
    visited = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not _is_hidden(name):
                (images if name.lower().endswith(SUFFIXES) else others).append(pathlib.Path(here, name))
    return images, others


def _is_hidden(name):
    return name.startswith(".") or name.lower() in _OF_THE_SYSTEM


def note_unread(folder: pathlib.Path, read: int, unread: Sequence[pathlib.Path]) -> dict[str, int]:
    """Tells of the files beside the images, if there are any.

    Args:
        folder: that holds them.
        read: how many images are read.
        unread: the other files.

    Returns:
        How many there are of each suffix.
    """
    if unread:
        note(f"{folder.name}: {len(unread):,} of {read + len(unread):,} files not read: {_counted(unread)}")
    return dict(Counter(_suffix(path) for path in unread))


def _counted(files):
    """Returns a text that counts files by their suffix, and names the first of each."""
    by_suffix = {}
    for path in files:
        by_suffix.setdefault(_suffix(path), []).append(path.name)
    return "; ".join(
        f"{len(names):,} {suffix} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for suffix, names in sorted(by_suffix.items(), key=lambda item: -len(item[1]))
    )


def _suffix(path):
    return path.suffix.lower() or "without a suffix"


def _part_folders(folder):
    """Returns part -> folder; only "train", the folder itself, where it has no parts."""
    below = [path for path in _visible(folder) if path.is_dir()]
    others = [path.name for path in below if path.name.lower() not in (*PART_FOLDERS, _MASKS)]
    parts, twice = {}, []
    for path in below:
        if path.name.lower() in PART_FOLDERS:
            twice += [path] if parts.setdefault(PART_FOLDERS[path.name.lower()], path) != path else []
    if "train" not in parts or (others and "test" not in parts):
        return {"train": folder}  # a class may be called "train"
    if twice:
        raise DataError(
            f"{folder.name}: two folders for one part",
            got=f"{twice[0]}, beside another of that part",
            expected="one folder each: train/, test/ and perhaps validation/",
            fix=f"move the images of {twice[0].name} into the other",
        )
    if others:
        raise DataError(
            f"{folder.name}: a folder beside train/ and test/ that is no part",
            got=str(folder / others[0]),
            expected="train/, test/ and perhaps validation/, with the classes in them",
            fix=f"move {others[0]} out of {folder}, or into one of the parts",
        )
    return parts


def _visible(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _with_labels(folder, images):
    """Returns [(path, label)]; a label is the name of a first-level folder, or None."""
    inner = [path.relative_to(folder).parts for path in images]
    found = [(path, parts[0] if len(parts) > 1 else None) for path, parts in zip(images, inner, strict=True)]
    unlabelled = [path for path, label in found if label is None]
    if unlabelled and len(unlabelled) < len(found):
        raise DataError(
            f"{folder.name}: images beside folders of images",
            got=f"{unlabelled[0]} has no label",
            expected="all images in folders, which are their labels, or none",
            fix=f"move {unlabelled[0].name} into the folder of its class",
        )
    return found


def _label_names(files):
    return _in_order({label for found in files.values() for _, label in found if label is not None}) or None


def _in_order(names):
    """Returns the names of classes in order; of numbers, 10 comes after 9."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _refuse_empty(folder, others):
    prepared = next(folder.glob("*/dataset_info.json"), None) or next(folder.glob("dataset_info.json"), None)
    fix = "check the path" + (f", or convert the files to {KINDS}" if others else "")
    if prepared is not None:
        fix = f"for a TensorFlow Datasets set pass its name, with data_dir={str(folder.parent)!r}"
    raise DataError(
        f"{folder.name}: no image in this folder",
        got=f"{folder}" + (f", which holds {_counted(others)}" if others else ""),
        expected=f"files that end in {', '.join(SUFFIXES)}, in it or in folders below it",
        fix=fix,
    )


def images_at(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the images of a path, sorted: the file itself, or all in a folder; see `read_image_folder`.

    Raises:
        DataError: a folder without images.
    """
    if not path.is_dir():
        return [path]
    images, others = files_below(path)
    if not images:
        _refuse_empty(path, others)
    note_unread(path, len(images), others)
    return sorted(images)


def labels_of_folders(names: Sequence[str]) -> tuple[np.ndarray | None, list[str] | None]:
    """Returns (labels, texts) from the first folder in each name, train/ and test/ not counted; or Nones."""
    folders = [pathlib.PurePath(name).parts[:-1] for name in names]
    labels = [[part for part in parts if part.lower() not in PART_FOLDERS][:1] for parts in folders]
    texts = [text for first in labels for text in first]
    if len(texts) < len(names):
        return None, None
    found = list(_in_order(set(texts)))
    return np.array([found.index(text) for text in texts], "int64"), found
