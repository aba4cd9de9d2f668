"""`aezoo explore`: a bundle in the browser."""

import argparse
import contextlib
import pathlib
import sys
from typing import Any

from aezoo.cli import output, parsing
from aezoo.core.errors import OptionError
from aezoo.explorer import web_runtime
from aezoo.explorer.server import open_server
from aezoo.explorer.site import FACTS, lay_out


def add_explore(commands: Any) -> None:
    """Adds `aezoo explore`."""
    command = parsing.add_command(
        commands,
        "explore",
        explore,
        "write a static page that runs a bundle's encoder and decoder in the browser",
        "aezoo explore bundle -o page --data images/ --serve",
    )
    command.add_argument(
        "bundle", metavar="BUNDLE", nargs="?", help="folder of a bundle; optional to --serve an existing page"
    )
    text = f"examples for the map: {parsing.SOURCE}; default: the bundle's golden examples"
    parsing.add_source(command, "--data", text)
    command.add_argument(
        "--points", type=int, default=2000, metavar="N", help="examples on the map, default 2000"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="for choosing them, default 0")
    parsing.add_precision(command)
    command.add_argument(
        "--runtime",
        metavar="PATH",
        help=f"onnxruntime-web {web_runtime.VERSION} as a .tgz or a folder; default: npm fetches it once",
    )
    command.add_argument(
        "--serve",
        action="store_true",
        help="serve the page on 127.0.0.1 until Ctrl-C; it does not run from files alone",
    )
    command.add_argument(
        "--port", type=int, default=8000, metavar="N", help="default 8000; 0 takes any free port"
    )
    parsing.add_output(command, "page")


def explore(parsed: argparse.Namespace) -> None:
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
                data=parsed.source,
                data_dir=parsed.data_dir,
                value_range=parsed.value_range,
                points=parsed.points,
                seed=parsed.seed,
                precision=parsed.precision,
                runtime=parsed.runtime,
                say=_progress,
            )
            _tell(parsed, folder, facts)
        if server is not None:
            output.say(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)")
            server.serve_forever()


def _progress(text):
    output.say(f"{text} ...", file=sys.stderr)


def _tell(parsed, folder, facts):
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if parsed.json:
        told = {
            "output": parsed.output,
            "size_bytes": size,
            "points": facts["points"],
            "source": facts["source"],
        }
        output.say_json(told)
        return
    output.say(f"{folder}: {size / 1e6:.1f} MB, static files for any web server")
    output.say(f"map: {facts['points']} point{'s' * (facts['points'] != 1)}, {facts['source']}")
    if parsed.source is None:
        output.say("     --data SOURCE shows others, for example what the model was trained on")
    if not parsed.serve:
        output.say(f"look at it: aezoo explore --serve -o {parsed.output}")
