"""Checks of the options that several models take."""

import numbers

from aezoo.errors import OptionError, message


def check_positive(option, value):
    """Raises OptionError unless the value is a whole number of at least 1."""
    if not (isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1):
        raise OptionError(
            message(
                f"{option} is a whole number of at least 1",
                got=f"{option}={value!r}",
                expected="1, 2, 3, ...",
                fix=f"pass {option}={abs(int(value)) or 1}"
                if isinstance(value, numbers.Real) and value == value
                else f"pass {option}=16",
            )
        )
    return int(value)


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
            message(
                "images are (height, width, channels)",
                got=f"image_shape={image_shape!r}",
                expected="height and width of at least 8 pixels, 1 to 4 channels",
                fix="pass image_shape=(28, 28, 1), and resize or pad smaller images",
            )
        )
    return int(height), int(width), int(channels)
