"""`aezoo score` and `aezoo calibrate`."""

import csv
import json
import pathlib
import sys

from aezoo.cli.parsing import labels_of


def score(parsed):
    """Prints score, p-value and verdict of each example."""
    from aezoo import runtime
    from aezoo.data import reading

    bundle = runtime.load(parsed.bundle, precision=parsed.precision)
    names, examples = reading.read_for(bundle, parsed.input)
    labels = labels_of(parsed.labels, len(examples))
    if bundle.manifest.calibration is None and parsed.threshold is None:
        columns = {"reconstruction_error": bundle.reconstruction_error(examples, **labels)}
    else:
        columns = bundle.score(examples, parsed.threshold, **labels)
        columns = {name: column for name, column in columns.items() if column.ndim == 1}
    rows = [
        {"example": name, **{column: values[number].item() for column, values in columns.items()}}
        for number, name in enumerate(names)
    ]
    if parsed.json:
        print(json.dumps(rows))
        return
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(rows[0])
    table.writerows([f"{cell:.8g}" if type(cell) is float else cell for cell in row.values()] for row in rows)


def calibrate(parsed):
    """Calibrates a bundle's scorer on normal examples."""
    from aezoo import runtime
    from aezoo.data import reading
    from aezoo.export.recalibration import recalibrate
    from aezoo.runtime import manifest as aezoo_bundle

    bundle = runtime.load(parsed.bundle)
    _, examples = reading.read_for(bundle, parsed.input)
    labels = labels_of(parsed.labels, len(examples)).get("labels")
    found, gone = recalibrate(
        pathlib.Path(parsed.bundle), examples, labels=labels, false_positive_rate=parsed.false_positive_rate
    )
    if parsed.json:
        print(json.dumps({**found.to_json(), "removed": gone}))
        return
    low, high = found.interval
    print(f"threshold: {found.threshold:.8g}, from {found.examples} normal examples")
    print(
        f"false positive rate: {found.false_positive_rate:g} asked for, "
        f"between {low:.2g} and {high:.2g} with a confidence of 95 %"
    )
    if aezoo_bundle.read_manifest(parsed.bundle).calibration.training_examples == "unknown":
        print("whether these were trained on is unknown: the bundle keeps no fingerprints of its training")
    for file in gone:
        print(f"removed: {file}, whose calibration cannot be changed; export again with --normals")
