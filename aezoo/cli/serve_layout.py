"""`aezoo serve-layout`."""

import json
import pathlib

from aezoo.cli import parsing


def add_serve_layout(add):
    """Adds `aezoo serve-layout` to the command, given the helper of `cli`."""
    command = add(
        "serve-layout",
        serve_layout,
        "lay a bundle out for Triton, MLServer and TensorFlow Serving",
        "aezoo serve-layout bundle -o models --for triton,mlserver",
        output="models",
    )
    command.add_argument("bundle", metavar="BUNDLE")
    command.add_argument(
        "--for",
        dest="servers",
        default="triton,mlserver",
        metavar="S,S",
        help="among triton, mlserver, tfserving; default triton,mlserver",
    )
    command.add_argument("--name", metavar="TEXT", help="what models are called; default the bundle's model")
    command.add_argument("--model-version", type=int, default=1, metavar="N", help="default 1")
    command.add_argument("--precision", default="float32", metavar="P", help="of the ONNX files")
    command.add_argument(
        "--max-batch", type=int, default=64, metavar="N", help="examples in one call of Triton's, default 64"
    )
    command.add_argument(
        "--threshold", action="store_true", help="Triton's scorer takes `threshold`, and batches no requests"
    )


def serve_layout(parsed):
    """Lays a bundle out for servers."""

    from aezoo.serving import layouts

    models = layouts.lay_out(
        parsed.bundle,
        parsed.output,
        parsing.words(parsed.servers),
        name=parsed.name,
        version=parsed.model_version,
        precision=parsed.precision,
        max_batch=parsed.max_batch,
        threshold=parsed.threshold,
    )
    if parsed.json:
        print(json.dumps({"models": [str(pathlib.Path(model)) for model in models]}))
        return
    for model in models:
        print(f"{model}: version {parsed.model_version}")
