"""The bundle: the contract on disk of an export. Standard library only.

    bundle/
      manifest.json     what lies here, see `schema`: artifacts, hashes, names, shapes, parity figures
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

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
from collections.abc import Iterator

from aezoo.core import strict_json
from aezoo.core.errors import BundleError, OptionError
from aezoo.core.files import sha256_of
from aezoo.core.strict_json import Damaged
from aezoo.runtime.schema import CALIBRATION, GOLDEN, PRIOR, SCHEMA_VERSION, TRACE, Artifact, Manifest

__all__ = [
    "CALIBRATION",
    "CARD",
    "GOLDEN",
    "MANIFEST",
    "PRIOR",
    "SCHEMA_VERSION",
    "TRACE",
    "Artifact",
    "Manifest",
    "check_files",
    "check_precision",
    "check_target",
    "digest_of",
    "files_of",
    "find",
    "hash_files",
    "is_bundle",
    "meaning",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"
CARD = "README.md"

Folder = str | os.PathLike[str]

# What a manifest says about how files are to be used; `meaning` is the hash of it.
_MEANT = (
    "anomalies",
    "calibration",
    "classes",
    "codebook_size",
    "error_scale",
    "example_shape",
    "input_dtype",
    "kind",
    "latent_shape",
    "likelihood",
    "model",
    "prior",
)


def is_bundle(folder: Folder) -> bool:
    """Whether the folder holds a manifest."""
    return (pathlib.Path(folder) / MANIFEST).is_file()


def digest_of(folder: Folder) -> str:
    """Returns the digest of a bundle: the sha256 of its manifest.json, in hexadecimal.

    The manifest holds the sha256 of every other file, so that who knows the digest knows the bundle. It is
    what `sha256sum bundle/manifest.json` prints.
    """
    return sha256_of(pathlib.Path(folder) / MANIFEST)


def _check_digest(path: pathlib.Path, found: bytes, digest: str) -> None:
    """Raises BundleError unless the bytes of a manifest have the digest that a caller vouches for."""
    is_digest = isinstance(digest, str) and re.fullmatch("[0-9a-fA-F]{64}", digest.strip())
    if not is_digest:
        raise OptionError(
            "a digest is a sha256",
            got=f"digest={digest!r}"[:100],
            expected="64 hexadecimal digits, as the export printed them",
            fix="pass digest=aezoo.runtime.manifest.digest_of(folder) of the bundle that you exported",
        )
    got = hashlib.sha256(found).hexdigest()
    if got != digest.strip().lower():
        raise BundleError(
            "this is not the bundle of this digest",
            got=f"{path}: sha256 {got}",
            expected=f"sha256 {digest.strip().lower()}",
            fix="copy the bundle again from where the digest comes from",
        )


def read_manifest(folder: Folder, digest: str | None = None) -> Manifest:
    """Returns the manifest of a bundle.

    Args:
        folder: of the bundle.
        digest: that the bundle must have, see `digest_of`; None accepts any.

    Raises:
        BundleError: no bundle there, it has another digest, another aezoo wrote it, or its manifest is
            damaged; then the error names the place inside the JSON.
        OptionError: the digest is no sha256.
    """
    path = pathlib.Path(folder) / MANIFEST
    check_spelling(folder)
    try:
        with open(path, "rb") as file:
            raw = file.read(strict_json.LARGEST + 1)
        if digest is not None:
            _check_digest(path, raw, digest)
        content = strict_json.parse(raw)
        version = content.get("schema_version") if isinstance(content, dict) else None
        if type(version) is int and version != SCHEMA_VERSION:
            raise BundleError(
                "another aezoo wrote this bundle",
                got=f"{path}: schema version {version}",
                expected=f"schema version {SCHEMA_VERSION}",
                fix="make it again with aezoo.export.export_bundle(model, folder), or update aezoo",
            )
        return strict_json.read(Manifest, content)
    except OSError as error:
        raise BundleError(
            "there is no bundle that this aezoo can read",
            got=f"{path}: {error.strerror or error}",
            expected=f"a folder with a {MANIFEST} of schema version {SCHEMA_VERSION}",
            fix="make one with aezoo.export.export_bundle(model, folder)",
        ) from error
    except Damaged as error:
        raise BundleError(
            "the manifest of this bundle is damaged",
            got=f"{path}: {error}",
            expected=error.expected,
            fix="copy the bundle again, or make it again with aezoo.export.export_bundle(model, folder)",
        ) from error


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Writes the manifest of a bundle in the making; what could not be read again raises BundleError."""
    text = json.dumps(strict_json.to_json(manifest), indent=2) + "\n"
    (pathlib.Path(folder) / MANIFEST).write_text(text, encoding="utf-8")
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
    for row in (manifest.golden, manifest.prior, manifest.calibration, manifest.trace, *manifest.artifacts):
        if row is not None:
            yield row.files


def meaning(manifest: Manifest) -> str:
    """Returns the sha256, in hexadecimal, of what a manifest says about how files are to be used.

    It is kept with the golden arrays, so that `verify` finds a manifest that was edited.
    """
    all_of_it = strict_json.to_json(manifest)
    said = {key: all_of_it[key] for key in _MEANT}
    said["artifacts"] = [
        {key: value for key, value in row.items() if key not in ("files", "size_bytes", "parity")}
        for row in all_of_it["artifacts"]
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


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


def hash_files(folder: Folder, relative: str) -> dict[str, str]:
    """Returns {path inside the folder: sha256} of a file, or of every file below a folder.

    The weights that a file keeps beside itself belong to it: `.data` of an ONNX file of over 2 GiB, `.bin`
    of OpenVINO's.
    """
    folder = pathlib.Path(folder)
    root = folder / relative
    if root.is_dir():
        files = sorted(path for path in root.rglob("*") if path.is_file())
    else:
        files = [root, root.with_name(root.name + ".data"), root.with_suffix(".bin")]
        files = [path for path in files if path.is_file()]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def rehashed(folder: Folder, artifact: Artifact) -> Artifact:
    """Returns the row of an artifact whose file has been changed."""
    held = hash_files(folder, artifact.file)
    size = sum((pathlib.Path(folder) / file).stat().st_size for file in held)
    return dataclasses.replace(artifact, files=held, size_bytes=size)


def check_files(folder: Folder, files: dict[str, str]) -> None:
    """Raises BundleError unless every file is there and has the sha256 of the manifest.

    Args:
        folder: of the bundle.
        files: {path inside the folder: sha256}.
    """
    for name, expected in files.items():
        path = pathlib.Path(folder) / name
        got = f"sha256 {sha256_of(path)}" if path.is_file() else "no such file"
        if got != f"sha256 {expected}":
            raise BundleError(
                f"{name} is not the file that was proven",
                got=f"{path}: {got[:23]}",
                expected=f"sha256 {expected[:16]}...",
                fix="copy the bundle again, or export it again",
            )


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
