"""The command `aezoo`. Imports nothing heavy before a command needs it.

Exit status: 0 done, 1 an error, 2 a wrong option or argument, 3 done but for the files that the output
names as skipped, 130 stopped by Ctrl-C.
"""

import argparse
import textwrap
from collections.abc import Sequence
from typing import NoReturn

from aezoo import __version__
from aezoo.cli import (
    bench,
    compare,
    evaluate,
    explore,
    export,
    film,
    infer,
    latents,
    models,
    plot,
    score,
    serve_layout,
    train,
)
from aezoo.cli.shell import guarded, leave
from aezoo.core.imports import print_anything

# In the order of --help: the function that adds a command, beside the one that runs it, and the extra that
# it needs; None for what runs on the base install.
COMMANDS = (
    (models.add_list, None),
    (models.add_info, None),
    (train.add_train, "train"),
    (evaluate.add_evaluate, "train"),
    (export.add_export, "train"),
    (export.add_verify, None),
    (infer.add_encode, None),
    (infer.add_reconstruct, None),
    (infer.add_decode, None),
    (score.add_score, None),
    (score.add_calibrate, "calibrate"),
    (latents.add_sample, None),
    (latents.add_interpolate, None),
    (latents.add_traverse, None),
    (compare.add_compare, "train"),
    (serve_layout.add_serve_layout, None),
    (film.add_film, "film"),
    (plot.add_plot, "train"),
    (explore.add_explore, None),
    (bench.add_bench, None),
)

_EPILOG = """\
from scratch to an encoder that runs without TensorFlow:
  aezoo train conv --data mnist_mini --latent-dim 16 -o runs/conv
  aezoo export runs/conv -o bundle
  aezoo encode bundle images.npy -o latents.npy

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    print_anything()
    parsed = _parser().parse_args(arguments)
    return guarded(lambda: parsed.command(parsed), parsed)


def run() -> NoReturn:
    """The installed command: `main`, and the end of its process."""
    leave(main())


def _parser():
    parser = argparse.ArgumentParser(
        "aezoo",
        description="Autoencoders: train them, export encoder and decoder as proven files, run those.",
        epilog=f"{_EPILOG}\n{_needs()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aezoo {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add, _ in COMMANDS:
        add(commands)
    return parser


def _needs():
    """Returns which commands need which extra, from the table."""
    by_extra = {extra: [] for extra in (None, *sorted({extra for _, extra in COMMANDS if extra}))}
    for add, extra in COMMANDS:
        by_extra[extra].append(add.__name__.removeprefix("add_").replace("_", "-"))
    texts = [f"run bundles on the base install: {', '.join(by_extra.pop(None))}"]
    texts += [f'need pip install "aezoo[{extra}]": {", ".join(names)}' for extra, names in by_extra.items()]
    texts.append('a run in the place of a bundle, or `info` of a model, needs "aezoo[train]" too')
    return "\n".join(textwrap.fill(text, 78, subsequent_indent="  ") for text in texts) + "\n"


if __name__ == "__main__":
    run()
