"""Where a command's results go: a file, or a folder in which only our own files give way."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

import numpy as np

from aezoo.core import files
from aezoo.core.errors import DataError

Path = str | os.PathLike[str]
_WRITTEN = ".aezoo_wrote.json"  # in a folder of PNG files: their names, so that only they give way


def check_file(output: Path, *, sources: Iterable[Path]) -> None:
    """Raises DataError where a file cannot be written or replaces what is read; call it before long work.

    Args:
        output: path of the file.
        sources: paths that are read; what does not exist is passed over.
    """
    path = _expanded(output)
    if path.is_dir() or not path.parent.is_dir():
        _refuse_writing(path, "a folder" if path.is_dir() else None)
    for source in map(_expanded, sources):
        if path.exists() and source.exists() and os.path.samefile(path, source):
            _refuse_replacing(path, f"{path.with_name(path.stem)}_2{path.suffix}")


def check_output(output: Path, *, as_images: bool, sources: Iterable[Path]) -> None:
    """Raises DataError where `write` would; call it before long work.

    A folder for pictures is a new or an empty one, or holds nothing but what an earlier `write` left
    there (hidden files do not count).

    Args:
        output, as_images, sources: as for `write`.
    """
    target = _expanded(output)
    if target.suffix == ".npy" and not target.is_dir():
        check_file(target, sources=sources)
        return
    if not as_images or target.suffix or not target.name:
        raise DataError(
            "results cannot be written in this form",
            got=str(output),
            expected="a file that ends in .npy" + (", or a folder for PNG files" if as_images else ""),
            fix=f"pass output={(target.stem or 'results') + '.npy'!r}",
        )
    check_folder(target, sources=sources, what="the pictures")


def check_folder(output: Path, *, sources: Iterable[Path], what: str) -> None:
    """Raises DataError unless a folder is new, empty, or holds nothing but what aezoo wrote there earlier.

    Args:
        output: path of the folder.
        sources: paths that are read, none of which may lie in it.
        what: goes there, for the error: "the pictures".
    """
    target = _expanded(output)
    if target.is_file():
        _refuse_writing(target, "a file, where a folder is wanted")
    for source in (_expanded(source).resolve() for source in sources):
        if source.exists() and target.resolve() in (source, *source.parents):
            _refuse_replacing(target, f"{target}_2")
    earlier = _earlier(target)
    foreign = [name for name in _files_in(target) if name not in earlier]
    if foreign:
        raise DataError(
            f"{what} would be mixed into other files",
            got=f"{target}, which holds {', '.join(foreign[:3])}",
            expected="a new folder, an empty one, or one with nothing but what aezoo wrote",
            fix=f"pass output={str(target) + '_2'!r}",
        )


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[pathlib.Path]:
    """Context manager: fill the draft it gives; at the end its files take their places in the folder.

    What aezoo wrote there earlier stays whole until then, and leaves where it is not replaced. A call that
    fails or is killed leaves the folder as it was; only one that is killed at the very end, while names are
    given, a rename each, leaves some files of both, each of them whole.

    Args:
        folder: as `check_folder` lets it pass; it is made if it is not there.
    """
    target = _expanded(folder)
    is_new = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    try:
        with files.drafting(target) as draft:
            yield draft
            _settle(draft, target)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                target.rmdir()
        raise


def write(
    output: Path,
    blocks: Iterable[np.ndarray],
    names: Sequence[str],
    *,
    as_images: bool,
    scale: tuple[str, tuple[float, float]] = ("uint8", (0.0, 255.0)),
    sources: Iterable[Path] = (),
) -> tuple[tuple[int, ...], np.dtype]:
    """Writes results as one .npy, or images as PNG files into a folder, in the place of an earlier call's.

    Args:
        output: a path ending in .npy; or, for images, a folder, ending in "/" or without a suffix.
        blocks: results (n, ...) one after the other, N in all, so that memory stays flat; images in [0, 1]
            are rounded to whole numbers in PNG files. Where they raise, nothing is written.
        names: N texts, from which the PNG files get their names.
        as_images: whether the results are images.
        scale: dtype, "uint8" or, of one channel, "uint16", and the pixel values of 0 and 1 in PNG files.
        sources: paths that the examples came from; they are never replaced.

    Returns:
        (shape, dtype) of all results.

    Raises:
        DataError: another suffix, a source, or a place that cannot be written; see `check_output`.
    """
    check_output(output, as_images=as_images, sources=sources)
    target = _expanded(output)
    try:
        if target.suffix == ".npy":
            with files.replacing(target) as new, open(new, "wb") as file:
                return _write_array(file, blocks, len(names))
        with filling(target) as draft:
            return _write_pictures(draft, blocks, names, scale)
    except OSError as error:
        _refuse_writing(target, error)


def _write_array(file, blocks, count):
    """Writes what `numpy.save` would of all blocks together; returns (shape, dtype)."""
    shape, dtype = None, None
    for block in blocks:
        if shape is None:
            shape, dtype = (count, *block.shape[1:]), block.dtype
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(block).data)
    return shape, dtype


def _write_pictures(draft, blocks, names, scale):
    """Writes a PNG file for each image of all blocks; returns (shape, dtype)."""
    from PIL import Image

    # a.png and a.jpg must not both become a.png
    stems = [str(pathlib.Path(name).with_suffix("")) for name in names]
    if len(set(stems)) < len(stems):
        stems = names
    remaining = iter(stems)
    dtype, (low, high) = scale
    for block in blocks:
        pixels = np.rint(low + np.clip(block, 0.0, 1.0) * (high - low)).astype(dtype)
        for picture in pixels:
            file = files.place_in(draft, f"{next(remaining)}.png")
            Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file)
    return (len(stems), *block.shape[1:]), block.dtype


def _settle(draft, folder):
    """Moves the files of a draft into a folder, notes them as ours, and removes those of earlier calls."""
    names, earlier = _files_in(draft), _earlier(folder) & set(_files_in(folder))
    for name in (_WRITTEN, *names):
        if (folder / name).is_symlink():  # it gives way; what it leads to stays
            (folder / name).unlink()
    files.write_json(folder / _WRITTEN, sorted({*names, *earlier}))  # first: of a killed call all are ours
    for name in names:
        os.replace(draft / name, files.place_in(folder, name))
    for name in earlier.difference(names):
        (folder / name).unlink()
    files.write_json(folder / _WRITTEN, names)


def _expanded(path):
    return pathlib.Path(path).expanduser()


def _files_in(folder):
    """Returns the names, from the folder on, of its files that are not hidden, nor in a hidden folder."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    return [path.relative_to(folder).as_posix() for path in found if not files.is_hidden(path, folder)]


def _earlier(folder):
    try:
        return set(json.loads((folder / _WRITTEN).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return set()


def _refuse_replacing(target, other):
    raise DataError(
        "the results would be written over the examples",
        got=f"{target}, where what is read lies",
        expected="another place",
        fix=f"pass output={str(other)!r}",
    )


def _refuse_writing(target: pathlib.Path, problem: OSError | str | None) -> NoReturn:
    """Raises DataError: a text says what is in the way, an OSError what failed; None: there is no folder."""
    folder = target.parent
    if isinstance(problem, OSError):
        fix = f"check the permissions of the folder {folder}, and the space that is left on its disk"
    elif problem is None and not folder.exists():
        problem, fix = f"there is no folder {folder}", f"make the folder {folder}"
    elif problem is None:
        problem, fix = f"{folder} is a file, not a folder", f"pass output={target.name!r}"
    elif target.is_dir():
        fix = f"pass output={str(target / ('results' + target.suffix))!r}"
    else:
        fix = f"pass output={str(target.with_name(target.stem + '_2'))!r}"
    raise DataError(
        "the results cannot be written there",
        got=f"{target}: {problem}",
        expected="a path that can be written",
        fix=fix,
    ) from (problem if isinstance(problem, OSError) else None)
