"""What a quantised model makes of its codebook: perplexity, used codes, bits; and JPEG at the same bits."""

import io
import math

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.imports import need
from aezoo.core.options import check_positive

_QUALITIES = range(1, 96)  # Pillow's; above 95 files grow and images do not change


def usage(code_indices: np.ndarray, codes: int) -> np.ndarray:
    """Returns the share of each code among all positions of all examples, (K,), which sums to 1.

    Args:
        code_indices: whole numbers (N, h, w) or (N, positions), 0 to K - 1.
        codes: K, the size of the codebook.

    Raises:
        DataError: an index that the codebook does not have.
    """
    code_indices, codes = np.asarray(code_indices), check_positive("codes", codes)
    if code_indices.dtype.kind not in "iu" or code_indices.min() < 0 or code_indices.max() >= codes:
        raise DataError(
            "code_indices are rows of the codebook",
            got=f"{code_indices.dtype} from {code_indices.min()} to {code_indices.max()}",
            expected=f"whole numbers from 0 to {codes - 1}",
            fix="pass model.code_indices(images), and the size of that model's codebook",
        )
    return np.bincount(code_indices.reshape(-1), minlength=codes) / code_indices.size


def perplexity(code_indices: np.ndarray, codes: int) -> float:
    """Number of codes that would carry as much if all were used alike: exp of the usage's entropy.

    Source: van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937.

    Args:
        code_indices, codes: as for `usage`.

    Returns:
        float in [1, K].

    >>> perplexity([[0, 1], [0, 1]], 512)
    2.0
    """
    return float(2 ** _entropy_bits(usage(code_indices, codes)))


def used_codes(code_indices: np.ndarray, codes: int) -> int:
    """Number of codes that are met at least once, from 1 to K; `code_indices` and `codes` as for `usage`."""
    return int(np.count_nonzero(usage(code_indices, codes)))


def bits_per_image(code_indices: np.ndarray, codes: int) -> float:
    """Bits in which the codes of one image are written at a fixed length: positions x log2(K).

    >>> bits_per_image(np.zeros((3, 7, 7), int), 512)
    441.0
    """
    return float(_positions(code_indices) * math.log2(codes))


def entropy_bits_per_image(code_indices: np.ndarray, codes: int) -> float:
    """Bits of one image's codes under an ideal entropy coder that knows how often each code occurs.

    One table of frequencies for all positions, taken from these very codes: what a coder with a
    table of its own could reach, not what a file would measure. The table is not counted.

    Args:
        code_indices, codes: as for `usage`.
    """
    return float(_positions(code_indices) * _entropy_bits(usage(code_indices, codes)))


def bits_per_dim(code_indices: np.ndarray, codes: int, example_shape: tuple[int, ...]) -> float:
    """`bits_per_image` divided by the values of an image, all channels counted.

    Args:
        code_indices, codes: as for `usage`.
        example_shape: (H, W, C).

    >>> bits_per_dim(np.zeros((1, 7, 7), int), 512, (28, 28, 1))
    0.5625
    """
    return bits_per_image(code_indices, codes) / math.prod(example_shape)


def jpeg_at_bits(images: np.ndarray, bits_per_image: float) -> dict[str, float]:
    """Compresses images as JPEG to at most the given bits, and says how close they stay.

    One quality for all images: the highest whose mean size stays within the budget, or the lowest
    there is where even that does not, which the returned bits then tell. Counted against the
    budget is the entropy-coded scan alone. The header, the same for every image of one quality
    (quantisation and Huffman tables, sizes), is not, as a model's weights are not counted either.

    Args:
        images: (N, H, W, C) in [0, 1], C of 1 or 3. Colours are subsampled 4:2:0, as JPEG usually is.
        bits_per_image: the budget.

    Returns:
        dict: `quality` (1 to 95), `mse`, `bits_per_image` (scans alone) and
        `bits_per_image_with_header` (whole files), both averaged over the images.

    Raises:
        DataError: JPEG has no images of such a number of channels.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise DataError(
            "JPEG takes grey or colour images",
            got=f"images of shape {images.shape}",
            expected="(N, H, W, 1) or (N, H, W, 3)",
            fix="leave out the opacity: images[..., :3]",
        )
    image_class = need("PIL.Image", extra="train")
    pictures = [
        image_class.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        for pixels in np.rint(images * 255).astype("uint8")
    ]

    def sizes(quality):
        files = [_jpeg(picture, quality) for picture in pictures]
        return files, 8.0 * np.mean([len(file) - _header_bytes(file) for file in files])

    low, high = _QUALITIES[0], _QUALITIES[-1]
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sizes(middle)[1] <= bits_per_image else (low, middle - 1)
    files, bits = sizes(low)
    total = 0.0
    for file, pixels in zip(files, images, strict=True):
        again = np.asarray(image_class.open(io.BytesIO(file)), "float64").reshape(pixels.shape) / 255
        total += np.mean(np.square(again - pixels))
    return {
        "quality": low,
        "mse": float(total / len(images)),
        "bits_per_image": float(bits),
        "bits_per_image_with_header": float(8 * np.mean([len(file) for file in files])),
    }


def _positions(code_indices):
    return math.prod(np.shape(code_indices)[1:])


def _entropy_bits(shares):
    shares = shares[shares > 0]
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def _jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _header_bytes(file):
    """Returns how many bytes of a baseline JPEG file are not its one scan: segments and end marker."""
    position = 2  # behind the marker that begins the file
    while True:
        marker = file[position + 1]
        position += 2 + int.from_bytes(file[position + 2 : position + 4], "big")
        if marker == 0xDA:  # start of scan: what follows is the image
            return position + 2
