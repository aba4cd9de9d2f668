"""Image files that Pillow does not write, byte by byte as their specifications say."""

import struct
import zlib

import numpy as np

_SIZES = {3: ("H", 2), 4: ("I", 4)}  # TIFF's SHORT and LONG


def png(pixels, *, interlaced=False):
    """Returns a PNG of 16 bits a channel: uint16 (H, W), or (H, W, 2 to 4)."""
    height, width = pixels.shape[:2]
    pixels = pixels.reshape(height, width, -1).astype(">u2")
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
    lines = b"".join(
        b"\0" + line.tobytes()
        for x, y, across, down in passes
        for line in pixels[y::down, x::across]
        if line.size
    )
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[-1]]
    return png_of(width, height, zlib.compress(lines), bits=16, colour=colour, interlaced=interlaced)


def png_of(width, height, packed, *, bits=8, colour=0, interlaced=False, more=b""):
    """Returns a PNG of a claimed size with packed lines, true or not; `more` are chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    chunks = chunk(b"IHDR", header) + more + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(
    pixels, *, order="<", planar=False, signed=False, orientation=1, photometric=None, strip=None, bits=None
):
    """Returns an unpacked TIFF of any number type, (H, W) or (H, W, C); `strip` claims a number of bytes."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    strips = [stored.tobytes()]
    if planar:
        strips = [np.ascontiguousarray(stored[..., each]).tobytes() for each in range(channels)]
    form = 3 if pixels.dtype.kind == "f" else 2 if signed else 1
    tags = [
        (256, 4, [pixels.shape[1]]),
        (257, 4, [pixels.shape[0]]),
        (258, 3, [bits or pixels.dtype.itemsize * 8] * channels),
        (259, 3, [1]),
        (262, 3, [(1 if channels == 1 else 2) if photometric is None else photometric]),
        (273, 4, None),  # where the strips begin
        (274, 3, [orientation]),
        (277, 3, [channels]),
        (278, 4, [pixels.shape[0]]),
        (279, 4, [strip or len(each) for each in strips]),
        (284, 3, [2 if planar else 1]),
        (339, 3, [form] * channels),
    ]

    def encoded(kind, values):
        return struct.pack(order + _SIZES[kind][0] * len(values), *values)

    place = 8 + 2 + 12 * len(tags) + 4
    lengths = [_SIZES[kind][1] * len(values or strips) for _, kind, values in tags]
    begin = place + sum(length for length in lengths if length > 4)
    starts = [begin + sum(map(len, strips[:each])) for each in range(len(strips))]
    rows, aside = b"", b""
    for tag, kind, values in tags:
        content = encoded(kind, starts if values is None else values)
        rows += struct.pack(order + "HHI", tag, kind, len(values or strips))
        if len(content) <= 4:
            rows += content.ljust(4, b"\0")
        else:
            rows += struct.pack(order + "I", place + len(aside))
            aside += content
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return head + rows + b"\0\0\0\0" + aside + b"".join(strips)
