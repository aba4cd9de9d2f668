"""The command `aezoo`. Imports nothing heavy before a command needs it.

Exit status: 0 done, 1 an error, 2 a wrong option or argument, 130 stopped by Ctrl-C.
"""

import argparse
import sys
from collections.abc import Sequence

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
from aezoo.cli.shell import guarded
from aezoo.core.imports import print_anything

# In the order of --help. A command is a function that adds it, beside the one that runs it.
COMMANDS = (
    models.add_list,
    models.add_info,
    train.add_train,
    evaluate.add_evaluate,
    export.add_export,
    export.add_verify,
    infer.add_encode,
    infer.add_reconstruct,
    infer.add_decode,
    score.add_score,
    score.add_calibrate,
    latents.add_sample,
    latents.add_interpolate,
    latents.add_traverse,
    compare.add_compare,
    serve_layout.add_serve_layout,
    film.add_film,
    plot.add_plot,
    explore.add_explore,
    bench.add_bench,
)

_EPILOG = """\
from scratch to an encoder that runs without TensorFlow:
  aezoo train conv --data mnist_mini --latent-dim 16 -o runs/conv
  aezoo export runs/conv -o bundle
  aezoo encode bundle images.npy -o latents.npy

train, evaluate, export and film need  pip install "aezoo[train]";
verify, encode, decode, reconstruct, score, sample, interpolate, traverse, serve-layout, explore and bench
run bundles on the base install.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    print_anything()
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
    for add in COMMANDS:
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
