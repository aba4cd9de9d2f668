"""The bundle: the contract on disk of an export.

    bundle/
      manifest.json     what lies here, see `schema`: artifacts, hashes, names, shapes, parity figures
      bundle.sha256     the sha256 of manifest.json, as `sha256sum -c` reads it
      README.md         the model card, made from the manifest
      encoder.onnx  decoder.onnx  reconstructor.onnx
      saved_model/encoder/ ...
      c/encoder.h  c/decoder.h
      prior.npz         what latents are drawn from, where that is not N(0, I)
      trace.npz         figures of every layer, by which a failed proof names the first that differs
      calibration.npz   scores of normal examples, and fingerprints of those that were trained on
      golden.npz        real inputs with Keras's outputs; `aezoo verify` re-proves the files from them

A bundle is written under another name, proven, and only then takes its own.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator

from aezoo.core import strict_json
from aezoo.core.errors import AezooError, BundleError, OptionError
from aezoo.core.json_text import json_text
from aezoo.core.strict_json import Damaged
from aezoo.runtime import checked
from aezoo.runtime.checked import (
    Folder,
    check_files,
    copy_file,
    copy_files,
    damaged,
    hash_files,
    read_file,
)
from aezoo.runtime.naming import CALIBRATION, CARD, GOLDEN, MANIFEST, PRIOR, SIDECAR, TRACE, artifact_files
from aezoo.runtime.schema import SCHEMA_VERSION, Artifact, Manifest

__all__ = [
    "CALIBRATION",
    "CARD",
    "GOLDEN",
    "MANIFEST",
    "PRIOR",
    "SCHEMA_VERSION",
    "SIDECAR",
    "TRACE",
    "Artifact",
    "Folder",
    "Manifest",
    "check_files",
    "check_precision",
    "check_target",
    "copy_bundle",
    "copy_file",
    "copy_files",
    "damaged",
    "digest_of",
    "files_of",
    "find",
    "foreign_files",
    "hash_files",
    "is_bundle",
    "private_copy",
    "read_file",
    "read_manifest",
    "write_manifest",
]


def is_bundle(folder: Folder) -> bool:
    """Whether the folder holds a manifest."""
    return (pathlib.Path(folder) / MANIFEST).is_file()


def digest_of(folder: Folder) -> str:
    """Returns the digest of a bundle: the sha256 of its manifest.json, in hexadecimal.

    The manifest holds the sha256 of every other file, so that who knows the digest knows the bundle. It is
    what `sha256sum bundle/manifest.json` prints, and what bundle.sha256 says.

    Raises:
        BundleError: no bundle there.
    """
    return hashlib.sha256(_read(folder, MANIFEST, strict_json.LARGEST)).hexdigest()


def _read(folder, name, largest):
    """Returns the bytes of one of the two files that no manifest can hold the sha256 of; or BundleError."""
    path = pathlib.Path(folder) / name
    check_spelling(folder)
    try:
        with checked.open_regular(folder, name) as file:
            return file.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        fix = "make one with aezoo.export.export_bundle(model, folder)"
        if isinstance(error, FileNotFoundError) and (pathlib.Path(folder) / "run.json").is_file():
            fix = f"this is a run: make a bundle of it, aezoo export {shlex.quote(str(folder))} -o bundle"
        raise BundleError(
            "there is no bundle that this aezoo can read",
            got=f"{path}: {getattr(error, 'strerror', None) or error}",
            expected=f"a folder with {MANIFEST} and {SIDECAR}, of schema version {SCHEMA_VERSION}",
            fix=fix,
        ) from error


def _check_digest(folder: Folder, found: str, digest: str) -> None:
    """Raises BundleError unless a manifest has the digest that a caller vouches for."""
    is_digest = isinstance(digest, str) and re.fullmatch("[0-9a-fA-F]{64}", digest.strip())
    if not is_digest:
        raise OptionError(
            "a digest is a sha256",
            got=f"digest={digest!r}"[:100],
            expected="64 hexadecimal digits, as the export printed them",
            fix="pass digest=aezoo.runtime.manifest.digest_of(folder) of the bundle that you exported",
        )
    if found != digest.strip().lower():
        raise BundleError(
            "this is not the bundle of this digest",
            got=f"{pathlib.Path(folder) / MANIFEST}: sha256 {found}",
            expected=f"sha256 {digest.strip().lower()}",
            fix="copy the bundle again from where the digest comes from",
        )


def _check_sidecar(folder, found):
    """Raises BundleError unless a manifest has the digest that was written beside it."""
    said = re.fullmatch(rb"([0-9a-f]{64}) [ *]manifest\.json\r?\n?", _read(folder, SIDECAR, 200))
    if said is None or said[1].decode() != found:
        raise BundleError(
            "the manifest no longer says what it said when the files were proven",
            got=f"{pathlib.Path(folder) / MANIFEST}: sha256 {found[:16]}...",
            expected=f"sha256 {said[1].decode()[:16]}..., of {SIDECAR}" if said else f"one line in {SIDECAR}",
            fix="copy the bundle again, or make it again with aezoo.export.export_bundle(model, folder)",
        )


def read_manifest(folder: Folder, digest: str | None = None) -> Manifest:
    """Returns the manifest of a bundle.

    Args:
        folder: of the bundle.
        digest: that the bundle must have, see `digest_of`; None accepts any.

    Raises:
        BundleError: no bundle there, it has another digest, another aezoo wrote it, or its manifest was
            edited or is damaged; then the error names the place inside the JSON.
        OptionError: the digest is no sha256.
    """
    path = pathlib.Path(folder) / MANIFEST
    raw = _read(folder, MANIFEST, strict_json.LARGEST)
    found = hashlib.sha256(raw).hexdigest()
    if digest is not None:
        _check_digest(folder, found, digest)
    try:
        content = strict_json.parse(raw)
        version = content.get("schema_version") if isinstance(content, dict) else None
        if type(version) is int and version != SCHEMA_VERSION:
            raise BundleError(
                "another aezoo wrote this bundle",
                got=f"{path}: schema version {version}",
                expected=f"schema version {SCHEMA_VERSION}",
                fix="make it again with aezoo.export.export_bundle(model, folder), or update aezoo",
            )
        manifest = strict_json.read(Manifest, content)
    except Damaged as error:
        raise BundleError(
            "the manifest of this bundle is damaged",
            got=f"{path}: {error}",
            expected=error.expected,
            fix="copy the bundle again, or make it again with aezoo.export.export_bundle(model, folder)",
        ) from error
    _check_sidecar(folder, found)
    return manifest


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Writes the manifest of a bundle in the making; what could not be read again raises BundleError."""
    content = (json_text(strict_json.to_json(manifest), indent=2) + "\n").encode("utf-8")
    (pathlib.Path(folder) / MANIFEST).write_bytes(content)
    line = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n"
    (pathlib.Path(folder) / SIDECAR).write_bytes(line.encode())
    read_manifest(folder)


def check_spelling(folder: Folder) -> None:
    """Raises BundleError for a path whose bytes are no UTF-8: every runtime would look for another one.

    So it is with letters beyond ASCII where the locale has another encoding.
    """
    path = os.path.abspath(folder)
    try:
        is_alike = path.encode() == os.fsencode(path)
    except UnicodeEncodeError:
        is_alike = False
    if not is_alike:
        raise BundleError(
            "the runtimes cannot open files of this name in this locale",
            got=f"{path!a}, with names of files in {sys.getfilesystemencoding()}",
            expected="a path in UTF-8, or of ASCII alone",
            fix="set LC_ALL=C.UTF-8 or PYTHONUTF8=1, or name another folder",
        )


def files_of(manifest: Manifest) -> Iterator[dict[str, str]]:
    """Yields the {file: sha256} of everything that a manifest lists."""
    rows = (manifest.golden, manifest.prior, manifest.calibration, manifest.trace, manifest.card)
    for row in (*rows, *manifest.artifacts):
        if row is not None:
            yield row.files


def foreign_files(folder: Folder, manifest: Manifest) -> list[str]:
    """Returns the paths, inside a bundle, of what its manifest does not name; see `checked.foreign_files`."""
    named = {MANIFEST, SIDECAR}.union(*files_of(manifest))
    return checked.foreign_files(folder, named)


def copy_bundle(folder: Folder, manifest: Manifest, target: Folder) -> None:
    """Copies all that a manifest names into another folder; each file is checked as it is copied.

    Raises:
        BundleError: a file is missing or altered.
    """
    for held in files_of(manifest):
        copy_files(folder, held, target)
    write_manifest(target, manifest)


@contextlib.contextmanager
def private_copy(folder: Folder, manifest: Manifest) -> Iterator[str]:
    """Context manager: a copy of a bundle that is this process's own, of bytes checked as they came.

    Runtimes open files by their paths, and would open what somebody has put there since the check.
    """
    with tempfile.TemporaryDirectory(prefix="aezoo-", ignore_cleanup_errors=True) as private:
        copy_bundle(folder, manifest, private)
        try:
            yield private
        except AezooError as error:  # names the files that the caller knows
            error.got = error.got.replace(private, str(folder))
            raise


def find(manifest: Manifest, part: str, format: str = "onnx", precision: str = "float32") -> Artifact:
    """Returns the artifact of a part.

    Raises:
        BundleError: the bundle was exported without it.
    """
    for artifact in manifest.artifacts:
        if (artifact.part, artifact.format, artifact.precision) == (part, format, precision):
            return artifact
    alike = [a for a in manifest.artifacts if a.part == part]
    problem, missing = f"this bundle holds no {part}", f"parts=({part!r},)"
    if any(a.format == format for a in alike):
        problem, missing = f"{problem} in this precision", f"precisions=({precision!r},)"
    elif alike:
        problem, missing = f"{problem} in this format", f"formats=({format!r},)"
    raise BundleError(
        problem,
        got=f"{part} {format} {precision}",
        expected=", ".join(f"{a.part} {a.format} {a.precision}" for a in manifest.artifacts),
        fix=f"export again with {missing}, beside what is there",
    )


def check_precision(manifest: Manifest, precision: str, format: str = "onnx") -> str:
    """Returns a precision in which the bundle holds files of a format.

    Raises:
        BundleError: it holds none.
    """
    held = dict.fromkeys(a.precision for a in manifest.artifacts if a.format == format)
    # A bundle without any file of the format is told when a part is asked for.
    if precision not in held and (held or precision != "float32"):
        raise BundleError(
            f"this bundle holds no {format} files of this precision",
            got=f"precision={precision!r}",
            expected=f"one of {', '.join(map(repr, held))}" if held else f"{format} files; it has none",
            fix=f"export again with formats=({format!r},) and precisions=({precision!r},)"
            + (f", or pass precision={next(iter(held))!r}" if held else ""),
        )
    return precision


def rehashed(folder: Folder, artifact: Artifact) -> Artifact:
    """Returns the row of an artifact whose file has been changed."""
    held = hash_files(folder, *artifact_files(artifact.part, artifact.format, artifact.precision))
    size = sum((pathlib.Path(folder) / file).stat().st_size for file in held)
    return dataclasses.replace(artifact, files=held, size_bytes=size)


# -- publication ---------------------------------------------------------------------------------


def check_target(folder: Folder) -> None:
    """Raises BundleError where publishing would destroy something that is no bundle."""
    check_spelling(folder)
    folder = pathlib.Path(folder).resolve()
    if folder.is_file() or (folder.is_dir() and not is_bundle(folder) and any(folder.iterdir())):
        raise BundleError(
            "a bundle would replace something that is no bundle",
            got=f"{folder}",
            expected="a new folder, an empty one, or an older bundle",
            fix="name another folder",
        )
