"""`aezoo serve-layout`: a bundle as model servers want it."""

import argparse
import pathlib
from typing import Any

from aezoo.cli import output, parsing


def add_serve_layout(commands: Any) -> None:
    """Adds `aezoo serve-layout`."""
    command = parsing.add_command(
        commands,
        "serve-layout",
        serve_layout,
        "lay a bundle out for Triton, MLServer and TensorFlow Serving",
        "aezoo serve-layout bundle -o models --for triton,mlserver",
    )
    parsing.add_bundle(command)
    command.add_argument(
        "--for",
        dest="servers",
        default="triton,mlserver",
        metavar="S,S",
        help="triton, mlserver or tfserving; default triton,mlserver",
    )
    command.add_argument(
        "--name",
        metavar="TEXT",
        help="what the models' names begin with; default: the name of the bundle's model",
    )
    command.add_argument(
        "--model-version", dest="version", type=int, default=1, metavar="N", help="default 1"
    )
    parsing.add_precision(command)
    command.add_argument(
        "--max-batch", type=int, default=64, metavar="N", help="largest batch that Triton accepts, default 64"
    )
    command.add_argument(
        "--threshold",
        action="store_true",
        help="give Triton's scorer an input `threshold`; its requests are then not batched",
    )
    parsing.add_output(command, "models")


def serve_layout(parsed: argparse.Namespace) -> None:
    """Lays a bundle out for servers."""
    from aezoo.serving import layouts

    models = layouts.lay_out(
        parsed.bundle,
        parsed.output,
        parsing.words(parsed.servers),
        name=parsed.name,
        version=parsed.version,
        precision=parsed.precision,
        max_batch=parsed.max_batch,
        threshold=parsed.threshold,
        digest=parsed.digest,
    )
    if parsed.json:
        output.say_json({"models": [str(pathlib.Path(model)) for model in models]})
        return
    for model in models:
        output.say(f"{model}: version {parsed.version}")
