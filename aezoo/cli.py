"""The command `aezoo`. Imports nothing heavy before a command needs it.

Exit status: 0 done, 1 an error, 2 a wrong option or argument, 130 stopped by Ctrl-C.
"""

import argparse
import ast
import json
import pathlib
import sys

from aezoo import __version__, registry
from aezoo.errors import OptionError, message
from aezoo.recipe import Recipe, add_training_arguments, follow, guarded, show_metrics

_EPILOG = """\
from nothing to an encoder that runs without TensorFlow:
  aezoo train conv --data mnist_mini --latent-dim 16 -o runs/conv
  aezoo export runs/conv -o bundle
  aezoo encode bundle images.npy -o latents.npy

train, evaluate of a run and export need  pip install "aezoo[train]";
everything that reads a bundle runs on the base install.
"""


def main(arguments=None):
    """Runs the command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    return guarded(lambda: parsed.command(parsed), parsed)


def _parser():
    parser = argparse.ArgumentParser(
        "aezoo",
        description="Autoencoders: train them, export encoder and decoder as proven files, run those.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aezoo {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name, function, summary, example, *, output=None):
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(command=function)
        if name != "train":  # has these among many
            command.add_argument("--json", action="store_true", help="print JSON, for a program")
            command.add_argument(
                "-v", "--verbose", action="store_true", help="show the frameworks' log lines"
            )
        if output:
            command.add_argument("-o", "--output", metavar="PATH", default=output, help=f"default {output}")
        return command

    command = add("list", _list, "list the models", 'aezoo list "*conv*"')
    command.add_argument("pattern", nargs="?", default="*", help="shell pattern over the names")

    command = add("info", _info, "describe a model, a run or a bundle", "aezoo info conv")
    command.add_argument("what", help="name of a model, or folder of a run or a bundle")

    command = add(
        "train",
        _train,
        "train a model into a run: weights, figures, pictures",
        "aezoo train conv --data mnist_mini --latent-dim 16 -o runs/conv\n"
        "  aezoo train dense --data sensors.csv --latent-dim 4 -O units=64,32\n"
        "  aezoo train --resume -o runs/conv",
    )
    command.add_argument("model", nargs="?", help="name of a model, see `aezoo list`")
    command.add_argument("--latent-dim", type=int, metavar="D", help="size of the bottleneck, default 16")
    command.add_argument(
        "-O",
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the model, see `aezoo info MODEL`; may be repeated",
    )
    add_training_arguments(command, output="runs/latest")

    command = add(
        "evaluate",
        _evaluate,
        "measure a run or a bundle on the test part of data",
        "aezoo evaluate runs/conv --data mnist --data-dir ~/tensorflow_datasets",
    )
    command.add_argument("path", metavar="RUN_OR_BUNDLE")
    command.add_argument("--data", metavar="SOURCE", help="default: what it was trained on")
    command.add_argument("--data-dir", metavar="DIR", help="where TensorFlow Datasets lie prepared")

    command = add(
        "export",
        _export,
        "export a run as a bundle of proven files",
        "aezoo export runs/conv -o bundle",
        output="bundle",
    )
    command.add_argument("run", metavar="RUN")
    command.add_argument(
        "--formats", default="saved_model,onnx", metavar="F,F", help="default saved_model,onnx"
    )
    command.add_argument(
        "--opset", type=int, default=18, metavar="N", help="of the ONNX files, 17 to 24, default 18"
    )
    command.add_argument(
        "--input-dtype",
        choices=("float32", "uint8"),
        default="float32",
        help="uint8: encoder and reconstructor take bytes 0..255",
    )
    command.add_argument("--licence", metavar="TEXT", help="terms of the weights, written into every file")

    command = add("verify", _verify, "prove every file of a bundle again", "aezoo verify bundle")
    command.add_argument("bundle", metavar="BUNDLE")

    for name, summary in (
        ("encode", "encode examples with a bundle: latents.npy"),
        ("reconstruct", "reconstruct examples with a bundle: an array, or PNG files into a folder"),
        ("score", "print each example's reconstruction error, its anomaly score"),
        ("decode", "decode latents (.npy, .npz) with a bundle: an array, or PNG files into a folder"),
    ):
        output = {"encode": "latents.npy", "score": None}.get(name, "reconstructions.npy")
        taken = "latents.npy" if name == "decode" else "images/"
        command = add(name, _infer, summary, f"aezoo {name} bundle {taken}", output=output)
        command.set_defaults(verb=name)
        command.add_argument("bundle", metavar="BUNDLE")
        command.add_argument(
            "input",
            metavar="INPUT",
            help="a .npy or .npz file"
            if name == "decode"
            else "an image, a folder of images, a .npy, .npz, .csv or .parquet file",
        )

    command = add("bench", _bench, "measure a bundle's size and latency here", "aezoo bench bundle")
    command.add_argument("bundle", metavar="BUNDLE")
    command.add_argument("--threads", type=int, default=1, metavar="N", help="of onnxruntime, default 1")
    command.add_argument("--batch", default="1,16,256", metavar="N,N", help="batch sizes, default 1,16,256")
    return parser


def _print_table(title, columns, rows):
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE, title=title)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(highlight=False).print(table)


def _list(parsed):
    entries = [registry.describe(name) for name in registry.list_models(parsed.pattern)]
    if parsed.json:
        fields = ("name", "task", "paper", "summary")
        print(json.dumps([{field: getattr(entry, field) for field in fields} for entry in entries]))
        return
    _print_table(None, ("name", "takes", "summary"), [(e.name, e.task, e.summary) for e in entries])


def _info(parsed):
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


def _train(parsed):
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


def _evaluate(parsed):
    from aezoo import bundle, data
    from aezoo.evaluation import evaluate
    from aezoo.run import Run

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
    if parsed.data is None:
        stored = info["data"]["load_options"]
        dataset = data.load(source, **{**stored, "data_dir": parsed.data_dir or stored["data_dir"]})
    else:
        options = {}
        if model.kind == "images" and pathlib.Path(parsed.data).is_dir():
            options["image_shape"] = model.example_shape
        dataset = data.load(parsed.data, data_dir=parsed.data_dir, **options)
    metrics = evaluate(model, dataset)
    print(json.dumps(metrics)) if parsed.json else show_metrics(metrics)


def _export(parsed):
    from aezoo.bundle import check_target, read_manifest
    from aezoo.run import Run

    run = Run.load(parsed.run)
    check_target(parsed.output)
    from aezoo.export import export_bundle

    folder = export_bundle(
        run.model,
        parsed.output,
        examples=run.held_out,
        formats=[form.strip() for form in parsed.formats.split(",") if form.strip()],
        opset=parsed.opset,
        input_dtype=parsed.input_dtype,
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


def _show_parity(title, figures):
    rows = [
        (file, "skipped: " + row["skipped"], "", "")
        if "skipped" in row
        else (file, f"{row['relative']:.1e}", f"{row['tolerance']:g}", row["examples"])
        for file, row in figures.items()
    ]
    _print_table(title, ("file", "largest difference / range", "allowed", "examples"), rows)


def _verify(parsed):
    from aezoo.export.parity import verify

    figures = verify(parsed.bundle)
    if parsed.json:
        print(json.dumps(figures))
    else:
        _show_parity(f"{parsed.bundle}: proven again", figures)


def _infer(parsed):
    from aezoo import inputs, runtime

    bundle = runtime.load(parsed.bundle)
    if parsed.verb == "decode":
        names, examples = inputs.read_latents(parsed.input)
    else:
        names, examples = inputs.read(parsed.input, bundle.example_shape, dtype=bundle.input_dtype)
    verb = {"score": "reconstruction_error"}.get(parsed.verb, parsed.verb)
    results = getattr(bundle, verb)(examples)
    if parsed.verb == "score":
        rows = [
            {"example": name, "reconstruction_error": float(score)}
            for name, score in zip(names, results, strict=True)
        ]
        if parsed.json:
            print(json.dumps(rows))
        else:
            print("example,reconstruction_error")
            for row in rows:
                print(f"{row['example']},{row['reconstruction_error']:.8g}")
        return
    written = inputs.write(
        parsed.output, results, names, as_images=parsed.verb != "encode" and bundle.kind == "images"
    )
    if parsed.json:
        print(json.dumps({"output": written, "shape": list(results.shape)}))
    else:
        print(f"{written}: {results.shape[0]} x {tuple(results.shape[1:])} float32")


def _bench(parsed):
    from aezoo import latency

    try:
        sizes = [int(size) for size in parsed.batch.split(",")]
        if min(sizes) < 1 or parsed.threads < 1:
            raise ValueError
    except ValueError:
        raise OptionError(
            message(
                "batch sizes and threads are whole numbers of at least 1",
                got=f"--batch {parsed.batch} --threads {parsed.threads}",
                expected="for example --batch 1,16,256 --threads 1",
                fix="leave them out for the defaults",
            )
        ) from None
    rows = latency.measure(parsed.bundle, sizes, parsed.threads)
    if parsed.json:
        print(json.dumps(rows))
        return
    columns = ("part", "batch", "size_bytes", "p50 ms", "p95 ms", "examples/s")
    _print_table(
        f"{parsed.bundle}, onnxruntime, {parsed.threads} thread(s), medians of interleaved rounds",
        columns,
        [
            (
                r["part"],
                r["batch"],
                f"{r['size_bytes']:,}",
                f"{r['p50_ms']:.3f}",
                f"{r['p95_ms']:.3f}",
                f"{r['examples_per_second']:,.0f}",
            )
            for r in rows
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
