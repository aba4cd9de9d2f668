"""Checks of the options of `load` and of `Part`: each raises OptionError with the option's name."""

import math
import operator

from aezoo.core.errors import OptionError
from aezoo.core.options import check_choice

CHANNELS = (1, 2, 3, 4)
KINDS = ("images", "sequences", "rows")


def whole_number(option, value, *, at_least):
    """Returns `value` as an int of at least `at_least`; True, 2.5 and "3" are refused."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < at_least:
        raise OptionError(
            f"{option} cannot be used",
            got=f"{option}={value!r}",
            expected=f"a whole number of at least {at_least}",
            fix=f"pass {option}={max(at_least, 1)}",
        )
    return number


def fraction(option, value):
    """Returns `value` as a float strictly between 0 and 1."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 < number < 1.0:
        raise OptionError(
            f"{option} cannot be used",
            got=f"{option}={value!r}",
            expected="a share of the examples, above 0 and below 1",
            fix=f"pass {option}=0.1",
        )
    return number


def fractions(validation_fraction, test_fraction):
    """Returns both shares as floats that leave something to train on."""
    validation_fraction = fraction("validation_fraction", validation_fraction)
    test_fraction = fraction("test_fraction", test_fraction)
    if validation_fraction + test_fraction >= 1.0:
        raise OptionError(
            "nothing would be left to train on",
            got=f"validation_fraction={validation_fraction}, test_fraction={test_fraction}",
            expected="two shares whose sum is below 1",
            fix="pass validation_fraction=0.1, test_fraction=0.1",
        )
    return validation_fraction, test_fraction


def kind(value):
    """Returns "images", "sequences", "rows" or None."""
    if value is not None:
        check_choice("kind", value, KINDS)
    return value


def image_shape(value):
    """Returns (H, W, C) as a tuple of ints, or None."""
    if value is None:
        return None
    try:
        shape = tuple(operator.index(size) for size in value)
    except TypeError:
        shape = ()
    if len(shape) != 3 or min(shape) < 1 or shape[2] not in CHANNELS:
        raise OptionError(
            "image_shape cannot be used",
            got=f"image_shape={value!r}",
            expected="(height, width, channels), whole numbers, with 1 to 4 channels",
            fix="pass image_shape=(64, 64, 3)",
        )
    return shape
