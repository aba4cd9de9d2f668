"""`aezoo train`, and the recipes as programs: what they share is all but the model and its settings."""

import argparse
import ast
import dataclasses
import os
import shlex
import sys
from typing import Any

from aezoo import models
from aezoo.cli import output, parsing
from aezoo.cli.resuming import check_same
from aezoo.cli.shell import guarded
from aezoo.core.errors import OptionError
from aezoo.core.imports import print_anything
from aezoo.core.options import KINDS
from aezoo.training.choosing import choose_options, choose_settings
from aezoo.training.processor import slow_precision
from aezoo.training.recipe import TAKES_ANY, Recipe, build_for, check_kind, start_from, unversioned
from aezoo.training.run import Run
from aezoo.training.settings import AUGMENTATIONS, OPTIMIZERS, PRECISIONS, SCHEDULES, XLA, Settings


def add_train(commands: Any) -> None:
    """Adds `aezoo train`."""
    command = parsing.add_command(
        commands,
        "train",
        train,
        "train a model into a run: weights, figures, pictures",
        "aezoo train conv --data mnist_mini --latent-dim 16 -o runs/conv\n"
        "  aezoo train dense --data sensors.csv --latent-dim 4 -O units=64,32\n"
        "  aezoo train --resume -o runs/conv",
        json=False,
    )
    command.add_argument("model", nargs="?", help="name of a model, see `aezoo list`")
    command.add_argument("--latent-dim", type=int, metavar="D", help="number of latents, default 16")
    command.add_argument(
        "-O",
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the model, see `aezoo info MODEL`; repeatable",
    )
    _add_training_arguments(command, output="runs/latest")


def _add_training_arguments(parser, *, output):
    """Adds the arguments that every training takes, recipes and `aezoo train` alike."""
    _add_data(parser.add_argument_group("data"))
    _add_table(parser.add_argument_group("tables", "what a .csv, .tsv or .parquet file leaves open"))
    default = "default: as the recipe says, else chosen from the data, else as stated here"
    _add_settings(parser.add_argument_group("settings", default))
    group = parser.add_argument_group("run")
    group.add_argument(
        "--start-from", metavar="RUN", help="start with the weights of a run of the same shape"
    )
    group.add_argument("-o", "--output", metavar="RUN", default=output, help=f"folder, default {output}")
    group.add_argument("--resume", action="store_true", help="continue the unfinished run in that folder")
    group.add_argument("--overwrite", action="store_true", help="replace a run that is already there")
    group.add_argument(
        "--quick", action="store_true", help="a trial: one epoch, unless --epochs says otherwise"
    )
    group.add_argument(
        "--tensorboard",
        metavar="DIR",
        help="write logs for TensorBoard; with --resume as well",
    )
    group.add_argument("--json", action="store_true", help="print the test figures as JSON and nothing else")


def _add_data(group):
    text = (
        "a folder of images, a .npy, .npz, .csv, .tsv, .parquet or .ts file, or a named dataset: mnist_mini, "
        "quasi_periodic, sklearn:NAME, sktime:NAME, or one of TensorFlow Datasets. Series may differ in "
        "length, with NaN behind their ends"
    )
    parsing.add_source(group, "--data", text)
    group.add_argument("--download", action="store_true", help="let TensorFlow Datasets download the data")
    group.add_argument("--kind", choices=KINDS, help="what an array of shape (N, A, B) holds")
    group.add_argument(
        "--image-shape", metavar="HxWxC", type=image_shape, help="resize the images of a folder"
    )
    group.add_argument(
        "--validation-fraction",
        type=float,
        metavar="X",
        help="fraction of the training part to hold back for choosing the best epoch, default 0.1",
    )
    group.add_argument(
        "--window",
        type=int,
        metavar="W",
        help="cut a long series, a row for each step, into sequences of W rows",
    )
    parsing.add_stride(group, "an eighth of the window")
    group.add_argument(
        "--noisy",
        metavar="SOURCE",
        help="the same images with noise, under the same names: a denoiser is trained on the pairs",
    )
    for option, dest, text in (
        ("--classes", "only_classes", "take the examples of these classes alone, by name or label"),
        ("--exclude", "exclude_classes", "train without these classes; in the test part they are anomalies"),
    ):
        group.add_argument(option, dest=dest, type=parsing.names, metavar="CLASS,CLASS", help=text)


def _add_table(group):
    """Adds what may be said of a table; each is found out where it can be."""
    group.add_argument("--labels", metavar="COLUMN", help="column that holds the classes")
    group.add_argument(
        "--no-labels", dest="labels", action="store_const", const=False, help="no column holds classes"
    )
    for name, text in (
        ("columns", "the features, default all but the labels"),
        ("drop", "columns to leave out"),
    ):
        group.add_argument(f"--{name}", metavar="COLUMN,COLUMN", type=parsing.names, help=text)
    group.add_argument("--delimiter", metavar="C", help="between cells: a character, tab or space")
    group.add_argument("--decimal", metavar="C", help="the decimal mark, '.' or ','")
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line holds the columns' names",
    )


def _add_settings(group):
    group.add_argument("--epochs", type=int, metavar="N", help="passes over the training part")
    group.add_argument("--batch-size", type=int, metavar="N", help="examples a step")
    group.add_argument("--learning-rate", type=float, metavar="X", help="of the optimiser, at its highest")
    group.add_argument(
        "--augment",
        type=parsing.names,
        metavar="NAME,NAME",
        help=f"change images in training alone: {', '.join(AUGMENTATIONS)}",
    )
    group.add_argument("--optimizer", choices=OPTIMIZERS, help=f"default {Settings.optimizer}")
    group.add_argument(
        "--weight-decay", type=float, metavar="X", help="default: as Keras, 0.004 of adamw and muon"
    )
    group.add_argument(
        "--ema", type=float, metavar="M", help="keep averages of the weights, of this momentum, such as 0.99"
    )
    group.add_argument("--schedule", choices=SCHEDULES, help=f"default {Settings.schedule}")
    group.add_argument("--loss", metavar="NAME", help=f"a Keras loss, default {Settings.loss}")
    group.add_argument("--patience", type=int, metavar="N", help="stop after N epochs without improvement")
    group.add_argument("--precision", choices=PRECISIONS, help=f"default {Settings.precision}")
    group.add_argument("--xla", choices=XLA, help="compile steps by XLA; auto measures what is quicker")
    group.add_argument("--seed", type=int, metavar="N", help=f"default {Settings.seed}")


def image_shape(text: str) -> tuple[int, int, int]:
    """Parses "28x28x1"."""
    try:
        height, width, channels = (int(size) for size in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no HxWxC, such as 28x28x1") from None
    return height, width, channels


def main(recipe: Recipe, description: str, arguments: list[str] | None = None) -> int:
    """Runs a recipe as a program; returns the exit status: 0, 1 for an error, 2 for a wrong option."""
    print_anything()
    name = os.path.basename(sys.argv[0])
    parser = argparse.ArgumentParser(
        name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_training_arguments(parser, output=f"runs/{os.path.splitext(name)[0]}")
    parsing.add_common_arguments(parser)
    parsed = parser.parse_args(arguments)
    return guarded(lambda: follow(recipe, parsed), parsed)


def follow(recipe: Recipe, parsed: argparse.Namespace) -> Run:
    """Trains as a recipe says, arguments of the command line over it; prints and returns the run."""
    run = Run(parsed.output)
    say = (lambda _: None) if parsed.json else output.say
    if parsed.resume:
        if run.exists():
            check_same(recipe, parsed, run.info, {**_given_settings(parsed), **_table_options(parsed)})
        from aezoo import training

        run = training.resume(run.folder, progress=not parsed.json, callbacks=_watching(parsed))
    else:
        run = _begin(recipe, parsed, run, say)
    metrics = run.metrics
    if parsed.json:
        output.say_json({"run": str(run.folder), **metrics})
        return run
    output.show_metrics(metrics)
    if not parsed.quick:
        expected = recipe.expected.get(unversioned(run.info["data"]["source"]), {})
        for line in _against(expected, metrics):
            output.say(line)
    output.say(f"run: {run.folder}    next: aezoo export {run.folder} -o bundle/")
    for line in _beside_pca(metrics):
        output.say(line)
    return run


def _beside_pca(metrics):
    """Yields a line where principal components do as well: the model is not worth its files then."""
    # Of a denoiser of images: what they make of noisy ones.
    told = metrics.get("denoising", {"model": metrics, "pca": metrics["pca"]})
    ours, pca, components = told["model"]["mse"], told["pca"]["mse"], metrics["pca"]["components"]
    if ours > 0.999 * pca:  # or they are the same, but for rounding
        found = f"mse {ours:.4g}, PCA with {components} components {pca:.4g}"
        yield f"not better than PCA: {found}. More --epochs, more examples or fewer latents may change that"


def _loaded(recipe, parsed, source):
    from aezoo import data

    held_back = parsed.validation_fraction
    return data.load(
        source,
        data_dir=parsed.data_dir,
        kind=parsed.kind,
        image_shape=parsed.image_shape,
        value_range=parsed.value_range,
        validation_fraction=recipe.validation_fraction if held_back is None else held_back,
        download=parsed.download,
        window=parsed.window,
        stride=parsed.stride,
        only_classes=parsed.only_classes,
        exclude_classes=parsed.exclude_classes,
        noisy=parsed.noisy,
        **_table_options(parsed),
    )


def _begin(recipe, parsed, run, say):
    run.check_free(overwrite=parsed.overwrite)
    source = parsed.source or recipe.data
    dataset = _loaded(recipe, parsed, source)
    output.say_notes(dataset.notes)
    try:
        check_kind(recipe.model, dataset)
    except OptionError as error:
        other = TAKES_ANY[dataset.kind]
        error.fix = error.fix.replace(f"build {other!r}", f"aezoo train {other} --data {shlex.quote(source)}")
        raise
    given, stated = _given_settings(parsed), recipe.settings_for(source)
    chosen: dict[str, Any] = {}
    if stated is not None:
        settings, options = dataclasses.replace(stated, **given), recipe.options
    else:
        settings, chosen = choose_settings(dataset, **given)
        added = choose_options(recipe.model, dataset, recipe.options)
        options, chosen = {**recipe.options, **added}, {**chosen, **added}
        say("chosen from the data: " + ", ".join(f"{name}={value}" for name, value in chosen.items()))
    from aezoo import training  # imports Keras: after all that can be refused without it

    training.seed_everything(settings)
    slow = slow_precision(settings.precision)
    if slow:
        say(slow)
    model = build_for(recipe.model, {**_seeded(recipe.model, settings), **options}, dataset)
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
        chosen=chosen,
        callbacks=_watching(parsed),
    )


def _watching(parsed):
    """Returns the callbacks of Keras that were asked for."""
    if parsed.tensorboard is None:
        return []
    from aezoo.training import own_callbacks

    return [own_callbacks.tensorboard(parsed.tensorboard)]


def _table_options(parsed):
    """Returns {name: value} of what was said of a table."""
    names = ("labels", "columns", "drop", "delimiter", "decimal", "header")
    return {name: getattr(parsed, name) for name in names if getattr(parsed, name) is not None}


def _given_settings(parsed):
    """Returns {name: value} of the settings that were typed."""
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: getattr(parsed, name) for name in names if getattr(parsed, name) is not None}
    return {"epochs": 1, **given} if parsed.quick else given


def _seeded(name, settings):
    """Returns {"seed": ...} where the model has a seed of its own: one seed is for all of a run."""
    from aezoo.models import describe

    return {"seed": settings.seed} if "seed" in describe(name).options() else {}


def _against(expected, metrics):
    for metric, (value, tolerance) in expected.items():
        got = metrics
        for key in metric.split("."):
            got = got[key]
        verdict = "as expected" if abs(got - value) <= tolerance else "NOT as expected"
        yield f"{metric}: {got:.4g}, {verdict} ({value:g} ± {tolerance:g})"


def train(parsed: argparse.Namespace) -> None:
    """Trains a model into a run, or resumes one."""
    if parsed.model is None and not parsed.resume:
        raise OptionError(
            "which model is to be trained?",
            got="no name and no --resume",
            expected=f"one of {', '.join(models.list_models())}",
            fix="aezoo train conv --data mnist_mini",
        )
    options = dict(_option(text) for text in parsed.option)
    if parsed.latent_dim is not None:
        options["latent_dim"] = parsed.latent_dim
    if parsed.model is not None:
        models.describe(parsed.model)  # a wrong name is told before Keras is imported
    follow(Recipe(model=parsed.model, options=options, settings=None), parsed)


def _option(text):
    """Parses NAME=VALUE; the value is a Python literal, numbers with commas, or a word."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise OptionError(
            "an option is NAME=VALUE",
            got=f"--option {text!r}",
            expected="for example -O filters=32,64 or -O activation=relu",
            fix="see `aezoo info MODEL` for the names",
        )
    name = name.strip().replace("-", "_")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
