"""Scales of 8-bit values: activations as uint8 with a zero point, weights as int8 around zero."""

import numpy as np

# A bias is stored in 32 bits as a multiple of (input's scale * weight's scale); this keeps it away from
# the ends where sums would overflow.
_LARGEST_BIAS = 2.0**28


def scale_of(smallest, largest):
    """Returns (scale, zero point), float32 and uint8, of values between two ends; 0 is met exactly.

    >>> scale_of(-1.0, 1.55)
    (np.float32(0.01), np.uint8(100))
    """
    smallest, largest = min(float(smallest), 0.0), max(float(largest), 0.0)
    scale = np.float32((largest - smallest) / 255)
    if not scale >= np.finfo("float32").tiny:
        return np.float32(1), np.uint8(0)
    return scale, np.uint8(np.clip(np.rint(-smallest / scale), 0, 255))


def weights_of(weights, axis, bias=None, input_scale=1.0):
    """Returns (int8 weights, float32 scale of each channel) for values from -127 to 127.

    A channel whose weights are tiny beside its bias gets a scale at which the bias can be stored.
    """
    others = tuple(number for number in range(weights.ndim) if number != axis)
    scales = np.abs(weights).max(axis=others).astype("float64") / 127
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (_LARGEST_BIAS * float(input_scale)))
    scales = np.where(scales >= np.finfo("float32").tiny, scales, 1.0).astype("float32")
    along = [1] * weights.ndim
    along[axis] = -1
    return np.clip(np.rint(weights / scales.reshape(along)), -127, 127).astype("int8"), scales
