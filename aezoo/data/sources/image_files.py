"""Decodes image files: pixels at the depth that the file has, of sizes that were looked at before.

The base install reads them, so there is Pillow and nothing else. It refuses or keeps what it cannot tell
rightly: Pillow itself would cut colours of 16 bits to 8 without a word.
"""

import contextlib
import os
import pathlib
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from aezoo.core.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
KINDS = "PNG, JPEG, TIFF, BMP, GIF or WebP"
# What is looked for in a file, whatever its name says: Pillow knows forty more, one of them a program (EPS).
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
# what Pillow calls the pixels of 1, 2, 3 and 4 channels
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Bytes of an image up to which others are unpacked beside it. Larger ones go one at a time, and all in one
# thread: each keeps what it once held, in an arena of its own.
_LARGE = 2**27
_COPIES = 2  # of its pixels that an image holds while it is turned, converted and resized
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601-2, by which Pillow makes colours grey
_BITS, _PAGE_KIND, _SAMPLE_FORMAT = 258, 254, 339  # tags of TIFF
_SIGNED = 2  # a sample format


def read_images(paths: Sequence[pathlib.Path], image_shape: Sequence[int] | None, *, name: str) -> np.ndarray:
    """Returns the pixels of image files, (N, H, W, C), as numbers of the depth that they are stored in.

    8 bits a channel are uint8; deeper images uint16, int32 or uint32, and float32 where the file holds
    floats. Images are turned as their EXIF orientation says.

    Args:
        paths: of N files.
        image_shape: (H, W, C) to which all are resized (Lanczos, antialiased) and converted; None
            takes them as they are, and then they must be of one size and one number of channels.
        name: how an error names the whole.

    Raises:
        DataError: an unreadable image, one of more pixels than PIL.Image.MAX_IMAGE_PIXELS, one of several
            frames, or images that differ in size, channels or depth.
    """
    images = None
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    with _large_refused():
        try:
            for index, pixels in enumerate(pool.map(lambda path: _read(path, image_shape), paths)):
                if pixels is None:
                    pixels = _read(paths[index], image_shape, large=True)
                if images is None:
                    images = np.empty((len(paths), *pixels.shape), pixels.dtype)
                _check_alike(name, paths[0], images[0], paths[index], pixels)
                images[index] = pixels
        finally:
            pool.shutdown(cancel_futures=True)  # after an error nobody wants the images behind it
    assert images is not None  # there is a path
    return images


def _check_alike(name, first, expected, path, pixels):
    if pixels.shape != expected.shape:
        raise DataError(
            f"{name}: the images differ in size or channels",
            got=f"{first} is {expected.shape}, {path} is {pixels.shape} (H, W, C)",
            expected="one size and one number of channels, or an image_shape to bring them to",
            fix=f"pass image_shape={expected.shape}",
        )
    if pixels.dtype != expected.dtype:
        raise DataError(
            f"{name}: the images differ in depth",
            got=f"{first} holds {expected.dtype}, {path} {pixels.dtype}",
            expected="one depth: what is white in 8 bits is nearly black in 16",
            fix="convert them to one depth, or keep them in folders of their own",
        )


@contextlib.contextmanager
def _large_refused():
    """Makes an error of Pillow's warning of too many pixels; its warnings of odd metadata are not shown."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextlib.contextmanager
def _opened(path):
    """Opens an image whose pixels are still packed.

    Pillow gets no name of a file: by one it maps the file into memory, and then makes nonsense of a TIFF that
    is to be turned by 90 degrees.
    """
    from PIL import Image, UnidentifiedImageError

    with open(path, "rb") as file:
        try:
            image = Image.open(file, formats=_FORMATS)
        except UnidentifiedImageError:
            raise OSError(f"{path.stat().st_size:,} bytes, of no kind that Pillow knows") from None
        with image:
            yield image


def _read(path, image_shape, large=False):
    """Returns the pixels of one image, (H, W, C), of any number type; None of a large one, unless wanted."""
    from PIL import Image

    try:
        if not path.is_file():  # a pipe would never end
            raise OSError("no file that can be read")
        with _opened(path) as opened:
            _check_single(path, opened)
            if not large and _COPIES * _unpacked_bytes(opened) > _LARGE:
                return None
            pixels = _decoded(path, opened, image_shape)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{path.name}: an image of too many pixels",
            got=f"{path}: {str(error).split(', could')[0]}",
            expected=f"up to PIL.Image.MAX_IMAGE_PIXELS, {Image.MAX_IMAGE_PIXELS:,}",
            fix="cut it into tiles or shrink it; or set a larger PIL.Image.MAX_IMAGE_PIXELS in Python",
        ) from error
    except Exception as error:  # Pillow raises many kinds, and any of them says that the file is no image
        raise DataError(
            f"{path.name}: not a readable image",
            got=f"{path}: {str(error) or type(error).__name__}",
            expected=f"a complete {KINDS} file",
            fix="replace the file, or remove it from the folder; numpy.save takes what Pillow cannot read",
        ) from error
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise DataError(
            f"{path.name}: a pixel is not finite",
            got=f"{path}: {np.count_nonzero(~np.isfinite(pixels)):,} of {pixels.size:,} values",
            expected="numbers in every pixel",
            fix="fill such pixels first, for example with numpy.nan_to_num",
        )
    return pixels


def _unpacked_bytes(image):
    deep = image.mode[0] in "IF" or _is_deep_colour(image)
    return image.width * image.height * 4 * (len(image.getbands()) if deep else 1)


def _check_single(path, image):
    """Raises DataError for an animation or pages: which of them is the example?"""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return  # the first picture of an MPO is the photo; others are for a stereoscopic screen
    count = image.n_frames
    if image.format == "TIFF":  # smaller copies of a page, and its mask, are no further examples
        kinds = []
        for frame in range(count):
            image.seek(frame)
            kinds.append(int(image.tag_v2.get(_PAGE_KIND, 0)))
        image.seek(0)
        count = sum(not kind & 0b101 for kind in kinds)
    if count > 1:
        raise DataError(
            f"{path.name}: an image of several frames",
            got=f"{path}: {count} frames",
            expected="one image a file, since a file is an example",
            fix="save each frame or page in a file of its own",
        )


def _decoded(path, image, image_shape):
    from PIL import Image, ImageOps

    if _is_deep_colour(image):
        return _fitted(_sixteen_bits(path, image), image_shape)
    form, tags = image.format, image.tag_v2 if image.format == "TIFF" else {}
    bits, signed = max(tags.get(_BITS, (8,))), _SIGNED in tags.get(_SAMPLE_FORMAT, ())
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        numbers = np.asarray(image)
        if form == "PNG":
            numbers = numbers.astype(np.uint16)  # some releases of Pillow read them as int32
        elif image.mode == "I" and bits == 32 and not signed:
            numbers = numbers.view(np.uint32)
        return _fitted(numbers.astype(numbers.dtype.newbyteorder("="), copy=False)[..., None], image_shape)
    if signed or bits > 8:
        raise DataError(
            f"{path.name}: pixels of a kind that is not read",
            got=f"{path}: TIFF with {'signed bytes' if signed else f'{bits} bits a channel'}",
            expected="unsigned bytes, or 16 bits a channel in grey, RGB or RGBA that lie pixel by pixel",
            fix="save it as such a file, or all images as an array with numpy.save",
        )
    image = image.convert(_mode(image, image_shape))
    if image_shape is not None and image.size != (image_shape[1], image_shape[0]):
        image = image.resize((image_shape[1], image_shape[0]), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _mode(image, image_shape):
    """Returns the Pillow mode to convert to: of image_shape, or the nearest to the file's own."""
    if image_shape is not None:
        return _MODES[image_shape[2]]
    if image.mode in _MODES.values():
        return image.mode
    if image.mode == "1":
        return "L"
    return "RGBA" if "transparency" in image.info or image.mode in ("PA", "RGBa") else "RGB"  # palettes, CMYK


def _raw_modes(image):
    return [tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0] for tile in image.tile]


def _is_deep_colour(image):
    """Whether Pillow would make bytes of numbers of 16 bits."""
    return image.mode[0] not in "IF" and any(";16" in str(raw) for raw in _raw_modes(image))


def _sixteen_bits(path, image):
    """Returns the pixels of a colour image of 16 bits, uint16 (H, W, C).

    Pillow keeps one byte of each number: the higher one, by the order of bytes that the raw mode ends in.
    With the other order it keeps the lower one; two readings make the number.
    """
    from PIL import ImageOps

    raw = set(_raw_modes(image))
    own = raw.pop()
    if raw or own[:-1] not in ("RGB;16", "RGBA;16"):
        raise DataError(
            f"{path.name}: 16 bits a channel in a form that is not read",
            got=f"{path}: {image.format} with {own}",
            expected="16 bits a channel in grey, RGB or RGBA",
            fix="save it without alpha or as RGB, or all images as an array with numpy.save",
        )
    native = own.replace("N", "L" if sys.byteorder == "little" else "B")
    pixels = None
    for order in (native, native.translate(str.maketrans("LB", "BL"))):
        raw = native[:-1] + order[-1]
        with _opened(path) as again:
            again.tile = [
                tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))
                for tile in again.tile
            ]
            again.load()
            half = np.asarray(ImageOps.exif_transpose(again))
        if pixels is None:
            pixels = half.astype(np.uint16)
            pixels <<= 8
        else:
            pixels |= half
    return pixels


def _fitted(pixels, image_shape):
    """Returns deep pixels (H, W, C) with the size and channels of image_shape, of the same number type."""
    if image_shape is None:
        return pixels
    height, width, channels = image_shape
    pixels = _with_channels(pixels, channels)
    return pixels if pixels.shape[:2] == (height, width) else _resized(pixels, height, width)


def _with_channels(pixels, channels):
    """Returns pixels with so many channels: grey repeated, colours made grey, transparency dropped."""
    found = pixels.shape[-1]
    if found in (2, 4) and channels < found:
        pixels = pixels[..., :-1]
    found = pixels.shape[-1]
    if found == channels:
        return pixels
    if (found, channels) == (1, 3):
        return np.repeat(pixels, 3, axis=-1)
    if (found, channels) == (3, 1):
        return _rounded(pixels @ _LUMA, pixels.dtype)[..., None]
    raise DataError(
        "deep images have no transparency that could be made up",
        got=f"{found} channels, image_shape with {channels}",
        expected="1 or 3 channels",
        fix="pass image_shape=(height, width, 1)" if found == 1 else "pass image_shape=(height, width, 3)",
    )


def _resized(pixels, height, width):
    from PIL import Image

    # Pillow resizes float32, which holds 24 bits: what numbers of 32 bits have in common is kept aside.
    least = pixels.min().astype(np.float64)
    planes = [
        np.asarray(
            Image.fromarray((pixels[..., channel] - least).astype(np.float32)).resize(
                (width, height), Image.Resampling.LANCZOS
            )
        )
        for channel in range(pixels.shape[-1])
    ]
    return _rounded(np.stack(planes, axis=-1) + least, pixels.dtype)


def _rounded(numbers, dtype):
    if dtype.kind == "f":
        return numbers.astype(dtype)
    return np.clip(np.rint(numbers), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
