"""onnxruntime-web: one pinned release, fetched once by npm, checked, and kept in a cache.

It is not part of the wheel, which would be ten times as large. Standard library only.
"""

import base64
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable

from aezoo.core.errors import AezooError, OptionError
from aezoo.core.files import replacing_folder, sha256_of

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
# of the package, as npm publishes it in its lock files
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# The build for WebAssembly alone. It asks for no headers of isolation as long as it runs on one thread.
FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
_LARGEST = 200_000_000  # bytes of the archive, and of a file in it
_SECONDS = 900  # for 33 MB: a line of 300 kbit/s


def find(
    source: str | os.PathLike[str] | None = None, *, say: Callable[[str], object] = lambda text: None
) -> pathlib.Path:
    """Returns the folder that holds onnxruntime-web's files, each with the pinned sha256.

    Args:
        source: the package's .tgz, or a folder with its files (node_modules/onnxruntime-web, or its dist/);
            None is the cache, which `npm pack` fills once.
        say: is called with a text before what takes long.

    Raises:
        AezooError: npm is missing, or cannot fetch the package.
        OptionError: `source` holds other files than those of this release.
    """
    if source is not None:
        source = pathlib.Path(source).expanduser()
        if source.is_file():
            return _unpacked(_read(source), str(source))
        for folder in (source, source / "dist"):
            if all((folder / name).is_file() for name in FILES):
                for name in FILES:
                    _check(sha256_of(folder / name), FILES[name], folder / name)
                return folder
        raise OptionError(
            f"{PACKAGE} is not there",
            got=f"{source}" + ("" if source.exists() else " (does not exist)"),
            expected=f"its .tgz, or a folder with {' and '.join(FILES)}",
            fix=f"npm pack {PACKAGE}@{VERSION}, then pass runtime={_ARCHIVE!r}",
        )
    folder = _cache()
    if all(
        (folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in FILES.items()
    ):
        return folder
    say(f"fetching {PACKAGE} {VERSION} with npm, 33 MB, once")
    return _unpacked(_packed(), f"what npm fetched as {PACKAGE}@{VERSION}")


def read(folder: pathlib.Path, name: str) -> bytes:
    """Returns one of `FILES` from the folder that `find` returned; OptionError if it was exchanged since."""
    content = (folder / name).read_bytes()
    _check(hashlib.sha256(content).hexdigest(), FILES[name], folder / name)
    return content


def _cache():
    """Returns the folder of this release in the user's cache; XDG_CACHE_HOME counts if it is absolute."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = pathlib.Path(root) if os.path.isabs(root) else pathlib.Path.home() / ".cache"
    except RuntimeError as error:  # a user without a name, as in some containers
        raise AezooError(
            f"there is no folder to keep {PACKAGE} in",
            got=f"no HOME: {error}",
            expected="a home folder, or another one for caches",
            fix=f"set XDG_CACHE_HOME to the path of a folder, or pass runtime={_ARCHIVE!r}",
        ) from error
    return root / "aezoo" / f"{PACKAGE}-{VERSION}"


def _packed():
    """Returns the bytes of the package, by npm, which knows its registry and the user's proxy."""
    npm = shutil.which("npm")
    elsewhere = f"elsewhere `npm pack {PACKAGE}@{VERSION}`, and here runtime={_ARCHIVE!r}"
    if npm is None:
        raise AezooError(
            f"npm, which fetches {PACKAGE}, is not installed",
            got="no npm on PATH",
            expected="Node.js with npm, needed once",
            fix=f"install Node.js; or {elsewhere}",
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_SECONDS,
            )
            told = done.stderr.strip() or f"exit status {done.returncode}"
        except subprocess.TimeoutExpired:
            done, told = None, f"nothing after {_SECONDS} s"
        file = pathlib.Path(folder) / _ARCHIVE
        if done is None or done.returncode or not file.is_file():
            raise AezooError(
                f"npm cannot fetch {PACKAGE}",
                got=next((line for line in told.splitlines() if "error" in line.lower()), told[:200]),
                expected=f"{_ARCHIVE}, by `npm pack {PACKAGE}@{VERSION}`",
                fix=f"check the network, or `npm ping`; or {elsewhere}",
            )
        return _read(file)


def _read(file):
    """Returns the bytes of an archive that is not larger than any release has been."""
    size = file.stat().st_size
    if size > _LARGEST:
        _refuse(f"{file}: {size:,} bytes", f"at most {_LARGEST:,} bytes")
    return file.read_bytes()


def _unpacked(archive, source):
    """Puts the files of a package into the cache, in one step; returns their folder."""
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    _check(f"sha512-{digest}", INTEGRITY, source)
    folder = _cache()
    with replacing_folder(folder) as draft, tarfile.open(fileobj=io.BytesIO(archive)) as package:
        for name, digest in FILES.items():
            content = _entry(package, f"package/dist/{name}")
            _check(hashlib.sha256(content).hexdigest(), digest, name)
            (draft / name).write_bytes(content)
    return folder


def _entry(package, name):
    """Returns the bytes of one regular file of an archive; nothing of it is written under its own name."""
    row = next((row for row in package if row.name == name), None)
    if row is None or not row.isreg() or row.size > _LARGEST:
        _refuse(f"{name}: " + ("missing" if row is None else f"of type {row.type!r}, {row.size:,} bytes"))
    return package.extractfile(row).read()


def _check(found, expected, source):
    if found != expected:
        _refuse(f"{source}: {found[:24]}...", f"{expected[:24]}...")


def _refuse(got, expected="the files of the release"):
    raise OptionError(
        f"this is not {PACKAGE} {VERSION} as it was published",
        got=got,
        expected=expected,
        fix=f"npm pack {PACKAGE}@{VERSION}, then pass runtime={_ARCHIVE!r}",
    )


def write_licences(folder: pathlib.Path) -> list[str]:
    """Writes the terms of onnxruntime-web, and of what it contains, into a folder; returns their names.

    They are those of onnxruntime itself, whose Python package brings them along; npm's does not.
    """
    import onnxruntime

    names = []
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        source = pathlib.Path(onnxruntime.__file__).parent / name
        if source.is_file():
            target = name if name.endswith(".txt") else f"{name}.txt"  # browsers show .txt
            shutil.copyfile(source, pathlib.Path(folder) / target)
            names.append(target)
    return names
