"""`aezoo score` and `aezoo calibrate`: anomaly scores, and what they are measured against."""

import argparse
import csv
import pathlib
import sys
from typing import Any

from aezoo.cli import opening, output, parsing
from aezoo.core.json_text import json_text

FALSE_POSITIVES = "fraction of normal examples that may be flagged as anomalies, default 0.01"


def add_score(commands: Any) -> None:
    """Adds `aezoo score`."""
    command = parsing.add_command(
        commands,
        "score",
        score,
        "print the reconstruction error, p-value and verdict of each example or row of a long series, as CSV",
        "aezoo score bundle images/\n  aezoo score bundle machine.csv --stride 1",
    )
    parsing.add_bundle(command)
    parsing.add_source(command)
    parsing.add_precision(command)
    command.add_argument(
        "--threshold", type=float, metavar="X", help="scores above it are anomalies; default: as calibrated"
    )
    parsing.add_stride(command, parsing.AS_TRAINED)
    parsing.add_labels(command)


def score(parsed: argparse.Namespace) -> None:
    """Prints score, p-value and verdict of each example; of a long series score and verdict of each row."""
    bundle, run = opening.open_bundle(parsed)
    found = opening.read_source(parsed, bundle, run)
    if found.series is not None and not bundle.takes_labels:
        rows = found.series.rows
        columns = bundle.score_series(rows, stride=found.series.stride, threshold=parsed.threshold)
        first = found.series.first
        names = map(str, range(first, first + len(rows)))
        _print_rows([columns], names, as_json=parsed.json, first="row")
        return
    labels = opening.labels_for(parsed, bundle, found)
    scored = bundle.manifest.calibration is not None or parsed.threshold is not None

    def columns_of(examples: Any, **labels: Any) -> dict[str, Any]:
        if not scored:
            return {"reconstruction_error": bundle.reconstruction_error(examples, **labels)}
        columns = bundle.score(examples, threshold=parsed.threshold, **labels)
        return {name: column for name, column in columns.items() if column.ndim == 1}

    blocks = list(opening.answers(columns_of, found, labels))  # all, before anything is printed
    _print_rows(blocks, iter(found.names), as_json=parsed.json)


def _print_rows(blocks, names, *, as_json, first="example"):
    """Prints a row an example, or a row of a series, made one at a time, as JSON or CSV."""
    rows = (
        {
            first: next(names) if as_json else output.datum(next(names)),
            **dict(zip(columns, values, strict=True)),
        }
        for columns in blocks
        for values in zip(*(column.tolist() for column in columns.values()), strict=True)
    )
    if as_json:
        before = "["
        for row in rows:
            sys.stdout.write(before + json_text(row))
            before = ", "
        sys.stdout.write("]\n")
        return
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow([first, *blocks[0]])
    table.writerows([f"{cell:.8g}" if type(cell) is float else cell for cell in row.values()] for row in rows)


def add_calibrate(commands: Any) -> None:
    """Adds `aezoo calibrate`."""
    command = parsing.add_command(
        commands,
        "calibrate",
        calibrate,
        "calibrate a bundle's anomaly scores on normal examples that were not used in training",
        "aezoo calibrate bundle normals/ --false-positive-rate 0.01 --trust",
    )
    parsing.add_bundle(command)
    parsing.add_trust(command)
    parsing.add_source(command)
    command.add_argument("--false-positive-rate", type=float, default=0.01, metavar="X", help=FALSE_POSITIVES)
    parsing.add_labels(command)


def calibrate(parsed: argparse.Namespace) -> None:
    """Calibrates a bundle's scorer on normal examples."""
    from aezoo.export.recalibration import check_scorer, recalibrate
    from aezoo.runtime.manifest import digest_of, read_manifest

    check_scorer(read_manifest(parsed.bundle, parsed.digest))
    bundle, run = opening.open_bundle(parsed)
    normals = opening.read_source(parsed, bundle, run)
    labels = opening.labels_for(parsed, bundle, normals).get("labels")
    folder, rate = pathlib.Path(parsed.bundle), parsed.false_positive_rate
    vouched = {"trust": parsed.trust, "digest": parsed.digest}
    found, gone = recalibrate(folder, normals.array, labels=labels, false_positive_rate=rate, **vouched)
    digest = digest_of(folder)
    if parsed.json:
        output.say_json({**found.figures(), "removed": gone, "digest": digest})
        return
    low, high = found.interval
    output.say(f"threshold: {found.threshold:.8g}, from {found.examples} normal examples")
    output.say(
        f"false positive rate: {found.false_positive_rate:g} asked for, "
        f"between {low:.2g} and {high:.2g} with a confidence of 95 %"
    )
    row = read_manifest(parsed.bundle).calibration
    if row is not None and row.training_examples == "unknown":
        output.say(
            "whether these were trained on is unknown: the bundle keeps no fingerprints of its training, "
            "or its values repeat so much that they tell nothing"
        )
    for file in gone:
        output.say(f"removed: {file}, whose calibration cannot be changed; export again with --normals")
    output.say(f"digest: {digest}")
