"""Writes the tables of README.md: from the registry, the recipes, and docs/results.json.

python tools/readme.py            # a test fails where README.md is not what this writes
"""

import importlib
import json
import pathlib
import re

import aezoo

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"
RESULTS = ROOT / "docs" / "results.json"


def recipes():
    """Yields (path, RECIPE) of every recipe."""
    for path in sorted((ROOT / "recipes").glob("*_*.py")):
        if "RECIPE = " in path.read_text():  # else a program of another kind
            yield path, importlib.import_module(f"aezoo.recipes.{path.stem}").RECIPE


def looked_up(metrics, name):
    """Returns a figure of metrics.json by its dotted name, or None."""
    for key in name.split("."):
        metrics = metrics.get(key) if isinstance(metrics, dict) else None
    return metrics


def models():
    """Returns the table of models: the registry's rows with what their first recipe reached."""
    results = json.loads(RESULTS.read_text())
    first = {}
    # The recipe that bears the model's name alone goes before its variants.
    for path, recipe in sorted(recipes(), key=lambda row: row[0].stem != f"{row[1].model}_mnist"):
        if path.stem in results:
            first.setdefault(recipe.model, (path, recipe, results[path.stem]))
    yield "| model | takes | what it is | source | parameters | test figure | encoder, decoder as ONNX |"
    yield "|---|---|---|---|---:|---|---:|"
    for name in aezoo.list_models():
        entry = aezoo.describe(name)
        cells = [
            f"[`{name}`](docs/{name}.md)",
            ", ".join(sorted(entry.kinds)),
            entry.summary,
            entry.paper,
            "",
            "",
            "",
        ]
        if name in first:
            _, recipe, result = first[name]
            metric = next(iter(recipe.expected.get(result["data"], {"mse": None})))
            sizes = (f"{result['onnx_bytes'][part] / 1000:,.0f} kB" for part in ("encoder", "decoder"))
            cells[4:] = [
                f"{result['parameters']:,}",
                f"{metric} {looked_up(result['metrics'], metric):.4g} (`{result['data']}`)",
                ", ".join(sizes),
            ]
        yield "| " + " | ".join(cells) + " |"


def numbers():
    """Returns the table of what the recipes reach, from the recipes."""
    yield "| recipe | data | test figure | reached |"
    yield "|---|---|---|---:|"
    for path, recipe in recipes():
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
