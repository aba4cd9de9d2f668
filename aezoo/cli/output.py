"""What the commands print and write."""

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO

from aezoo.core.json_text import json_text
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
    print(json_text(found), flush=True)


def datum(name: str) -> str:
    """Returns a name for CSV on standard output: as it is, to be found again; on a terminal, shown."""
    return one_line(name) if sys.stdout.isatty() else name


def say_notes(notes: Iterable[str]) -> None:
    """Prints what was understood of a source, a line each, on standard error: results go to the other."""
    for note in notes:
        say(note, file=sys.stderr)


def short(value: object) -> str:
    """Returns a value as one line of about 100 letters."""
    return one_line(value if isinstance(value, str) else json_text(value), most=100)


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


def not_all(reasons: Collection[str], done: str) -> int:
    """Returns the exit status of a command that may have left files out; says so on standard error.

    Args:
        reasons: why it has, one for each file.
        done: what it has not done with them, "proven".
    """
    from aezoo.export.formats import WOULD_RUN

    if not reasons:
        return 0
    vouch = (
        ". What would run code is opened with --digest, as export printed it, or with --trust where you know "
        "who made the bundle"
    )
    hint = vouch if WOULD_RUN in reasons else ""
    say(f"not everything was {done}: see the skipped rows{hint}", file=sys.stderr)
    return NOT_ALL


def writer(
    parsed: argparse.Namespace, *, images_of: tuple[Any, Mapping[str, Any] | None] | None
) -> Callable[[Iterable[Any], Sequence[str]], None]:
    """Returns the function that writes blocks of results and says so; where that cannot be, refuses now.

    Args:
        parsed: with `output`, or None and a `stem`; and with `source`, `latents` or `labels` that are read.
        images_of: the model whose images the results may be, and what is known of its run: they become PNG
            files with pixels like those of its training. None where the results are no images.
    """
    from aezoo.core import outputs
    from aezoo.data.pixels import picture_scale

    scale = None
    if images_of is not None and images_of[0].kind == "images":
        scale = picture_scale(images_of[1], images_of[0].example_shape[-1])
    as_images = scale is not None
    path = parsed.output
    if path is None:
        path = parsed.stem if as_images else f"{parsed.stem}.npy"
    read = [getattr(parsed, name, None) for name in ("source", "latents", "labels")]
    sources = [source for source in read if source is not None]
    outputs.check_output(path, as_images=as_images, sources=sources)

    def write(blocks: Iterable[Any], names: Sequence[str]) -> None:
        more = {} if scale is None else {"scale": scale}
        shape, dtype = outputs.write(path, blocks, names, as_images=as_images, sources=sources, **more)
        if parsed.json:
            say_json({"output": path, "shape": list(shape)})
        else:
            say(f"{path}: {shape[0]} x {shape[1:]} {dtype}")

    return write


def numbered(word: str, count: int) -> list[str]:
    """Returns names that sort as they were made: sample_00.png, sample_01.png, ..."""
    width = len(str(max(count - 1, 1)))
    return [f"{word}_{number:0{width}}.png" for number in range(count)]
