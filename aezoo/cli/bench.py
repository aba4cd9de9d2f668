"""`aezoo bench`: what a bundle's files cost on this machine."""

import argparse
import dataclasses
import math
import pathlib
import sys
from typing import Any

from aezoo.bench.report import _PICTURES, as_csv, check_gates, save_plot, show
from aezoo.cli import output, parsing
from aezoo.core.errors import OptionError
from aezoo.core.files import replacing
from aezoo.core.imports import need
from aezoo.core.shown import console, one_line


def add_bench(commands: Any) -> None:
    """Adds `aezoo bench`."""
    command = parsing.add_command(
        commands,
        "bench",
        bench,
        "measure a bundle's files on this machine: size, start-up, latency, memory, error",
        "aezoo bench bundle --formats onnx,openvino --batch 1,64 --csv bench.csv --plot bench.png\n"
        "  aezoo bench bundle --quick --formats onnx --min-throughput 500 --max-mse 1e-8",
    )
    parsing.add_bundle(command)
    parsing.add_trust(command)
    command.add_argument("--parts", metavar="P,P", help="default: all parts in the bundle")
    command.add_argument(
        "--formats", metavar="F,F", help="default: all in the bundle; a format named here must be installed"
    )
    command.add_argument(
        "--precision", dest="precisions", metavar="P,P", help="default: every precision in the bundle"
    )
    command.add_argument(
        "--batch",
        dest="batch_sizes",
        metavar="N,N",
        help="batch sizes, default 1,16,256; with --quick 1,16",
    )
    command.add_argument("--threads", metavar="N,N", help="for runtimes that can be told, default 1")
    command.add_argument(
        "--quick", action="store_true", help="finish in a minute: few rounds, no cold start of SavedModels"
    )
    command.add_argument("--csv", metavar="FILE", help="write all rows and columns to this file")
    command.add_argument("--plot", metavar="FILE", help=f"plot the rows: {', '.join(_PICTURES)}")
    command.add_argument(
        "--min-throughput",
        type=float,
        metavar="X",
        help="exit with status 1 if a row of the table has fewer examples/s",
    )
    command.add_argument(
        "--max-mse",
        type=float,
        metavar="X",
        help="exit with status 1 if reconstructions in a row are further from Keras",
    )


def bench(parsed: argparse.Namespace) -> int:
    """Measures a bundle, shows what was found, and holds it to the gates; returns the exit status."""
    sizes = {
        setting: _whole(option, getattr(parsed, setting))
        for setting, option in (("batch_sizes", "batch"), ("threads", "threads"))
        if getattr(parsed, setting) is not None
    }
    _check_limits(parsed)
    for option, suffixes in (("csv", None), ("plot", _PICTURES)):
        _check_target(option, getattr(parsed, option), suffixes)
    if parsed.plot is not None:
        need("matplotlib", extra="train")  # now, not after minutes
    from aezoo.bench import runner
    from aezoo.export.formats import WOULD_RUN

    settings = dataclasses.replace(runner.QUICK if parsed.quick else runner.Settings(), **sizes)
    forms = None if parsed.formats is None else parsing.words(parsed.formats)
    if forms and "saved_model" in forms:  # asked for
        settings = dataclasses.replace(settings, slow_cold_starts=True)
    found = _measured(parsed, settings, forms)
    if parsed.csv is not None:
        with replacing(parsed.csv) as path:
            path.write_text(as_csv(found["rows"]), encoding="utf-8")
    if parsed.plot is not None:
        save_plot(found, parsed.plot)
    if parsed.json:
        output.say_json(found)
    else:
        show(found)
        for what, target in (("rows", parsed.csv), ("plot", parsed.plot)):
            if target is not None:
                output.say(f"{what}: {target}")
    check_gates(found["rows"], parsed.min_throughput, parsed.max_mse, named=forms or ())
    untrusted = [WOULD_RUN for row in found["rows"] if row["status"] == f"skipped: {WOULD_RUN}"]
    return output.not_all(untrusted, "measured")


def _measured(parsed, settings, forms):
    """Measures with a bar on a terminal; after Ctrl-C says what is left of it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from aezoo.bench import runner

    terminal = console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=terminal,
        transient=True,
        # A thread that draws ten times a second would be in the times of the rows.
        auto_refresh=False,
        disable=not terminal.is_terminal,
    )
    reached = "the start"

    def progress(what, done, of):
        nonlocal reached
        reached = what
        bar.update(task, description=what, completed=done, total=of, refresh=True)

    try:
        with bar:
            task = bar.add_task("", total=None)
            return runner.measure(
                parsed.bundle,
                settings,
                parts=None if parsed.parts is None else parsing.words(parsed.parts),
                formats=forms,
                precisions=None if parsed.precisions is None else parsing.words(parsed.precisions),
                trust=parsed.trust,
                digest=parsed.digest,
                progress=progress,
            )
    except KeyboardInterrupt:
        print(
            f"\nthe bench was stopped at {one_line(reached)}; nothing was written. "
            "--quick ends within a minute, and --formats, --parts and --batch make it shorter",
            file=sys.stderr,
            end="",
        )
        raise


def _whole(option, text):
    """Returns the whole numbers of an option, a tuple; each once."""
    try:
        numbers = tuple(dict.fromkeys(int(word) for word in text.split(",")))
        if min(numbers) < 1:
            raise ValueError
    except ValueError:
        raise OptionError(
            f"--{option} is a list of whole numbers of at least 1",
            got=f"--{option} {text}",
            expected="numbers with commas between, for example 1,2",
            fix=f"--{option} 1, or leave it out for the default",
        ) from None
    return numbers


def _check_limits(parsed):
    for option in ("min_throughput", "max_mse"):
        limit = getattr(parsed, option)
        if limit is not None and not (math.isfinite(limit) and limit >= 0):
            written = option.replace("_", "-")
            raise OptionError(
                "such a limit lets everything through, or nothing",
                got=f"--{written} {limit}",
                expected="a finite number of at least 0",
                fix=f"--{written} {'500' if option == 'min_throughput' else '1e-8'}",
            )


def _check_target(option, target, suffixes):
    """Raises OptionError where a file could not be written after all the measuring."""
    if target is None:
        return
    target = pathlib.Path(target)
    if suffixes and target.suffix not in suffixes:
        raise OptionError(
            "the name of a plot says what kind of picture it is",
            got=f"--{option} {target}",
            expected=f"a name that ends in {', '.join(suffixes)}",
            fix=f"--{option} {target.with_suffix(suffixes[0])}",
        )
    if target.is_dir() or not target.absolute().parent.is_dir():
        beside = target / f"bench{suffixes[0] if suffixes else '.csv'}" if target.is_dir() else target.name
        raise OptionError(
            "the file cannot be written there",
            got=f"--{option} {target}",
            expected="a file in a folder that exists",
            fix=f"--{option} {beside}",
        )
