"""`aezoo export` and `aezoo verify`: bundles of proven files."""

import argparse
import math
import textwrap
from typing import Any

from aezoo.cli import output, parsing
from aezoo.cli.score import FALSE_POSITIVES
from aezoo.core.scores import COMPARING, SCORES
from aezoo.core.strict_json import to_json

_FORMATS = "saved_model, onnx, litert, openvino or c; default saved_model,onnx"


def add_export(commands: Any) -> None:
    """Adds `aezoo export`."""
    command = parsing.add_command(
        commands,
        "export",
        export,
        "export a run as a bundle of proven files",
        "aezoo export runs/conv -o bundle",
    )
    command.add_argument("run", metavar="RUN", help="folder of a finished run")
    parsing.add_output(command, "bundle")
    command.add_argument("--licence", metavar="TEXT", help="licence of the weights, written into every file")
    _add_files(command.add_argument_group("which files"))
    _add_int8(command.add_argument_group("int8"))
    _add_scorer(command.add_argument_group("scorer"))
    group = command.add_argument_group("examples")
    group.description = textwrap.fill(f"SOURCE: {parsing.SOURCE}", 78)
    parsing.add_value_range(group)
    parsing.add_data_dir(group)


def _add_files(group):
    group.add_argument("--formats", default="saved_model,onnx", metavar="F,F", help=_FORMATS)
    group.add_argument(
        "--parts", metavar="P,P", help="encoder, decoder, reconstructor, scorer, ...; default all"
    )
    group.add_argument(
        "--precision",
        dest="precisions",
        default="float32",
        metavar="P,P",
        help="float32, float16 or int8; default float32",
    )
    group.add_argument(
        "--opset", type=int, default=18, metavar="N", help="of ONNX files, 17 to 24; default 18"
    )
    group.add_argument(
        "--input-dtype",
        choices=("float32", "uint8"),
        default="float32",
        help="uint8: encoder and reconstructor take bytes from 0 to 255",
    )
    group.add_argument(
        "--batch", type=int, metavar="N", help="fix the batch size of every file; default: any"
    )
    group.add_argument(
        "--layout",
        choices=("nhwc", "nchw"),
        default="nhwc",
        help="nchw: channels first for images in ONNX and OpenVINO files",
    )
    group.add_argument(
        "--layout-for",
        dest="servers",
        metavar="S,S",
        help="also lay the bundle out for triton, mlserver or tfserving, in OUTPUT-models; each export "
        "adds a version (see `aezoo serve-layout`)",
    )


def _add_int8(group):
    group.add_argument(
        "--budget",
        type=float,
        default=0.01,
        metavar="X",
        help="fraction of quality that int8 may lose, default 0.01",
    )
    group.add_argument(
        "--calibration",
        dest="representative",
        metavar="SOURCE",
        help="examples from which ranges are taken; default: held-out ones",
    )


def _add_scorer(group):
    group.add_argument(
        "--normals",
        metavar="SOURCE",
        help="normal examples that were not used in training; default: held-out ones of the classes that "
        "training has",
    )
    group.add_argument(
        "--anomalies",
        metavar="SOURCE",
        help="known anomalies: measures the ROC area, of which int8 may then lose --budget; default: test "
        "examples of classes that training has not, if there are 20",
    )
    group.add_argument(
        "--false-positive-rate",
        type=float,
        metavar="X",
        help=f"{FALSE_POSITIVES}, or the lowest that so few normal examples allow",
    )
    group.add_argument(
        "--score",
        choices=SCORES,
        default="reconstruction_error",
        help="what to score by, default reconstruction_error; largest_error finds small defects, "
        "memory_distance compares with what training saw, mahalanobis_distance its latents, negative_elbo "
        "is for variational models",
    )


def export(parsed: argparse.Namespace) -> None:
    """Exports a run as a bundle."""
    from aezoo.runtime.manifest import check_target
    from aezoo.serving.layouts import check_servers, lay_out, next_version
    from aezoo.training.run import Run

    formats = parsing.words(parsed.formats)
    servers = check_servers(parsing.words(parsed.servers), formats)
    run = Run.load(parsed.run)
    check_target(parsed.output)
    folder = _exported(parsed, run, formats)
    place = f"{str(parsed.output).rstrip('/')}-models"
    models = lay_out(folder, place, servers, version=next_version(place)) if servers else []
    _tell(folder, place, models, servers, parsed)


def _exported(parsed, run, formats):
    """Exports a run as the command says; returns the folder of the bundle."""
    from aezoo.data.reading import read_for

    def examples(source):
        if source is None:
            return None
        options = {"data_dir": parsed.data_dir, "value_range": parsed.value_range}
        found = read_for(run.model, source, run=run.info, **options)
        output.say_notes(found.notes)
        return found.array

    from aezoo.export import ExportOptions, export_bundle

    options = ExportOptions(
        formats=formats,
        precisions=parsing.words(parsed.precisions),
        parts=parsing.words(parsed.parts),
        budget=parsed.budget,
        opset=parsed.opset,
        input_dtype=parsed.input_dtype,
        batch=parsed.batch,
        layout=parsed.layout,
        score=parsed.score,
        false_positive_rate=parsed.false_positive_rate,
        licence=parsed.licence,
    )
    held_out = run.held_out
    if parsed.anomalies is not None or not options.wants("scorer"):
        held_out["anomalies"] = examples(parsed.anomalies)
    return export_bundle(
        run.model,
        parsed.output,
        options,
        **held_out,
        representative=examples(parsed.representative),
        normals=examples(parsed.normals),
        reference=run.reference if options.score in COMPARING else None,
        info=run.info,
        metrics=run.metrics,
    )


def _tell(folder, place, models, servers, parsed):
    from aezoo.runtime.manifest import digest_of, read_manifest

    manifest, digest = read_manifest(folder), digest_of(folder)
    figures = {artifact.file: artifact.parity for artifact in manifest.artifacts}
    if parsed.json:
        laid_out = {"models": [str(model) for model in models]} if models else {}
        output.say_json({"bundle": str(folder), "digest": digest, "artifacts": to_json(figures), **laid_out})
        return
    output.show_parity(f"{folder}: proven", figures)
    if models:
        output.say(f"models for {', '.join(servers)}: {place}")
    calibration = manifest.calibration
    if calibration is not None:
        low, high = calibration.false_positive_rate_interval or (math.nan, math.nan)
        output.say(
            f"scorer: threshold {calibration.threshold:.6g}, from {calibration.examples} "
            f"{calibration.source}; false positive rate {calibration.false_positive_rate:.2g}, "
            f"between {low:.2g} and {high:.2g} with a confidence of 95 %"
        )
    if manifest.anomalies is not None:
        unseen = (manifest.metrics or {}).get("unseen_classes", {}).get("classes", [])
        told = (
            "that were given" if parsed.anomalies is not None else f"from the test part: {', '.join(unseen)}"
        )
        output.say(
            f"anomalies: one scores above a normal example {manifest.anomalies.roc_area:.2%} of the time "
            f"(ROC area), of {manifest.anomalies.examples} {told}"
        )
    verb = "score" if {row.part for row in manifest.artifacts} == {"scorer"} else "encode"
    taken = {"images": "IMAGES", "rows": "TABLE"}.get(manifest.kind, "EXAMPLES")
    runnable = dict.fromkeys(row.precision for row in manifest.artifacts if row.format == "onnx")
    if runnable and "float32" not in runnable:  # which the commands run where nothing else is said
        taken += f" --precision {next(iter(runnable))}"
    output.say(f"digest: {digest}")
    output.say(f"bundle: {folder}    next: aezoo {verb} {folder} {taken}")


def add_verify(commands: Any) -> None:
    """Adds `aezoo verify`."""
    summary = "prove every file of a bundle again"
    command = parsing.add_command(commands, "verify", verify, summary, "aezoo verify bundle --digest SHA256")
    parsing.add_bundle(command)
    parsing.add_trust(command)


def verify(parsed: argparse.Namespace) -> int:
    """Proves a bundle again; returns the exit status."""
    from aezoo.export.proof import parity
    from aezoo.runtime import manifest as contract

    figures = parity.verify(parsed.bundle, trust=parsed.trust, digest=parsed.digest)
    foreign = contract.foreign_files(parsed.bundle, contract.read_manifest(parsed.bundle, parsed.digest))
    if parsed.json:
        told = {"bundle": parsed.bundle, "artifacts": to_json(figures), "foreign_files": foreign}
        output.say_json(told)
    else:
        output.show_parity(f"{parsed.bundle}: proven again", figures)
        for name in foreign:
            output.say(f"no part of the bundle: {name}")
    reasons = [row.skipped for row in figures.values() if isinstance(row, parity.Skipped)]
    return output.not_all(reasons, "proven")
