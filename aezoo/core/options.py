"""THE checks of options, one for each notion. Each returns the value as it is meant, or raises."""

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

from aezoo.core.errors import OptionError

CHANNELS = (1, 2, 3, 4)  # that an image may have
Sizes = Sequence[int]  # of layers
KINDS = ("images", "rows", "sequences")  # of examples


def check_positive(option: str, value: Any, least: int = 1, usual: int | None = None) -> int:
    """Returns the value as an int, or raises OptionError unless it is a whole number of at least `least`.

    True, 2.5 and "3" are refused. The error suggests `usual`, the option's default where it has one.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < least:
        raise OptionError(
            f"{option} is a whole number of at least {least}",
            got=f"{option}={value!r}",
            expected=f"{least}, {least + 1}, {least + 2}, ...",
            fix=f"pass {option}={usual or (16 if least == 1 else least)}",
        )
    return int(value)


def check_between(option: str, value: Any, lowest: float, highest: float, usual: float) -> float:
    """Returns the value as a float, or raises OptionError unless it is a number of [lowest, highest)."""
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    good = good and lowest <= float(value) < highest
    if not good:
        below = "" if highest == math.inf else f" and below {highest:g}"
        raise OptionError(
            f"this {option} means nothing",
            got=f"{option}={value!r}",
            expected=f"a number of at least {lowest:g}{below}",
            fix=f"pass {option}={usual:g}",
        )
    return float(value)


def check_share(option: str, value: Any) -> float:
    """Returns the value as a float, or raises OptionError unless it lies above 0 and below 1."""
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (good and 0 < float(value) < 1):
        raise OptionError(
            f"{option} is a share of the examples",
            got=f"{option}={value!r}",
            expected="a number above 0 and below 1",
            fix=f"pass {option}=0.1",
        )
    return float(value)


def check_sizes(option: str, values: Any) -> tuple[int, ...]:
    """Returns a tuple of whole numbers of at least 1; one number alone stands for a tuple of one.

    >>> check_sizes("filters", [32, 64]), check_sizes("units", 16)
    ((32, 64), (16,))
    """
    if isinstance(values, numbers.Integral):
        values = (values,)
    if not isinstance(values, (tuple, list)):
        raise OptionError(
            f"{option} is a list of sizes",
            got=f"{option}={values!r}",
            expected="whole numbers, one for each layer",
            fix=f"pass {option}=32,64",
        )
    return tuple(check_positive(option, value) for value in values)


def check_names(option: str, values: Any, choices: Sequence[str]) -> tuple[str, ...]:
    """Returns a tuple of texts, each once; a text alone, which has letters for parts, is refused.

    Args:
        option: its name.
        values: tuple or list of texts, whose spelling is checked by whoever knows more of them.
        choices: texts that there are; an error names one.

    >>> check_names("formats", ["onnx", "c", "onnx"], ("onnx", "c"))
    ('onnx', 'c')
    """
    if not isinstance(values, (tuple, list)) or not all(isinstance(value, str) for value in values):
        meant = values if isinstance(values, str) and values in choices else choices[0]
        raise OptionError(
            f"{option} is a tuple of names",
            got=f"{option}={values!r}",
            expected=f"names among {', '.join(choices)}",
            fix=f"pass {option}=({meant!r},)",
        )
    return tuple(dict.fromkeys(values))


def check_seed(seed: Any) -> int:
    """Returns the seed, or raises OptionError unless it is a whole number of 32 bits."""
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= int(seed) < 2**32:
        raise OptionError(
            "a seed is a whole number of 32 bits",
            got=f"seed={seed!r}",
            expected="0 to 4294967295",
            fix="pass seed=0",
        )
    return int(seed)


def check_image_shape(image_shape: Any, least: int = 8) -> tuple[int, int, int]:
    """Returns (H, W, C), or raises OptionError: sides from `least` pixels up, 1 to 4 channels."""
    try:
        height, width, channels = image_shape
        good = all(isinstance(size, numbers.Integral) for size in image_shape)
        good = good and min(height, width) >= least and channels in CHANNELS
    except (TypeError, ValueError):
        good = False
    if not good:
        raise OptionError(
            "images are (height, width, channels)",
            got=f"image_shape={image_shape!r}",
            expected=f"height and width of at least {least} pixel{'s' * (least > 1)}, 1 to 4 channels",
            fix="pass image_shape=(28, 28, 1), and resize or pad smaller images",
        )
    return int(height), int(width), int(channels)


def nearest(word: object, choices: Iterable[object]) -> str:
    """Returns " (did you mean ...?)" for the closest of the choices, or an empty text.

    >>> nearest("cnov", ["conv", "dense"])
    " (did you mean 'conv'?)"
    >>> nearest("nope", ["conv", "info_vae"])
    ''
    """
    import difflib

    word, known = str(word), [str(choice) for choice in choices]
    # One letter in place of another is a slip in a short word too: l3 for l2.
    slips = [name for name in known if len(name) == len(word) > 1 and _differing(name, word) == 1]
    close = difflib.get_close_matches(word, known, n=1) or slips
    return f" (did you mean {close[0]!r}?)" if close else ""


def _differing(first, second):
    return sum(a != b for a, b in zip(first, second, strict=True))


def check_choice(option: str, value: object, choices: Sequence[Any]) -> None:
    """Raises OptionError unless `value` is one of `choices`; names the nearest one."""
    if value not in choices:
        raise OptionError(
            f"{option} cannot be {value!r}{nearest(value, choices)}",
            got=f"{option}={value!r}",
            expected=f"one of {', '.join(repr(choice) for choice in choices)}",
            fix=f"pass {option}={choices[0]!r}",
        )
