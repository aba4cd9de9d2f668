"""Writes the tables of README.md and docs/: from the registry, the recipes and what runs left in docs/.

python tools/readme.py            # a test fails where a page is not what this writes
"""

import csv
import importlib
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import aezoo
from aezoo.training.recipe import Recipe

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.json"
OWN_DATA = ROOT / "docs" / "results" / "own_data.csv"
ANOMALIES = ROOT / "docs" / "results" / "anomalies.csv"
PAGES = (
    "README.md",
    "docs/models/index.md",
    "docs/results/index.md",
    "docs/results/own_data.md",
    "docs/results/anomalies.md",
)


def recipes() -> Iterator[tuple[pathlib.Path, Recipe]]:
    """Yields (path, RECIPE) of every recipe."""
    for path in sorted((ROOT / "recipes").glob("*_*.py")):
        if "RECIPE = " in path.read_text("utf-8"):  # else a program of another kind
            yield path, importlib.import_module(f"aezoo.recipes.{path.stem}").RECIPE


def looked_up(metrics: Mapping[str, Any], name: str) -> Any:
    """Returns a figure of metrics.json by its dotted name, or None."""
    for key in name.split("."):
        metrics = metrics.get(key) if isinstance(metrics, dict) else None
    return metrics


def zoo() -> Iterator[str]:
    """Returns README's short table: what each model is, with a link to its page."""
    yield "| model | takes | what it is |"
    yield "|---|---|---|"
    for name in aezoo.list_models():
        entry = aezoo.describe(name)
        yield f"| [`{name}`](docs/models/{name}.md) | {', '.join(sorted(entry.kinds))} | {entry.summary} |"


def models() -> Iterator[str]:
    """Returns the registry's rows: what each model takes and is, and where it is from."""
    yield "| model | takes | what it is | source |"
    yield "|---|---|---|---|"
    for name in aezoo.list_models():
        entry = aezoo.describe(name)
        kinds = ", ".join(sorted(entry.kinds))
        yield f"| [`{name}`]({name}.md) | {kinds} | {entry.summary} | {entry.paper} |"


def sizes() -> Iterator[str]:
    """Returns what each model's first recipe reached, and how large it is."""
    results = json.loads(RESULTS.read_text("utf-8"))
    first = {}
    # The recipe that bears the model's name alone goes before its variants.
    for path, recipe in sorted(recipes(), key=lambda row: row[0].stem != f"{row[1].model}_mnist"):
        if path.stem in results:
            first.setdefault(recipe.model, (recipe, results[path.stem]))
    yield "| model | data | test figure | reached | parameters | encoder | decoder |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for name, (recipe, result) in sorted(first.items()):
        metric = next(iter(recipe.expected.get(result["data"], {"mse": None})))
        cells = [f"[`{name}`]({name}.md)", f"`{result['data']}`", metric]
        cells += [f"{looked_up(result['metrics'], metric):.4g}", f"{result['parameters']:,}"]
        cells += [f"{result['onnx_bytes'][part] / 1000:,.0f} kB" for part in ("encoder", "decoder")]
        yield "| " + " | ".join(cells) + " |"


def numbers() -> Iterator[str]:
    """Returns the table of what the recipes reach, from the recipes and from what their runs left."""
    results = json.loads(RESULTS.read_text("utf-8"))
    yield "| recipe | data | test figure | stated | reached |"
    yield "|---|---|---|---:|---:|"
    for path, recipe in recipes():
        for data, expected in recipe.expected.items():
            result = results[path.stem]
            for metric, (value, tolerance) in expected.items():
                reached = looked_up(result["metrics"], metric)
                cells = [
                    f"`{path.name}`",
                    f"`{data}`",
                    metric,
                    f"{value:g} ± {tolerance:g}",
                    f"{reached:.4g}",
                ]
                yield "| " + " | ".join(cells) + " |"


def own_data() -> Iterator[str]:
    """Returns what defaults reach on other people's data beside PCA, from benchmarks/bench_own_data.py."""
    with open(OWN_DATA, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    yield "| data | model | examples | latents | mse | PCA's | ratio | best epoch | seconds |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for row in sorted(rows, key=lambda row: row["data"]):
        cells = [f"`{row['data']}`", f"`{row['model']}`", row["train"], row["latents"]]
        cells += [f"{float(row[name]):.3g}" for name in ("mse", "pca")]
        cells += [f"{float(row['ratio']):.3f}", f"{row['best_epoch']} of {row['epochs']}", row["seconds"]]
        yield "| " + " | ".join(cells) + " |"


def anomalies() -> Iterator[str]:
    """Returns the ROC areas of anomaly scores beside baselines, from benchmarks/bench_anomalies.py."""
    with open(ANOMALIES, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = ("memory_distance", "pca", "isolation_forest", "lof", "knn_5")
    yield "| data | remembered | " + " | ".join(f"`{name}`" for name in scores) + " |"
    yield "|---|---:|" + "---:|" * len(scores)
    groups = {"16 tables": "rows", "10 digits": "mnist:"}
    for row in rows:
        cells = [f"`{row['data']}`", row["remembered"], *(f"{float(row[name]):.3f}" for name in scores)]
        yield "| " + " | ".join(cells) + " |"
    for called, wanted in groups.items():
        those = [row for row in rows if row["kind"] == wanted or row["data"].startswith(wanted)]
        means = [f"{sum(float(row[name]) for row in those) / len(those):.3f}" for name in scores]
        yield "| " + " | ".join([f"mean of {called}", "", *means]) + " |"


TABLES = {
    "anomalies": anomalies,
    "zoo": zoo,
    "models": models,
    "sizes": sizes,
    "numbers": numbers,
    "own": own_data,
}


def render(text: str) -> str:
    """Returns the text of a page with its tables made anew."""
    for mark, table in TABLES.items():
        if f"<!-- {mark}:" in text:
            block = "\n".join([f"<!-- {mark}: made by tools/readme.py -->", *table(), f"<!-- /{mark} -->"])
            text = re.sub(rf"<!-- {mark}:.*?<!-- /{mark} -->", lambda _, block=block: block, text, flags=re.S)
    return text


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(render(path.read_text("utf-8")), encoding="utf-8")
