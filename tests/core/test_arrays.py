"""Arrays of anybody's .npz: measured by what the file says of itself before anything is unpacked."""

import io
import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from aezoo.core.arrays import PICKLED, Like, check_npy, most_of, read_npz
from aezoo.core.strict_json import Damaged

ARRAYS = {"a": np.arange(12.0).reshape(3, 4), "b": np.zeros((3,), "int8"), "empty": np.zeros((0, 2), bool)}


def packed(arrays, save=np.savez_compressed):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def refused(content, *words, largest=10**6, **options):
    with pytest.raises(Damaged) as error:
        read_npz(content, largest, **options)
    for word in words:
        assert word in f"{error.value} {error.value.expected}"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_is_written_is_read(save, tmp_path):
    content = packed(ARRAYS, save)
    found = read_npz(content, 10**6, {"a": Like("f", (None, 4))})
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    (tmp_path / "x.npz").write_bytes(content)
    with open(tmp_path / "x.npz", "rb") as file:
        assert list(read_npz(file, 10**6)) == list(ARRAYS)


def test_what_is_expected_must_be_there():
    content = packed(ARRAYS)
    refused(content, "c is missing", expected={"c": Like()})
    refused(content, "a has shape (3, 4)", "shape (4, any)", expected={"a": Like("f", (4, None))})
    refused(content, "a has dtype 'float64'", "whole numbers", expected={"a": Like("iu")})
    refused(content, "b is not known", expected={"a": Like()}, others=None)
    refused(packed({"a": np.array(["x"])}), "a has dtype '<U1'")
    refused(packed({"a": np.zeros(3, [("x", "f4")])}), "a has dtype")
    refused(packed({"a": np.array([None])}), f"a {PICKLED}")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """Zeros are packed into a thousandth; with gigabytes it is the same."""
    content = packed({"a": np.zeros(10_000_000)})
    assert len(content) < 2**17
    tracemalloc.start()
    refused(content, "unpacks to 80,000,000 bytes", "at most 1,000,000")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20
    many = packed({f"a{number}": np.zeros(50_000) for number in range(10)})
    refused(many, "unpacks to 4,000,000 bytes")  # each of them would have been within the limit


def test_most_of_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"\0" * 10)
    assert most_of(tmp_path / "x") == 2**30


def lying(shape):
    """An array whose header promises more than is there."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return header.getvalue() + b"\0" * 80


@pytest.mark.parametrize("shape", [(11,), (9,), (10**12,), (2**62, 2**62), (-1,), (True, 10), ()])
def test_a_header_that_lies(shape, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", lying(shape))
    refused(file.getvalue(), "a has ", largest=2**62)
    if shape not in ((9,), ()):  # more may follow in a .npy file
        (tmp_path / "a.npy").write_bytes(lying(shape))
        with pytest.raises(Damaged, match="has "):
            check_npy(tmp_path / "a.npy")


def test_a_directory_that_lies():
    """The size that the archive's directory says, not that which the data have."""
    content = bytearray(packed({"a": np.zeros(1000)}))
    at = content.rindex(b"PK\1\2")
    size = struct.unpack_from("<I", content, at + 24)[0]
    struct.pack_into("<I", content, at + 24, size + 8)
    refused(bytes(content), "a has 8,008 bytes")
    content = bytearray(packed({"a": np.random.default_rng(0).random(1000)}))
    content[2000] ^= 1
    refused(bytes(content), "is damaged")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_refused(packing):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        archive.writestr("a.npy", lying((10,)))
    refused(file.getvalue(), "a is packed in another way")


def test_no_archive_at_all():
    for content in (b"", b"PK", b"\x93NUMPY", b"x" * 1000):
        refused(content, "is damaged", "numpy.savez")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "x")
    refused(file.getvalue(), "notes.txt is no array")


@pytest.mark.parametrize("count", [500, pytest.param(50_000, marks=pytest.mark.exhaustive)])
def test_whatever_the_bytes_are_it_is_damaged_or_read(count):
    draw, content, read = random.Random(0), packed(ARRAYS), 0
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        try:
            read_npz(bytes(changed), 10**6)
            read += 1
        except Damaged:
            pass
    assert read < count / 5  # of most fields of an archive nothing depends, of its data a checksum
