"""`aezoo evaluate`."""

import json
import pathlib

from aezoo.cli.output import show_metrics
from aezoo.core.errors import OptionError
from aezoo.core.options import check_positive


def evaluate(parsed):
    """Measures a run or a bundle on the test part of data."""
    from aezoo import data
    from aezoo.core import outputs
    from aezoo.core.files import write_json
    from aezoo.evaluation import evaluate as figures_of
    from aezoo.runtime import manifest as bundles
    from aezoo.training.run import Run

    samples, examples = (
        check_positive(f"--{name}", getattr(parsed, name)) for name in ("samples", "examples")
    )
    if parsed.output is not None:
        outputs.check_file(parsed.output, sources=[parsed.data or ""])
    if bundles.is_bundle(parsed.path):
        from aezoo import runtime

        model = runtime.load(parsed.path)
        info = model.manifest.run
    else:
        run = Run.load(parsed.path)
        model, info = run.model, run.info
    source = parsed.data or (info and info["data"]["source"])
    if source is None:
        raise OptionError(
            "this bundle does not say what it was trained on",
            got=f"{parsed.path} without --data",
            expected="--data SOURCE",
            fix=f"aezoo evaluate {parsed.path} --data mnist_mini",
        )
    # The cut of the training, so that the test part holds nothing that was trained on.
    options = dict(info["data"]["load_options"]) if info else {}
    options["data_dir"] = parsed.data_dir or options.get("data_dir")
    if parsed.data is not None:
        options["kind"] = model.kind if str(parsed.data).endswith((".npy", ".npz")) else None
        options["image_shape"] = model.example_shape if pathlib.Path(parsed.data).is_dir() else None
    dataset = data.load(source, **options)
    metrics = figures_of(model, dataset, full=True, likelihood_samples=samples, likelihood_examples=examples)
    # Figures of other data do not replace those of the run's own.
    own = parsed.data is None and not bundles.is_bundle(parsed.path)
    target = pathlib.Path(parsed.output or (run.metrics_file if own else "metrics.json"))
    write_json(target, metrics)
    if parsed.json:
        print(json.dumps(metrics))
        return
    show_metrics(metrics)
    print(f"figures: {target}")
