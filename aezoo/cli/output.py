"""What the commands print and write."""

import json


def show_metrics(metrics):
    """Prints the figures of metrics.json as tables."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    from aezoo.evaluation.table import tables

    console = Console(highlight=False)
    title = f"{metrics['test_examples']:,} test examples"
    for names, rows in tables(metrics):
        # Folded rather than cut where the terminal is narrow: a figure must keep its name.
        columns = [Column(name, overflow="fold") for name in names]
        table = Table(Column("", overflow="fold"), *columns, box=box.SIMPLE, title=title)
        for label, cells in rows:
            table.add_row(label, *cells)
        console.print(table)
        title = None


def print_table(title, columns, rows):
    """Prints a table of rich."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE, title=title)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(highlight=False).print(table)


def _short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _show_parity(title, figures):
    rows = [
        (file, f"skipped: {row.skipped}", "", "")
        if hasattr(row, "skipped")
        else (file, f"{row.max_difference:.1e}", f"{row.allowed:.1e}", row.examples)
        for file, row in figures.items()
    ]
    print_table(title, ("file", "largest difference from Keras", "allowed", "examples"), rows)


def _writer(parsed, *, as_images):
    """Returns the function that writes results and says so; where that cannot be, refuses now."""
    from aezoo.core import outputs

    path = parsed.output
    if path is None:
        path = parsed.stem if as_images else f"{parsed.stem}.npy"
    sources = [getattr(parsed, name, None) for name in ("input", "labels")]
    options = {"as_images": as_images, "sources": [source for source in sources if source is not None]}
    outputs.check_output(path, **options)

    def write(results, names):
        outputs.write(path, results, names, **options)
        if parsed.json:
            print(json.dumps({"output": path, "shape": list(results.shape)}))
        else:
            print(f"{path}: {results.shape[0]} x {tuple(results.shape[1:])} {results.dtype}")

    return write


def _numbered(word, count):
    """Returns names that sort as they were made: sample_00, sample_01, ..."""
    width = len(str(max(count - 1, 1)))
    return [f"{word}_{number:0{width}}.png" for number in range(count)]
