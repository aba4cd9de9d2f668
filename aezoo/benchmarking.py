"""The command `aezoo bench`: a table, a CSV file, a plot, and a gate for other people's CI.

Imports nothing heavy before a bench is wanted; `latency` measures.
"""

import csv
import dataclasses
import io
import json
import math
import pathlib
import sys

from aezoo.errors import BenchError, OptionError, message, need

_PICTURES = (".png", ".svg", ".pdf")
_NAMED = 6  # rows that an error names; more are counted


def add_arguments(command):
    """Adds the arguments of `aezoo bench` to its parser."""
    command.add_argument("bundle", metavar="BUNDLE")
    command.add_argument("--parts", metavar="P,P", help="default all that the bundle holds")
    command.add_argument(
        "--formats", metavar="F,F", help="likewise; those named here must be installed to pass"
    )
    command.add_argument("--precision", metavar="P,P", help="likewise")
    command.add_argument("--batch", metavar="N,N", help="batch sizes, default 1,16,256; with --quick 1,16")
    command.add_argument("--threads", metavar="N,N", help="of a runtime that takes a number, default 1")
    command.add_argument(
        "--quick", action="store_true", help="within a minute: few rounds, no cold start of SavedModels"
    )
    command.add_argument("--csv", metavar="FILE", help="write every row and column")
    command.add_argument("--plot", metavar="FILE", help=f"draw the rows: {', '.join(_PICTURES)}")
    command.add_argument(
        "--min-throughput",
        type=float,
        metavar="X",
        help="exit 1 where a row of the table computes fewer examples/s",
    )
    command.add_argument(
        "--max-mse",
        type=float,
        metavar="X",
        help="exit 1 where reconstructions of a row are further from Keras",
    )


def bench(parsed):
    """Measures a bundle, shows what was found, and holds it to the gates."""
    sizes = {
        setting: _whole(parsed, option)
        for setting, option in (("batch_sizes", "batch"), ("threads", "threads"))
        if getattr(parsed, option) is not None
    }
    _check_limits(parsed)
    for option, suffixes in (("csv", None), ("plot", _PICTURES)):
        _check_target(option, getattr(parsed, option), suffixes)
    if parsed.plot is not None:
        need("matplotlib", extra="train")  # now, not after minutes
    from aezoo import latency

    settings = dataclasses.replace(latency.QUICK if parsed.quick else latency.Settings(), **sizes)
    forms = _words(parsed.formats)
    if forms and "saved_model" in forms:  # asked for
        settings = dataclasses.replace(settings, slow_cold_starts=True)
    found = _measured(parsed, settings, forms)
    if parsed.csv is not None:
        pathlib.Path(parsed.csv).write_text(as_csv(found["rows"]), encoding="utf-8")
    if parsed.plot is not None:
        save_plot(found, parsed.plot)
    if parsed.json:
        print(json.dumps(found))
    else:
        show(found)
        for what, target in (("rows", parsed.csv), ("plot", parsed.plot)):
            if target is not None:
                print(f"{what}: {target}")
    check_gates(found["rows"], parsed.min_throughput, parsed.max_mse, named=forms or ())


def _measured(parsed, settings, forms):
    """Measures with a bar on a terminal; after Ctrl-C says what is left of it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from aezoo import latency

    console = Console(stderr=True, highlight=False)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        # A thread that draws ten times a second would be in the times of the rows.
        auto_refresh=False,
        disable=not console.is_terminal,
    )
    reached = "the start"

    def progress(what, done, of):
        nonlocal reached
        reached = what
        bar.update(task, description=what, completed=done, total=of, refresh=True)

    try:
        with bar:
            task = bar.add_task("", total=None)
            return latency.measure(
                parsed.bundle,
                settings,
                parts=_words(parsed.parts),
                forms=forms,
                precisions=_words(parsed.precision),
                progress=progress,
            )
    except KeyboardInterrupt:
        print(
            f"\nthe bench was stopped at {reached}; nothing was written. "
            "--quick ends within a minute, and --formats, --parts and --batch make it shorter",
            file=sys.stderr,
            end="",
        )
        raise


# -- options ---------------------------------------------------------------------------------------


def _words(text):
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _whole(parsed, option):
    """Returns the whole numbers of an option, a tuple; each once."""
    text = getattr(parsed, option)
    try:
        numbers = tuple(dict.fromkeys(int(word) for word in text.split(",")))
        if min(numbers) < 1:
            raise ValueError
    except ValueError:
        raise OptionError(
            message(
                f"--{option} is a list of whole numbers of at least 1",
                got=f"--{option} {text}",
                expected="numbers with commas between, for example 1,2",
                fix=f"--{option} 1, or leave it out for the default",
            )
        ) from None
    return numbers


def _check_limits(parsed):
    for option in ("min_throughput", "max_mse"):
        limit = getattr(parsed, option)
        if limit is not None and not (math.isfinite(limit) and limit >= 0):
            written = option.replace("_", "-")
            raise OptionError(
                message(
                    "such a limit lets everything through, or nothing",
                    got=f"--{written} {limit}",
                    expected="a finite number of at least 0",
                    fix=f"--{written} {'500' if option == 'min_throughput' else '1e-8'}",
                )
            )


def _check_target(option, target, suffixes):
    """Raises OptionError where a file could not be written after all the measuring."""
    if target is None:
        return
    target = pathlib.Path(target)
    if suffixes and target.suffix not in suffixes:
        raise OptionError(
            message(
                "the name of a plot says what kind of picture it is",
                got=f"--{option} {target}",
                expected=f"a name that ends in {', '.join(suffixes)}",
                fix=f"--{option} {target.with_suffix(suffixes[0])}",
            )
        )
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise OptionError(
            message(
                "the file cannot be written there",
                got=f"--{option} {target}",
                expected="a file in a folder that exists",
                fix=f"--{option} {target.name or 'bench'}",
            )
        )


# -- what is shown -----------------------------------------------------------------------------------


def as_csv(rows):
    """Returns rows of `latency.measure` as the text of a CSV file; where there is no figure it is empty."""
    from aezoo.latency import COLUMNS

    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: f"{v:.8g}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


_TABLE = ("part", "format", "precision", "kB", "cold ms", "MB", "mse", "cosine")
_TIMES = ("batch", "threads", "p50 ms", "p95 ms", "p95/p50", "examples/s", "status")
_LEFT = ("part", "format", "precision", "status")


def show(found):
    """Prints what `latency.measure` found as a table; figures of a file stand in its first row alone."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    columns = [
        Column(name, justify="left" if name in _LEFT else "right", no_wrap=name not in _LEFT, overflow="fold")
        for name in (*_TABLE, *_TIMES)
    ]
    table = Table(*columns, box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    before = None
    for row in found["rows"]:
        file = [row["part"], row["format"], row["precision"], row["threads"]]
        table.add_row(*(_cells(row) if file != before else [""] * len(_TABLE)), *_time_cells(row))
        before = file
    console = Console(highlight=False)
    if not console.is_terminal:  # nothing is folded in a file
        console = Console(highlight=False, width=200)
    console.print(table)
    print(_caption(found))


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
    return "\n".join(lines)


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


def _said(value, form):
    return "-" if value is None else format(value, form)


def save_plot(found, path):
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
    forms = list(dict.fromkeys(row["format"] for row in found["rows"]))
    styles = {"float32": ("-", "o"), "float16": ("--", "s"), "int8": (":", "^")}
    labels = {}
    for panel, part in zip(panels, parts, strict=True):
        lines = {}
        for row in rows:
            if row["part"] == part:
                lines.setdefault((row["format"], row["precision"], row["threads"]), []).append(row)
        for (form, precision, threads), line in lines.items():
            line = sorted(line, key=lambda row: row["batch"])
            style, marker = styles[precision]
            label = f"{form} {precision}" + (f", {threads} threads" if (threads or 1) > 1 else "")
            (drawn,) = panel.plot(
                [row["batch"] for row in line],
                [row["examples_per_second"] for row in line],
                color=f"C{forms.index(form)}",
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
    figure.savefig(path)


# -- gates -------------------------------------------------------------------------------------------


def check_gates(rows, min_throughput=None, max_mse=None, named=()):
    """Holds rows to the limits of a gate.

    `min_throughput` acts on every row, `max_mse` on every row of a part that gives reconstructions: decoder,
    reconstructor, scorer and code decoder. A row that was refused misses both; one whose runtime is not
    installed does where its format is among `named`, and is left out else.

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
    missing, judged = [], {"--min-throughput": min_throughput is None, "--max-mse": max_mse is None}
    for row in rows:
        where = f"{row['part']} {row['format']} {row['precision']} batch {row['batch']}"
        where += f" threads {row['threads']}" if row["threads"] else ""
        if row["examples_per_second"] is None:
            if row["status"].startswith("refused") or row["format"] in named:
                missing.append(f"{where}: {row['status']}")
            continue
        if min_throughput is not None:
            judged["--min-throughput"] = True
            if not row["examples_per_second"] >= min_throughput:
                missing.append(f"{where}: {row['examples_per_second']:,.0f} examples/s")
        if max_mse is not None and row["mse"] is not None:
            judged["--max-mse"] = True
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
        message(
            problem,
            got=got,
            expected=" and ".join(limits) + " in every row of the table",
            fix="choose the rows with --parts, --formats, --precision and --batch, or mend the limit",
        )
    )
