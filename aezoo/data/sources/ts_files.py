"""Reads .ts files, the text format of the UCR and UEA archives of time series.

    # a comment
    @problemName GunPoint
    @univariate true
    @classLabel true gun point
    @data
    0.1,0.2,0.3:gun                     one series a line, values between commas, the class last
    0.1,0.2,0.3:5,6,7:point             with @univariate false: the channels one after the other

Source of the format: Bagnall et al. 2018, "The UEA multivariate time series classification
archive, 2018", arXiv:1811.00075, and the files themselves. Series of unequal length, where the header says
@equalLength false, get NaN behind their ends, see `aezoo.core.ragged`. Missing values and time stamps are
refused, since no model here could take them.
"""

import pathlib
import re

import numpy as np

from aezoo.core.errors import DataError
from aezoo.core.options import nearest
from aezoo.core.ragged import lengthened, padded
from aezoo.data.contents import Contents, as_examples, check_alike

TAGS = (
    *("problemname", "timestamps", "missing", "univariate", "dimensions", "dimension", "equallength"),
    *("serieslength", "classlabel", "targetlabel", "data"),
)
_PART = re.compile(r"_(train|test)$", re.IGNORECASE)


def problem_name(path: pathlib.Path) -> str:
    """Returns a path's stem, for a .ts file without the "_TRAIN" or "_TEST" at its end."""
    return _PART.sub("", path.stem) if path.suffix.lower() == ".ts" else path.stem


def read_ts(path: pathlib.Path, *, alone: bool = False) -> Contents:
    """Returns the `Contents` of a .ts file: sequences (N, T, F), their classes as labels.

    Of NAME_TRAIN.ts and NAME_TEST.ts in one folder either stands for both: parts train and test.
    Labels are numbered as the header lists the classes. A number to be predicted, @targetLabel, is
    no class, and is left out.

    Args:
        path: `pathlib.Path` of the file.
        alone: whether the other file of such a pair is left alone.

    Raises:
        DataError: a line that breaks the format, unequal lengths where the header says nothing of them,
            missing values, time stamps.
    """
    pair = None if alone else _pair(path)
    files = {"train": path} if pair is None else dict(zip(("train", "test"), pair, strict=True))
    read = {part: _read_one(file) for part, file in files.items()}
    ragged = any(header["ragged"] for *_, header in read.values())
    read = {part: (examples, labels, header["classes"]) for part, (examples, labels, header) in read.items()}
    listed = [classes for _, _, classes in read.values()]
    if (None in listed) != all(classes is None for classes in listed):
        raise DataError(
            f"{path.name}: one file of the pair has classes, the other has none",
            got=", ".join(f"{files[part].name}: {read[part][2] or 'no @classLabel'}" for part in files),
            expected="@classLabel in both, or in none",
            fix=f"add it, or rename one file so that it is no pair: {files['test'].name}",
        )
    names = None
    if listed[0] is not None:
        names = tuple(dict.fromkeys(name for classes in listed for name in classes))
    parts = {}
    longest = max(examples.shape[1] for examples, _, _ in read.values())
    for part, (examples, labels, _) in read.items():
        examples = lengthened(examples, longest) if ragged else examples
        numbers = None if names is None else np.array([names.index(label) for label in labels], np.int64)
        parts[part] = (as_examples(examples, source=files[part].name, kind="sequences"), numbers)
    check_alike(parts, source=problem_name(path))
    return Contents(parts, names)


def _pair(path):
    """Returns the paths of NAME_TRAIN.ts and NAME_TEST.ts where the path is one and both are there."""
    found = _PART.search(path.stem)
    if found is None:
        return None
    words = ("TRAIN", "TEST") if found[1].isupper() else ("train", "test")
    pair = [path.with_name(f"{_PART.sub('', path.stem)}_{word}{path.suffix}") for word in words]
    return pair if all(file.is_file() for file in pair) else None


def _read_one(path):
    """Returns (examples (N, T, F), N class names or None, what the header tells)."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{path.name}: cannot be read",
            got=f"{path}: {error}",
            expected="a text file in UTF-8",
            fix="save it as UTF-8, or download it again",
        ) from error
    numbered = (
        (number, line.strip())
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    )
    header = _header(path, numbered)
    series, labels = [], []
    for number, line in numbered:
        channels = line.split(":")
        if header["named"]:
            labels.append(_label(path, number, channels.pop(), header["classes"]))
        channels = [_values(path, number, text) for text in channels]
        _check_size(path, number, channels, header, series)
        series.append(channels)
    if not series:
        raise DataError(
            f"{path.name}: no series",
            got=f"{path}: nothing after @data",
            expected="a line for each series after @data",
            fix="check how the file was written, or download it again",
        )
    examples = padded([np.array(channels).T for channels in series], source=path.name)
    return examples, labels if header["classes"] else None, header


def _header(path, numbered):
    """Reads up to @data; returns {"named", "classes", "length", "channels"}; None where nothing says."""
    found = {}
    for number, line in numbered:
        tag, *values = line.split()
        name = tag[1:].lower()
        if not tag.startswith("@") or name not in TAGS:
            close = nearest(tag.lower(), [f"@{known}" for known in TAGS]) if tag.startswith("@") else ""
            _refuse_line(
                path,
                number,
                line,
                f"line {number} is no line of a header{close}",
                "lines that begin with # or @, the last of them @data",
                f"mend line {number}; values belong after @data",
            )
        if name == "data":
            return _told(path, found)
        if name in found and name != "problemname":
            _refuse_line(
                path,
                number,
                line,
                f"{tag} stands there twice",
                "each tag once",
                f"delete line {number} or line {found[name][0]}",
            )
        found[name] = (number, tag, values)
    raise DataError(
        f"{path.name}: no @data",
        got=f"{path}: a header without data" if found else f"{path}: an empty file",
        expected="a header, then @data, then a line for each series",
        fix="check how the file was written, or download it again",
    )


def _told(path, found):
    def flag(name, default=False):
        number, tag, values = found.get(name, (None, None, None))
        if number is None:
            return default
        if not values or values[0].lower() not in ("true", "false"):
            _refuse_line(
                path, number, " ".join([tag, *values]), f"{tag} is neither true nor false", *_TRUE_FALSE
            )
        return values[0].lower() == "true"

    def whole(name):
        number, tag, values = found.get(name, (None, None, None))
        if number is None:
            return None
        if len(values) != 1 or not values[0].isdecimal() or int(values[0]) < 1:
            text = " ".join([tag, *values])
            _refuse_line(path, number, text, f"{tag} is no size", "a whole number from 1 up", f"{tag} 1")
        return int(values[0])

    for name, default, wanted, problem, fix in _REFUSED:
        if flag(name, default) is not wanted:
            number, tag, values = found[name]
            _refuse_line(path, number, " ".join([tag, *values]), problem, f"{tag} {str(wanted).lower()}", fix)
    named = flag("classlabel")
    classes = tuple(found["classlabel"][2][1:]) if named else None
    if named and (not classes or len(set(classes)) < len(classes)):
        number, tag, values = found["classlabel"]
        text = " ".join([tag, *values])
        _refuse_line(
            path, number, text, "no list of classes", "the classes, all different", f"{tag} true 1 2"
        )
    return {
        "named": named or flag("targetlabel"),
        "classes": classes,
        "ragged": not flag("equallength", True),
        "length": whole("serieslength"),
        "channels": 1 if flag("univariate") else whole("dimensions") or whole("dimension"),
    }


_TRUE_FALSE = ("true or false", "write true or false after it")
_REFUSED = (  # tag, what is meant without it, what can be read, what is wrong, how to mend it
    (
        "timestamps",
        False,
        False,
        "series with time stamps cannot be read",
        "drop the stamps, and resample the values to one step if they are uneven",
    ),
    (
        "missing",
        False,
        False,
        "series with missing values cannot be read",
        "fill or drop them, for example by numpy.interp, and write @missing false",
    ),
)


def _label(path, number, text, classes):
    text = text.strip()
    if classes is None:  # a target: read, so that a line without one is noticed, and left out
        _values(path, number, text)
    elif text not in classes:
        _refuse_line(
            path,
            number,
            text,
            f"line {number} ends with no class that the header lists{nearest(text, classes)}",
            f"one of {', '.join(classes[:10])} after the last colon",
            f"mend line {number}, or the list after @classLabel",
        )
    return text


def _values(path, number, text):
    """Returns one channel as a list of floats, or raises DataError for the first that is none."""
    cells = text.split(",")
    try:
        values = [float(cell) for cell in cells]
        if np.isfinite(values).all():
            return values
    except ValueError:
        pass
    place, cell = next((i, cell.strip()) for i, cell in enumerate(cells, 1) if not _is_finite(cell))
    missing = cell in ("", "?") or cell.lower() == "nan"
    raise DataError(
        f"{path.name}: a missing value" if missing else f"{path.name}: a value that is no number",
        got=f"{cell!r} in line {number}, value {place} of a channel",
        expected="a finite number at every step",
        fix=f"fill it, for example with the value before it, or drop line {number}"
        if missing
        else f"mend line {number}",
    )


def _is_finite(cell):
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def _check_size(path, number, channels, header, series):
    """Raises DataError unless a series has the size that the header tells, or else the first series."""
    wanted = len(series[0]) if series else header["channels"] or len(channels)
    if len(channels) != wanted:
        raise DataError(
            f"{path.name}: line {number} has another number of channels",
            got=f"line {number}: {len(channels)}, as the colons part them",
            expected=f"{wanted}, as the {'first series has' if series else 'header says'}",
            fix=f"mend line {number}, or the header",
        )
    length = header["length"] or (len(series[0][0]) if series else len(channels[0]))
    told = "@seriesLength says" if header["length"] else "the first series has"
    if header["ragged"]:
        length, told = len(channels[0]), "its first channel has"
    for channel in channels:
        if len(channel) != length:
            within = header["ragged"]
            raise DataError(
                f"{path.name}: the channels of a series differ in length"
                if within
                else f"{path.name}: series of unequal length, of which the header says nothing",
                got=f"line {number}: {len(channel)} steps",
                expected=f"{length}, as {told}",
                fix=f"mend line {number}"
                if within
                else "write @equalLength false into the header, without @seriesLength",
            )


def _refuse_line(path, number, text, problem, expected, fix):
    got = text if len(text) <= 60 else f"{text[:57]}..."
    raise DataError(
        f"{path.name}: {problem}",
        got=f"line {number}: {got}",
        expected=expected,
        fix=fix,
    )
