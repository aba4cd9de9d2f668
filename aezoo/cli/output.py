"""What the commands print and write."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO

from aezoo.core import strict_json
from aezoo.core.shown import console, one_line


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Prints the figures of metrics.json as tables."""
    from aezoo.evaluation.table import tables

    title: str | None = f"{metrics['test_examples']:,} test examples"
    for names, rows in tables(metrics):
        # Folded rather than cut where the terminal is narrow: a figure must keep its name.
        print_table(title, ("", *names), [(label, *cells) for label, cells in rows], overflow="fold")
        title = None


def print_table(
    title: str | None,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    overflow: Literal["fold", "ellipsis"] = "ellipsis",
) -> None:
    """Prints a table; its texts are shown as they are, whatever they hold.

    Args:
        title: above it, or None.
        columns: their names.
        rows: a cell a column.
        overflow: what becomes of texts for which the terminal is too narrow.
    """
    from rich import box
    from rich.table import Column, Table

    heads = [Column(one_line(name), overflow=overflow) for name in columns]
    table = Table(*heads, box=box.SIMPLE, title=None if title is None else one_line(title))
    for row in rows:
        table.add_row(*map(one_line, row))
    console().print(table)


def say(text: object, file: TextIO | None = None) -> None:
    """Prints one line, at once; whatever a name in it holds, the terminal obeys none of it.

    Args:
        text: of the line.
        file: where to; None is standard output.
    """
    print(one_line(text), file=file, flush=True)


def say_json(found: Any) -> None:
    """Prints JSON and nothing else: ASCII alone, and null for a number that is not finite."""
    print(strict_json.dumps(found), flush=True)


def datum(name: str) -> str:
    """Returns a name for CSV on standard output: as it is, to be found again; on a terminal, shown."""
    return one_line(name) if sys.stdout.isatty() else name


def short(value: object) -> str:
    """Returns a value as one line of about 100 letters."""
    return one_line(value if isinstance(value, str) else json.dumps(value), most=100)


def show_parity(title: str, figures: Mapping[str, Any]) -> None:
    """Prints how far each file of a bundle is from Keras."""
    rows = [
        (file, f"skipped: {row.skipped}", "", "")
        if hasattr(row, "skipped")
        else (file, f"{row.max_difference:.1e}", f"{row.allowed:.1e}", row.examples)
        for file, row in figures.items()
    ]
    print_table(title, ("file", "largest difference from Keras", "allowed", "examples"), rows)


NOT_ALL = 3  # exit status


def not_all(skipped: bool, done: str) -> int:
    """Returns the exit status of a command that may have left files out; says so on standard error.

    Args:
        skipped: whether it has.
        done: what it has not done with them, "proven".
    """
    if not skipped:
        return 0
    say(
        f"not everything was {done}: see the skipped rows. What would run code is opened with --digest, as "
        "export printed it, or with --trust where you know who made the bundle",
        file=sys.stderr,
    )
    return NOT_ALL


def writer(parsed: argparse.Namespace, *, as_images: bool) -> Callable[[Any, Sequence[str]], None]:
    """Returns the function that writes results and says so; where that cannot be, refuses now.

    Args:
        parsed: with `output`, or None and a `stem`; and with `source`, `latents` or `labels` that are read.
        as_images: whether the results are images, which may become PNG files.
    """
    from aezoo.core import outputs

    path = parsed.output
    if path is None:
        path = parsed.stem if as_images else f"{parsed.stem}.npy"
    read = [getattr(parsed, name, None) for name in ("source", "latents", "labels")]
    sources = [source for source in read if source is not None]
    outputs.check_output(path, as_images=as_images, sources=sources)

    def write(results: Any, names: Sequence[str]) -> None:
        outputs.write(path, results, names, as_images=as_images, sources=sources)
        if parsed.json:
            say_json({"output": path, "shape": list(results.shape)})
        else:
            say(f"{path}: {results.shape[0]} x {tuple(results.shape[1:])} {results.dtype}")

    return write


def numbered(word: str, count: int) -> list[str]:
    """Returns names that sort as they were made: sample_00.png, sample_01.png, ..."""
    width = len(str(max(count - 1, 1)))
    return [f"{word}_{number:0{width}}.png" for number in range(count)]
