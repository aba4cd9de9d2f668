"""Collects what a recipe's run reached into docs/results.json, from which README's tables are made.

python tools/results.py conv_mnist runs/conv_mnist     # exports the run too, for the sizes of its files
python tools/readme.py
"""

import argparse
import json
import pathlib
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.json"


def collect(folder):
    """Returns what the tables need of a finished run: figures, cost, and the bytes of its exported files."""
    from aezoo.bundle import read_manifest
    from aezoo.export import export_bundle
    from aezoo.run import Run

    run = Run.load(folder)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = export_bundle(
            run.model, pathlib.Path(scratch) / "bundle", examples=run.held_out, formats=("onnx",)
        )
        artifacts = read_manifest(bundle)["artifacts"]
    info = run.info
    return {
        "model": info["model"],
        "data": info["data"]["name"],
        "options": info["options"],
        "parameters": info["parameters"],
        "epochs": info["epochs"],
        "seconds": info["seconds"],
        "metrics": run.metrics,
        "onnx_bytes": {artifact["part"]: artifact["size_bytes"] for artifact in artifacts},
    }


def main():
    """Adds or replaces one recipe's row."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("recipe", help="name of the recipe's file, without .py")
    parser.add_argument("run", help="folder of its finished run")
    parsed = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[parsed.recipe] = collect(parsed.run)
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
