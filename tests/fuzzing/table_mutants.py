"""Files of tables, arrays and series as people, programs and broken disks write them, the same for a seed.

As a program it reads them, one after the other, and prints what became of them as JSON. It runs as a process
of its own, since a decoder that crashes would take the tests with it.

Some are whole and odd: then the values are known, and whoever reads others has misread them. Some are
damaged: then what another reader finds in the same bytes counts, where it finds anything.
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

import numpy as np
import pandas as pd
from fuzzing.image_mutants import NUMBERS, peak_mb

KINDS = (".csv", ".csv", ".csv", ".tsv", ".parquet", ".npy", ".npz", ".ts")


def _table(draw: random.Random) -> pd.DataFrame:
    """Returns a table of numbers, of a few dozen rows, as it may come out of a notebook."""
    rows, columns = draw.randrange(5, 30), draw.randrange(1, 6)
    generator = np.random.default_rng(draw.randrange(2**32))
    spans = {
        "unit": lambda: generator.random(rows),
        "wide": lambda: generator.normal(0, 10.0 ** draw.randrange(-3, 7), rows),
        "rounded": lambda: generator.normal(20, 5, rows).round(draw.randrange(3)),
        "whole": lambda: generator.integers(-50, 50, rows),
        "flags": lambda: generator.integers(0, 2, rows),
        "true or false": lambda: generator.integers(0, 2, rows).astype(bool),
        "counts": lambda: np.arange(rows),
        "constant": lambda: np.full(rows, 7.5),
    }
    names = {
        "usual": [f"feature {number}" for number in range(columns)],
        "numbers": [str(number) for number in range(columns)],
        "years": [str(2000 + number) for number in range(columns)],
        "awkward": [draw.choice(("a,b", "ä", "x;y", "t (°C)", "#1", '"q"')) + str(n) for n in range(columns)],
    }
    chosen = names[draw.choice(list(names))]
    return pd.DataFrame({name: spans[draw.choice(list(spans))]() for name in chosen})


def _written(draw: random.Random, frame: pd.DataFrame, suffix: str) -> bytes:
    """Returns a table as text in some dialect."""
    mark = "\t" if suffix == ".tsv" else draw.choice((",", ",", ",", ";", "\t", "|"))
    # One column "a,b" of decimal commas is letter for letter a table of two.
    plain = not any("," in name for name in frame.columns)
    text = frame.to_csv(
        sep=mark,
        decimal="," if mark in ";\t" and plain and draw.random() < 0.4 else ".",
        header=draw.random() < 0.8,
        index=draw.random() < 0.2,
        quoting=draw.choice((0, 0, 1, 2)),
        lineterminator=draw.choice(("\n", "\n", "\r\n")),
        float_format=draw.choice((None, None, "%.4f", "%.8e")),
    )
    if draw.random() < 0.1:
        text = f"# written by hand{text[text.find(chr(10)) - 1 :][:1].strip(' ')}\n" + text
    if draw.random() < 0.1:
        text = f"sep={mark}\n" + text
    if draw.random() < 0.1:
        text = text.rstrip("\r\n")
    if draw.random() < 0.1:
        text += draw.choice(("\n\n", "\n", "   \n"))
    return text.encode(draw.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")), errors="replace")


def _parquet(draw, frame):
    file = io.BytesIO()
    frame.to_parquet(file, index=draw.random() < 0.2, compression=draw.choice(("snappy", "gzip", None)))
    return file.getvalue()


def _npy(draw, frame):
    file = io.BytesIO()
    array = frame.to_numpy("f8").astype(draw.choice(("f4", "f8", ">f8")))
    np.save(file, np.asfortranarray(array) if draw.random() < 0.3 else array)
    return file.getvalue()


def _npz(draw, frame):
    file = io.BytesIO()
    save = draw.choice((np.savez, np.savez_compressed))
    save(file, **{draw.choice(("x", "arr_0", "examples")): frame.to_numpy("f8")})
    return file.getvalue()


def _series(draw, frame):
    lines = ["@problemName made", "@univariate true", "@classLabel false", "@data"]
    lines += [",".join(f"{value!r}" for value in row) for row in frame.to_numpy("f8").tolist()]
    text = draw.choice(("\n", "\r\n")).join(lines)
    return (draw.choice(("", "# a comment\n")) + text + draw.choice(("", "\n"))).encode()


def mutants(seed: int = 0) -> Iterator[tuple[str, bytes, np.ndarray | None]]:
    """Yields (name, content, the values or None where the file is damaged) without end."""
    draw = random.Random(seed)
    for number in range(sys.maxsize):
        frame, suffix = _table(draw), draw.choice(KINDS)
        write = {".parquet": _parquet, ".npy": _npy, ".npz": _npz, ".ts": _series}.get(suffix)
        content = write(draw, frame) if write else _written(draw, frame, suffix)
        known: np.ndarray | None = frame.to_numpy("f8")
        if draw.random() < 0.5:
            changed = bytearray(content)
            for _ in range(draw.choice((1, 1, 2, 5))):
                draw.choice((_cut, _flip, _flip, _number, _repeat, _blank, _word))(draw, changed)
            content, known = bytes(changed), None if bytes(changed) != content else known
        yield f"{number:05}{suffix}", content, known


def _cut(draw, content):
    del content[draw.randrange(len(content) + 1) :]


def _flip(draw, content):
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _number(draw, content):
    place = draw.randrange(min(len(content), draw.choice((16, 128, 10**6))) + 1)
    size = draw.choice((2, 4, 8))
    content[place : place + size] = (draw.choice(NUMBERS) % 256**size).to_bytes(size, "little")


def _repeat(draw, content):
    place = draw.randrange(len(content) + 1)
    content[place:place] = content[place : place + draw.randrange(1, 40)] * draw.randrange(1, 200)


def _blank(draw, content):
    place = draw.randrange(len(content) + 1)
    content[place : place + 12] = bytes(12)


def _word(draw, content):
    place = draw.randrange(len(content) + 1)
    words = (
        b",",
        b"\n",
        b'"',
        b"nan",
        b"1e999",
        b"-",
        b";",
        b"\t",
        b"1.2.3",
        b"\x00",
        b"#",
        b" ",
        b"True",
        b".",
    )
    content[place:place] = draw.choice(words)


def _elsewhere(path: pathlib.Path) -> np.ndarray | None:
    """Returns what another reader finds in the same bytes: rows of numbers, or None."""
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path).to_numpy("f8")
        if path.suffix == ".npy":
            return np.load(path).astype("f8")
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                return arrays[arrays.files[0]].astype("f8")
    except Exception:
        pass
    return None


def _same(found: np.ndarray, values: np.ndarray) -> bool:
    """Whether values are the same but for what the text of a table, or float32, rounds."""
    values = values.reshape(found.shape) if values.size == found.size else values
    scale = np.abs(values).max(initial=0)
    return found.shape == values.shape and np.allclose(found, values, rtol=1e-6, atol=max(6e-5, 1e-6 * scale))


def _with_index(found: np.ndarray, values: np.ndarray) -> bool:
    """Whether the first column that was read numbers the rows, and the others are the values.

    `DataFrame.to_csv` writes the index so, and without a header nothing says that it is one.
    """
    rows = found.reshape(len(found), -1)
    counts = np.array_equal(rows[:, 0], np.arange(len(rows)))
    return counts and rows.shape[1] == values.shape[1] + 1 and _same(rows[:, 1:], values)


def _verdict(path, known):
    """Reads one file; returns what became of it, and what is wrong with that or None."""
    from aezoo.core.errors import DataError
    from aezoo.data.loading import READERS

    try:
        contents = READERS[path.suffix](path)
        ((found, _),) = contents.parts.values()
        found = np.asarray(found, "f8")
    except DataError as error:
        lines = [line.split(":")[0].strip() for line in str(error).splitlines()[1:]]
        return "refused" + " whole" * (known is not None), None if lines == [
            "got",
            "expected",
            "fix",
        ] else error
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    if not np.isfinite(found).all():
        return "read", "not finite"
    if known is not None:
        right = _same(found, known) or _with_index(found, known)
        return "read whole", None if right else f"read {found.shape} {found[:2]} of {known.shape} {known[:2]}"
    other = _elsewhere(path)
    if other is not None and not _same(found, other):
        return "read", f"{found.shape} {found[:2]}, elsewhere {other.shape} {other[:2]}"
    return "read", None


def read_all(count: int, seed: int) -> dict:
    """Reads so many mutants; returns how many were read or refused, others, seconds and MB at most."""
    told, others, slowest = collections.Counter(), [], 0.0
    before = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        stream = mutants(seed)
        for _ in range(count):
            name, content, known = next(stream)
            path = pathlib.Path(folder, name)
            path.write_bytes(content)
            begun = time.perf_counter()
            verdict, wrong = _verdict(path, known)
            told[verdict] += 1
            if wrong is not None:
                others.append(f"{name}: {wrong}: {content[:200]!r}")
            slowest = max(slowest, time.perf_counter() - begun)
            path.unlink()
    return {**told, "others": others, "slowest_seconds": round(slowest, 2), "peak_mb": peak_mb() - before}


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(json.dumps(read_all(int(sys.argv[1]), int(sys.argv[2])), indent=1))
