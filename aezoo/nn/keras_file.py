"""A `.keras` file, looked at before Keras sees it: sizes and kinds, so that reading it costs what it weighs.

Keras writes a zip of three files that are stored, not compressed, and HDF5 arrays in one piece each. Nothing
else is read: what is compressed, chunked or linked may unpack to any size, or lie in another file.
"""

import dataclasses
import io
import os
import zipfile
from typing import Any

import h5py

from aezoo.core import strict_json
from aezoo.core.files import read_regular
from aezoo.core.strict_json import Damaged

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = ("metadata.json", _CONFIG, _WEIGHTS)
_DEEPEST = 200  # brackets of a config: models within models within models
_WIDEST = 16  # bytes of one number


@dataclasses.dataclass(frozen=True)
class KerasFile:
    """What a `.keras` file holds.

    Attributes:
        content: all its bytes, which are what was checked.
        config: of the model, JSON.
        numbers: how many its weights are, those of the optimiser included.
    """

    content: bytes
    config: Any
    numbers: int


def read(path: str | os.PathLike[str]) -> KerasFile:
    """Reads a `.keras` file into memory, and checks all but the names in its config.

    Raises:
        Damaged: it is no file as Keras writes it.
        OSError: it cannot be opened.
    """
    content = read_regular(path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_members(archive)
        parts = {name: archive.read(name) for name in _MEMBERS}  # each is compared with its checksum
    config = strict_json.read(Any, strict_json.parse(parts[_CONFIG], deepest=_DEEPEST))
    with h5py.File(io.BytesIO(parts[_WEIGHTS]), "r") as weights:
        numbers = _check_weights(weights, len(parts[_WEIGHTS]))
    return KerasFile(content, config, numbers)


def _check_members(archive: zipfile.ZipFile) -> None:
    rows = archive.infolist()
    names = [row.filename for row in rows]
    if sorted(names) != sorted(_MEMBERS):
        raise Damaged("", f"holds {', '.join(map(ascii, names))[:100] or 'nothing'}", ", ".join(_MEMBERS))
    for row in rows:
        if row.compress_type != zipfile.ZIP_STORED or row.file_size != row.compress_size:
            raise Damaged(row.filename, "is compressed", "stored, as Keras writes it")


def _check_weights(weights: h5py.File, size: int) -> int:
    """Returns how many numbers an HDF5 file of `size` bytes holds, or raises Damaged."""
    numbers, taken, seen = 0, 0, set()
    groups = [weights]
    while groups:
        group = groups.pop()
        _check_attributes(group)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Damaged(_WEIGHTS, f"has a link {_path(group, name)}", "groups and arrays")
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen or not isinstance(found, (h5py.Group, h5py.Dataset)):
                raise Damaged(_WEIGHTS, f"has {_path(group, name)} twice, or of no kind", "groups and arrays")
            seen.add(address)
            if isinstance(found, h5py.Group):
                groups.append(found)
                continue
            numbers, taken = numbers + _numbers(found, name), taken + found.id.get_storage_size()
    if taken > size:
        raise Damaged(_WEIGHTS, f"has arrays of {taken:,} bytes", f"at most its own {size:,}")
    return numbers


def _numbers(array: h5py.Dataset, name: str) -> int:
    """Returns how many numbers an array has, which lie in one piece in this very file."""
    _check_attributes(array)
    kind, place = array.dtype, _path(array.parent, name)
    if kind.kind not in "biufV" or kind.names or kind.subdtype or kind.itemsize > _WIDEST:
        raise Damaged(_WEIGHTS, f"has {place} of {ascii(kind)[:40]}", "arrays of numbers")
    plain = array.id.get_create_plist().get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    whole = array.shape is not None and array.id.get_storage_size() == array.size * kind.itemsize
    if not plain or array.external or not whole:
        raise Damaged(
            _WEIGHTS, f"has {place} in pieces or elsewhere", "arrays in one piece, as Keras writes them"
        )
    return int(array.size)


def _check_attributes(item: Any) -> None:
    for name in item.attrs:
        if item.attrs.get_id(name).shape != ():
            raise Damaged(_WEIGHTS, f"has an attribute {name[:40]!a} of several values", "one text")


def _path(group: Any, name: str) -> str:
    return ascii(f"{group.name}/{name}"[-60:])
