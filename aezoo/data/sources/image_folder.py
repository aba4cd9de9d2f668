"""Reads a folder of PNG and JPEG images; folders in it are their labels."""

import os
import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from aezoo.core.errors import DataError
from aezoo.data.contents import Contents

SUFFIXES = (".png", ".jpg", ".jpeg")
PART_FOLDERS = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}
# what Pillow calls the pixels of 1, 2, 3 and 4 channels
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def read_image_folder(folder: pathlib.Path, image_shape: Sequence[int] | None = None) -> Contents:
    """Returns the `Contents` of a folder of images, uint8.

    With sub-folders train/ and test/ (and validation/ or val/) these are the parts. Below that,
    the first level of folders are the labels; deeper ones only hold images. Hidden files and
    files with other suffixes are left out. Images are turned as their EXIF orientation says.

    Args:
        folder: pathlib.Path.
        image_shape: (H, W, C) to which all are resized (Lanczos, antialiased) and converted; None
            takes them as they are, and then they must be of one size and one number of channels.

    Raises:
        DataError: no image at all, an unreadable image, images that differ.
    """
    files = {part: _image_files(below) for part, below in _part_folders(folder).items()}
    for part, found in files.items():
        if not found:
            _refuse_empty(folder if len(files) == 1 else folder / part)
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
    return Contents(parts, label_names=label_names)


def _part_folders(folder):
    """Returns part -> folder; only "train", the folder itself, where it has no parts."""
    below = {path.name.lower(): path for path in _visible(folder) if path.is_dir()}
    parts = {PART_FOLDERS[name]: path for name, path in below.items() if name in PART_FOLDERS}
    others = [path.name for name, path in below.items() if name not in PART_FOLDERS]
    if "train" not in parts or (others and "test" not in parts):
        return {"train": folder}  # a class may be called "train"
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


def _image_files(folder):
    """Returns [(path, label)] sorted by path; a label is the name of a first-level folder, or None."""
    found, visited = [], set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                path = pathlib.Path(here, name)
                inner = path.relative_to(folder).parts
                found.append((path, inner[0] if len(inner) > 1 else None))
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
    names = {label for found in files.values() for _, label in found if label is not None}
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name))) or None
    return tuple(sorted(names))


def _refuse_empty(folder):
    prepared = next(folder.glob("*/dataset_info.json"), None) or next(folder.glob("dataset_info.json"), None)
    fix = "check the path"
    if prepared is not None:
        fix = f"for a TensorFlow Datasets set pass its name, with data_dir={str(folder.parent)!r}"
    raise DataError(
        f"{folder.name}: no image in this folder",
        got=str(folder),
        expected=f"files that end in {', '.join(SUFFIXES)}, in it or in folders below it",
        fix=fix,
    )


def read_images(paths: Sequence[pathlib.Path], image_shape: Sequence[int] | None, *, name: str) -> np.ndarray:
    """Returns the pixels of image files, (N, H, W, C) uint8.

    Args:
        paths: of N files.
        image_shape: as for `read_image_folder`.
        name: how an error names the whole.

    Raises:
        DataError: an unreadable image, or images that differ.
    """
    images = None
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for index, pixels in enumerate(pool.map(lambda path: _read(path, image_shape), paths)):
            if images is None:
                images = np.empty((len(paths), *pixels.shape), np.uint8)
            if pixels.shape != images.shape[1:]:
                raise DataError(
                    f"{name}: the images differ in size or channels",
                    got=f"{paths[0]} is {images.shape[1:]}, {paths[index]} is {pixels.shape} (H, W, C)",
                    expected="one size and one number of channels, or an image_shape to bring them to",
                    fix=f"pass image_shape={images.shape[1:]}",
                )
            images[index] = pixels
    assert images is not None  # there is a path
    return images


def _read(path, image_shape):
    """Returns the pixels of one image, uint8 (H, W, C)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            opened.load()
            image = ImageOps.exif_transpose(opened)
            if image.mode == "F" or image.mode.startswith("I"):
                # 16 bits a pixel; 65535 / 257 is 255 exactly. Pillow itself would cut at 255.
                image = Image.fromarray(np.rint(np.clip(np.asarray(image), 0, 65535) / 257).astype(np.uint8))
            image = image.convert(_mode(image, image_shape))
            if image_shape is not None and image.size != (image_shape[1], image_shape[0]):
                image = image.resize((image_shape[1], image_shape[0]), Image.Resampling.LANCZOS)
            pixels = np.asarray(image)
    except Exception as error:  # Pillow raises many kinds, and any of them says that the file is no image
        raise DataError(
            f"{path.name}: not a readable image",
            got=f"{path}: {error}",
            expected="a complete PNG or JPEG file",
            fix="replace the file, or remove it from the folder",
        ) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _mode(image, image_shape):
    """Returns the Pillow mode to convert to: of image_shape, or the nearest to the file's own."""
    if image_shape is not None:
        return MODES[image_shape[2]]
    if image.mode in MODES.values():
        return image.mode
    if image.mode == "1":
        return "L"
    return "RGBA" if "transparency" in image.info else "RGB"  # palettes, CMYK
