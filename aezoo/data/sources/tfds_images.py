"""Finds an image set that TensorFlow Datasets (TFDS) has prepared, and opens its parts.

What is prepared is never downloaded; nothing is downloaded unless that is asked for.
"""

import contextlib
import hashlib
import importlib.resources
import importlib.util
import io
import logging
import os
import pathlib
import re
import socket
import sys
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aezoo.core.errors import DataError
from aezoo.core.imports import silent_stderr, verbose
from aezoo.core.options import nearest
from aezoo.data.splitting import part_sizes
from aezoo.data.streams import StreamPart, import_tfds

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder


NAME = re.compile(r"[A-Za-z_]\w*(/[\w.+-]+)?(:\d[\w.*]*)?")  # set[/config][:version]
# If none of these has an address there is no network; TFDS itself would try each file for minutes.
HOSTS = ("storage.googleapis.com", "www.cs.toronto.edu")


def set_names() -> list[str]:
    """Returns the names of all sets that TFDS can prepare, images or not."""
    return import_tfds().list_builders(with_community_datasets=False)


def find_builder(
    source: str, *, data_dir: str | os.PathLike[str] | None, download: bool
) -> "DatasetBuilder | None":
    """Returns the TFDS builder of a prepared set, or None where TFDS knows no such name.

    Args:
        source: "name", "name:version" or "name/config:version".
        data_dir: folder of prepared sets; None is TFDS_DATA_DIR, else the default of TFDS.
        download: whether a set that is not prepared there may be downloaded.

    Raises:
        DataError: the set is not prepared, or cannot be downloaded, or has no such version.
    """
    tfds = import_tfds()
    from tensorflow_datasets.core import read_only_builder

    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or None
    try:
        return read_only_builder.builder_from_files(source, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        if re.split("[/:]", source)[0] not in set_names():
            return None
    except ValueError as error:  # prepared in several registered folders, or damaged
        _refuse_prepared(source, data_dir, error)
    try:
        builder = tfds.builder(source, data_dir=data_dir, try_gcs=False)
    except Exception as error:  # TFDS raises AssertionError, ValueError, ImportError ... here
        raise DataError(
            f"TensorFlow Datasets cannot open {source!r}",
            got=str(error).strip().splitlines()[-1],
            expected="a set, config and version that it knows: name, name/config or name:version",
            fix=f"pass {re.split('[/:]', source)[0]!r} alone, for its newest version",
        ) from error
    if not builder.data_path.exists():
        if not download:
            raise DataError(
                f"the image set {source!r} is not prepared",
                got=f"nothing in {builder.data_path}",
                expected="a set that TensorFlow Datasets has prepared",
                fix="pass data_dir='DIR', the folder where it is prepared, or download=True with a network",
            )
        _download(builder, source)
    return builder


def _refuse_prepared(source, data_dir, error):
    raise DataError(
        f"the prepared set {source!r} cannot be opened",
        got=f"data_dir={data_dir}: {str(error).splitlines()[0]}",
        expected="one folder of complete files",
        fix="pass data_dir='DIR', the one to use, or prepare it again",
    ) from error


def _has_network():
    if urllib.request.getproxies().keys() & {"http", "https", "all"}:  # a proxy finds the addresses
        return True
    for host in HOSTS:
        with contextlib.suppress(OSError):
            socket.getaddrinfo(host, 443)
            return True
    return False


def _download(builder, source):
    """Downloads and prepares a set, without a word unless AEZOO_VERBOSE asks for it."""
    fix = "try again with a network, or pass data_dir='DIR', the folder where it is prepared"
    if not _has_network():
        raise DataError(
            f"no network to download {source!r}",
            got=f"no address for {', '.join(HOSTS)}",
            expected="a network connection",
            fix=fix,
        ) from (ConnectionError("no host name could be resolved"))
    if importlib.util.find_spec("importlib_resources") is None:
        # tensorflow-datasets 4.9.10 imports it, and declares it for Python before 3.9 only.
        sys.modules["importlib_resources"] = importlib.resources
    retries = logging.getLogger("urllib3")
    level = retries.level
    try:
        with contextlib.ExitStack() as quiet:
            if not verbose():
                retries.setLevel(logging.ERROR)
                quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
                quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
                quiet.enter_context(silent_stderr())
            builder.download_and_prepare()
    except Exception as error:  # whatever a host, a checksum or a full disk may cause
        raise DataError(
            f"downloading {source!r} failed",
            got=f"{type(error).__name__}: {(str(error).strip() or 'no text').splitlines()[0]}",
            expected="the files of the set from their host",
            fix=fix,
        ) from error
    finally:
        retries.setLevel(level)


def nearest_name(source: str) -> str:
    """Returns " (did you mean ...?)" for a set of TFDS or the embedded one."""
    return nearest(re.split("[/:]", source)[0], ["mnist_mini", *set_names()])


def open_parts(
    builder: "DatasetBuilder",
    *,
    image_shape: Sequence[int] | None,
    validation_fraction: float,
    test_fraction: float,
) -> tuple[dict[str, StreamPart], tuple[str, ...] | None]:
    """Returns (three `StreamPart` by name, label names or None).

    Test is the split "test", else "validation"; a validation split beside a test split is used as
    such. What is missing is the end of train: TFDS has shuffled the examples when it wrote them.

    Raises:
        DataError: a set without images, with images of other than 8 bits, or of mixed sizes while
            image_shape is None; missing files; too few examples.
    """
    image_key, label_key, label_names = _features(builder)
    shape = _shape(builder, image_key, image_shape)
    splits = {name: info.num_examples for name, info in builder.info.splits.items() if info.num_examples}
    for name in splits:
        _check_files(builder, name)
    train = "train" if "train" in splits else next(iter(splits)) if len(splits) == 1 else None
    if train is None:
        raise DataError(
            f"{builder.name}: no train split",
            got=f"splits {', '.join(splits) or 'none'}",
            expected="a split called train, or a single split",
            fix="use another set, or save the images to a folder and load that",
        )
    own = {}
    if train == "train" and ("test" in splits or "validation" in splits):
        own["test"] = "test" if "test" in splits else "validation"
        if own["test"] == "test" and "validation" in splits:
            own["validation"] = "validation"
    bounds = {part: (split, 0, splits[split]) for part, split in own.items()}
    stop = splits[train]
    fractions = {"test": test_fraction, "validation": validation_fraction}
    missing = [name for name in fractions if name not in own]
    for name, size in zip(
        missing, part_sizes(stop, [fractions[name] for name in missing], source=builder.name), strict=True
    ):
        bounds[name] = (train, stop - size, stop)
        stop -= size
    bounds["train"] = (train, 0, stop)
    keys = {"image_key": image_key, "label_key": label_key, "image_shape": shape}
    return {name: StreamPart(builder, *bound, **keys) for name, bound in bounds.items()}, label_names


def _features(builder):
    """Returns the keys of image and label, and the label names; the last two may be None."""
    tfds = import_tfds()
    features = builder.info.features
    images = [key for key, feature in features.items() if type(feature) is tfds.features.Image]
    if not images:
        raise DataError(
            f"{builder.name}: a set without images",
            got=f"features {', '.join(features)}",
            expected="a feature of the kind Image",
            fix="choose an image set, for example 'mnist' or 'cifar10'",
        )
    image_key = "image" if "image" in images else images[0]
    dtype = features[image_key].np_dtype
    if dtype != "uint8":
        raise DataError(
            f"{builder.name}: images that have not 8 bits a channel",
            got=f"{image_key} of dtype {dtype}",
            expected="uint8",
            fix="save the images to an .npz, scaled to [0, 1] as float32, and load that",
        )
    labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    label_key = "label" if "label" in labels else labels[0] if labels else None
    names = features[label_key].names if label_key else None
    return image_key, label_key, tuple(names) if names else None


def _shape(builder, image_key, image_shape):
    stored = tuple(builder.info.features[image_key].shape)
    if image_shape is None:
        if None in stored:
            raise DataError(
                f"{builder.name}: the images differ in size",
                got=f"shape {stored} (H, W, C), None for what differs",
                expected="one size, or an image_shape to bring them to",
                fix="pass image_shape=(64, 64, 3)",
            )
        return stored
    if stored[-1] != image_shape[-1] and (stored[-1], image_shape[-1]) not in {(3, 1), (1, 3), (4, 3)}:
        raise DataError(
            f"{builder.name}: the channels cannot be converted",
            got=f"image_shape={image_shape} for images of shape {stored}",
            expected=f"{stored[-1]} channels (or 3 to 1, 1 to 3, 4 to 3)",
            fix=f"pass image_shape={(*image_shape[:2], stored[-1])}",
        )
    return image_shape


def _check_files(builder, split):
    for path in builder.info.splits[split].filepaths:
        if not pathlib.Path(path).is_file():
            raise DataError(
                f"{builder.name}: a prepared file is missing",
                got=f"no file {path}",
                expected="all files that dataset_info.json tells of",
                fix="copy the folder again, or delete it and prepare the set again",
            )


def hash_files(builder: "DatasetBuilder", shape: tuple[int, ...]) -> str:
    """Returns the sha256 over the prepared files of all splits and the shape, in hexadecimal."""
    digest = hashlib.sha256(f"{builder.name} {shape};".encode())
    for _, info in sorted(builder.info.splits.items()):
        for path in sorted(pathlib.Path(path) for path in info.filepaths):
            digest.update(f"{path.name} {path.stat().st_size};".encode())
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
