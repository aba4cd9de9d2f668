"""Mutants of a bundle: what a slip, a broken disk or an attacker may have made of it, the same for a seed.

Each is a change of a copy of the bundle. Those of an attacker have their hashes and sidecar recomputed, so
that nothing but what the files say is left to find them.
"""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# What is put in the place of a value of manifest.json.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**40, 2**63, 10**30),
    *(0.0, 1e-45, 1e-300, 0.5, 1e30, 1e39, 1e300, float("inf"), float("-inf"), float("nan")),
    *("", "x", "batch", "float32", "int8", "c", "onnx", "nchw", "images", "../../x", "/etc/passwd", "a/b"),
    *("\x1b[31m", "[/nope]", "\u202e", "\ud800", "x" * 5000, "encoder.onnx", "scorer", "standard_normal"),
    *([], [[]], {}, {"x": 1}, [0], [1, 2, 3], ["batch", 4], [2**40, 2**40], {"../x": "0" * 64}),
)


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A change of a bundle.

    Attributes:
        name: what is changed, by which it can be found again.
        mutate: function of a folder, a copy of the bundle, which it changes.
        sealed: whether hashes and sidecar were recomputed, as an attacker does.
    """

    name: str
    mutate: Callable[[pathlib.Path], object]
    sealed: bool


def mutants(folder: pathlib.Path, seed: int = 0) -> Iterator[Mutant]:
    """Yields mutants of a bundle without end; the same for a seed."""
    draw = random.Random(seed)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    kinds = (_of_json, _of_json, _of_json, _of_text, _of_bytes, _of_bytes, _of_arrays, _of_files)
    number = 0
    while True:
        change = random.Random(draw.random())
        kind, sealed = draw.choice(kinds), draw.random() < 0.7
        name, mutate = kind(change, manifest, files)
        yield Mutant(f"{number}: {name}{', sealed' if sealed else ''}", _whole(mutate, sealed), sealed)
        number += 1


def _whole(mutate, sealed):
    def whole(folder):
        mutate(folder)
        if sealed:
            seal(folder)

    return whole


def seal(folder: pathlib.Path) -> None:
    """Recomputes every hash that a manifest still holds, and the sidecar."""
    path, sidecar = folder / "manifest.json", folder / "bundle.sha256"
    if not (path.is_file() and sidecar.is_file()):
        return  # a pipe would never end
    try:
        manifest = json.loads(path.read_text("utf-8"))
        _rehash(folder, manifest)
        path.write_text(json.dumps(manifest), encoding="utf-8")
    except (ValueError, OSError, RecursionError):
        pass
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sidecar.write_text(f"{digest}  manifest.json\n", encoding="utf-8")


def _rehash(folder, value):
    if isinstance(value, list):
        for entry in value:
            _rehash(folder, entry)
    elif isinstance(value, dict):
        for name, entry in value.items():
            path = folder / name if len(name) < 200 and "\0" not in name else folder
            if isinstance(entry, str) and len(entry) == 64 and path.is_file():
                value[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                _rehash(folder, entry)


# -- kinds of mutants: (name, function of a folder) ---------------------------------------------------


def _of_json(draw, manifest, files):
    """Another value, or none, or another name at one to three places of the manifest."""
    content = json.loads(json.dumps(manifest))
    names = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        where, inner, key = draw.choice(list(_places(content)))
        how = draw.choice(("put", "put", "put", "drop", "scale", "rename", "copy"))
        names.append(f"{how} {where}")
        if how == "put":
            inner[key] = draw.choice(VALUES)
        elif how == "scale" and isinstance(inner[key], (int, float)):
            inner[key] = inner[key] * draw.choice((0.001, 2, 1000, -1))
        elif how == "rename" and isinstance(inner, dict):
            inner[draw.choice(("x", "", "../x", "a" * 300))] = inner.pop(key)
        elif how == "copy":
            inner[key] = json.loads(json.dumps(draw.choice(list(_places(content)))[1]))
        elif isinstance(inner, dict):
            inner.pop(key)
        else:
            inner.insert(0, inner[key])
    text = json.dumps(content)
    return "manifest, " + "; ".join(names), lambda folder: _write(folder / "manifest.json", text.encode())


def _places(value, where=""):
    """Yields (where, list or dict, key) of everything inside."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(pairs):
        yield f"{where}/{key}", value, key
        yield from _places(entry, f"{where}/{key}")


def _of_text(draw, manifest, files):
    """Text of the manifest or of its sidecar that is cut, doubled, deep or no JSON."""
    text = json.dumps(manifest)
    at = draw.randrange(len(text))
    made = {
        "cut": text[:at],
        "doubled": text[:at] + text[at // 2 :],
        "byte": text[:at] + chr(draw.randrange(256)) + text[at + 1 :],
        "deep": text[:-1] + ', "x": ' + "[" * draw.choice((40, 100_000)) + "}",
        "twice": '{"schema_version": 1, ' + text[1:],
        "empty": "",
    }
    how = draw.choice(list(made))
    file = draw.choice(("manifest.json", "manifest.json", "bundle.sha256"))
    return f"{file}, {how} at {at}", lambda folder: _write(
        folder / file, made[how].encode("latin-1", "replace")
    )


def _of_bytes(draw, manifest, files):
    """A file of which some bytes are others, or that is cut, or empty, or longer."""
    file = draw.choice([name for name in files if name not in ("manifest.json", "bundle.sha256")])
    how = draw.choice(("flip", "flip", "flip", "zero", "cut", "empty", "longer"))
    places = [draw.random() for _ in range(draw.choice((1, 1, 4, 32)))]
    bits = [1 << draw.randrange(8) for _ in places]

    def mutate(folder):
        content = bytearray((folder / file).read_bytes())
        if how == "cut":
            content = content[: int(places[0] * len(content))]
        elif how == "empty":
            content = bytearray()
        elif how == "longer":
            content += b"\0" * 100
        elif content:
            for place, bit in zip(places, bits, strict=True):
                at = int(place * len(content))
                content[at] = 0 if how == "zero" else content[at] ^ bit
        _write(folder / file, bytes(content))

    return f"{file}, {how} at {places[0]:.4f}", mutate


def _of_arrays(draw, manifest, files):
    """An .npz file in which an array has other values, another shape or another type, or is gone."""
    file = draw.choice([name for name in files if name.endswith(".npz")])
    which, how = draw.random(), draw.choice(("values", "shape", "dtype", "gone", "more", "struct", "object"))
    special = draw.choice((np.nan, np.inf, -np.inf, 0.0, -1.0, 1e38, 1e300))
    dtype = draw.choice(("float16", "int8", "uint64", "bool", "U8", "S3", "complex64", "M8[s]"))

    def mutate(folder):
        with np.load(folder / file) as held:
            arrays = dict(held)
        name = list(arrays)[int(which * len(arrays))]
        array = arrays[name]
        if how == "values" and array.dtype.kind == "f":
            with np.errstate(all="ignore"):
                arrays[name] = np.where(np.arange(array.size).reshape(array.shape) % 3, array, special)
        elif how == "shape":
            arrays[name] = array.ravel()[: max(1, array.size // 2)] if array.ndim != 1 else array[None]
        elif how == "dtype":
            arrays[name] = np.zeros(array.shape, dtype)
        elif how == "struct":
            arrays[name] = np.zeros(array.shape, [("a", "f8"), ("b", "i4")])
        elif how == "object":
            arrays[name] = np.full(3, None)
        elif how == "more":
            arrays["further"] = np.zeros(3)
        else:
            del arrays[name]
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)
        _write(folder / file, packed.getvalue())

    return f"{file}, {how} of array {which:.2f} ({special}, {dtype})", mutate


def _of_files(draw, manifest, files):
    """A file that is gone, a link, a pipe, a folder, or another file of the bundle."""
    file, other = draw.choice(files), draw.choice(files)
    how = draw.choice(("gone", "link", "pipe", "folder", "exchanged", "foreign"))

    def mutate(folder):
        path = folder / file
        if how == "foreign":
            _write(folder / "foreign.bin", b"x")
            return
        content = (folder / other).read_bytes()
        path.unlink()
        if how == "link":
            path.symlink_to(folder.parent / "elsewhere")
        elif how == "pipe":
            os.mkfifo(path)
        elif how == "folder":
            path.mkdir()
        elif how == "exchanged":
            _write(path, content)

    return f"{file}, {how} ({other})", mutate


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def copied(folder: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Returns a fresh copy of a bundle at a path, whatever lay there."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(folder, target)
    return target
