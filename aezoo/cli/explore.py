"""`aezoo explore`."""

import contextlib
import json
import pathlib
import sys

from aezoo.core.errors import OptionError
from aezoo.explorer import web_runtime
from aezoo.explorer.server import open_server
from aezoo.explorer.site import FACTS, lay_out


def add_arguments(command):
    """Adds the arguments of `aezoo explore` to its parser."""
    command.add_argument(
        "bundle", metavar="BUNDLE", nargs="?", help="not needed to --serve a page that is there"
    )
    command.add_argument(
        "--data",
        metavar="INPUT",
        help="whose latents the map shows: files as for `encode`, with labels where they have some, or a "
        "name as for `train`; default the bundle's golden examples",
    )
    command.add_argument("--data-dir", metavar="DIR", help="where TensorFlow Datasets lie prepared")
    command.add_argument(
        "--points", type=int, default=2000, metavar="N", help="examples on the map, default 2000"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="by which they are drawn")
    command.add_argument("--precision", default="float32", metavar="P", help="of the ONNX files")
    command.add_argument(
        "--runtime",
        metavar="PATH",
        help=f"onnxruntime-web {web_runtime.VERSION} as .tgz or folder; default: fetched once, with npm",
    )
    command.add_argument(
        "--serve",
        action="store_true",
        help="serve the page on 127.0.0.1 until Ctrl-C; files alone do not run",
    )
    command.add_argument("--port", type=int, default=8000, metavar="N", help="default 8000; 0 takes any")


def explore(parsed):
    """Writes the page of a bundle, serves it, or both."""
    folder = pathlib.Path(parsed.output).expanduser()
    there = (folder / FACTS).is_file()
    if parsed.bundle is None and not (parsed.serve and there):
        raise OptionError(
            "there is no page to serve" if parsed.serve else "which bundle is to be explored?",
            got=f"no BUNDLE, and {folder} is {'a page already' if there else 'no page'}",
            expected="the folder of a bundle, or --serve with a page",
            fix=f"aezoo explore bundle -o {parsed.output} --serve",
        )
    with contextlib.ExitStack() as stack:
        # The port first: a page that took minutes must not end in "taken".
        server = stack.enter_context(open_server(folder, parsed.port)) if parsed.serve else None
        if parsed.bundle is not None:
            facts = lay_out(
                parsed.bundle,
                folder,
                data=parsed.data,
                data_dir=parsed.data_dir,
                points=parsed.points,
                seed=parsed.seed,
                precision=parsed.precision,
                runtime=parsed.runtime,
                say=_progress,
            )
            _tell(parsed, folder, facts)
        if server is not None:
            print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
            server.serve_forever()


def _progress(text):
    print(f"{text} ...", file=sys.stderr, flush=True)


def _tell(parsed, folder, facts):
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if parsed.json:
        told = {
            "output": parsed.output,
            "size_bytes": size,
            "points": facts["points"],
            "source": facts["source"],
        }
        print(json.dumps(told), flush=True)
        return
    print(f"{folder}: {size / 1e6:.1f} MB, static files for any web server")
    print(f"map: {facts['points']} point{'s' * (facts['points'] != 1)}, {facts['source']}")
    if parsed.data is None:
        print("     --data INPUT shows others, for example what the model was trained on")
    if not parsed.serve:
        print(f"look at it: aezoo explore --serve -o {parsed.output}")
