"""Files that are written whole or not at all, and what is known of them.

There is one way to write: into a hidden draft beside the place, which takes its name at the end. `replacing`
writes a file so, and `replacing_folder` a folder; both stand on `drafting`. A killed process leaves what was
there before, and a draft, which the next one to write into that folder sweeps away.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from aezoo.core.errors import AezooError, DataError, RunError
from aezoo.core.json_text import json_text

try:
    import fcntl
except ImportError:  # Windows: drafts of killed processes stay there
    fcntl = None  # type: ignore[assignment]

DRAFT = ".writing-"  # folders of files that are being written; a killed process leaves one
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LITTLE = 65_536  # bytes; a disk with less left is full
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)  # what some systems say of it


@contextlib.contextmanager
def drafting(
    folder: str | os.PathLike[str], target: str | os.PathLike[str] | None = None
) -> Iterator[pathlib.Path]:
    """Context manager: gives a new, hidden folder in a folder; it is gone at the end, whatever happens.

    Args:
        folder: where it lies; it must be there.
        target: what is being written, by which an error names it; None is the folder.

    Raises:
        OSError: the disk is full, which every library says in other words, and what else the system refuses.
    """
    folder = pathlib.Path(folder)
    _sweep(folder)
    draft, lock = _new_draft(folder)
    try:
        yield draft
    except Exception as error:
        _name_target(error, draft, folder if target is None else target)
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Context manager: write to the path it gives; it takes the real name only if all went well.

    A killed process leaves the old file, whole. The suffix is kept, since Keras looks at it, and what is
    written beside the path goes along. A link stays, and what it leads to is replaced and keeps its mode; a
    device or a pipe, as /dev/stdout, is written to as it is.

    Raises:
        PermissionError: there is a file that may not be written.
        OSError: as `drafting`.
    """
    target = pathlib.Path(os.path.realpath(path))
    there = target.exists()
    if there and not target.is_file():
        yield target
        return
    if there and not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    with drafting(target.parent, target) as draft:
        new = draft / target.name
        yield new
        if there and target.exists():  # who replaces it may have deleted it meanwhile
            _keep_mode(target, new)
        for file in sorted(draft.iterdir(), key=lambda file: file == new):  # itself last
            _sync(file)
            os.replace(file, target.with_name(file.name))
        _sync(target.parent)


@contextlib.contextmanager
def replacing_folder(folder: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Context manager: fill the new folder it gives; it takes the real name only if all went well.

    An older folder there stays whole until then and gives way in one step. A link stays, and what it leads to
    is replaced. Folders above are made.

    Raises:
        OSError: as `drafting`.
    """
    folder = pathlib.Path(os.path.realpath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with drafting(folder.parent, folder) as draft:
        new = draft / folder.name
        new.mkdir()
        yield new
        publish(new, folder)


def publish(new: pathlib.Path, folder: pathlib.Path) -> None:
    """Gives a folder its name; what was there before lies in the place of `new`, or beside it, afterwards."""
    for path in (*new.rglob("*"), new):
        _sync(path)
    if folder.is_dir():
        _keep_mode(folder, new)
    try:
        os.rename(new, folder)
    except OSError:
        if not folder.is_dir():
            raise
        if not _exchange(new, folder):  # not on this system: a moment without a folder is the least evil
            old = new.with_name(new.name + ".old")
            os.rename(folder, old)
            try:
                os.rename(new, folder)
            except OSError:
                os.rename(old, folder)
                raise
    _sync(folder.parent)


def is_hidden(path: pathlib.PurePath, folder: pathlib.PurePath) -> bool:
    """Whether a path below a folder, or a folder on the way to it, is hidden, as a draft is."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, says that a disk is full: the system's word or a library's."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(text in str(error) for text in (os.strerror(errno.ENOSPC), f"errno = {errno.ENOSPC},")):
            return True
        error = error.__cause__ or error.__context__
    return False


def check_place(folder: str | os.PathLike[str], name: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of a file that is to be written below a folder.

    Args:
        folder: may be a link itself: where it leads is what was asked for.
        name: relative, without "..".

    Raises:
        DataError: the name, or a link below the folder, leads elsewhere.
    """
    root, way = pathlib.Path(folder).resolve(), pathlib.PurePath(name)
    steps = [root.joinpath(*way.parts[: number + 1]) for number in range(len(way.parts))]
    link = next((step for step in steps if step.is_symlink()), None)
    if not steps or ".." in way.parts or way.anchor or link is not None:
        raise DataError(
            "a file would be written outside of the folder that was named",
            got=f"{name} in {folder}" + ("" if link is None else f", where {link} is a link"),
            expected="a path below the folder, without links",
            fix="name another folder, or remove the link",
        )
    return steps[-1]


def place_in(folder: str | os.PathLike[str], name: str | os.PathLike[str]) -> pathlib.Path:
    """Returns what `check_place` does, and makes the folders on the way."""
    path = check_place(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Returns the bytes of a file; a pipe, which might never end, is refused.

    Raises:
        OSError: it is not there, cannot be read, or is no regular file.
    """
    # Whoever opens a pipe without a writer would wait for ever.
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        return file.read()


def read_json(path: str | os.PathLike[str]) -> Any:
    """Returns the content of a JSON file.

    Raises:
        RunError: the file is missing or no JSON.
    """
    try:
        return json.loads(read_regular(path).decode("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            "a file of the run cannot be read",
            got=f"{path}: {error}",
            expected="a JSON file that aezoo wrote",
            fix="train again into another folder",
        ) from error


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes a JSON file, whole or not at all; null stands for a number that is not finite."""
    with replacing(path) as new:
        new.write_text(json_text(content, indent=2) + "\n", encoding="utf-8")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Returns the sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _new_draft(folder):
    """Returns (new draft, its lock or None); the system frees the lock of a process however that ends."""
    while True:
        draft = pathlib.Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder))
        lock = _lock(draft, wait=True)
        if lock is None or draft.exists():
            return draft, lock
        os.close(lock)  # another process swept it away before it was locked


def _sweep(folder):
    """Removes what killed processes left of their drafts; one that is locked is being written."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # a folder may be written and not read
        for draft in [entry.path for entry in entries if entry.name.startswith(DRAFT)]:
            lock = _lock(draft, wait=False)
            if lock is not None:
                shutil.rmtree(draft, ignore_errors=True)
                os.close(lock)


def _lock(draft, *, wait):
    """Returns the number that holds the lock of a draft; None where another has it, or there are no locks."""
    if fcntl is None:
        return None
    try:
        number = os.open(draft, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(number)
        return None
    return number


def _name_target(error, draft, target):
    """Raises an OSError that names the target where an error says that the disk is full, or names a draft."""
    unclear = not isinstance(error, (AezooError, OSError)) and shutil.disk_usage(draft).free < _LITTLE
    if is_full(error) or unclear:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
    if isinstance(error, OSError) and str(error.filename).startswith(str(draft)):
        raise OSError(error.errno, error.strerror, str(target)) from error


def _keep_mode(old, new):
    """Gives a new file or folder the mode and, where that may be, the owner of the one that it replaces."""
    before = os.stat(old)
    if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (os.stat(new).st_uid, os.stat(new).st_gid):
        with contextlib.suppress(OSError):
            os.chown(new, before.st_uid, before.st_gid)
    os.chmod(new, stat.S_IMODE(before.st_mode))


def _sync(path):
    """Has the system bring a file or folder to the disk: a name must not be there before its content is."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:  # a folder, on Windows
        return
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(number)


def _exchange(first, second):
    """Swaps two paths in one step where the system can (Linux, renameat2); returns whether it did."""
    import ctypes  # here, since the runtime imports this module and its start counts

    at_cwd, exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return renameat2(at_cwd, os.fsencode(first), at_cwd, os.fsencode(second), exchange) == 0
