"""`aezoo list` and `aezoo info`."""

import json
import pathlib

from aezoo import models
from aezoo.cli.output import _short, print_table


def list_models(parsed):
    """Lists the models."""
    entries = [models.describe(name) for name in models.list_models(parsed.pattern)]
    if parsed.json:
        fields = ("name", "task", "paper", "summary")
        print(json.dumps([{field: getattr(entry, field) for field in fields} for entry in entries]))
        return
    print_table(None, ("name", "takes", "summary"), [(e.name, e.task, e.summary) for e in entries])


def info(parsed):
    """Describes a model, a run or a bundle."""
    folder = pathlib.Path(parsed.what)
    if (folder / "manifest.json").is_file():
        from aezoo.core.strict_json import to_json
        from aezoo.runtime.manifest import read_manifest

        found = to_json(read_manifest(folder))
    elif (folder / "run.json").is_file():
        from aezoo.training.run import Run

        found = Run(folder).info
    else:
        entry = models.describe(parsed.what)
        found = {
            "name": entry.name,
            "takes": entry.task,
            "summary": entry.summary,
            "paper": entry.paper,
            "options": entry.options(),
        }
    if parsed.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, inner in value.items():
                print(f"  {name:<20} {_short(inner)}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            print(f"{key}:")
            for row in value:
                print(f"  {row.get('file', row)}  {row.get('size_bytes', 0):,} bytes")
        else:
            print(f"{key + ':':<22} {_short(value)}")
