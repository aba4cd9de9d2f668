"""Collects what a recipe's run reached into docs/results.json, from which tools/readme.py makes tables.

python tools/results.py conv_mnist runs/conv_mnist     # writes its parts as ONNX, for their sizes
python tools/readme.py
"""

import argparse
import json
import os
import pathlib
import tempfile
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.json"


def collect(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what the tables need of a finished run: figures, cost, and the bytes of its exported files.

    Of a recipe that leaves no run but figures, as `one_latent` does, those alone.
    """
    if not (pathlib.Path(folder) / "run.json").is_file():
        return {"metrics": json.loads((pathlib.Path(folder) / "metrics.json").read_text("utf-8"))}
    from aezoo.export import to_onnx
    from aezoo.training.recipe import unversioned
    from aezoo.training.run import Run

    run = Run.load(folder)
    sizes = {}
    with tempfile.TemporaryDirectory() as scratch:
        for part, (keras_part, inputs, outputs) in run.model.parts().items():
            path = pathlib.Path(scratch) / f"{part}.onnx"
            to_onnx.write(keras_part, path, inputs=inputs, outputs=outputs)
            sizes[part] = path.stat().st_size
    info = run.info
    return {
        "model": info["model"],
        "data": unversioned(info["data"]["source"]),
        "options": info["options"],
        "parameters": info["parameters"],
        "epochs": info["epochs"],
        "seconds": info["seconds"],
        "metrics": run.metrics,
        "onnx_bytes": sizes,
    }


def main() -> None:
    """Adds or replaces one recipe's row."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("recipe", help="name of the recipe's file, without .py")
    parser.add_argument("run", help="folder of its finished run")
    parsed = parser.parse_args()
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    results[parsed.recipe] = collect(parsed.run)
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
