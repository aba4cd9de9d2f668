"""Files that are written whole or not at all, and what is known of them."""

import contextlib
import errno
import glob
import hashlib
import json
import os
import pathlib
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from aezoo.core.errors import DataError, RunError
from aezoo.core.json_text import json_text

DRAFT = ".writing-"  # folders of files that are being written; a killed process leaves one


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Context manager: write to the path it gives; it takes the real name only if all went well.

    A killed process leaves the old file, whole. The suffix is kept, since Keras looks at it. A link stays,
    and what it leads to is replaced; a device or a pipe, as /dev/stdout, is written to as it is.
    """
    target = pathlib.Path(path).resolve()
    if target.exists() and not target.is_file():
        yield target
        return
    folder = tempfile.mkdtemp(prefix=DRAFT, dir=target.parent)
    try:
        new = pathlib.Path(folder) / target.name
        yield new
        os.replace(new, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


def make_draft(folder: str | os.PathLike[str]) -> pathlib.Path:
    """Returns a new, hidden folder beside a bundle's place; sweeps away those of killed exports."""
    folder = pathlib.Path(folder).resolve()  # a link stays, and what it leads to is replaced
    folder.parent.mkdir(parents=True, exist_ok=True)
    here = f".{folder.name}.draft-{platform.node()}-"  # another machine's processes cannot be seen
    for stale in folder.parent.glob(f"{glob.escape(here)}*"):
        if not _is_alive(stale.name.rpartition("-")[2]):
            shutil.rmtree(stale, ignore_errors=True)
    draft = folder.parent / f"{here}{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    return draft


def publish(draft: pathlib.Path, folder: str | os.PathLike[str]) -> None:
    """Gives a proven draft its name. An older bundle there stays whole until the new one is in place."""
    folder = pathlib.Path(folder).resolve()
    if folder.exists() and _exchange(draft, folder):
        shutil.rmtree(draft)  # it is the old bundle now
        return
    if folder.exists():  # no exchange on this system: a moment without a bundle is the least evil
        old = draft.with_name(draft.name + ".old")
        os.rename(folder, old)
        os.rename(draft, folder)
        shutil.rmtree(old)
        return
    os.rename(draft, folder)


def _exchange(first, second):
    """Swaps two paths in one step where the system can (Linux, renameat2); returns whether it did."""
    import ctypes  # here, since the runtime imports this module and its start counts

    at_cwd, exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return renameat2(at_cwd, os.fsencode(first), at_cwd, os.fsencode(second), exchange) == 0


def _is_alive(pid):
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
