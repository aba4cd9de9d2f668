"""A recipe: model, data, settings and the number they reach. `aezoo train` is one without a number."""

import argparse
import dataclasses
import json
import os
import sys

from aezoo.errors import AezooError, OptionError, RunError, import_named, message, refused_by_tensorflow
from aezoo.quiet import print_anything
from aezoo.settings import PRECISIONS, SCHEDULES, Settings


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What to train, on what, how, and what comes out.

    Attributes:
        model: name in the registry.
        data: what `aezoo.data.load` takes.
        options: of the model.
        settings: how it is trained.
        elsewhere: {data: Settings} where other data want other settings.
        validation_fraction: share of the training part that is held back to choose the best epoch.
        expected: {data: {metric: (value, tolerance)}} on the test part; the metric is a key of
            metrics.json, with dots for nested ones.
        evaluation: options of `aezoo.evaluation.evaluate`, for figures that cost more than a moment.
    """

    model: str
    data: str = "mnist_mini"
    options: dict = dataclasses.field(default_factory=dict)
    settings: Settings = dataclasses.field(default_factory=Settings)
    elsewhere: dict = dataclasses.field(default_factory=dict)
    validation_fraction: float = 0.1
    expected: dict = dataclasses.field(default_factory=dict)
    evaluation: dict = dataclasses.field(default_factory=dict)

    def settings_for(self, data):
        """Returns the settings for a source of data."""
        return self.elsewhere.get(unversioned(data), self.settings)


def unversioned(source):
    """Returns a source of data without the version of a TensorFlow Datasets set.

    >>> unversioned("mnist:3.0.1"), unversioned("sklearn:wine")
    ('mnist', 'sklearn:wine')
    """
    name, _, version = str(source).rpartition(":")
    return name if name and version[:1].isdigit() else source


def add_training_arguments(parser, *, output):
    """Adds the arguments that every training takes, recipes and `aezoo train` alike."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        metavar="SOURCE",
        help="mnist_mini, quasi_periodic, a TensorFlow Datasets name, a folder "
        "of images, or a .npy, .npz, .csv, .parquet or .ts file",
    )
    group.add_argument("--data-dir", metavar="DIR", help="where TensorFlow Datasets lie prepared")
    group.add_argument("--download", action="store_true", help="let TensorFlow Datasets download the data")
    group.add_argument(
        "--kind", choices=("images", "rows", "sequences"), help="what an array of (N, A, B) holds"
    )
    group.add_argument("--image-shape", metavar="HxWxC", type=image_shape, help="resize images of a folder")
    group.add_argument(
        "--validation-fraction", type=float, metavar="X", help="of the training part, default 0.1"
    )
    group = parser.add_argument_group("settings (what is not given is as the recipe or the default says)")
    group.add_argument("--epochs", type=int, metavar="N", help=f"default {Settings.epochs}")
    group.add_argument("--batch-size", type=int, metavar="N", help=f"default {Settings.batch_size}")
    group.add_argument("--learning-rate", type=float, metavar="X", help=f"default {Settings.learning_rate}")
    group.add_argument("--schedule", choices=SCHEDULES, help=f"default {Settings.schedule}")
    group.add_argument("--loss", metavar="NAME", help=f"a Keras loss, default {Settings.loss}")
    group.add_argument("--patience", type=int, metavar="N", help="stop after N epochs that are no better")
    group.add_argument("--precision", choices=PRECISIONS, help=f"default {Settings.precision}")
    group.add_argument("--seed", type=int, metavar="N", help=f"default {Settings.seed}")
    group = parser.add_argument_group("run")
    group.add_argument("--start-from", metavar="RUN", help="begin with the weights of a run of the same body")
    group.add_argument("-o", "--output", metavar="RUN", default=output, help=f"folder, default {output}")
    group.add_argument("--resume", action="store_true", help="continue the run in that folder")
    group.add_argument("--overwrite", action="store_true", help="replace a run that lies there")
    group.add_argument(
        "--quick", action="store_true", help="one epoch unless --epochs says more, to see that it works"
    )
    group.add_argument("--json", action="store_true", help="print the test figures as JSON and nothing else")
    add_common_arguments(parser)


def add_common_arguments(parser):
    """Adds the arguments that every command takes."""
    parser.add_argument("-v", "--verbose", action="store_true", help="show the frameworks' log lines")
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that registers models of your own; may be repeated, or in AEZOO_IMPORT",
    )


def image_shape(text):
    """Parses "28x28x1"."""
    try:
        height, width, channels = (int(size) for size in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no HxWxC, such as 28x28x1") from None
    return height, width, channels


def main(recipe, description, arguments=None):
    """Runs a recipe as a program; returns the exit status: 0, 1 for an error, 2 for a wrong option."""
    print_anything()
    name = os.path.basename(sys.argv[0])
    parser = argparse.ArgumentParser(
        name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_training_arguments(parser, output=f"runs/{os.path.splitext(name)[0]}")
    parsed = parser.parse_args(arguments)
    return guarded(lambda: follow(recipe, parsed), parsed)


def guarded(command, parsed):
    """Runs a command; errors become text on standard error and an exit status.

    Returns:
        0, 1 for an error, 2 for an option that cannot be used, 130 after Ctrl-C.
    """
    if parsed.verbose:
        os.environ["AEZOO_VERBOSE"] = "1"
    try:
        _import_modules(parsed)
        command()
        return 0
    except AezooError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    except OSError as error:  # a full disk, a folder that cannot be written, a path that is a file
        if isinstance(error, BrokenPipeError):  # the reader of our output has left, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        text = message(
            "the system refused to read or write",
            got=f"{error.filename or ''}: {error.strerror or error}",
            expected="a path that can be read or written, and room on the disk",
            fix="check the path, its permissions and the free space",
        )
        print(f"OSError: {text}", file=sys.stderr)
        return 1
    except Exception as error:
        name, text = type(error).__name__, refused_by_tensorflow(error)
        if _is_out_of_memory(error):
            name = "MemoryError"
            text = message(
                "there is not enough memory for this",
                got=str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__,
                expected="arrays that fit into this machine's memory",
                fix="fewer examples at a time, or a smaller batch size, image or latent_dim",
            )
        if text is None:
            raise
        print(f"{name}: {text}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped" + _how_to_resume(parsed), file=sys.stderr)
        return 130


def _import_modules(parsed):
    """Imports what --import and AEZOO_IMPORT name: there a user's own models are registered."""
    names = [*os.environ.get("AEZOO_IMPORT", "").split(","), *parsed.imports]
    names = [name.strip() for name in names if name.strip()]
    if names and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does; the installed command does not
    for name in names:
        import_named(name, given=f"--import {name}")


def _is_out_of_memory(error):
    """Whether an error is Python's or a framework's word for too little memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError")
        or any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "Failed to allocate memory"))
    )


def _how_to_resume(parsed):
    from aezoo.run import Run

    folder = getattr(parsed, "output", None)
    if not hasattr(parsed, "resume") or not folder or not Run(folder).checkpoint_file.is_file():
        return ""
    return f"; every epoch that ended is kept: aezoo train --resume -o {folder}"


def follow(recipe, parsed):
    """Trains as a recipe says, arguments of the command line over it; prints and returns the run."""
    from aezoo.run import Run

    run = Run(parsed.output)
    say = (lambda *_: None) if parsed.json else print
    if parsed.resume:
        if run.exists():
            _check_same(recipe, parsed, run.info)
        from aezoo import training

        run = training.resume(run.folder, progress=not parsed.json)
    else:
        run = _begin(recipe, parsed, run, say)
    metrics = run.metrics
    if parsed.json:
        print(json.dumps({"run": str(run.folder), **metrics}))
        return run
    show_metrics(metrics)
    if not parsed.quick:
        expected = recipe.expected.get(unversioned(run.info["data"]["source"]), {})
        for line in _against(expected, metrics):
            print(line)
    print(f"run: {run.folder}    next: aezoo export {run.folder} -o bundle/")
    return run


def _begin(recipe, parsed, run, say):
    from aezoo import data

    run.check_free(overwrite=parsed.overwrite)
    source = parsed.data or recipe.data
    settings = dataclasses.replace(recipe.settings_for(source), **_given_settings(parsed))
    held_back = parsed.validation_fraction
    dataset = data.load(
        source,
        data_dir=parsed.data_dir,
        kind=parsed.kind,
        image_shape=parsed.image_shape,
        validation_fraction=recipe.validation_fraction if held_back is None else held_back,
        download=parsed.download,
    )
    from aezoo import training  # imports Keras: after all that can be refused without it

    training.seed_everything(settings)
    model = build_for(recipe.model, {**_seeded(recipe.model, settings), **recipe.options}, dataset)
    if parsed.start_from:
        start_from(model, parsed.start_from)
    say(
        f"{recipe.model}: {model.count_params():,} parameters; {dataset.name}: {len(dataset.train):,} "
        f"training, {len(dataset.validation):,} validation, {len(dataset.test):,} test examples"
    )
    return training.train(
        model,
        dataset,
        settings,
        run.folder,
        overwrite=parsed.overwrite,
        progress=not parsed.json,
        evaluation={} if parsed.quick else recipe.evaluation,
    )


def _given_settings(parsed):
    """Returns {name: value} of the settings that were typed."""
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: getattr(parsed, name) for name in names if getattr(parsed, name) is not None}
    return {"epochs": 1, **given} if parsed.quick else given


def _check_same(recipe, parsed, info):
    """Raises OptionError where a run is to be resumed as something else than it was begun as."""
    asked = {**_given_settings(parsed), **recipe.options}
    begun = {**info["settings"], **info["options"], "model": info["model"]}
    if recipe.model is not None:
        asked["model"] = recipe.model
    if parsed.data is not None:
        asked["data"] = unversioned(
            parsed.data if parsed.data in _names(info) else os.path.abspath(parsed.data)
        )
        begun["data"] = unversioned(info["data"]["source"])
    for name, value in asked.items():
        value = json.loads(json.dumps(value))  # as run.json holds it: lists for tuples
        if begun.get(name) != value:
            raise OptionError(
                message(
                    "a resumed run goes on as it was begun",
                    got=f"{name}={value!r}",
                    expected=f"{name}={begun.get(name)!r}, or nothing",
                    fix=f"leave {name} out, or train anew with another -o or with --overwrite",
                )
            )


def _names(info):
    """Returns what the source of a run may be called, if it is no path."""
    source = info["data"]["source"]
    return () if os.path.isabs(source) else (source, unversioned(source))


def _seeded(name, settings):
    """Returns {"seed": ...} where the model has a seed of its own: one seed is for all of a run."""
    from aezoo.registry import describe

    return {"seed": settings.seed} if "seed" in describe(name).options() else {}


_TAKES_ANY = {"images": "conv", "rows": "dense", "sequences": "conv1d"}


def build_for(name, options, dataset):
    """Builds a model by name in the shape of a dataset: image_shape, sequence_shape, or features for rows.

    A conditional model gets as many classes as the dataset has labels, and whose estimates know the
    number of training examples gets that.
    """
    from aezoo.registry import build, describe

    if dataset.kind not in describe(name).task:
        raise OptionError(
            message(
                f"the model {name!r} does not take {dataset.kind}",
                got=f"{dataset.name}, {dataset.kind} of shape {tuple(dataset.shape)}",
                expected=describe(name).task,
                fix=f"aezoo train {_TAKES_ANY[dataset.kind]} --data {dataset.source}"
                + (" (or --kind sequences)" if "sequences" in describe(name).task else ""),
            )
        )
    size = {
        "rows": lambda: {"features": dataset.shape[0]},
        "sequences": lambda: {"sequence_shape": dataset.shape},
        "images": lambda: {"image_shape": dataset.shape},
    }[dataset.kind]()
    if "classes" in describe(name).options() and dataset.class_count:
        size["classes"] = dataset.class_count
    if "dataset_size" in describe(name).options():
        size["dataset_size"] = len(dataset.train)
    return build(name, **{**size, **options})


def start_from(model, folder):
    """Gives a model the weights of a run's encoder and decoder.

    Args:
        model: an `Autoencoder`.
        folder: of the finished run.

    Raises:
        RunError: no run there, or its encoder or decoder has weights of other shapes.
    """
    from aezoo.run import Run

    other = Run.load(folder).model
    for name in ("encoder", "decoder"):
        ours, theirs = getattr(model, name), getattr(other, name)
        shapes = [[tuple(weight.shape) for weight in part.weights] for part in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise RunError(
                message(
                    f"the run's {name} has weights of other shapes",
                    got=f"{folder}: {other.model_name} with {other.model_options}",
                    expected=f"the body of {model.model_name} with {model.model_options}",
                    fix="train both with the same latent size and body",
                )
            )
        ours.set_weights(theirs.get_weights())


def show_metrics(metrics):
    """Prints the figures of metrics.json as tables."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    from aezoo.evaluation.table import tables

    console = Console(highlight=False)
    title = f"{metrics['test_examples']:,} test examples"
    for names, rows in tables(metrics):
        # Folded rather than cut where the terminal is narrow: a figure must keep its name.
        columns = [Column(name, overflow="fold") for name in names]
        table = Table(Column("", overflow="fold"), *columns, box=box.SIMPLE, title=title)
        for label, cells in rows:
            table.add_row(label, *cells)
        console.print(table)
        title = None


def _against(expected, metrics):
    for metric, (value, tolerance) in expected.items():
        got = metrics
        for key in metric.split("."):
            got = got[key]
        verdict = "as expected" if abs(got - value) <= tolerance else "NOT as expected"
        yield f"{metric}: {got:.4g}, {verdict} ({value:g} ± {tolerance:g})"
