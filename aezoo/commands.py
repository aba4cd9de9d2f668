"""What each command of `aezoo` does with its parsed arguments; heavy imports wait until it is known."""

import ast
import json
import pathlib

from aezoo import registry
from aezoo.errors import OptionError, message
from aezoo.options import check_positive
from aezoo.recipe import Recipe, follow, show_metrics


def print_table(title, columns, rows):
    """Prints a table of rich."""
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
    print_table(None, ("name", "takes", "summary"), [(e.name, e.task, e.summary) for e in entries])


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
    from aezoo import bundle, data, inputs
    from aezoo.evaluation import evaluate as figures_of
    from aezoo.run import Run, write_json

    samples, examples = (
        check_positive(f"--{name}", getattr(parsed, name)) for name in ("samples", "examples")
    )
    if parsed.output is not None:
        inputs.check_file(parsed.output, sources=[parsed.data or ""])
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
    metrics = figures_of(model, dataset, full=True, likelihood_samples=samples, likelihood_examples=examples)
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
    from aezoo.inputs import read_for
    from aezoo.run import Run
    from aezoo.serving import check_servers, lay_out, next_version

    formats = words(parsed.formats)
    servers = check_servers(words(parsed.layout_for or ""), formats)
    run = Run.load(parsed.run)
    check_target(parsed.output)

    def examples(path):
        return None if path is None else read_for(run.model, path)[1]

    from aezoo.export import export_bundle

    folder = export_bundle(
        run.model,
        parsed.output,
        **run.held_out,
        formats=formats,
        precisions=words(parsed.precision),
        parts=words(parsed.parts or ""),
        representative=examples(parsed.calibration),
        budget=parsed.budget,
        normals=examples(parsed.normals),
        anomalies=examples(parsed.anomalies),
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
    place = f"{str(parsed.output).rstrip('/')}-models"
    models = lay_out(folder, place, servers, version=next_version(place)) if servers else []
    manifest = read_manifest(folder)
    figures = {artifact["file"]: artifact["parity"] for artifact in manifest["artifacts"]}
    if parsed.json:
        laid_out = {"models": [str(model) for model in models]} if models else {}
        print(json.dumps({"bundle": str(folder), "artifacts": figures, **laid_out}))
        return
    _show_parity(f"{folder}: proven", figures)
    if models:
        print(f"models for {', '.join(servers)}: {place}")
    calibration = manifest["calibration"]
    if calibration is not None:
        low, high = calibration["false_positive_rate_interval"]
        print(
            f"scorer: threshold {calibration['threshold']:.6g}, from {calibration['examples']} "
            f"{calibration['source']}; false positive rate {calibration['false_positive_rate']:.2g}, "
            f"between {low:.2g} and {high:.2g} with a confidence of 95 %"
        )
    verb = "score" if {row["part"] for row in manifest["artifacts"]} == {"scorer"} else "encode"
    taken = {"images": "IMAGES", "rows": "TABLE"}.get(manifest["kind"], "EXAMPLES")
    print(f"bundle: {folder}    next: aezoo {verb} {folder} {taken}")


def words(text):
    """Returns the words of a text with commas between them, a list."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _show_parity(title, figures):
    rows = [
        (file, "skipped: " + row["skipped"], "", "")
        if "skipped" in row
        else (file, f"{row['max_difference']:.1e}", f"{row['allowed']:.1e}", row["examples"])
        for file, row in figures.items()
    ]
    print_table(title, ("file", "largest difference from Keras", "allowed", "examples"), rows)


def verify(parsed):
    """Proves a bundle again."""
    from aezoo.export import parity

    figures = parity.verify(parsed.bundle)
    if parsed.json:
        print(json.dumps(figures))
    else:
        _show_parity(f"{parsed.bundle}: proven again", figures)
