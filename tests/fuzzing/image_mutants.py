"""Mutants of image files: what a slip, a broken disk or an attacker made of them, the same for a seed.

As a program it reads them, one after the other, and prints what became of them as JSON. It runs as a process
of its own, since a decoder that crashes would take the tests with it.
"""

import collections
import io
import json
import pathlib
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator

import image_makers
import numpy as np
from PIL import Image

# What is put in the place of bytes of a header: sizes, offsets, counts.
NUMBERS = (0, 1, 2, 7, 255, 256, 32_767, 65_535, 100_000, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def whole() -> dict[str, bytes]:
    """Returns good files, name -> content, one of each make."""
    draw = np.random.default_rng(0)
    colour, deep = (
        draw.integers(0, 256, (9, 7, 3), np.uint8),
        draw.integers(0, 65536, (9, 7, 3)).astype(np.uint16),
    )
    image, files = Image.fromarray(colour), {}

    def save(name, picture=image, **options):
        file = io.BytesIO()
        picture.save(file, **options)
        files[name] = file.getvalue()

    for suffix, form in (("png", "PNG"), ("jpg", "JPEG"), ("bmp", "BMP"), ("gif", "GIF"), ("webp", "WEBP")):
        save(f"colours.{suffix}", format=form)
    save("grey.jpg", image.convert("L"), format="JPEG", progressive=True)
    save("inks.jpg", image.convert("CMYK"), format="JPEG")
    save("palette.png", image.quantize(9), format="PNG", transparency=3)
    save("few.bmp", image.convert("1"), format="BMP")
    save("lossless.webp", format="WEBP", lossless=True)
    save("frames.gif", format="GIF", save_all=True, append_images=[image.rotate(180)])
    save("pages.tif", format="TIFF", save_all=True, append_images=[image.rotate(180)])
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.jpg", format="JPEG", exif=exif)
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"):
        save(
            f"{packing}.tif",
            image.convert("1") if packing == "group4" else image,
            format="TIFF",
            compression=packing,
        )
    files |= {
        "deep.png": image_makers.png(deep),
        "interlaced.png": image_makers.png(deep[..., 0], interlaced=True),
        "deep.tif": image_makers.tiff(deep, order=">", orientation=5),
        "floats.tif": image_makers.tiff(deep[..., 0].astype(np.float32)),
        "planes.tif": image_makers.tiff(colour, planar=True),
    }
    return files


def mutants(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yields (name, content) without end; the same for a seed."""
    draw, files = random.Random(seed), list(whole().items())
    for number in range(sys.maxsize):
        name, content = draw.choice(files)
        content = bytearray(content)
        for _ in range(draw.choice((1, 1, 2, 5))):
            change = draw.choice((_cut, _flip, _number, _number, _number, _repeat, _blank))
            change(draw, content)
        if draw.random() < 0.1:
            name = pathlib.Path(name).stem + draw.choice((".png", ".jpg", ".tif", ".bmp", ".gif", ".webp"))
        if name.endswith(".png") and draw.random() < 0.7:
            content = _with_sums(content)
        yield f"{number:05}_{name}", bytes(content)


def _place(draw, content):
    """Returns a position, mostly in the header."""
    return draw.randrange(min(len(content), draw.choice((16, 64, 200, 10**6)))) if content else 0


def _cut(draw, content):
    del content[_place(draw, content) :]


def _flip(draw, content):
    if content:
        content[_place(draw, content)] ^= 1 << draw.randrange(8)


def _number(draw, content):
    place, size = _place(draw, content), draw.choice((2, 4))
    content[place : place + size] = (draw.choice(NUMBERS) % 256**size).to_bytes(
        size, draw.choice(("big", "little"))
    )


def _repeat(draw, content):
    place = _place(draw, content)
    content[place:place] = content[place : place + draw.randrange(1, 40)] * draw.randrange(1, 200)


def _blank(draw, content):
    place = _place(draw, content)
    content[place : place + 12] = bytes(12)


def _with_sums(content):
    """Returns a PNG whose chunks have the sums of what they hold now, as an attacker writes them."""
    made, place = bytes(content[:8]), 8
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        if place + 12 + size > len(content):
            break
        made += image_makers.chunk(
            bytes(content[place + 4 : place + 8]), bytes(content[place + 8 : place + 8 + size])
        )
        place += 12 + size
    return made + bytes(content[place:])


def read_all(count: int, seed: int) -> dict:
    """Reads so many mutants; returns how many were read or refused, others, seconds and MB at most."""
    from aezoo.core.errors import DataError
    from aezoo.data.sources.image_files import read_images

    told, others, slowest = collections.Counter(), [], 0.0
    before = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        stream = mutants(seed)
        for number in range(count):
            name, content = next(stream)
            path = pathlib.Path(folder, name)
            path.write_bytes(content)
            begun = time.perf_counter()
            try:
                found = read_images([path], (8, 6, 3) if number % 2 else None, name="mutants")
                told["read"] += 1
                if found.ndim != 4 or found.shape[-1] > 4 or not np.isfinite(found).all():
                    others.append(f"{name}: {found.shape} {found.dtype}")
            except DataError as error:
                told["refused"] += 1
                if [line.split(":")[0].strip() for line in str(error).splitlines()[1:]] != [
                    "got",
                    "expected",
                    "fix",
                ]:
                    others.append(f"{name}: {error}")
            except Exception as error:
                others.append(f"{name}: {type(error).__name__}: {error}")
            slowest = max(slowest, time.perf_counter() - begun)
            path.unlink()
    peak = peak_mb() - before
    return {**told, "others": others, "slowest_seconds": round(slowest, 2), "peak_mb": peak}


def peak_mb() -> int:
    """Returns how many MB this process held at most; `getrusage` would count those of its parent too."""
    try:
        lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:  # no Linux
        return 0
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(json.dumps(read_all(int(sys.argv[1]), int(sys.argv[2]))))
