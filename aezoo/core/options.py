"""Checks of the options that several models take."""

import math
import numbers
from collections.abc import Sequence

from aezoo.core.errors import OptionError

Sizes = Sequence[int]  # of layers


def check_positive(option, value, least=1):
    """Returns the value as an int, or raises OptionError unless it is a whole number of at least `least`."""
    if not (isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= least):
        raise OptionError(
            f"{option} is a whole number of at least {least}",
            got=f"{option}={value!r}",
            expected=f"{least}, {least + 1}, {least + 2}, ...",
            fix=f"pass {option}=16",
        )
    return int(value)


def check_between(option, value, lowest, highest, usual):
    """Returns the value as a float, or raises OptionError unless it is a number of [lowest, highest)."""
    good = isinstance(value, numbers.Real) and not isinstance(value, bool) and lowest <= value < highest
    if not good:
        below = "" if highest == math.inf else f" and below {highest:g}"
        raise OptionError(
            f"this {option} means nothing",
            got=f"{option}={value!r}",
            expected=f"a number of at least {lowest:g}{below}",
            fix=f"pass {option}={usual:g}",
        )
    return float(value)


def check_sizes(option, values):
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


def check_seed(seed):
    """Returns the seed, or raises OptionError unless it is a whole number of 32 bits."""
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise OptionError(
            "a seed is a whole number of 32 bits",
            got=f"seed={seed!r}",
            expected="0 to 4294967295",
            fix="pass seed=0",
        )
    return int(seed)


def check_image_shape(image_shape):
    """Returns (H, W, C), or raises OptionError: sides from 8 up, 1 to 4 channels."""
    try:
        height, width, channels = image_shape
        good = all(isinstance(size, numbers.Integral) for size in image_shape)
        good = good and min(height, width) >= 8 and 1 <= channels <= 4
    except (TypeError, ValueError):
        good = False
    if not good:
        raise OptionError(
            "images are (height, width, channels)",
            got=f"image_shape={image_shape!r}",
            expected="height and width of at least 8 pixels, 1 to 4 channels",
            fix="pass image_shape=(28, 28, 1), and resize or pad smaller images",
        )
    return int(height), int(width), int(channels)


def nearest(word, choices):
    """Returns " (did you mean ...?)" for the closest of the choices, or an empty text.

    >>> nearest("cnov", ["conv", "dense"])
    " (did you mean 'conv'?)"
    """
    import difflib

    close = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def check_choice(option, value, choices):
    """Raises OptionError unless `value` is one of `choices`; names the nearest one."""
    if value not in choices:
        raise OptionError(
            f"{option} has no such choice{nearest(value, choices)}",
            got=f"{option}={value!r}",
            expected=f"one of {', '.join(repr(choice) for choice in choices)}",
            fix=f"pass {option}={choices[0]!r}",
        )
