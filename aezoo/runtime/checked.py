"""Files of a bundle: opened without following a link, hashed as they are read, and nothing else is used.

What is hashed are the very bytes that go on: into memory, or into a copy that belongs to the caller alone. A
file that is exchanged between its check and its use is therefore never used.
"""

import errno
import hashlib
import os
import pathlib
import stat
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO

from aezoo.core.errors import BundleError
from aezoo.core.files import sha256_of
from aezoo.core.strict_json import Damaged

Folder = str | os.PathLike[str]

LARGEST = 2**31  # bytes of a file that is read as a whole: what protobuf allows an ONNX file
_PIECE = 2**20
# A link is no file of the bundle, and whoever opens a pipe without a writer would wait for ever.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def open_regular(folder: Folder, name: str) -> BinaryIO:
    """Opens a file below a folder for reading, as bytes.

    Args:
        folder: which may be a link itself.
        name: path below it, as `naming.is_inside` wants it.

    Raises:
        OSError: it is not there, cannot be read, is no regular file, or lies behind a link.
    """
    path = pathlib.Path(folder)
    parts = pathlib.PurePosixPath(name).parts
    for number, part in enumerate(parts, 1):
        path = path / part
        _check_mode(path, os.lstat(path).st_mode, is_last=number == len(parts))
    descriptor = os.open(path, _FLAGS)
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)  # of what was opened, whatever lay there before
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_mode(path, mode, is_last=True):
    """Raises OSError unless a path is a regular file, or a folder on the way to one."""
    if not (stat.S_ISREG(mode) if is_last else stat.S_ISDIR(mode)):
        kind = "a link" if stat.S_ISLNK(mode) else "no regular file" if is_last else "no folder"
        raise OSError(errno.EINVAL, f"is {kind}", str(path))


def read_file(folder: Folder, name: str, sha256: str, largest: int = LARGEST) -> bytes:
    """Returns the content of a file of a bundle, whose sha256 is that of the manifest.

    Args:
        folder: of the bundle.
        name: path inside it.
        sha256: of the manifest.
        largest: bytes that it may have.

    Raises:
        BundleError: it is missing, altered, too large, no regular file, or lies behind a link.
    """
    return b"".join(_pieces(folder, name, sha256, largest))


def damaged(folder: Folder, name: str, error: Damaged) -> BundleError:
    """Returns the error of a file that is the one of the manifest, and does not hold what it should."""
    return BundleError(
        f"{name} does not hold what the bundle needs",
        got=f"{pathlib.Path(folder) / name}: {error}",
        expected=error.expected,
        fix="do not use this bundle; export it again",
    )


def copy_file(folder: Folder, name: str, sha256: str, target: Folder) -> None:
    """Copies a file of a bundle to a path whose folders are made; nothing stays there where it raises.

    Raises:
        BundleError: as for `read_file`.
    """
    target = pathlib.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(target, "wb") as file:
            for piece in _pieces(folder, name, sha256):
                file.write(piece)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def copy_files(folder: Folder, files: Mapping[str, str], target: Folder) -> None:
    """Copies {path inside a bundle: sha256} to the same paths inside another folder, as `copy_file` does."""
    for name, sha256 in files.items():
        copy_file(folder, name, sha256, pathlib.Path(target) / name)


def check_files(folder: Folder, files: Mapping[str, str]) -> None:
    """Raises BundleError unless every file is there and has the sha256 of the manifest.

    Args:
        folder: of the bundle.
        files: {path inside the folder: sha256}.
    """
    for name, sha256 in files.items():
        for _ in _pieces(folder, name, sha256):
            pass


def _pieces(folder: Folder, name: str, sha256: str, largest: int | None = None) -> Iterator[bytes]:
    """Yields the content of a file piece by piece, and at its end raises BundleError where it was another."""
    path, digest = pathlib.Path(folder) / name, hashlib.sha256()
    try:
        with open_regular(folder, name) as file:
            left = os.fstat(file.fileno()).st_size  # of a file that grows while it is read no more is taken
            if largest is not None and left > largest:
                raise OSError(errno.EFBIG, f"has {left:,} bytes, and may have {largest:,}")
            while left > 0 and (piece := file.read(min(_PIECE, left))):
                digest.update(piece)
                left -= len(piece)
                yield piece
        found = digest.hexdigest()
        problem = None if found == sha256 else f"sha256 {found[:16]}..."
    except FileNotFoundError:
        problem = "no such file"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem is not None:
        raise BundleError(
            f"{name} is not the file that was proven",
            got=f"{path}: {problem}",
            expected=f"sha256 {sha256[:16]}..., of a regular file",
            fix="copy the bundle again, or export it again",
        )


def hash_files(folder: Folder, *names: str) -> dict[str, str]:
    """Returns {path inside the folder: sha256} of those files that are there, and of every file in a folder.

    Args:
        folder: which the caller has written.
        names: paths inside it, of files or of folders.
    """
    folder = pathlib.Path(folder)
    found: list[pathlib.Path] = []
    for root in (folder / name for name in names):
        found += sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in found if path.is_file()}


def foreign_files(folder: Folder, named: Collection[str]) -> list[str]:
    """Returns the paths inside a folder of all that is neither a folder nor a named regular file, in order.

    Links, pipes and devices are foreign under whatever name; a folder that cannot be listed is, too.

    Args:
        folder: of the bundle.
        named: paths inside it.
    """
    found, waiting = [], [""]
    while waiting:
        inside = waiting.pop()
        try:
            entries = list(os.scandir(pathlib.Path(folder) / inside))
        except OSError:
            found.append(inside)
            continue
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            elif name not in named or not entry.is_file(follow_symlinks=False):
                found.append(name)
    # What is no UTF-8 can be neither printed nor written as JSON.
    return sorted(os.fsencode(name).decode("utf-8", "backslashreplace") for name in found)
