"""Pixels of image files at the depth that they have, and files that are refused before they are unpacked."""

import os
import subprocess
import sys
import threading
import zlib

import image_makers
import numpy as np
import pytest
from conftest import ROOT, four_lines
from PIL import Image

from aezoo.core.errors import DataError
from aezoo.data.sources import image_files
from aezoo.data.sources.image_files import read_images

RANDOM = np.random.default_rng(0)
GREY, COLOUR, ALPHA = (
    RANDOM.integers(0, 65536, (7, 5, *more)).astype(np.uint16) for more in ((), (3,), (4,))
)
FLOATS = RANDOM.normal(300, 100, (7, 5)).astype(np.float32)
DEEP = {"grey": GREY, "colour": COLOUR, "alpha": ALPHA}


def pixels_of(path, image_shape=None):
    return read_images([path], image_shape, name="x")[0]


def same(path, expected):
    found = pixels_of(path)
    expected = expected[..., None] if expected.ndim == 2 else expected
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(found, expected)


def refused(path, *words):
    with pytest.raises(DataError) as error:
        pixels_of(path)
    four_lines(error, path, *words)


@pytest.mark.parametrize("suffix", ["png", "PNG", "tif", "TIFF", "bmp", "webp", "gif"])
def test_eight_bits(suffix, tmp_path):
    grey, colours = GREY.astype(np.uint8), COLOUR.astype(np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colours).save(path, **({"lossless": True} if suffix == "webp" else {}))
    if suffix == "gif":
        assert pixels_of(path).shape == colours.shape
    else:
        same(path, colours)
    if suffix not in ("webp", "gif"):
        Image.fromarray(grey).save(path)
        same(path, grey)


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("interlaced", [False, True])
def test_png_of_sixteen_bits(kind, interlaced, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(image_makers.png(DEEP[kind], interlaced=interlaced))
    same(path, DEEP[kind])


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("packed", [1, 5, 8, 32773], ids=["plain", "lzw", "deflate", "packbits"])
def test_files_of_another_writer(kind, packed, tmp_path):
    cv2 = pytest.importorskip("cv2")
    swapped = DEEP[kind] if kind == "grey" else DEEP[kind][..., [2, 1, 0, 3][: DEEP[kind].shape[-1]]]
    for name, options in (("a.png", []), ("a.tif", [cv2.IMWRITE_TIFF_COMPRESSION, packed])):
        cv2.imwrite(str(tmp_path / name), swapped, options)
        same(tmp_path / name, DEEP[kind])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("pixels", "options", "expected"),
    [
        (GREY, {}, GREY),
        (COLOUR, {}, COLOUR),
        (COLOUR.astype(np.uint8), {"planar": True}, COLOUR.astype(np.uint8)),
        (FLOATS, {}, FLOATS),
        ((FLOATS * 10).astype(np.int16) - 3000, {"signed": True}, (FLOATS * 10).astype(np.int32) - 3000),
        ((FLOATS * 1e4).astype(np.int32), {"signed": True}, (FLOATS * 1e4).astype(np.int32)),
    ],
    ids=["grey", "colour", "planes", "floats", "int16", "int32"],
)
def test_tiff(order, pixels, options, expected, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(image_makers.tiff(pixels, order=order, **options))
    same(path, expected)


def test_unsigned_numbers_of_32_bits_do_not_wrap(tmp_path):
    path, pixels = tmp_path / "a.tif", GREY.astype(np.uint32) * 60_000
    path.write_bytes(image_makers.tiff(pixels))
    same(path, pixels)


def test_numbers_of_12_bits_that_lie_packed(tmp_path):
    pixels = GREY[:, :4] >> 4
    bits = "".join(f"{number:012b}" for number in pixels.ravel())
    packed = np.frombuffer(int(bits, 2).to_bytes(len(bits) // 8, "big"), np.uint8)
    content = image_makers.tiff(packed.reshape(7, 6), bits=12)
    content = content.replace(
        b"\x00\x01\x04\x00\x01\x00\x00\x00\x06", b"\x00\x01\x04\x00\x01\x00\x00\x00\x04", 1
    )
    (tmp_path / "a.tif").write_bytes(content)
    same(tmp_path / "a.tif", pixels)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (3, lambda a: a[::-1, ::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
    ],
)
@pytest.mark.parametrize("kind", DEEP)
def test_orientation(kind, orientation, turn, tmp_path):
    pixels = DEEP[kind]
    (tmp_path / "a.tif").write_bytes(image_makers.tiff(pixels, orientation=orientation))
    same(tmp_path / "a.tif", turn(pixels))
    bytes_ = (pixels >> 8).astype(np.uint8)
    (tmp_path / "b.tif").write_bytes(image_makers.tiff(bytes_, orientation=orientation))
    same(tmp_path / "b.tif", turn(bytes_))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(tmp_path / "c.png", exif=exif)
    same(tmp_path / "c.png", turn(GREY))


def test_what_is_not_read_rightly_is_refused(tmp_path):
    made = {
        "grey_alpha.png": image_makers.png(ALPHA[..., :2]),
        "planes.tif": image_makers.tiff(COLOUR, planar=True),
        "inks.tif": image_makers.tiff(ALPHA, photometric=5),
        "signed.tif": image_makers.tiff(GREY.astype(np.int8), signed=True),
        "wide.tif": image_makers.tiff(COLOUR.astype(np.uint32)),
        "text.png": b"no image",
        "empty.tif": b"",
        "cut.tif": image_makers.tiff(GREY)[:-9],
        "cut.png": image_makers.png(COLOUR)[:-60],
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    not_finite = np.where(FLOATS > 400, np.nan, FLOATS)
    (tmp_path / "nan.tif").write_bytes(image_makers.tiff(not_finite))
    refused(tmp_path / "nan.tif", "not finite", f"{np.isnan(not_finite).sum()} of 35")


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.symlink(tmp_path / "nowhere.png", tmp_path / "link.png")
    for name in ("folder.png", "link.png"):
        refused(tmp_path / name, "no file")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        refused(tmp_path / "pipe.png", "no file")


def test_a_suffix_may_lie_about_the_kind_but_not_hide_a_program(tmp_path):
    Image.fromarray(GREY.astype(np.uint8)).save(tmp_path / "a.png", format="BMP")
    same(tmp_path / "a.png", GREY.astype(np.uint8))
    Image.fromarray(COLOUR.astype(np.uint8)).save(tmp_path / "b.png", format="EPS")  # PostScript
    refused(tmp_path / "b.png", "of no kind")


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_several_frames_are_refused(suffix, tmp_path):
    first, second = (Image.fromarray(value.astype(np.uint8)) for value in (COLOUR, 65535 - COLOUR))
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second])
    refused(tmp_path / f"a.{suffix}", "2 frames", "of its own")


def test_smaller_copies_of_a_page_are_no_frames(tmp_path):
    whole = Image.fromarray(COLOUR.astype(np.uint8))
    small = whole.resize((2, 3))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    same(tmp_path / "a.tif", COLOUR.astype(np.uint8))


def test_deep_pixels_are_resized_as_bytes_are(tmp_path):
    smooth = np.outer(np.linspace(0, 1, 40), np.linspace(0, 1, 30))
    bytes_, deep = np.rint(smooth * 255).astype(np.uint8), np.rint(smooth * 255).astype(np.uint16) * 257
    for name, pixels in (("a.png", bytes_), ("b.png", deep)):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "c.tif").write_bytes(image_makers.tiff(deep.astype(np.uint32) + 3_000_000_000))
    few = pixels_of(tmp_path / "a.png", (8, 7, 1)) / 255
    np.testing.assert_allclose(
        pixels_of(tmp_path / "b.png", (8, 7, 1)) / 65535, few, atol=1 / 255
    )  # bytes are rounded twice
    wide = pixels_of(tmp_path / "c.tif", (8, 7, 1)).astype(np.float64) - 3e9
    np.testing.assert_allclose(wide, pixels_of(tmp_path / "b.png", (8, 7, 1)), atol=1)


def test_channels_of_deep_images(tmp_path):
    for kind, pixels in DEEP.items():
        (tmp_path / f"{kind}.png").write_bytes(image_makers.png(pixels))
    assert np.array_equal(pixels_of(tmp_path / "grey.png", (7, 5, 3)), np.stack([GREY] * 3, -1))
    assert np.array_equal(pixels_of(tmp_path / "alpha.png", (7, 5, 3)), ALPHA[..., :3])
    bytes_ = Image.fromarray((COLOUR >> 8).astype(np.uint8)).convert("L")
    grey = pixels_of(tmp_path / "colour.png", (7, 5, 1))[..., 0]
    assert np.abs(grey / 257.0 - np.asarray(bytes_)).max() < 2
    with pytest.raises(DataError) as error:
        pixels_of(tmp_path / "colour.png", (7, 5, 4))
    four_lines(error, "image_shape=(height, width, 3)")


def test_depths_do_not_mix(tmp_path):
    for name, pixels in (("a.png", GREY.astype(np.uint8)), ("b.png", GREY)):
        Image.fromarray(pixels).save(tmp_path / name)
    with pytest.raises(DataError) as error:
        read_images([tmp_path / "a.png", tmp_path / "b.png"], None, name="x")
    four_lines(error, "differ in depth", "a.png holds uint8", "b.png uint16")


# --- bombs


def bomb(width, height):
    """A PNG of very few bytes for its size; its lines are all 0."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    return image_makers.png_of(width, height, packed)


def test_an_image_of_too_many_pixels_is_refused_by_its_header(tmp_path):
    path = tmp_path / "a.png"
    for width, height in ((16_000, 11_000), (9_500, 9_500), (2**31 - 1, 2**31 - 1)):
        path.write_bytes(image_makers.png_of(width, height, b""))
        refused(path, f"{width * height} pixels", "89,478,485", "MAX_IMAGE_PIXELS")
    (tmp_path / "a.tif").write_bytes(image_makers.tiff(GREY, strip=2**32 - 1))
    found = pixels_of(tmp_path / "a.tif")  # a strip that claims to go on behind the end of the file
    assert np.array_equal(found[..., 0], GREY)


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"iTXt"])
def test_metadata_that_grow_are_refused(name, tmp_path):
    path, packed = tmp_path / "a.png", zlib.compress(bytes(200_000_000), 9)
    head = b"a\0\0" if name != b"iTXt" else b"a\0\1\0\0\0"
    content = image_makers.png_of(
        2, 2, zlib.compress(b"\0\0\0\0\0\0"), more=image_makers.chunk(name, head + packed)
    )
    path.write_bytes(content)
    try:
        assert pixels_of(path).shape == (2, 2, 1)  # or Pillow leaves them packed
    except DataError as error:
        four_lines(error, path)


PEAK = """
import pathlib, sys
from aezoo.core.errors import DataError
from aezoo.data.sources.image_files import read_images
from fuzzing.image_mutants import peak_mb
before = peak_mb()
try:
    read_images(sorted(pathlib.Path(sys.argv[1]).iterdir()), (8, 8, 3), name="x")
    said = "read"
except DataError as error:
    said = "refused"
print(said, peak_mb() - before)
"""


def peak_of(folder):
    """Reads a folder in a process of its own; returns what became of it, and how many MB that took."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", PEAK, folder],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": paths},
        check=True,
    )
    said, peak = done.stdout.split()
    return said, int(peak)


def test_a_bomb_takes_no_memory(tmp_path):
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(image_makers.png_of(16_000, 11_000, b""))
    said, peak = peak_of(tmp_path)
    assert said == "refused"
    assert peak < 100


@pytest.mark.exhaustive
def test_large_images_are_unpacked_one_at_a_time(tmp_path):
    content = bomb(9_000, 9_000)  # 81 million pixels, which are allowed
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(content)
    said, peak = peak_of(tmp_path)
    assert said == "read"
    assert peak < 600


def test_large_images_are_read_one_at_a_time_and_beside_small_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "_LARGE", 2 * 4 * 8 * 8)
    unpacked, decoded = [], image_files._decoded

    def watched(path, *more):
        unpacked.append((path.name, threading.current_thread() is threading.main_thread()))
        return decoded(path, *more)

    monkeypatch.setattr(image_files, "_decoded", watched)
    for number, side in enumerate((8, 9, 8, 40)):
        Image.fromarray(np.full((side, side), number, np.uint8)).save(tmp_path / f"{number}.png")
    found = read_images(sorted(tmp_path.iterdir()), (2, 2, 1), name="x")
    assert found[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert sorted(unpacked) == [("0.png", False), ("1.png", True), ("2.png", False), ("3.png", True)]
