"""`aezoo export` and `aezoo verify`."""

import json
import math

from aezoo.cli.output import _show_parity
from aezoo.cli.parsing import words
from aezoo.core.strict_json import to_json


def export(parsed):
    """Exports a run as a bundle."""
    from aezoo.data.reading import read_for
    from aezoo.runtime.manifest import check_target, read_manifest
    from aezoo.serving.layouts import check_servers, lay_out, next_version
    from aezoo.training.run import Run

    formats = words(parsed.formats)
    servers = check_servers(words(parsed.layout_for or ""), formats)
    run = Run.load(parsed.run)
    check_target(parsed.output)

    def examples(path):
        return None if path is None else read_for(run.model, path)[1]

    from aezoo.export import ExportOptions, export_bundle

    options = ExportOptions(
        formats=formats,
        precisions=words(parsed.precision),
        parts=words(parsed.parts or ""),
        budget=parsed.budget,
        opset=parsed.opset,
        input_dtype=parsed.input_dtype,
        batch=parsed.batch,
        layout=parsed.layout,
        score=parsed.score,
        false_positive_rate=parsed.false_positive_rate,
        licence=parsed.licence,
    )
    folder = export_bundle(
        run.model,
        parsed.output,
        options,
        **run.held_out,
        representative=examples(parsed.calibration),
        normals=examples(parsed.normals),
        anomalies=examples(parsed.anomalies),
        info=run.info,
        metrics=run.metrics,
    )
    place = f"{str(parsed.output).rstrip('/')}-models"
    models = lay_out(folder, place, servers, version=next_version(place)) if servers else []
    manifest = read_manifest(folder)
    figures = {artifact.file: artifact.parity for artifact in manifest.artifacts}
    if parsed.json:
        laid_out = {"models": [str(model) for model in models]} if models else {}
        print(json.dumps({"bundle": str(folder), "artifacts": to_json(figures), **laid_out}))
        return
    _show_parity(f"{folder}: proven", figures)
    if models:
        print(f"models for {', '.join(servers)}: {place}")
    calibration = manifest.calibration
    if calibration is not None:
        low, high = calibration.false_positive_rate_interval or (math.nan, math.nan)
        print(
            f"scorer: threshold {calibration.threshold:.6g}, from {calibration.examples} "
            f"{calibration.source}; false positive rate {calibration.false_positive_rate:.2g}, "
            f"between {low:.2g} and {high:.2g} with a confidence of 95 %"
        )
    verb = "score" if {row.part for row in manifest.artifacts} == {"scorer"} else "encode"
    taken = {"images": "IMAGES", "rows": "TABLE"}.get(manifest.kind, "EXAMPLES")
    print(f"bundle: {folder}    next: aezoo {verb} {folder} {taken}")


def verify(parsed):
    """Proves a bundle again."""
    from aezoo.export.proof import parity

    figures = parity.verify(parsed.bundle)
    if parsed.json:
        print(json.dumps(to_json(figures)))
    else:
        _show_parity(f"{parsed.bundle}: proven again", figures)
