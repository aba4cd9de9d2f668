"""`aezoo list` and `aezoo info`."""

import argparse
import pathlib
from typing import Any

from aezoo import models
from aezoo.cli import output
from aezoo.cli.parsing import add_command
from aezoo.core.errors import OptionError, RunError
from aezoo.core.options import nearest


def add_list(commands: Any) -> None:
    """Adds `aezoo list`."""
    command = add_command(commands, "list", list_models, "list the models", 'aezoo list "*conv*"')
    command.add_argument(
        "pattern", nargs="?", default="*", help="names to list, a shell pattern; default all"
    )


def list_models(parsed: argparse.Namespace) -> None:
    """Lists the models.

    Raises:
        OptionError: no name matches the pattern; the nearest is given.
    """
    entries = [models.describe(name) for name in models.list_models(parsed.pattern)]
    if not entries:
        names = models.list_models()
        raise OptionError(
            f"no model's name matches this pattern{nearest(parsed.pattern.strip('*?'), names)}",
            got=repr(parsed.pattern),
            expected=f"a shell pattern that matches some of {', '.join(names)}",
            fix="aezoo list, for all models",
        )
    if parsed.json:
        rows = [
            {"name": e.name, "kinds": sorted(e.kinds), "paper": e.paper, "summary": e.summary}
            for e in entries
        ]
        output.say_json(rows)
        return
    table = [(entry.name, ", ".join(sorted(entry.kinds)), entry.summary) for entry in entries]
    output.print_table(None, ("name", "takes", "summary"), table)


def add_info(commands: Any) -> None:
    """Adds `aezoo info`."""
    command = add_command(commands, "info", info, "describe a model, a run or a bundle", "aezoo info conv")
    command.add_argument("what", metavar="WHAT", help="name of a model, or folder of a run or a bundle")


def info(parsed: argparse.Namespace) -> None:
    """Describes a model, a run or a bundle.

    Raises:
        RunError: the path leads to something else.
        OptionError: no such path, and no model of this name.
    """
    folder = pathlib.Path(parsed.what)
    if (folder / "manifest.json").is_file():
        from aezoo.core.strict_json import to_json
        from aezoo.runtime.manifest import read_manifest

        found = to_json(read_manifest(folder))
    elif (folder / "run.json").is_file():
        from aezoo.training.run import Run

        found = Run(folder).info
    elif folder.exists() and parsed.what not in models.list_models():
        raise RunError(
            "there is neither a run nor a bundle here",
            got=f"{parsed.what}, {'a folder of other things' if folder.is_dir() else 'a file'}",
            expected="the folder of a run or of a bundle, or the name of a model",
            fix="check the path; `aezoo list` names the models",
        )
    else:
        entry = models.describe(parsed.what)
        found = {
            "name": entry.name,
            "kinds": sorted(entry.kinds),
            "summary": entry.summary,
            "paper": entry.paper,
            "options": entry.options(),
        }
    if parsed.json:
        output.say_json(found)
        return
    for key, value in found.items():
        if isinstance(value, dict):
            output.say(f"{output.short(key)}:")
            for name, inner in value.items():
                output.say(f"  {output.short(name):<20} {output.short(inner)}")
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            output.say(f"{output.short(key)}:")
            for row in value:
                output.say(f"  {output.short(row.get('file', row))}  {_size(row.get('size_bytes'))}")
        else:
            is_words = isinstance(value, list) and all(isinstance(word, str) for word in value)
            text = ", ".join(value) if is_words else value
            output.say(f"{output.short(key) + ':':<22} {output.short(text)}")


def _size(number):
    return f"{number:,} bytes" if isinstance(number, int) else ""
