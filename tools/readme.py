"""Writes the tables of README.md that are made from the code: models, and what the recipes reach.

python tools/readme.py            # a test fails where README.md is not what this writes
"""

import importlib
import pathlib
import re

import aezoo

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"


def models():
    """Returns the table of models, from the registry."""
    yield "| model | takes | what it is | source |"
    yield "|---|---|---|---|"
    for name in aezoo.list_models():
        entry = aezoo.describe(name)
        yield f"| `{name}` | {entry.task} | {entry.summary} | {entry.paper} |"


def numbers():
    """Returns the table of what the recipes reach, from the recipes."""
    yield "| recipe | data | test figure | reached |"
    yield "|---|---|---|---:|"
    for path in sorted((ROOT / "recipes").glob("*_*.py")):
        if "RECIPE = " not in path.read_text():  # a program of another kind
            continue
        recipe = importlib.import_module(f"aezoo.recipes.{path.stem}").RECIPE
        for data, expected in recipe.expected.items():
            for metric, (value, tolerance) in expected.items():
                link = f"[`{path.name}`](recipes/{path.name})"
                yield f"| {link} | `{data}` | {metric} | {value:g} ± {tolerance:g} |"


def render(text):
    """Returns the text of README.md with the tables made anew."""
    for mark, lines in (("models", models()), ("numbers", numbers())):
        block = "\n".join([f"<!-- {mark}: made by tools/readme.py -->", *lines, f"<!-- /{mark} -->"])
        text = re.sub(rf"<!-- {mark}:.*?<!-- /{mark} -->", lambda _, block=block: block, text, flags=re.S)
    return text


if __name__ == "__main__":
    README.write_text(render(README.read_text()))
