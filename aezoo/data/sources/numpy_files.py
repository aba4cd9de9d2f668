"""Reads .npy and .npz files: images, sequences or rows, with or without labels."""

import pathlib

import numpy as np

from aezoo.core.arrays import PICKLED, Like, check_npy, most_of, read_npz
from aezoo.core.errors import DataError
from aezoo.data.contents import Contents, as_examples, check_alike, looks_like_sequences, numbered_labels
from aezoo.data.pixels import Scale

PART_WORDS = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val")}
EXAMPLE_WORDS = ("images", "sequences", "examples", "x", "data", "rows", "features", "arr_0")
LABEL_WORDS = ("labels", "label", "y", "targets", "target", "classes")
UNSAFE = "no array that numpy can read safely"
_NPY = b"\x93NUMPY"  # how such a file begins
_ZIP = b"PK"
_ANYTHING = Like("biufcUSmM")  # what is wrong with dates as examples is said where examples are looked at


def read_numpy(
    path: pathlib.Path,
    kind: str | None = None,
    scale: Scale | None = None,
    *,
    labels: str | bool | None = None,
    series: bool = False,
) -> Contents:
    """Returns the `Contents` of one .npy or .npz file.

    An .npz holds one array of examples ("images", "x", "data", "arr_0", ...) and perhaps "labels"
    or "y"; or parts as Keras ships them: "x_train", "y_train", "x_test", "y_test", or "train" and
    "test". Pickles are never opened.

    What (N, ?, ?) is, the name of the array says, "images" or "sequences"; else its values, see
    `looks_like_sequences`, in any part.

    Args:
        path: `pathlib.Path` of the file.
        kind: "images" or "sequences", what (N, ?, ?) is whatever the file says.
        scale: of images; what has a value range may hold any numbers.
        labels: which array of an .npz file without parts holds the labels; False is none, None goes by
            its name.
        series: whether the array of a .npy file may be (T,), a series of one feature.

    Raises:
        DataError: an unreadable or truncated file, arrays that cannot be told apart, or examples
            that break the contract of shape, dtype and range.
    """
    arrays, scale = read_arrays(path), scale or Scale()
    if isinstance(arrays, np.ndarray):
        known = scale.known_for(arrays.dtype)
        if series and arrays.ndim < 3:  # rows of one long series, none of which ends
            arrays, kind = arrays[:, None] if arrays.ndim == 1 else arrays, None
        return Contents(
            {"train": (as_examples(arrays, source=path.name, kind=kind, value_range=known), None)}
        )
    keys = {key.lower(): key for key in reversed(arrays)}
    chosen = _part_keys(keys)
    if isinstance(labels, str):
        chosen = {"train": _with_labels(path, keys, arrays, chosen, labels)}
    chosen = chosen or {"train": _single_keys(path, keys, arrays)}
    if labels is False:
        chosen = {part: (examples, None) for part, (examples, _) in chosen.items()}
    kind = kind or _kind([key for key, _ in chosen.values()], arrays)
    parts, names = {}, {}
    for part, (example_key, label_key) in chosen.items():
        source = f"{path.name}, array {example_key!r}"
        known = scale.known_for(arrays[example_key].dtype)
        as_kind = None if series and arrays[example_key].ndim < 3 else kind
        examples = as_examples(arrays[example_key], source=source, kind=as_kind, value_range=known)
        numbers = None
        if label_key is not None:
            source = f"{path.name}, array {label_key!r}"
            numbers, names[part] = numbered_labels(arrays[label_key], len(examples), source=source)
        parts[part] = (examples, numbers)
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
        with open(path, "rb") as file:
            begins = file.read(len(_NPY))
            if begins.startswith(_ZIP):
                return read_npz(file, most_of(path), others=_ANYTHING)
        if not _NPY.startswith(begins):  # a pickle, a text: all that has no mark of its own
            raise ValueError(PICKLED)
        check_npy(path, _ANYTHING)
        if mapped:  # a plain view: what is derived from a memmap is one, and slower to call onnxruntime with
            return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, MemoryError) as error:  # Damaged is a ValueError
        pickled = PICKLED in str(error)
        raise DataError(
            f"{path.name}: cannot be read as {path.suffix}",
            got=f"{path}: {UNSAFE if pickled else error}",
            expected="arrays of numbers, without pickled objects"
            if pickled
            else getattr(error, "expected", "a complete NumPy file"),
            fix="save it again with numpy.save(path, images) or numpy.savez(path, images=..., labels=...)",
        ) from error


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


def _with_labels(path, keys, arrays, chosen, labels):
    """Returns (key of examples, key of labels) where the caller named the labels."""
    if chosen or labels not in arrays:
        raise DataError(
            f"{path.name}: no array of labels is called {labels!r}",
            got=f"labels={labels!r}; there are {', '.join(arrays)}",
            expected="the name of an array, in a file without parts of its own",
            fix="leave labels out: y_train and y_test are found by their names"
            if chosen
            else "check the spelling",
        )
    rest = {key: array for key, array in arrays.items() if key != labels}
    example_key, _ = _single_keys(path, {low: key for low, key in keys.items() if key != labels}, rest)
    return example_key, labels


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
