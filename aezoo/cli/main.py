"""The command `aezoo`. Imports nothing heavy before a command needs it.

Exit status: 0 done, 1 an error, 2 a wrong option or argument, 130 stopped by Ctrl-C.
"""

import argparse
import sys

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
from aezoo.cli.shell import add_common_arguments, guarded
from aezoo.cli.train import add_training_arguments
from aezoo.core.imports import print_anything

_EPILOG = """\
from nothing to an encoder that runs without TensorFlow:
  aezoo train conv --data mnist_mini --latent-dim 16 -o runs/conv
  aezoo export runs/conv -o bundle
  aezoo encode bundle images.npy -o latents.npy

train, evaluate, export and film need  pip install "aezoo[train]";
verify, encode, decode, reconstruct, score, sample, interpolate, traverse, serve-layout, explore and bench
run bundles on the base install.
"""


_EXAMPLES = "an image, a folder of images, a .npy, .npz, .csv, .parquet or .ts file"
_FORMATS = "among saved_model, onnx, litert, openvino, c; default saved_model,onnx"
_RATE = "share of normal examples that may count as anomalies, default 0.01"
_SAMPLES = "latents for each example in the likelihood of a variational model, default 200"
_NLL_EXAMPLES = "test examples whose likelihood is estimated, default 1000"
_PRECISION = "of the files that run, as the bundle was exported: float32, float16, int8; default float32"
_LABELS = "of a conditional model: one for each example, one for all, or a .npy file"


def main(arguments=None):
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
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name, function, summary, example, *, output=None, stem=None):
        command = subparsers.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(command=function)
        if name != "train":  # has these among many
            command.add_argument("--json", action="store_true", help="print JSON, for a program")
            add_common_arguments(command)
        if output:
            command.add_argument("-o", "--output", metavar="PATH", default=output, help=f"default {output}")
        if stem:  # of a folder of pictures, or of an array
            command.set_defaults(stem=stem)
            command.add_argument(
                "-o", "--output", metavar="PATH", help=f"default {stem}, or {stem}.npy of rows and sequences"
            )
        return command

    command = add("list", models.list_models, "list the models", 'aezoo list "*conv*"')
    command.add_argument("pattern", nargs="?", default="*", help="shell pattern over the names")

    command = add("info", models.info, "describe a model, a run or a bundle", "aezoo info conv")
    command.add_argument("what", help="name of a model, or folder of a run or a bundle")

    command = add(
        "train",
        train.train,
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
        evaluate.evaluate,
        "measure a run or a bundle on the test part of data",
        "aezoo evaluate runs/conv --data mnist --data-dir ~/tensorflow_datasets",
    )
    command.add_argument("path", metavar="RUN_OR_BUNDLE")
    command.add_argument("--data", metavar="SOURCE", help="default: what it was trained on")
    command.add_argument("--data-dir", metavar="DIR", help="where TensorFlow Datasets lie prepared")
    command.add_argument("--samples", type=int, default=200, metavar="N", help=_SAMPLES)
    command.add_argument("--examples", type=int, default=1000, metavar="N", help=_NLL_EXAMPLES)
    command.add_argument(
        "-o", "--output", metavar="FILE", help="default the run's metrics.json, for other data ./metrics.json"
    )

    command = add(
        "export",
        export.export,
        "export a run as a bundle of proven files",
        "aezoo export runs/conv -o bundle",
        output="bundle",
    )
    command.add_argument("run", metavar="RUN")
    command.add_argument("--formats", default="saved_model,onnx", metavar="F,F", help=_FORMATS)
    command.add_argument(
        "--parts", metavar="P,P", help="encoder, decoder, reconstructor, scorer, ...; default all"
    )
    command.add_argument(
        "--precision", default="float32", metavar="P,P", help="float32, float16, int8; default float32"
    )
    command.add_argument(
        "--budget", type=float, default=0.01, metavar="X", help="share that int8 may lose, default 0.01"
    )
    command.add_argument(
        "--calibration", metavar="INPUT", help=f"int8 ranges are taken from these: {_EXAMPLES}"
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
    command.add_argument(
        "--normals",
        metavar="INPUT",
        help="normal examples that were not trained on, for the scorer; default held-out ones",
    )
    command.add_argument(
        "--anomalies",
        metavar="INPUT",
        help="known anomalies: the scorer's ROC area is measured, and int8 may lose --budget of it",
    )
    command.add_argument(
        "--false-positive-rate",
        type=float,
        metavar="X",
        help=f"{_RATE}, or the smallest that so few normal examples allow",
    )
    command.add_argument(
        "--score",
        choices=("reconstruction_error", "negative_elbo"),
        default="reconstruction_error",
        help="what the scorer goes by; negative_elbo is for variational models",
    )
    command.add_argument(
        "--batch", type=int, metavar="N", help="examples in a batch of every file; default: any number"
    )
    command.add_argument(
        "--layout",
        choices=("nhwc", "nchw"),
        default="nhwc",
        help="nchw: images of ONNX and OpenVINO files have channels first",
    )
    command.add_argument(
        "--layout-for",
        metavar="S,S",
        help="lay the bundle out for triton, mlserver, tfserving as well, in OUTPUT-models; each export "
        "is a new version (see `aezoo serve-layout`)",
    )
    command.add_argument("--licence", metavar="TEXT", help="terms of the weights, written into every file")

    command = add("verify", export.verify, "prove every file of a bundle again", "aezoo verify bundle")
    command.add_argument("bundle", metavar="BUNDLE")

    for name, summary in (
        ("encode", "encode examples with a bundle: latents.npy"),
        ("reconstruct", "reconstruct examples with a bundle: an array, or PNG files into a folder"),
        ("decode", "decode latents (.npy, .npz) with a bundle: an array, or PNG files into a folder"),
    ):
        output = "latents.npy" if name == "encode" else "reconstructions.npy"
        taken = "latents.npy" if name == "decode" else "images/"
        command = add(name, infer.infer, summary, f"aezoo {name} bundle {taken}", output=output)
        command.set_defaults(verb=name)
        command.add_argument("bundle", metavar="BUNDLE")
        command.add_argument(
            "input",
            metavar="INPUT",
            help="a .npy or .npz file" if name == "decode" else _EXAMPLES,
        )
        command.add_argument("--labels", metavar="N,N|FILE", help=_LABELS)
        command.add_argument("--precision", default="float32", metavar="P", help=_PRECISION)

    command = add(
        "score",
        score.score,
        "print each example's reconstruction error, p-value and verdict",
        "aezoo score bundle images/",
    )
    command.add_argument("bundle", metavar="BUNDLE")
    command.add_argument("input", metavar="INPUT", help=_EXAMPLES)
    command.add_argument("--precision", default="float32", metavar="P", help=_PRECISION)
    command.add_argument("--threshold", type=float, metavar="X", help="default the calibrated one")
    command.add_argument("--labels", metavar="N,N|FILE", help=_LABELS)

    command = add(
        "calibrate",
        score.calibrate,
        "calibrate a bundle's scorer on normal examples that were not trained on",
        "aezoo calibrate bundle normals/ --false-positive-rate 0.01",
    )
    command.add_argument("bundle", metavar="BUNDLE")
    command.add_argument("input", metavar="INPUT", help=_EXAMPLES)
    command.add_argument("--false-positive-rate", type=float, default=0.01, metavar="X", help=_RATE)
    command.add_argument("--labels", metavar="N,N|FILE", help=_LABELS)

    command = add(
        "sample",
        latents.sample,
        "draw new examples from a run or a bundle: an array, or PNG files into a folder",
        "aezoo sample bundle -n 64 --seed 7 -o samples",
        stem="samples",
    )
    command.add_argument("path", metavar="RUN_OR_BUNDLE")
    command.add_argument("-n", "--count", type=int, default=64, metavar="N", help="default 64")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same examples")
    command.add_argument("--labels", metavar="N,N|FILE", help=_LABELS)
    command.add_argument("--precision", default="float32", metavar="P", help=_PRECISION)

    command = add(
        "interpolate",
        latents.interpolate,
        "go from the first example of INPUT to the second, through the latent space",
        "aezoo interpolate bundle images/ --steps 8 --way spherical -o between",
        stem="between",
    )
    command.add_argument("path", metavar="RUN_OR_BUNDLE")
    command.add_argument("input", metavar="INPUT", help=_EXAMPLES)
    command.add_argument("--steps", type=int, default=8, metavar="N", help="default 8, both ends included")
    command.add_argument("--way", choices=("linear", "spherical"), default="linear", help="default linear")
    command.add_argument("--labels", metavar="N", help="the one label of the way, for a conditional model")

    command = add(
        "traverse",
        latents.traverse,
        "decode the first example of INPUT with one latent axis set to several values",
        "aezoo traverse bundle image.png --axis 3 --values=-3,-1,1,3 -o axis3",
        stem="traversal",
    )
    command.add_argument("path", metavar="RUN_OR_BUNDLE")
    command.add_argument("input", metavar="INPUT", help=_EXAMPLES)
    command.add_argument("--axis", type=int, default=0, metavar="N", help="of the latents, default 0")
    command.add_argument("--values", metavar="X,X", help="default -3 to 3 in 9 steps")
    command.add_argument("--labels", metavar="N", help="the one label, for a conditional model")

    compare.add_compare(add, examples=_EXAMPLES, labels=_LABELS)
    serve_layout.add_serve_layout(add)
    film.add_film(add)
    plot.add_plot(add)

    command = add(
        "explore",
        explore.explore,
        "write a static page in which a bundle's encoder and decoder run in the visitor's browser",
        "aezoo explore bundle -o page --data images/ --serve",
        output="page",
    )
    explore.add_arguments(command)

    command = add(
        "bench",
        bench.bench,
        "measure the files of a bundle on this machine: size, start, latency, memory, error",
        "aezoo bench bundle --formats onnx,openvino --batch 1,64 --csv bench.csv --plot bench.png\n"
        "  aezoo bench bundle --quick --formats onnx --min-throughput 500 --max-mse 1e-8",
    )
    bench.add_arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
