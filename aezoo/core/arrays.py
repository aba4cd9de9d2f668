"""Reads .npz and .npy files of anybody: nothing is unpacked before it is known how large it will be.

The directory of the archive and the header of each array say what comes; both must agree with each other and
with what the reader expects, and all arrays together must stay within a limit. A file of some megabytes can
say of itself that it holds gigabytes of zeros, and be right. NumPy only.
"""

import dataclasses
import io
import math
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from aezoo.core.strict_json import Damaged

_MOST = 10_000  # arrays of a file
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
_ENCRYPTED = 1
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
PICKLED = "holds pickled objects"
NUMBERS = "biuf"
_KINDS = {"b": "truth values", "i": "whole numbers", "u": "whole numbers", "f": "numbers", "U": "texts"}


@dataclasses.dataclass(frozen=True)
class Like:
    """What an array is expected to be.

    Attributes:
        kinds: of `numpy.dtype.kind`, a text of letters.
        shape: sizes, None where any will do; None: any shape.
    """

    kinds: str = NUMBERS
    shape: tuple[int | None, ...] | None = None

    def check(self, where: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Raises Damaged unless an array of this shape and dtype is like this."""
        if dtype.kind not in self.kinds:
            words = " or ".join(dict.fromkeys(_KINDS.get(kind, kind) for kind in self.kinds))
            raise Damaged(where, f"has dtype {str(dtype)[:40]!a}", f"an array of {words}")
        fits = self.shape is None or (
            len(shape) == len(self.shape)
            and all(wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True))
        )
        if not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in self.shape or ())
            raise Damaged(where, f"has shape {shape}", f"shape ({wanted})")


ANY = Like()


def read_npz(
    file: bytes | BinaryIO,
    largest: int,
    expected: Mapping[str, Like] | None = None,
    others: Like | None = ANY,
) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file, {name: array}. Pickled objects are never opened.

    Args:
        file: its content, or the file, open for reading bytes.
        largest: bytes that all arrays together may have, unpacked.
        expected: arrays that must be there.
        others: what arrays beyond those must be like; None: there are no others.

    Raises:
        Damaged: it is no whole .npz file, too large, or holds something else.
    """
    expected = {} if expected is None else expected
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
            members = _members(archive)
            if missing := [name for name in expected if name not in members]:
                raise Damaged(missing[0], "is missing", f"among {', '.join(members)}"[:200] or "some arrays")
            size = 0
            for name, member in members.items():
                like = expected.get(name, others)
                if like is None:
                    raise Damaged(_named(name), "is not known", f"among {', '.join(expected)}")
                with archive.open(member) as packed:
                    size += _check_header(packed, _named(name), member.file_size, like)
            if size > largest:
                raise Damaged("", f"unpacks to {size:,} bytes", f"at most {largest:,} bytes")
            return {name: _unpacked(archive, member) for name, member in members.items()}
    except Damaged:
        raise
    except Exception as error:  # whatever zipfile, zlib and NumPy raise of bytes that are none of theirs
        raise Damaged("", _told(error), "a whole .npz file, as numpy.savez writes it") from error


def check_npy(path: str | os.PathLike[str], like: Like = ANY) -> None:
    """Raises Damaged unless a .npy file says that it holds what is in it, and an array that is like this."""
    try:
        with open(path, "rb") as file:
            _check_header(file, "", os.fstat(file.fileno()).st_size, like, more=True)
    except (Damaged, OSError):
        raise
    except Exception as error:
        raise Damaged("", _told(error), "a whole .npy file, as numpy.save writes it") from error


def most_of(path: str | os.PathLike[str]) -> int:
    """Returns the bytes that a file of examples may unpack to: a GiB, or 200 times what it has, if more.

    Photographs shrink by less than 3 and mostly black masks by less than 100; zeros shrink by 1,000.
    """
    return max(2**30, 200 * pathlib.Path(path).stat().st_size)


def _members(archive):
    """Returns {name of an array: its row of the archive's directory}."""
    members: dict[str, zipfile.ZipInfo] = {}
    rows = archive.infolist()
    if len(rows) > _MOST:
        raise Damaged("", f"holds {len(rows):,} files", f"at most {_MOST:,} arrays")
    for row in rows:
        name = row.filename.removesuffix(".npy")
        if name == row.filename or name in members:
            raise Damaged(_named(name), "is there twice" if name in members else "is no array", "arrays")
        if row.compress_type not in _PACKINGS or row.flag_bits & _ENCRYPTED:
            raise Damaged(_named(name), "is packed in another way", "as numpy.savez packs it")
        members[name] = row
    return members


def _check_header(file: Any, where: str, size: int, like: Like, more: bool = False) -> int:
    """Returns the bytes of an array, of which only the header is read; raises Damaged.

    Args:
        file: at the start of an .npy file.
        where: name for an error.
        size: of the whole file; `more`: it may be larger than the array.
        like: what is expected.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise Damaged(where, f"has the version {version} of .npy", "1.0 or 2.0")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise Damaged(where, PICKLED, "an array of numbers")
    if any(isinstance(n, bool) or n < 0 for n in shape) or dtype.itemsize == 0:
        raise Damaged(where, f"has shape {shape}", "sizes of at least 0")
    like.check(where, shape, dtype)
    wanted = math.prod(shape) * dtype.itemsize
    held = size - file.tell()
    if held < wanted or (held > wanted and not more):
        raise Damaged(where, f"has {held:,} bytes", f"{wanted:,} bytes, of {shape} {str(dtype)[:20]}")
    return wanted


def _unpacked(archive, member):
    with archive.open(member) as packed:
        array = np.lib.format.read_array(packed, allow_pickle=False)
        packed.read(1)  # the end, where the checksum is compared
        return array


def _named(name):
    return ascii(name)[1:-1][:60]


def _told(error):
    lines = str(error).splitlines()
    return f"is damaged: {lines[0][:200] if lines else type(error).__name__}"
