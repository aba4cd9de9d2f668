"""Reads .npy and .npz files: images, sequences or rows, with or without labels."""

import pathlib
import zipfile
import zlib

import numpy as np

from aezoo.core.errors import DataError
from aezoo.data.contents import Contents, as_examples, check_alike, looks_like_sequences, numbered_labels

PART_WORDS = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val")}
EXAMPLE_WORDS = ("images", "sequences", "examples", "x", "data", "rows", "features", "arr_0")
LABEL_WORDS = ("labels", "label", "y", "targets", "target", "classes")
UNSAFE = "no array that numpy can read safely"


def read_numpy(path: pathlib.Path, kind: str | None = None) -> Contents:
    """Returns the `Contents` of one .npy or .npz file.

    An .npz holds one array of examples ("images", "x", "data", "arr_0", ...) and perhaps "labels"
    or "y"; or parts as Keras ships them: "x_train", "y_train", "x_test", "y_test", or "train" and
    "test". Pickles are never opened.

    What (N, ?, ?) is, the name of the array says, "images" or "sequences"; else its values, see
    `looks_like_sequences`, in any part.

    Args:
        path: `pathlib.Path` of the file.
        kind: "images" or "sequences", what (N, ?, ?) is whatever the file says.

    Raises:
        DataError: an unreadable or truncated file, arrays that cannot be told apart, or examples
            that break the contract of shape, dtype and range.
    """
    arrays = read_arrays(path)
    if isinstance(arrays, np.ndarray):
        return Contents({"train": (as_examples(arrays, source=path.name, kind=kind), None)})
    keys = {key.lower(): key for key in reversed(arrays)}
    chosen = _part_keys(keys) or {"train": _single_keys(path, keys, arrays)}
    kind = kind or _kind([key for key, _ in chosen.values()], arrays)
    parts, names = {}, {}
    for part, (example_key, label_key) in chosen.items():
        source = f"{path.name}, array {example_key!r}"
        examples, labels = as_examples(arrays[example_key], source=source, kind=kind), None
        if label_key is not None:
            source = f"{path.name}, array {label_key!r}"
            labels, names[part] = numbered_labels(arrays[label_key], len(examples), source=source)
        parts[part] = (examples, labels)
    check_alike(parts, source=path.name)
    return Contents(parts, label_names=_common_names(path, parts, names))


def read_arrays(path: pathlib.Path, *, mapped: bool = False) -> np.ndarray | dict[str, np.ndarray]:
    """Returns what a .npy or .npz file holds: one array, or a dict of arrays.

    Args:
        path: of the file.
        mapped: whether the array of a .npy file may stay there: what is looked at is read, and the system
            keeps of it what it has room for. An .npz file is compressed and read whole.

    Raises:
        DataError: the file is missing, truncated, or holds pickles.
    """
    try:
        if mapped and path.suffix.lower() == ".npy":
            # A plain view: what is derived from a memmap is one, and slower to call onnxruntime with.
            return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        with open(path, "rb") as file:  # np.load itself leaves a broken archive open
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            with loaded:
                return {key: loaded[key] for key in loaded.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        pickled = is_pickled(error)
        raise DataError(
            f"{path.name}: cannot be read as {path.suffix}",
            got=f"{path}: {UNSAFE if pickled else error}",
            expected="arrays of numbers, without pickled objects" if pickled else "a complete NumPy file",
            fix="save it again with numpy.save(path, images) or numpy.savez(path, images=..., labels=...)",
        ) from error


def is_pickled(error: Exception) -> bool:
    """Whether numpy refused to open pickled objects: so it says of any file without its mark, a text too."""
    return "allow_pickle" in str(error) or "pickled" in str(error)


def _kind(keys, arrays):
    """Returns the kind that the names of the arrays tell, or the values of any; None goes by the axes."""
    for kind in ("sequences", "images"):
        if any(kind in key.lower() and arrays[key].ndim == 3 for key in keys):
            return kind
    return "sequences" if any(looks_like_sequences(arrays[key]) for key in keys) else None


def _part_keys(keys):
    """Returns part -> (key of examples, key of labels or None) where there is a train part, or None."""
    found = {}
    for part, words in PART_WORDS.items():
        examples, labels = [], []
        for word in words:
            for kind, wanted in ((examples, EXAMPLE_WORDS), (labels, LABEL_WORDS)):
                kind += [f"{other}_{word}" for other in wanted] + [f"{word}_{other}" for other in wanted]
            examples.append(word)
        example_key = next((keys[name] for name in examples if name in keys), None)
        if example_key is not None:
            found[part] = (example_key, next((keys[name] for name in labels if name in keys), None))
    return found if "train" in found else None


def _single_keys(path, keys, arrays):
    """Returns (key of examples, key of labels or None) of a file without parts."""
    labels = [keys[word] for word in LABEL_WORDS if word in keys]
    examples = [keys[word] for word in EXAMPLE_WORDS if word in keys]
    if not examples:
        examples = [key for key in arrays if key not in labels and arrays[key].ndim >= 2]
    if len(examples) != 1 or len(labels) > 1:
        listed = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
        raise DataError(
            f"{path.name}: cannot tell which array holds the examples and which the labels",
            got=listed or "no arrays",
            expected="images (or x, data, arr_0) and perhaps labels (or y); or x_train and x_test",
            fix="numpy.savez(path, images=..., labels=...)",
        )
    second = arrays.get("arr_1")
    if (
        not labels
        and examples == ["arr_0"]
        and second is not None
        and second.shape == arrays["arr_0"].shape[:1]
    ):
        labels = ["arr_1"]
    return examples[0], labels[0] if labels else None


def _common_names(path, parts, names):
    """Returns the label names of all parts together, renumbering text labels where the parts differ."""
    texts = {part: found for part, found in names.items() if found is not None}
    if not texts:
        return None
    if len(texts) != len(names):
        raise DataError(
            f"{path.name}: labels are text in one part and numbers in another",
            got=f"text in {', '.join(texts)}",
            expected="one kind of label in all parts",
            fix="save the labels of all parts as text, or all as whole numbers",
        )
    union = sorted(set().union(*texts.values()))
    for part, found in texts.items():
        examples, labels = parts[part]
        parts[part] = (examples, np.array([union.index(name) for name in found])[labels])
    return tuple(union)
