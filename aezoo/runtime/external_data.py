"""Which other files an ONNX file names: its weights may lie in one beside it, and in no other place.

Releases of onnxruntime differ in what they read on a file's word: any path, or, for one name, any address of
their own memory. So the names are looked at first. Standard library only.

Source: onnx.proto3 of ONNX 1.18, and "Encoding" of Protocol Buffers' documentation.
"""

from collections.abc import Iterator

from aezoo.core.strict_json import Damaged

# What may hold a tensor: {message: {number of a field: message in it}}.
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_KEY, _VALUE = 1, 2  # fields of an entry
_LOCATION = b"location"


def check_locations(content: bytes, *allowed: str) -> None:
    """Raises Damaged where an ONNX file names another file than those that are allowed.

    Args:
        content: of the file.
        allowed: names of files beside it.
    """
    if _LOCATION not in content:  # a text lies in a message as it is, so most files are not looked into
        return
    for location in _locations(memoryview(content)):
        if location not in [name.encode() for name in allowed]:
            raise Damaged("", f"names another file, {bytes(location)[:60]!a}", "weights in the file itself")


def _locations(model: memoryview) -> Iterator[memoryview]:
    waiting = [("model", model)]
    while waiting:
        kind, message = waiting.pop()
        if kind == "entry":
            fields = list(_fields(message))
            if any(number == _KEY and text == _LOCATION for number, text in fields):
                yield from (text for number, text in fields if number == _VALUE)
            continue
        inside = _INSIDE[kind]
        waiting += [(inside[number], part) for number, part in _fields(message) if number in inside]


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields (number, content) of a message's texts and messages; other fields are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
            if size > len(message) - at:
                raise _cut()
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise _cut()


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Returns (whole number, where the next field begins)."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte, at = message[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _cut()


def _cut():
    return Damaged("", "is no ONNX file", "a whole message of Protocol Buffers")
