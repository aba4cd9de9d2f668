"""Scales of 8-bit values: activations as uint8 with a zero point, weights as int8 around zero.

Sums are exact on every processor. onnxruntime's kernels for x86-64 without VNNI multiply with `vpmaddubsw`,
which adds the products of two neighbours in 16 bits and saturates: 255 * (127 + 127) is 64,770, and 32,767
comes out, without a word. So no two weights that could be neighbours may sum up to more than 128.
"""

import numpy as np

# 255 is the largest byte; products of two signs take from each other, and -32,768 lies further out than this.
LARGEST_PAIR = 32_767 // 255

# A bias is stored in 32 bits as a multiple of (input's scale * weight's scale); this keeps it away from
# the ends where sums would overflow.
_LARGEST_BIAS = 2.0**28


def scale_of(smallest: float, largest: float) -> tuple[np.float32, np.uint8]:
    """Returns (scale, zero point), float32 and uint8, of values between two ends; 0 is met exactly.

    >>> scale_of(-1.0, 1.55)
    (np.float32(0.01), np.uint8(100))
    """
    smallest, largest = min(float(smallest), 0.0), max(float(largest), 0.0)
    scale = np.float32((largest - smallest) / 255)
    if not scale >= np.finfo("float32").tiny:
        return np.float32(1), np.uint8(0)
    return scale, np.uint8(np.clip(np.rint(-smallest / scale), 0, 255))


def weights_of(
    weights: np.ndarray, axis: int, bias: np.ndarray | None = None, input_scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (int8 weights, float32 scale of each channel) for values from -127 to 127.

    Of a channel whose two largest weights of one sign come near each other, 8 bits become 7 and a fraction,
    as far as `LARGEST_PAIR` needs it; its other neighbours in memory are for the runtime to choose. A channel
    whose weights are tiny beside its bias gets a scale at which the bias can be stored.
    """
    others = tuple(number for number in range(weights.ndim) if number != axis)
    scales = np.abs(weights).max(axis=others).astype("float64") / 127
    scales = np.maximum(scales, widest_pairs(weights, axis) / LARGEST_PAIR)
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (_LARGEST_BIAS * float(input_scale)))
    scales = np.where(scales >= np.finfo("float32").tiny, scales, 1.0).astype("float32")
    along = [1] * weights.ndim
    along[axis] = -1
    while True:
        integers = np.clip(np.rint(weights / scales.reshape(along)), -127, 127)
        over = widest_pairs(integers, axis) > LARGEST_PAIR
        if not over.any():
            return integers.astype("int8"), scales
        scales[over] = np.nextafter(scales[over], np.float32(np.inf))  # two halves were both rounded up


def widest_pairs(weights: np.ndarray, axis: int) -> np.ndarray:
    """Returns the largest sum, without its sign, of two weights of one sign, for each output channel.

    Whichever two weights a kernel makes neighbours, 255 times this is the most that they come to with bytes.

    Args:
        weights: (..., channels, ...), of whatever numbers.
        axis: along which the output channels lie.

    >>> widest_pairs(np.array([[3, -5, 2, -1], [7, 0, -2, -2]]), axis=0)
    array([6., 7.])
    """
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1).astype("float64")
    rows = np.pad(rows, ((0, 0), (0, 2)))  # a channel of one weight has padding beside it
    ends = np.partition(rows, (1, -2), axis=1)
    return np.maximum(ends[:, -2:].clip(min=0).sum(axis=1), -ends[:, :2].clip(max=0).sum(axis=1))
