"""Reads JSON into frozen dataclasses, and refuses what their annotations do not say. Standard library only.

A field may be annotated with str, int, float, bool, `Any` (any JSON), a `Literal`, a dataclass, unions such
as `X | None`, tuple[X, ...], tuple[X, Y], dict[X, Y], and `Annotated[X, Rule(...)]` for what no type can say.
All fields must be there, defaults or not. What a class asks of several fields together, its `__post_init__`
checks, and raises `Damaged` for.
"""

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, Union

LARGEST = 2**24  # bytes of a file that is read at all
DEEPEST = 32  # brackets that may be open at once
_BITS = 63  # of whole numbers: what everybody else's JSON and every file format can hold

T = TypeVar("T")


class Damaged(ValueError):
    """JSON that does not say what it should.

    Attributes:
        where: path inside the JSON, "artifacts[2].outputs[0].shape"; "" is all of it.
        found: what is wrong there, "is missing" for example.
        expected: what should be there.
    """

    def __init__(self, where: str, found: str, expected: str) -> None:
        super().__init__(f"{where} {found}".strip())
        self.where, self.found, self.expected = where, found, expected


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a value must keep beyond its type: the test of it, and the words for an error."""

    holds: Callable[[Any], bool]
    expected: str


def at_least(least: float) -> Rule:
    """Returns the rule of a number that is no smaller."""
    return Rule(lambda value: value >= least, f"a number of at least {least:g}")


def between(low: float, high: float) -> Rule:
    """Returns the rule of a number in [low, high]."""
    return Rule(lambda value: low <= value <= high, f"a number from {low:g} to {high:g}")


NOT_EMPTY = Rule(bool, "at least one entry")


def parse(content: bytes, deepest: int = DEEPEST) -> Any:
    """Returns what JSON says, as Python's own reader does, and within bounds.

    Nothing is refused here that has a place in the text, so that `read` can name it: numbers that are not
    finite or too large become infinite, and an object that says something twice becomes a `_Twice`.

    Raises:
        Damaged: no JSON in UTF-8, larger than `LARGEST` or more than `deepest` brackets open at once.
    """
    if len(content) > LARGEST:
        raise Damaged("", "is too large", f"at most {LARGEST:,} bytes")
    try:
        text = content.decode("utf-8")
        _check_depth(text, deepest)  # before the parser, which would run out of stack
        return json.loads(text, object_pairs_hook=_once, parse_int=_whole, parse_constant=float)
    except Damaged:
        raise
    except ValueError as error:
        raise Damaged("", f"is no JSON: {error}", "a file as aezoo wrote it") from error


def read(kind: type[T], content: Any) -> T:
    """Returns a dataclass, read from what `parse` returned.

    Raises:
        Damaged: the first thing that is missing, unknown, of another type, not finite, or against a rule.
    """
    return _build(kind, content, "")


def to_json(value: Any) -> Any:
    """Returns a dataclass as what `json.dumps` takes; `read` reads it back."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_json(entry) for key, entry in value.items()}
    return [to_json(entry) for entry in value] if isinstance(value, (list, tuple)) else value


# -- the text ------------------------------------------------------------------------------------

# A text in quotes (to the end of the file, where it does not end), or one bracket.
_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)


def _check_depth(text: str, deepest: int) -> None:
    depth = 0
    for found in _BRACKETS.finditer(text):
        if found[0] in ("[", "{"):
            depth += 1
            if depth > deepest:
                raise Damaged("", "is too deep", f"at most {deepest} brackets that are open at once")
        elif found[0] in ("]", "}"):
            depth -= 1


@dataclasses.dataclass(frozen=True)
class _Twice:
    """An object of JSON that says something twice."""

    key: str


def _once(pairs: list[tuple[str, Any]]) -> "dict[str, Any] | _Twice":
    said: dict[str, Any] = {}
    for key, value in pairs:
        if key in said:
            return _Twice(key)
        said[key] = value
    return said


def _whole(digits: str) -> float:
    return int(digits) if len(digits) < 20 else math.inf


# -- values --------------------------------------------------------------------------------------


def _build(kind: Any, value: Any, where: str) -> Any:
    """Returns a value as an annotation wants it, or raises Damaged."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        value = _build(inner[0], value, where)
        for rule in inner[1:]:
            if not rule.holds(value):
                raise Damaged(where, f"is {_shown(value)}", rule.expected)
        return value
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, where)
    if origin is Literal:
        if not any(type(value) is type(word) and value == word for word in inner):
            raise Damaged(where, f"is {_shown(value)}", f"one of {', '.join(map(repr, inner))}")
        return value
    if origin is tuple:
        return _entries(inner, value, where)
    if origin is dict:
        names = _object(value, where)
        return {
            _build(inner[0], name, _below(where, name)): _build(inner[1], entry, _below(where, name))
            for name, entry in names.items()
        }
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, _object(value, where), where)
    return _any(value, where) if kind is Any else _plain(kind, value, where)


def _dataclass(kind: Any, said: dict[str, Any], where: str) -> Any:
    annotations = _annotations(kind)
    for name in said:
        if name not in annotations:
            raise Damaged(_below(where, name), "is not known", f"among {', '.join(annotations)}")
    for name in annotations:
        if name not in said:
            raise Damaged(_join(where, name), "is missing", f"{', '.join(annotations)}")
    values = {name: _build(kind_, said[name], _join(where, name)) for name, kind_ in annotations.items()}
    try:
        return kind(**values)
    except Damaged as error:
        raise Damaged(_join(where, error.where), error.found, error.expected) from None


@functools.cache
def _annotations(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    errors = []
    for kind in kinds:
        if kind is not types.NoneType:
            try:
                return _build(kind, value, where)
            except Damaged as error:
                errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    raise Damaged(where, errors[0].found, " or ".join(error.expected for error in errors))


def _entries(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise Damaged(where, f"is {_shown(value)}", "a list")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    elif len(kinds) != len(value):
        raise Damaged(where, f"has {len(value)} entries", f"a list of {len(kinds)}")
    pairs = zip(kinds, value, strict=True)
    return tuple(_build(kind, entry, f"{where}[{number}]") for number, (kind, entry) in enumerate(pairs))


def _object(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, _Twice):
        raise Damaged(_below(where, value.key), "is said twice", "every name once")
    if not isinstance(value, dict):
        raise Damaged(where, f"is {_shown(value)}", "an object, {...}")
    return value


def _any(value: Any, where: str) -> Any:
    """Returns any JSON, whose numbers and texts keep the rules of all others."""
    if isinstance(value, (list, tuple)):
        return [_any(entry, f"{where}[{number}]") for number, entry in enumerate(value)]
    if isinstance(value, (dict, _Twice)):
        return {_text(name, where): _any(e, _below(where, name)) for name, e in _object(value, where).items()}
    if value is None or isinstance(value, bool):
        return value
    return _plain(str if isinstance(value, str) else float, value, where)


_WORDS = {str: "a text", int: "a whole number of 64 bits", float: "a finite number", bool: "true or false"}


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is str:
        return _text(value, where)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is bool:
        good = isinstance(value, bool)
    elif kind is int:
        good = is_number and isinstance(value, int) and abs(value) < 2**_BITS
    else:
        good = is_number and (abs(value) < 2**_BITS if isinstance(value, int) else math.isfinite(value))
    if not good:
        raise Damaged(where, f"is {_shown(value)}", _WORDS[kind])
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise Damaged(where, f"is {_shown(value)}", _WORDS[str])
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which no file and no terminal takes
        raise Damaged(where, f"is {_shown(value)}", "a text of Unicode") from None
    return value


# -- words ---------------------------------------------------------------------------------------


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where and name and name[0] != "[" else f"{where}{name}"


def _below(where: str, name: Any) -> str:
    """Returns the path of a name that the file gives, and not we: it may be anything."""
    plain = isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w{0,59}", name, flags=re.ASCII)
    return _join(where, name) if plain else f"{where}[{_shown(name)}]"


def _shown(value: Any) -> str:
    """Returns a value in one short line of ASCII."""
    if isinstance(value, dict | _Twice):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    text = ascii(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
