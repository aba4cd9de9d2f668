"""Noisy examples beside the clean ones: pairs for a denoiser, matched by their files' names."""

import dataclasses
import hashlib
import os
import pathlib

from aezoo.core.errors import DataError, OptionError
from aezoo.data.dataset import Dataset
from aezoo.data.sources.image_folder import files_below

_STACKS = (".npy", ".npz")
_PARTS = ("train", "validation", "test")


def check_noisy(source: str | os.PathLike[str], noisy: str | os.PathLike[str]) -> None:
    """Checks that two sources can hold pairs, before anything is read.

    Args:
        source: of the clean examples: a folder of images, or a .npy or .npz file.
        noisy: of the noisy ones: a folder with images of the same names, in folders of the same names, or a
            file of the same kind.

    Raises:
        OptionError: sources whose examples have no names and no order to be matched by.
        DataError: an image without its other half.
    """
    if not isinstance(noisy, (str, os.PathLike)) or not str(noisy).strip():
        raise OptionError(
            "noisy examples are a path",
            got=f"noisy={noisy!r}",
            expected="a folder of images, or a .npy or .npz file",
            fix="pass noisy='noisy/'",
        )
    clean, other = (pathlib.Path(path).expanduser() for path in (source, noisy))
    if not other.exists():
        raise DataError(
            "no such file or folder of noisy examples",
            got=f"{other} (does not exist)",
            expected="a folder of images, or a .npy or .npz file",
            fix="check the path",
        )
    if clean.is_dir() and other.is_dir():
        _check_names(clean, other)
    elif not (clean.is_file() and other.is_file() and {clean.suffix, other.suffix} <= set(_STACKS)):
        raise OptionError(
            "noisy and clean examples are matched by their files' names, or by their order in two arrays",
            got=f"data {str(source)!r}, noisy {str(noisy)!r}",
            expected="two folders of images, or two files that end in .npy or .npz",
            fix="save both as images, or as arrays with numpy.save",
        )


def paired(dataset: Dataset, noisy: Dataset) -> Dataset:
    """Returns a dataset of clean examples with the noisy ones of the same places beside them.

    Both are cut by the same seed and the same labels, so that the halves of a pair lie in the same part.

    Args:
        dataset: the clean examples.
        noisy: of the same shape and number in each part.

    Raises:
        DataError: they are not of one shape, depth, number or order of labels.
    """
    for what, ours, theirs in (
        ("the same kind and shape", _shown(dataset), _shown(noisy)),
        ("as many in each part", _sizes(dataset), _sizes(noisy)),
        ("the same pixel values for black and white", dataset.pixel_range, noisy.pixel_range),
        ("the same labels, in order", _labels(dataset), _labels(noisy)),
    ):
        if ours != theirs:
            shown = (ours, theirs) if what != "the same labels, in order" else ("others", "these")
            raise DataError(
                "noisy examples are not those of the clean ones",
                got=f"{noisy.name}: {shown[1]}; {dataset.name}: {shown[0]}",
                expected=what,
                fix="save each noisy example as its clean one is saved",
            )
    return dataclasses.replace(
        dataset,
        noisy=noisy,
        load_options={**dataset.load_options, "noisy": noisy.source},
        hasher=lambda: hashlib.sha256(f"{dataset.content_hash} {noisy.content_hash}".encode()).hexdigest(),
        notes=(*dataset.notes, f"{dataset.name}: pairs with {noisy.name}, noisy"),
    )


def _check_names(clean, noisy):
    names = [_names(folder) for folder in (clean, noisy)]
    for folder, other, here, there in ((clean, noisy, *names), (noisy, clean, *reversed(names))):
        alone = [name for name in here if name not in there]
        if alone:
            raise DataError(
                "an image without its other half",
                got=f"{here[alone[0]]} in {folder}, and {len(alone) - 1:,} more",
                expected=f"an image of that name, of any suffix, in {other}",
                fix="save noisy and clean images under the same names",
            )


def _names(folder):
    """Returns name without suffix -> file, for the images of a folder; relative to it."""
    found: dict[str, str] = {}
    for path in files_below(folder)[0]:
        inner = path.relative_to(folder)
        name = str(inner.with_suffix(""))
        if name in found:
            raise DataError(
                "two images of one name have no other half each",
                got=f"{found[name]} and {inner} in {folder}",
                expected="names that differ by more than the suffix",
                fix="give one of them another name",
            )
        found[name] = str(inner)
    return found


def _shown(dataset):
    return f"{dataset.kind} of shape {tuple(dataset.shape)}"


def _sizes(dataset):
    return ", ".join(f"{len(getattr(dataset, name)):,} {name}" for name in _PARTS)


def _labels(dataset):
    parts = (getattr(dataset, name) for name in _PARTS)
    return [None if part.labels is None else part.labels.tolist() for part in parts]
