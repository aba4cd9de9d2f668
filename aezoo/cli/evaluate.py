"""`aezoo evaluate`: the figures of a run or a bundle."""

import argparse
import pathlib
from typing import Any

from aezoo.cli import opening, output, parsing
from aezoo.core.errors import OptionError
from aezoo.core.options import check_positive

_DATA = (
    "a folder of images, a .npy, .npz, .csv, .tsv, .parquet or .ts file, or a named dataset such as "
    "mnist_mini; figures are those of its test part; default: what the model was trained on"
)


def add_evaluate(commands: Any) -> None:
    """Adds `aezoo evaluate`."""
    command = parsing.add_command(
        commands,
        "evaluate",
        evaluate,
        "measure a run or a bundle on the test part of a dataset",
        "aezoo evaluate runs/conv --data mnist --data-dir ~/tensorflow_datasets",
    )
    parsing.add_model(command)
    parsing.add_source(command, "--data", _DATA)
    command.add_argument(
        "--samples",
        type=int,
        default=200,
        metavar="N",
        help="latents drawn per example to estimate a variational model's likelihood, default 200",
    )
    command.add_argument(
        "--examples",
        type=int,
        default=1000,
        metavar="N",
        help="test examples whose likelihood is estimated, default 1000",
    )
    parsing.add_output(
        command, None, "JSON file; default the run's metrics.json, with --data metrics.json in this folder"
    )


def evaluate(parsed: argparse.Namespace) -> None:
    """Measures a run or a bundle on the test part of data."""
    from aezoo.core import outputs
    from aezoo.core.files import write_json
    from aezoo.data.reading import load_for
    from aezoo.evaluation import evaluate as figures_of
    from aezoo.runtime.manifest import is_bundle

    samples = check_positive("--samples", parsed.samples, usual=200)
    examples = check_positive("--examples", parsed.examples, usual=1000)
    if parsed.output is not None:
        outputs.check_file(parsed.output, sources=[parsed.source or ""])
    model, run = opening.open_model(parsed.model)
    if parsed.source is None and (run is None or run["data"]["source"] is None):  # a bundle carries no path
        raise OptionError(
            "nothing says what this model was trained on",
            got=f"{parsed.model} without --data",
            expected="--data SOURCE",
            fix=f"aezoo evaluate {parsed.model} --data mnist_mini",
        )
    dataset = load_for(
        model, parsed.source, run=run, data_dir=parsed.data_dir, value_range=parsed.value_range
    )
    output.say_notes(dataset.notes)
    metrics = figures_of(model, dataset, full=True, likelihood_samples=samples, likelihood_examples=examples)
    target = pathlib.Path(parsed.output or "metrics.json")
    # Figures of other data do not replace those of the run's own.
    if parsed.output is None and parsed.source is None and not is_bundle(parsed.model):
        from aezoo.training.run import Run

        target = Run(parsed.model).metrics_file
    write_json(target, metrics)
    if parsed.json:
        output.say_json(metrics)
        return
    output.show_metrics(metrics)
    output.say(f"figures: {target}")
