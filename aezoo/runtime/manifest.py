"""The bundle: the contract on disk of an export. Standard library only.

    bundle/
      manifest.json     what lies here: artifacts, hashes, names, shapes, parity figures
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

import hashlib
import json
import os
import pathlib
import sys

from aezoo.core.errors import BundleError
from aezoo.core.files import sha256_of

SCHEMA_VERSION = 4
MANIFEST = "manifest.json"
CARD = "README.md"
GOLDEN = "golden.npz"
PRIOR = "prior.npz"
CALIBRATION = "calibration.npz"
TRACE = "trace.npz"

_KEYS = {
    "schema_version",
    "model",
    "kind",
    "example_shape",
    "latent_shape",
    "input_dtype",
    "error_scale",
    "golden",
    "prior",
    "likelihood",
    "classes",
    "codebook_size",
    "calibration",
    "anomalies",
    "trace",
    "artifacts",
}


def is_bundle(folder):
    """Whether the folder holds a manifest."""
    return (pathlib.Path(folder) / MANIFEST).is_file()


def read_manifest(folder):
    """Returns the manifest, a dict.

    Raises:
        BundleError: no bundle there, its manifest is damaged, or a later aezoo wrote it.
    """
    path = pathlib.Path(folder) / MANIFEST
    check_spelling(folder)
    problem, cause = None, None
    try:
        manifest = json.loads(path.read_text("utf-8"))
        if not isinstance(manifest, dict) or not isinstance(manifest.get("artifacts"), list):
            problem = "it holds no list of artifacts"
        elif manifest.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
            problem = f"its schema version is {manifest['schema_version']!r}, not {SCHEMA_VERSION}"
        elif wrong := [row for row in manifest["artifacts"] if not _is_row(row)]:
            problem = f"a row of its artifacts is no description of a file: {str(wrong[0])[:60]}"
        elif missing := sorted(_KEYS - set(manifest)):
            problem = f"it does not say {', '.join(missing)}"
    except (OSError, ValueError) as error:
        problem, cause = str(error), error
    if problem:
        raise BundleError(
            "there is no bundle that this aezoo can read",
            got=f"{path}: {problem}",
            expected=f"a folder with a {MANIFEST} of schema version {SCHEMA_VERSION}",
            fix="make one with `aezoo export RUN -o BUNDLE`, or update aezoo",
        ) from cause
    return manifest


def check_spelling(folder):
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


def _is_row(row):
    keys = {"part", "format", "precision", "file", "files", "inputs", "outputs"}
    return isinstance(row, dict) and keys <= set(row) and isinstance(row["files"], dict)


def rows_with_files(manifest):
    """Returns all rows of a manifest that list files with their sha256."""
    rows = (manifest[key] for key in ("golden", "prior", "calibration", "trace"))
    return [row for row in (*rows, *manifest["artifacts"]) if row]


def meaning(manifest):
    """Returns the sha256, in hexadecimal, of what a manifest says about how files are to be used.

    It is kept with the golden arrays, so that `verify` finds a manifest that was edited.
    """
    said = {key: manifest[key] for key in sorted(_KEYS - {"schema_version", "golden", "trace", "artifacts"})}
    said["artifacts"] = [
        {key: value for key, value in row.items() if key not in ("files", "size_bytes", "parity")}
        for row in manifest["artifacts"]
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def write_manifest(folder, manifest):
    """Writes the manifest of a bundle in the making."""
    (pathlib.Path(folder) / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def find(manifest, part, form="onnx", precision="float32"):
    """Returns the manifest's row of an artifact.

    Raises:
        BundleError: the bundle was exported without it.
    """
    for artifact in manifest["artifacts"]:
        if (artifact["part"], artifact["format"], artifact["precision"]) == (part, form, precision):
            return artifact
    held = ", ".join(f"{a['part']} {a['format']} {a['precision']}" for a in manifest["artifacts"])
    raise BundleError(
        f"this bundle holds no {part} in this format",
        got=f"{part} {form} {precision}",
        expected=held or "an artifact; the bundle is empty",
        fix=f"export again with --formats {form} --precision {precision}",
    )


def check_precision(manifest, precision, form="onnx"):
    """Returns a precision in which the bundle holds files of a format.

    Raises:
        BundleError: it holds none.
    """
    held = dict.fromkeys(a["precision"] for a in manifest["artifacts"] if a["format"] == form)
    # A bundle without any file of the format is told when a part is asked for.
    if precision not in held and (held or precision != "float32"):
        raise BundleError(
            f"this bundle holds no {form} files of this precision",
            got=f"precision={precision!r}",
            expected=f"one of {', '.join(map(repr, held))}" if held else f"{form} files; it has none",
            fix=f"export again with --formats {form} --precision {precision}"
            + (f", or pass precision={next(iter(held))!r}" if held else ""),
        )
    return precision


def hash_files(folder, relative):
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


def check_files(folder, files):
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


def check_target(folder):
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
