"""`aezoo sample`, `interpolate` and `traverse`: what lies in the latent space."""

import argparse
from typing import Any

from aezoo.cli import opening, output, parsing
from aezoo.core.errors import OptionError
from aezoo.core.options import check_positive


def add_sample(commands: Any) -> None:
    """Adds `aezoo sample`."""
    command = parsing.add_command(
        commands,
        "sample",
        sample,
        "generate new examples with a run or a bundle",
        "aezoo sample bundle -n 64 --seed 7 -o samples",
    )
    parsing.add_model(command)
    command.add_argument("-n", "--count", type=int, default=64, metavar="N", help="default 64")
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed gives the same examples"
    )
    parsing.add_labels(command, of_source=False)
    parsing.add_precision(command)
    parsing.add_pictures_output(command, "samples")


def sample(parsed: argparse.Namespace) -> None:
    """Draws new examples."""
    count = check_positive("--count", parsed.count, usual=64)
    model, run = opening.open_model(parsed.model, parsed.precision)
    write = output.writer(parsed, images_of=(model, run))
    labels = opening.labels_for(parsed, model, count=count)
    write([model.sample(count, parsed.seed, **labels)], output.numbered("sample", count))


def add_interpolate(commands: Any) -> None:
    """Adds `aezoo interpolate`."""
    command = parsing.add_command(
        commands,
        "interpolate",
        interpolate,
        "interpolate between the first two examples of SOURCE in the latent space",
        "aezoo interpolate bundle images/ --steps 8 --path spherical -o between",
    )
    parsing.add_model(command)
    parsing.add_source(command)
    command.add_argument(
        "--steps", type=int, default=8, metavar="N", help="examples in all, both ends included; default 8"
    )
    command.add_argument(
        "--path",
        choices=("linear", "spherical"),
        default="linear",
        help="between the latents; default linear",
    )
    parsing.add_labels(command, "class of every step, for a conditional model", "N")
    parsing.add_pictures_output(command, "between")


def interpolate(parsed: argparse.Namespace) -> None:
    """Goes from one example to another."""
    steps = check_positive("--steps", parsed.steps, least=2, usual=8)
    model, run = opening.open_model(parsed.model)
    write = output.writer(parsed, images_of=(model, run))
    found = opening.read_source(parsed, model, run)
    if len(found) < 2:
        raise OptionError(
            "an interpolation has two ends",
            got=f"{parsed.source}: one example",
            expected="a folder or an array with at least two",
            fix="put two images into a folder",
        )
    first, second = found.rows(slice(2))
    labels = opening.labels_for(parsed, model, found, 1)
    results = model.interpolate(first, second, steps, parsed.path, **labels)
    write([results], output.numbered("step", steps))


def add_traverse(commands: Any) -> None:
    """Adds `aezoo traverse`."""
    command = parsing.add_command(
        commands,
        "traverse",
        traverse,
        "vary one latent of the first example of SOURCE and decode the results",
        "aezoo traverse bundle image.png --axis 3 --values=-3,-1,1,3 -o axis3",
    )
    parsing.add_model(command)
    parsing.add_source(command)
    command.add_argument("--axis", type=int, default=0, metavar="N", help="which latent to vary, default 0")
    command.add_argument("--values", metavar="X,X", help="default 9 values from -3 to 3")
    parsing.add_labels(command, "class of every result, for a conditional model", "N")
    parsing.add_pictures_output(command, "traversal")


def traverse(parsed: argparse.Namespace) -> None:
    """Sets one latent axis of an example to several values."""
    values = None if parsed.values is None else parsing.numbers(parsed.values, float, "--values")
    model, run = opening.open_model(parsed.model)
    write = output.writer(parsed, images_of=(model, run))
    found = opening.read_source(parsed, model, run)
    labels = opening.labels_for(parsed, model, found, 1)
    results = model.traverse(found.rows(slice(1))[0], parsed.axis, values, **labels)
    write([results], output.numbered("value", len(results)))
