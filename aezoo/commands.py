"""What each command of `aezoo` does with its parsed arguments; heavy imports wait until it is known."""

import ast
import csv
import json
import pathlib
import sys

from aezoo import registry
from aezoo.errors import OptionError, message
from aezoo.recipe import Recipe, follow, show_metrics


def _print_table(title, columns, rows):
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE, title=title)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(highlight=False).print(table)


def list_models(parsed):
    """Lists the models."""
    entries = [registry.describe(name) for name in registry.list_models(parsed.pattern)]
    if parsed.json:
        fields = ("name", "task", "paper", "summary")
        print(json.dumps([{field: getattr(entry, field) for field in fields} for entry in entries]))
        return
    _print_table(None, ("name", "takes", "summary"), [(e.name, e.task, e.summary) for e in entries])


def info(parsed):
    """Describes a model, a run or a bundle."""
    folder = pathlib.Path(parsed.what)
    if (folder / "manifest.json").is_file():
        from aezoo.bundle import read_manifest

        found = read_manifest(folder)
    elif (folder / "run.json").is_file():
        from aezoo.run import Run

        found = Run(folder).info
    else:
        entry = registry.describe(parsed.what)
        found = {
            "name": entry.name,
            "takes": entry.task,
            "summary": entry.summary,
            "paper": entry.paper,
            "options": entry.options(),
        }
    if parsed.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, inner in value.items():
                print(f"  {name:<20} {_short(inner)}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            print(f"{key}:")
            for row in value:
                print(f"  {row.get('file', row)}  {row.get('size_bytes', 0):,} bytes")
        else:
            print(f"{key + ':':<22} {_short(value)}")


def _short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."


def train(parsed):
    """Trains a model into a run, or resumes one."""
    if parsed.model is None and not parsed.resume:
        raise OptionError(
            message(
                "which model is to be trained?",
                got="no name and no --resume",
                expected=f"one of {', '.join(registry.list_models())}",
                fix="aezoo train conv --data mnist_mini",
            )
        )
    options = dict(_option(text) for text in parsed.option)
    if parsed.latent_dim is not None:
        options["latent_dim"] = parsed.latent_dim
    if parsed.model is not None:
        registry.describe(parsed.model)  # a wrong name is told before Keras is imported
    follow(Recipe(model=parsed.model, options=options), parsed)


def _option(text):
    """Parses NAME=VALUE; the value is a Python literal, numbers with commas, or a word."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise OptionError(
            message(
                "an option is NAME=VALUE",
                got=f"--option {text!r}",
                expected="for example -O filters=32,64 or -O activation=relu",
                fix="see `aezoo info MODEL` for the names",
            )
        )
    name = name.strip().replace("-", "_")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def evaluate(parsed):
    """Measures a run or a bundle on the test part of data."""
    from aezoo import bundle, data
    from aezoo.evaluation import evaluate as figures_of
    from aezoo.run import Run, write_json

    if bundle.is_bundle(parsed.path):
        from aezoo import runtime

        model = runtime.load(parsed.path)
        info = model.manifest["run"]
    else:
        run = Run.load(parsed.path)
        model, info = run.model, run.info
    source = parsed.data or (info and info["data"]["source"])
    if source is None:
        raise OptionError(
            message(
                "this bundle does not say what it was trained on",
                got=f"{parsed.path} without --data",
                expected="--data SOURCE",
                fix=f"aezoo evaluate {parsed.path} --data mnist_mini",
            )
        )
    # The cut of the training, so that the test part holds nothing that was trained on.
    options = dict(info["data"]["load_options"]) if info else {}
    options["data_dir"] = parsed.data_dir or options.get("data_dir")
    if parsed.data is not None:
        options["kind"] = model.kind if str(parsed.data).endswith((".npy", ".npz")) else None
        options["image_shape"] = model.example_shape if pathlib.Path(parsed.data).is_dir() else None
    dataset = data.load(source, **options)
    metrics = figures_of(
        model, dataset, full=True, likelihood_samples=parsed.samples, likelihood_examples=parsed.examples
    )
    # Figures of other data do not replace those of the run's own.
    own = parsed.data is None and not bundle.is_bundle(parsed.path)
    target = pathlib.Path(parsed.output or (run.metrics_file if own else "metrics.json"))
    write_json(target, metrics)
    if parsed.json:
        print(json.dumps(metrics))
        return
    show_metrics(metrics)
    print(f"figures: {target}")


def export(parsed):
    """Exports a run as a bundle."""
    from aezoo.bundle import check_target, read_manifest
    from aezoo.run import Run

    run = Run.load(parsed.run)
    check_target(parsed.output)
    from aezoo.export import export_bundle

    folder = export_bundle(
        run.model,
        parsed.output,
        **run.held_out,
        formats=_words(parsed.formats),
        precisions=_words(parsed.precision),
        representative=None if parsed.calibration is None else _read(run.model, parsed.calibration)[1],
        budget=parsed.budget,
        normals=None if parsed.normals is None else _read(run.model, parsed.normals)[1],
        false_positive_rate=parsed.false_positive_rate,
        score=parsed.score,
        opset=parsed.opset,
        input_dtype=parsed.input_dtype,
        batch=parsed.batch,
        layout=parsed.layout,
        info=run.info,
        metrics=run.metrics,
        licence=parsed.licence,
    )
    manifest = read_manifest(folder)
    figures = {artifact["file"]: artifact["parity"] for artifact in manifest["artifacts"]}
    if parsed.json:
        print(json.dumps({"bundle": str(folder), "artifacts": figures}))
        return
    _show_parity(f"{folder}: proven", figures)
    print(f"bundle: {folder}    next: aezoo encode {folder} IMAGES")


def _words(text):
    return [word.strip() for word in text.split(",") if word.strip()]


def _show_parity(title, figures):
    rows = [
        (file, "skipped: " + row["skipped"], "", "")
        if "skipped" in row
        else (file, f"{row['max_difference']:.1e}", f"{row['allowed']:.1e}", row["examples"])
        for file, row in figures.items()
    ]
    _print_table(title, ("file", "largest difference from Keras", "allowed", "examples"), rows)


def verify(parsed):
    """Proves a bundle again."""
    from aezoo.export import parity

    figures = parity.verify(parsed.bundle)
    if parsed.json:
        print(json.dumps(figures))
    else:
        _show_parity(f"{parsed.bundle}: proven again", figures)


def infer(parsed):
    """Encodes, decodes or reconstructs examples with a bundle."""
    from aezoo import inputs, runtime

    bundle = runtime.load(parsed.bundle, precision=parsed.precision)
    if parsed.verb == "decode":
        names, examples = inputs.read_latents(parsed.input)
    else:
        names, examples = _read(bundle, parsed.input)
    results = getattr(bundle, parsed.verb)(examples, **_labels(parsed.labels, len(examples)))
    _write(parsed, results, names, as_images=parsed.verb != "encode" and bundle.kind == "images")


def score(parsed):
    """Prints score, p-value and verdict of each example."""
    from aezoo import runtime

    bundle = runtime.load(parsed.bundle)
    names, examples = _read(bundle, parsed.input)
    labels = _labels(parsed.labels, len(examples))
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
    from aezoo import runtime
    from aezoo.export.recalibrating import recalibrate

    bundle = runtime.load(parsed.bundle)
    _, examples = _read(bundle, parsed.input)
    labels = _labels(parsed.labels, len(examples)).get("labels")
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
    for file in gone:
        print(f"removed: {file}, whose calibration cannot be changed; export again with --normals")


def sample(parsed):
    """Draws new examples."""
    model = _load(parsed.path, parsed.precision)
    results = model.sample(parsed.count, parsed.seed, **_labels(parsed.labels, parsed.count))
    _write(parsed, results, _numbered("sample", results), as_images=model.kind == "images")


def interpolate(parsed):
    """Goes from one example to another."""
    model = _load(parsed.path)
    _, examples = _read(model, parsed.input)
    if len(examples) < 2:
        raise OptionError(
            message(
                "a way through the latent space has two ends",
                got=f"{parsed.input}: one example",
                expected="a folder or an array with at least two",
                fix="put two images into a folder",
            )
        )
    results = model.interpolate(
        examples[0], examples[1], parsed.steps, parsed.way, **_one_label(parsed.labels)
    )
    _write(parsed, results, _numbered("step", results), as_images=model.kind == "images")


def traverse(parsed):
    """Sets one latent axis of an example to several values."""
    model = _load(parsed.path)
    _, examples = _read(model, parsed.input)
    values = None if parsed.values is None else _numbers(parsed.values, float, "--values")
    results = model.traverse(examples[0], parsed.axis, values, **_one_label(parsed.labels))
    _write(parsed, results, _numbered("value", results), as_images=model.kind == "images")


def _load(path, precision="float32"):
    """Loads a run or a bundle; a bundle needs no Keras."""
    from aezoo import bundle
    from aezoo.loading import load

    if bundle.is_bundle(path):
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
    from aezoo.errors import need

    need("keras", extra="train")
    return load(path)


def _read(model, path):
    """Returns (names, examples) as a model or a bundle takes them."""
    from aezoo import inputs

    run = model.manifest["run"] if hasattr(model, "manifest") else None
    return inputs.read(
        path,
        model.example_shape,
        dtype=getattr(model, "input_dtype", "float32"),
        feature_names=run and run["data"].get("feature_names"),
    )


def _write(parsed, results, names, *, as_images):
    from aezoo import inputs

    source = getattr(parsed, "input", "")
    written = inputs.write(parsed.output, results, names, as_images=as_images, source=source)
    if parsed.json:
        print(json.dumps({"output": written, "shape": list(results.shape)}))
    else:
        print(f"{written}: {results.shape[0]} x {tuple(results.shape[1:])} {results.dtype}")


def _numbered(word, results):
    """Returns names that sort as they were made: sample_00, sample_01, ..."""
    width = len(str(max(len(results) - 1, 1)))
    return [f"{word}_{number:0{width}}.png" for number in range(len(results))]


def _labels(text, count):
    """Returns {"labels": (count,)} of "3,1,4", of one number for all, or of a .npy file; {} of None."""
    import numpy as np

    if text is None:
        return {}
    if pathlib.Path(text).suffix == ".npy":
        from aezoo.inputs import read_labels

        return {"labels": read_labels(text)}
    numbers = _numbers(text, int, "--labels")
    return {"labels": np.asarray(numbers * count if len(numbers) == 1 else numbers)}


def _one_label(text):
    return {name: int(labels[0]) for name, labels in _labels(text, 1).items()}


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
