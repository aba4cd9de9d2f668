"""What the commands do that apply a run or a bundle to examples or latents, or draw some."""

import csv
import json
import pathlib
import sys

from aezoo.errors import OptionError, message
from aezoo.options import check_positive


def infer(parsed):
    """Encodes, decodes or reconstructs examples with a bundle."""
    from aezoo import inputs, runtime

    bundle = runtime.load(parsed.bundle, precision=parsed.precision)
    write = _writer(parsed, as_images=parsed.verb != "encode" and bundle.kind == "images")
    if parsed.verb == "decode":
        names, examples = inputs.read_latents(parsed.input)
    else:
        names, examples = inputs.read_for(bundle, parsed.input)
    write(getattr(bundle, parsed.verb)(examples, **labels_of(parsed.labels, len(examples))), names)


def score(parsed):
    """Prints score, p-value and verdict of each example."""
    from aezoo import inputs, runtime

    bundle = runtime.load(parsed.bundle, precision=parsed.precision)
    names, examples = inputs.read_for(bundle, parsed.input)
    labels = labels_of(parsed.labels, len(examples))
    if bundle.manifest["calibration"] is None and parsed.threshold is None:
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
    from aezoo import bundle as aezoo_bundle
    from aezoo import inputs, runtime
    from aezoo.export.recalibrating import recalibrate

    bundle = runtime.load(parsed.bundle)
    _, examples = inputs.read_for(bundle, parsed.input)
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
    if aezoo_bundle.read_manifest(parsed.bundle)["calibration"]["training_examples"] == "unknown":
        print("whether these were trained on is unknown: the bundle keeps no fingerprints of its training")
    for file in gone:
        print(f"removed: {file}, whose calibration cannot be changed; export again with --normals")


def sample(parsed):
    """Draws new examples."""
    count = check_positive("--count", parsed.count)
    model = load_in(parsed.path, parsed.precision)
    write = _writer(parsed, as_images=model.kind == "images")
    write(model.sample(count, parsed.seed, **labels_of(parsed.labels, count)), _numbered("sample", count))


def interpolate(parsed):
    """Goes from one example to another."""
    from aezoo import inputs
    from aezoo.loading import load

    steps = check_positive("--steps", parsed.steps, least=2)
    model = load(parsed.path)
    write = _writer(parsed, as_images=model.kind == "images")
    _, examples = inputs.read_for(model, parsed.input)
    if len(examples) < 2:
        raise OptionError(
            message(
                "a way through the latent space has two ends",
                got=f"{parsed.input}: one example",
                expected="a folder or an array with at least two",
                fix="put two images into a folder",
            )
        )
    results = model.interpolate(examples[0], examples[1], steps, parsed.way, **labels_of(parsed.labels, 1))
    write(results, _numbered("step", steps))


def traverse(parsed):
    """Sets one latent axis of an example to several values."""
    from aezoo import inputs
    from aezoo.loading import load

    values = None if parsed.values is None else _numbers(parsed.values, float, "--values")
    model = load(parsed.path)
    write = _writer(parsed, as_images=model.kind == "images")
    _, examples = inputs.read_for(model, parsed.input)
    results = model.traverse(examples[0], parsed.axis, values, **labels_of(parsed.labels, 1))
    write(results, _numbered("value", len(results)))


def load_in(path, precision):
    """Loads a run or a bundle; of a bundle the files of a precision."""
    from aezoo.bundle import is_bundle
    from aezoo.loading import load

    if is_bundle(path):
        from aezoo import runtime

        return runtime.load(path, precision=precision)
    if precision != "float32":
        raise OptionError(
            message(
                "only the files of a bundle have a precision",
                got=f"--precision {precision} for {path}, which is no bundle",
                expected="the folder of a bundle",
                fix=f"aezoo export {path} --formats onnx --precision {precision} -o bundle",
            )
        )
    return load(path)


def _writer(parsed, *, as_images):
    """Returns the function that writes results and says so; where that cannot be, refuses now."""
    from aezoo import inputs

    path = parsed.output
    if path is None:
        path = parsed.stem if as_images else f"{parsed.stem}.npy"
    sources = [getattr(parsed, name, None) for name in ("input", "labels")]
    options = {"as_images": as_images, "sources": [source for source in sources if source is not None]}
    inputs.check_output(path, **options)

    def write(results, names):
        inputs.write(path, results, names, **options)
        if parsed.json:
            print(json.dumps({"output": path, "shape": list(results.shape)}))
        else:
            print(f"{path}: {results.shape[0]} x {tuple(results.shape[1:])} {results.dtype}")

    return write


def _numbered(word, count):
    """Returns names that sort as they were made: sample_00, sample_01, ..."""
    width = len(str(max(count - 1, 1)))
    return [f"{word}_{number:0{width}}.png" for number in range(count)]


def labels_of(text, count):
    """Returns {"labels": (count,)} of "3,1,4", of one number for all, or of a .npy file; {} of None."""
    import numpy as np

    if text is None:
        return {}
    if pathlib.Path(text).suffix == ".npy":
        from aezoo.inputs import read_labels

        return {"labels": read_labels(text)}
    numbers = _numbers(text, int, "--labels")
    return {"labels": np.asarray(numbers * count if len(numbers) == 1 else numbers)}


def _numbers(text, kind, option):
    try:
        return [kind(number) for number in text.split(",")]
    except ValueError:
        raise OptionError(
            message(
                f"{option} are numbers with commas between",
                got=f"{option} {text}",
                expected="for example 3,1,4",
                fix=f"{option}=3,1,4",
            )
        ) from None
