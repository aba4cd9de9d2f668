"""The command `aezoo bench`: a table, a CSV file, a plot, and a gate for other people's CI.

Imports nothing heavy before a bench is wanted; `latency` measures.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aezoo.core.errors import BenchError
from aezoo.core.files import replacing
from aezoo.core.imports import need
from aezoo.core.shown import console, one_line

_PICTURES = (".png", ".svg", ".pdf")
_NAMED = 6  # rows that an error names; more are counted


# -- options ---------------------------------------------------------------------------------------


# -- what is shown -----------------------------------------------------------------------------------


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns rows of `latency.measure` as the text of a CSV file; where there is no figure it is empty."""
    from aezoo.bench.runner import COLUMNS

    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: f"{v:.8g}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


_TABLE = ("part", "format", "precision", "kB", "cold ms", "MB", "mse", "cosine")
_TIMES = ("batch", "threads", "p50 ms", "p95 ms", "p95/p50", "examples/s", "status")
_LEFT = ("part", "format", "precision", "status")


def show(found: Mapping[str, Any]) -> None:
    """Prints what `latency.measure` found as a table; figures of a file stand in its first row alone."""
    from rich import box
    from rich.table import Column, Table

    columns = [
        Column(name, justify="left" if name in _LEFT else "right", no_wrap=name not in _LEFT, overflow="fold")
        for name in (*_TABLE, *_TIMES)
    ]
    table = Table(*columns, box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    before = None
    for row in found["rows"]:
        file = [row["part"], row["format"], row["precision"], row["threads"]]
        cells = _cells(row) if file != before else [""] * len(_TABLE)
        table.add_row(*map(one_line, (*cells, *_time_cells(row))))
        before = file
    terminal = console()
    if not terminal.is_terminal:  # nothing is folded in a file
        terminal = console(width=200)
    terminal.print(table)
    for line in _caption(found):
        print(one_line(line))


def _caption(found):
    machine, bare = found["machine"], found["bare"]
    lines = [
        f"{found['model']} on {machine['processors']} processors, {machine['processor']}; "
        f"medians of {found['rounds']} interleaved rounds",
        "mse and cosine: against float32 Keras on the golden inputs",
    ]
    if bare["cold_start_ms"] is not None:
        memory = f" and {bare['peak_bytes'] / 1e6:.0f} MB" if bare["peak_bytes"] is not None else ""
        lines.append(
            f"cold ms, MB: a fresh process to its first result; without a file {bare['cold_start_ms']:.0f} ms"
            f"{memory}, and (+) is what the file and its runtime add"
        )
    return lines


def _cells(row):
    memory = None
    if row["peak_bytes"] is not None:
        memory = f"{row['peak_bytes'] / 1e6:.0f} (+{(row['peak_bytes'] - row['bare_peak_bytes']) / 1e6:.0f})"
    return [
        row["part"],
        row["format"],
        row["precision"],
        f"{row['size_bytes'] / 1000:,.0f}",
        _said(row["cold_start_ms"], ".0f"),
        memory or "-",
        _said(row["mse"], ".1e"),
        _said(row["cosine"], ".6f"),
    ]


def _time_cells(row):
    return [
        str(row["batch"]),
        str(row["threads"] or "-"),
        _said(row["p50_ms"], ".3f"),
        _said(row["p95_ms"], ".3f"),
        _said(row["spread"], ".2f"),
        _said(row["examples_per_second"], ",.0f"),
        row["status"],
    ]


def _said(value, spelling):
    return "-" if value is None else format(value, spelling)


def save_plot(found: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draws examples/s over the batch sizes, a panel a part, a line a file and number of threads.

    Args:
        found: of `latency.measure`.
        path: of the picture, PNG, SVG or PDF.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    figures = need("matplotlib.figure", extra="train")
    rows = [row for row in found["rows"] if row["examples_per_second"] is not None]
    parts = list(dict.fromkeys(row["part"] for row in found["rows"]))
    figure = figures.Figure(figsize=(4.6 * len(parts), 4.2), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    formats = list(dict.fromkeys(row["format"] for row in found["rows"]))
    styles = {"float32": ("-", "o"), "float16": ("--", "s"), "int8": (":", "^")}
    labels: dict[str, Any] = {}
    for panel, part in zip(panels, parts, strict=True):
        lines: dict[tuple, list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["part"] == part:
                lines.setdefault((row["format"], row["precision"], row["threads"]), []).append(row)
        for (name, precision, threads), line in lines.items():
            line = sorted(line, key=lambda row: row["batch"])
            style, marker = styles[precision]
            label = f"{name} {precision}" + (f", {threads} threads" if (threads or 1) > 1 else "")
            (drawn,) = panel.plot(
                [row["batch"] for row in line],
                [row["examples_per_second"] for row in line],
                color=f"C{formats.index(name)}",
                linestyle=style,
                marker=marker,
                linewidth=0.8 + 0.6 * (threads or 1),
            )
            labels.setdefault(label, drawn)
        sizes = sorted({row["batch"] for row in found["rows"]})
        panel.set(title=part, xlabel="batch", xscale="log", yscale="log")
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("examples per second")
    if labels:
        figure.legend(labels.values(), labels, loc="outside right upper", frameon=False, fontsize=8)
    with replacing(path) as new:
        figure.savefig(new)


# -- gates -------------------------------------------------------------------------------------------


def check_gates(
    rows: Sequence[Mapping[str, Any]],
    min_throughput: float | None = None,
    max_mse: float | None = None,
    named: Sequence[str] = (),
) -> None:
    """Holds rows to the limits of a gate.

    `min_throughput` acts on every row, `max_mse` on every row of a part that gives reconstructions: decoder,
    reconstructor, scorer and code decoder. A row that was refused misses both; one that was skipped
    does where its format is among `named`, and is left out else.

    Args:
        rows: of `latency.measure`.
        min_throughput: examples per second, or None.
        max_mse: against Keras, or None.
        named: formats that were asked for by name.

    Raises:
        BenchError: a row misses, or there is none to act on.
    """
    if min_throughput is None and max_mse is None:
        return
    missing, judged = [], {"min_throughput": min_throughput is None, "max_mse": max_mse is None}
    for row in rows:
        where = f"{row['part']} {row['format']} {row['precision']} batch {row['batch']}"
        where += f" threads {row['threads']}" if row["threads"] else ""
        if row["examples_per_second"] is None:
            if row["status"].startswith("refused") or row["format"] in named:
                missing.append(f"{where}: {row['status']}")
            continue
        if min_throughput is not None:
            judged["min_throughput"] = True
            if not row["examples_per_second"] >= min_throughput:
                missing.append(f"{where}: {row['examples_per_second']:,.0f} examples/s")
        if max_mse is not None and row["mse"] is not None:
            judged["max_mse"] = True
            if not row["mse"] <= max_mse:
                missing.append(f"{where}: mse {row['mse']:.2g}")
    idle = [gate for gate, done in judged.items() if not done]
    if missing:
        more = f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        got, problem = (
            "; ".join(missing[:_NAMED]) + more,
            f"{len(missing)} misses in {len(rows)} rows at the gate",
        )
    elif idle:  # else a CI without the runtime would pass
        got, problem = f"no measured row that {' and '.join(idle)} acts on", "a gate has nothing to act on"
    else:
        return
    limits = [f"at least {min_throughput:,g} examples/s"] if min_throughput is not None else []
    limits += [f"an mse against Keras of at most {max_mse:g}"] if max_mse is not None else []
    raise BenchError(
        problem,
        got=got,
        expected=" and ".join(limits) + " in every row of the table",
        fix="choose rows with parts=..., formats=..., precisions=... and batch_sizes=..., or mend the limit",
    )
