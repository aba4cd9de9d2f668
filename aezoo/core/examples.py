"""The contract of examples: shape, dtype, range. NumPy only, so that the runtime can keep it too.

Images are float32 in [0, 1] or uint8 in 0..255, and nothing in between: a float image in
0..255 trains to nonsense without a word, so it is refused wherever examples come in.
"""

import math
import numbers
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from aezoo.core.errors import DataError
from aezoo.core.hints import bytes_hint, unit_hint

_BLOCK = 4 * 2**20  # bytes of examples that are looked at or computed from at a time: they stay in the cache


def blocks(array: np.ndarray, multiple: int = 1) -> Iterator[slice]:
    """Yields slices of the first axis, some MB each: for what is to need no memory beside the array.

    Args:
        array: (N, ...), perhaps of a file that is mapped into memory.
        multiple: of which each slice but the last has its length.
    """
    size = max(1, array.nbytes // max(1, len(array)))
    step = multiple * max(1, _BLOCK // (multiple * size))
    for start in range(0, len(array), step):
        yield slice(start, start + step)


def position(array: np.ndarray, bad: np.ndarray, first: int = 0) -> str:
    """Names the first True of `bad`, an array of the shape of `array`: "example 3, index (0, 5, 0)".

    Args:
        array, bad: (n, ...).
        first: number of the first example in them.
    """
    index = tuple(int(i) for i in np.unravel_index(np.argmax(bad), bad.shape))
    if len(index) == 2:
        return f"{array[index]} in row {first + index[0]}, column {index[1]}"
    return f"{array[index]} in example {first + index[0]}, at {index[1:]}"


def check_finite(examples: np.ndarray, *, source: str) -> None:
    """Raises DataError where a float array holds NaN or infinity."""
    if not np.issubdtype(examples.dtype, np.floating):
        return
    for rows in blocks(examples):
        block = examples[rows]
        # The sum is not finite if any value is not; it is cheaper than a mask, which only errors need.
        with np.errstate(all="ignore"):  # of infinite values of both signs
            total = block.sum(dtype=np.float64)
        if np.isfinite(total):
            continue
        bad = ~np.isfinite(block)
        if bad.any():
            raise DataError(
                f"{source}: a value is not finite",
                got=position(block, bad, rows.start),
                expected="finite numbers that float32 holds, up to 3.4e38",
                fix="drop or fill such examples first, for example with numpy.nan_to_num",
            )


def check_unit_range(images: np.ndarray, *, source: str, bytes_too: bool = False) -> None:
    """Raises DataError where float images leave [0, 1]; NaN fails too.

    Args:
        images: float array.
        source: how an error names it.
        bytes_too: whether uint8 would have been taken in their place.
    """
    for rows in blocks(images):
        block = images[rows]
        if _in_unit_range(block):
            continue
        check_finite(images, source=source)
        fix = unit_hint(images)
        raise DataError(
            f"{source}: float images must lie in [0, 1]",
            got=f"{position(block, (block < 0) | (block > 1), rows.start)}; "
            f"smallest {images.min():g}, largest {images.max():g}",
            expected="float values from 0 to 1" + (", or uint8 values from 0 to 255" if bytes_too else ""),
            fix=f"{fix}, or keep the images as uint8" if bytes_too and "/ 255" in fix else fix,
        )


def _in_unit_range(block):
    if not block.size or (block.dtype == np.float32 and _surely_in_unit_range(block)):
        return True
    return bool(block.min() >= 0.0 and block.max() <= 1.0)


def as_array(values: ArrayLike | Sequence[ArrayLike], *, source: str) -> np.ndarray:
    """Returns an array-like as an array, or raises DataError where its parts do not make one.

    A mask with anything behind it is refused, and so is a sparse matrix: an array has no place for either.
    """
    _check_unmasked(values, source)
    if hasattr(values, "toarray"):
        raise DataError(
            f"{source}: this is a sparse matrix",
            got=f"{type(values).__name__} {getattr(values, 'shape', '')}",
            expected="an array that holds its zeros",
            fix="pass examples.toarray()",
        )
    if hasattr(values, "detach"):  # a tensor of torch, which may lie on a GPU or be part of a gradient
        values = values.detach().cpu()
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{source}: this does not make an array",
            got=f"{type(values).__name__}: {str(error).splitlines()[0]}",
            expected="numbers, all parts of one shape",
            fix="cut, resize or pad the parts to one shape, and numpy.stack them",
        ) from error
    if array.ndim == 0 and array.dtype.kind not in "biufc":  # a text, None, a dict, any object
        is_text = isinstance(values, str)
        raise DataError(
            f"{source}: this is no array",
            got="None" if values is None else f"{type(values).__name__} {str(values)[:60]!r}",
            expected="an array of numbers",
            fix=f"read the file first: numpy.load({values!r})"
            if is_text
            else "pass an array, or a list of them",
        )
    return array


def _check_unmasked(values, source):
    """Raises DataError where an array, or one in a list of them, hides values behind a mask."""
    parts = values if isinstance(values, (list, tuple)) else [values]
    for part in parts:
        if isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part):
            raise DataError(
                f"{source}: some values are masked",
                got=f"{np.ma.count_masked(part)} of {part.size} values behind a mask",
                expected="a value everywhere",
                fix="fill them, examples.filled(0.0), or drop the examples that have any",
            )


def _numbers(array, source):
    """Returns an array of booleans, integers or floats, or raises DataError."""
    kind = array.dtype.kind
    if kind == "V" and array.dtype.names is None and "float" in array.dtype.name:  # bfloat16, float8
        return array.astype(np.float32)
    if kind == "O":
        return _numbers_of_objects(array, source)
    if kind in "biuf":
        return array
    fixes = {
        "c": "examples.real, or its real and imaginary parts as two columns",
        "M": "(examples - examples[0]) / numpy.timedelta64(1, 's')",
        "m": "examples / numpy.timedelta64(1, 's')",
        "V": "numpy.lib.recfunctions.structured_to_unstructured(examples)",
    }
    raise DataError(
        f"{source}: these are no real numbers",
        got=f"{array.dtype}",
        expected="booleans, integers or floats",
        fix=fixes.get(kind, "examples.astype('float32'), where each text is a number; else leave them out"),
    )


def _numbers_of_objects(array, source):
    flat = array.reshape(-1)
    bad = np.array([not isinstance(value, numbers.Real) for value in flat], bool).reshape(array.shape)
    if not bad.any():
        return array.astype(np.float64)
    first = flat[int(np.argmax(bad))]
    missing = first is None or type(first).__name__ in ("NAType", "NaTType")
    shown = "a missing value" if missing else type(first).__name__
    raise DataError(
        f"{source}: a value is missing" if missing else f"{source}: a value is no number",
        got=position(np.full(array.shape, shown, object), bad),
        expected="booleans, integers or floats",
        fix="frame.dropna(), or frame.fillna(0)" if missing else "leave out what holds no numbers",
    )


def check_shape(examples: np.ndarray, expected: Sequence[int], *, source: str) -> None:
    """Raises DataError unless the array is (B, *expected) with B of at least 1."""
    if examples.ndim != len(expected) + 1 or tuple(examples.shape[1:]) != tuple(expected):
        hint = "reshape or resize the examples"
        if tuple(examples.shape) == tuple(expected):
            hint = "add the batch axis: examples[None]"
        elif tuple(examples.shape) == (*expected, 1):
            hint = "one example, read as many: array[None] before saving"
        elif (*examples.shape, 1) == tuple(expected):
            hint = "add the batch and the channel axis: image[None, ..., None]"
        elif tuple(examples.shape[1:]) + (1,) == tuple(expected):
            hint = "add the channel axis: images[..., None]"
        elif len(expected) == 3 and examples.shape[1:] == (expected[2], *expected[:2]):
            hint = "move the channels to the end: numpy.moveaxis(images, 1, -1)"
        elif examples.ndim and math.prod(examples.shape[1:]) == math.prod(expected):
            hint = f"examples.reshape({', '.join(str(size) for size in (-1, *expected))})"
        raise DataError(
            f"{source}: wrong shape",
            got=f"{tuple(examples.shape)}",
            expected=f"(batch, {', '.join(str(size) for size in expected)})",
            fix=hint,
        )
    if examples.shape[0] == 0:
        raise DataError(
            f"{source}: no examples",
            got=f"{tuple(examples.shape)}",
            expected="at least one example",
            fix="pass a batch that is not empty",
        )


# float32 numbers of [0, 1], read as unsigned integers, are those up to the bits of 1.0: a sign, a larger
# number, infinity and NaN all have higher bits set. One pass, and by argmax, which between two calls of
# onnxruntime takes a fifth of what max does: of a batch of one, each microsecond is a hundredth.
_BITS_OF_ONE = int(np.float32(1.0).view(np.uint32))


def _surely_in_unit_range(examples):
    bits = examples.view(np.uint32)
    return bits.item(bits.argmax()) <= _BITS_OF_ONE


def surely_inputs(examples: object, shape: tuple[int, ...], dtype: np.dtype, unit_range: bool) -> bool:
    """Whether `as_inputs` would return this array as it is; a quick look that may also say no wrongly.

    Args:
        examples: anything.
        shape: of one example, a tuple.
        dtype: numpy.dtype, float32 or uint8.
        unit_range: as for `as_inputs`.
    """
    if type(examples) is not np.ndarray or examples.dtype != dtype or examples.shape[1:] != shape:
        return False
    if not examples.size or dtype != np.float32:
        return examples.size > 0
    if not examples.flags.c_contiguous:  # argmax would copy it
        return False
    if unit_range:
        return _surely_in_unit_range(examples)
    # Both find a NaN before anything else.
    extremes = examples.item(examples.argmax()), examples.item(examples.argmin())
    return math.isfinite(extremes[0]) and math.isfinite(extremes[1])


def as_inputs(
    examples: ArrayLike,
    shape: Sequence[int],
    *,
    dtype: DTypeLike = "float32",
    unit_range: bool = True,
    source: str = "examples",
) -> np.ndarray:
    """Returns the examples as a model takes them, or raises.

    Floats of any width become float32. uint8 is never turned into float silently, nor the other
    way round: the scale between the two is a decision of the caller's. (`Model` rounds float images,
    whose range it checks, for a bundle that was exported for bytes.)

    Args:
        examples: array-like, (B, *shape).
        shape: without the batch axis.
        dtype: "float32" or "uint8", what the model was built or exported for.
        unit_range: whether floats must lie in [0, 1] (images) or only be finite (rows).
        source: how an error names the array.

    Raises:
        DataError: wrong shape, dtype, range, or a value that is not finite.
    """
    array = _numbers(as_array(examples, source=source), source)
    check_shape(array, shape, source=source)
    if dtype == "uint8":
        if array.dtype != np.uint8:
            raise DataError(
                f"{source}: wrong dtype",
                got=f"{array.dtype}",
                expected="uint8, 0 to 255",
                fix=bytes_hint(array),
            )
        return array
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, and is refused as such
            array = array.astype(np.float32, copy=False)
    elif unit_range:
        raise DataError(
            f"{source}: wrong dtype",
            got=f"{array.dtype}, from {array.min()} to {array.max()}",
            expected="float32 in [0, 1]",
            fix=unit_hint(array),
        )
    else:  # whole-number columns of a table
        array = array.astype(np.float32)
    if unit_range:
        check_unit_range(array, source=source)
    else:
        check_finite(array, source=source)
    return array


def as_weights(weights: ArrayLike, count: int) -> np.ndarray:
    """Returns what each example counts, float32 (count,), or raises.

    Raises:
        DataError: not one finite number of at least 0 for each example.
    """
    given = _numbers(as_array(weights, source="sample_weight"), "sample_weight").astype("float32")
    if given.shape == (count,) and np.isfinite(given).all() and (given >= 0).all():
        return given
    got = f"shape {given.shape}"
    if given.size:
        got += f", from {given.min():g} to {given.max():g}"
    raise DataError(
        "sample_weight says how much each example counts",
        got=got,
        expected=f"{count} finite numbers of at least 0",
        fix=f"sample_weight=weights.reshape({count})"
        if given.size == count and given.ndim > 1
        else f"sample_weight=numpy.ones({count}), with 2.0 where an example counts twice",
    )


def as_labels(labels: ArrayLike | None, count: int, classes: int | None) -> np.ndarray | None:
    """Returns labels as int32 (count,), or None where a model takes none and none are given.

    Args:
        labels: array-like of class numbers, or None.
        count: how many there must be.
        classes: K; labels go from 0 to K - 1. None for a model that takes no labels.

    Raises:
        DataError: labels for a model that takes none, none for one that does, or wrong ones.
    """
    if labels is None and classes is None:
        return None
    labels = None if labels is None else as_array(labels, source="labels")
    problem = None
    if classes is None:
        problem, expected, fix = "this model takes no labels", "examples alone", "leave out the labels"
    else:
        expected = f"{count} whole numbers, 0 to {classes - 1}"
        fix = (
            "pass labels=[3, 1, ...], one for each example" if labels is None else _labels_hint(labels, count)
        )
        if labels is None:
            problem = "this model takes a label with each example"
        elif labels.shape != (count,) or labels.dtype.kind not in "iu":
            problem = "labels are one whole number for each example"
        elif labels.min() < 0 or labels.max() >= classes:
            problem = "there is no such class"
    if problem:
        got = "no labels"
        if labels is not None:
            got = f"{labels.dtype} {labels.shape}"
            if labels.size and labels.dtype.kind in "iu":
                got += f", {labels.min()} to {labels.max()}"
        raise DataError(problem, got=got, expected=expected, fix=fix)
    assert labels is not None  # or there was a problem
    return labels.astype("int32")


def _labels_hint(labels, count):
    """Returns what makes class numbers of labels that are something else."""
    if labels.shape == (count, 1):
        return "labels[:, 0]"
    if labels.ndim == 2 and len(labels) == count:
        return "labels.argmax(axis=1), where each row has a 1 for its class"
    if labels.shape == (count,):
        return "numpy.unique(labels, return_inverse=True)[1], which numbers the classes from 0"
    return "pass labels=[3, 1, ...], one for each example"


def as_codes(code_indices: ArrayLike, shape: Sequence[int], codebook_size: int) -> np.ndarray:
    """Returns code_indices as int32 (B, *shape), or raises.

    Args:
        code_indices: array-like of whole numbers.
        shape: of one example's codes, (h, w).
        codebook_size: K; codes go from 0 to K - 1.

    Raises:
        DataError: wrong shape, or a code that the codebook does not have.
    """
    code_indices = as_array(code_indices, source="code_indices")
    check_shape(code_indices, shape, source="code_indices")
    lowest, highest = code_indices.min(), code_indices.max()
    if lowest < 0 or highest >= codebook_size:
        raise DataError(
            "there is no such code in the codebook",
            got=f"code_indices from {lowest} to {highest}",
            expected=f"0 to {codebook_size - 1}",
            fix="pass what the encoder's second output gave, or float latents",
        )
    return code_indices.astype("int32")
