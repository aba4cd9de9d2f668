"""What an error advises where the numbers of images are not those that a model takes. NumPy only."""

import numpy as np


def unit_hint(images: np.ndarray) -> str:
    """Returns what brings such finite numbers into [0, 1]: the usual range that they fill, undone.

    >>> unit_hint(np.array([0, 200])), unit_hint(np.array([-0.9, 0.9]))
    ("divide by 255: images.astype('float32') / 255", '(images + 1) / 2')
    """
    done = _into_unit(images)
    return f"divide by 255: {done}" if done.endswith("/ 255") else done


def _into_unit(images):
    """Returns the expression in NumPy that `unit_hint` shows."""
    name = "images" if images.dtype.kind == "f" else "images.astype('float32')"
    if images.dtype.kind == "b" or not images.size:
        return name
    lowest, highest = float(images.min()), float(images.max())
    whole = images.dtype.kind != "f" or bool((images == np.rint(images)).all())
    for most in (255, 65535):  # of bytes and 16 bits; where they are not whole, they are at least large
        if lowest >= 0 and 1 < highest <= most and (whole or highest > most / 16):
            return f"{name} / {most}"
    if whole and 0 <= lowest <= highest <= 1:
        return name
    if lowest == highest or (not whole and lowest >= -0.1 and highest <= 1.1):  # what resizing overshoots
        return f"numpy.clip({name}, 0, 1)"
    if lowest >= -1 and highest <= 1:
        return f"({name} + 1) / 2"
    return f"({name} - lowest) / (highest - lowest), both of all images that you train on"


def bytes_hint(images: np.ndarray) -> str:
    """Returns what makes bytes of images that are not uint8."""
    if images.dtype.kind == "b":
        return "images.astype('uint8') * 255"
    if images.dtype.kind in "iu" and images.min() >= 0 and images.max() <= 255:
        return "images.astype('uint8')"
    if images.dtype == np.uint16:
        return "(images // 257).astype('uint8')"
    scaled = f"({_into_unit(images).split(', both')[0]})"
    if images.dtype.kind == "f" and np.isfinite(images).all() and 0 <= images.min() <= images.max() <= 1:
        scaled = "images"
    return f"pass the camera's bytes as they are, or numpy.rint({scaled} * 255).astype('uint8')"
