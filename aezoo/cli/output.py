"""What the commands print and write."""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Prints the figures of metrics.json as tables."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    from aezoo.evaluation.table import tables

    console = Console(highlight=False)
    title: str | None = f"{metrics['test_examples']:,} test examples"
    for names, rows in tables(metrics):
        # Folded rather than cut where the terminal is narrow: a figure must keep its name.
        columns = [Column(name, overflow="fold") for name in names]
        table = Table(Column("", overflow="fold"), *columns, box=box.SIMPLE, title=title)
        for label, cells in rows:
            table.add_row(label, *cells)
        console.print(table)
        title = None


def print_table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table of rich."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE, title=title)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(highlight=False).print(table)


def short(value: object) -> str:
    """Returns a value as one line of at most 100 characters."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."


def show_parity(title: str, figures: Mapping[str, Any]) -> None:
    """Prints how far each file of a bundle is from Keras."""
    rows = [
        (file, f"skipped: {row.skipped}", "", "")
        if hasattr(row, "skipped")
        else (file, f"{row.max_difference:.1e}", f"{row.allowed:.1e}", row.examples)
        for file, row in figures.items()
    ]
    print_table(title, ("file", "largest difference from Keras", "allowed", "examples"), rows)


def writer(parsed: argparse.Namespace, *, as_images: bool) -> Callable[[Iterable[Any], Sequence[str]], None]:
    """Returns the function that writes blocks of results and says so; where that cannot be, refuses now.

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

    def write(blocks: Iterable[Any], names: Sequence[str]) -> None:
        shape, dtype = outputs.write(path, blocks, names, as_images=as_images, sources=sources)
        if parsed.json:
            print(json.dumps({"output": path, "shape": list(shape)}))
        else:
            print(f"{path}: {shape[0]} x {shape[1:]} {dtype}")

    return write


def numbered(word: str, count: int) -> list[str]:
    """Returns names that sort as they were made: sample_00.png, sample_01.png, ..."""
    width = len(str(max(count - 1, 1)))
    return [f"{word}_{number:0{width}}.png" for number in range(count)]
