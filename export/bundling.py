"""`export_bundle`: validate, golden, write, prove, finish. The one place where a bundle comes into being."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from aezoo import __version__
from aezoo.core import files, priors
from aezoo.core.calibration import Calibration, roc_area
from aezoo.core.errors import ExportError, OptionError
from aezoo.core.examples import as_labels
from aezoo.core.fingerprints import refuse_training_data
from aezoo.core.imports import refused_by_tensorflow
from aezoo.core.options import check_choice
from aezoo.core.strict_json import Damaged
from aezoo.core.versions import versions
from aezoo.export import formats, model_card, scoring
from aezoo.export.calibration import calibrate, label, write_calibration
from aezoo.export.formats import FORMATS, Job
from aezoo.export.given import Arrays, Given, Golden
from aezoo.export.golden import make_golden, most_golden, stored_examples, with_scores
from aezoo.export.options import ExportOptions
from aezoo.export.proof import golden_file, parity, tracing
from aezoo.export.recalibration import calibrate_file
from aezoo.nn.autoencoder import Autoencoder
from aezoo.runtime import manifest as contract
from aezoo.runtime.naming import artifact_files
from aezoo.runtime.schema import (
    Anomalies,
    Artifact,
    CalibrationRow,
    GoldenRow,
    Likelihood,
    Manifest,
    NormalSource,
    PriorRow,
    Tensor,
)

_CALIBRATION = 512  # examples that tell the ranges of values
_LABELLED, _LABELLED_KEPT = 512, 64  # examples of each kind that judge a scorer, and that golden.npz keeps
_LICENCE = "not stated; ask whoever holds the rights in the training data"


def export_bundle(
    model: Autoencoder,
    folder: contract.Folder,
    options: ExportOptions | None = None,
    *,
    examples: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    normals: np.ndarray | None = None,
    anomalies: np.ndarray | None = None,
    representative: np.ndarray | None = None,
    reference: np.ndarray | None = None,
    trained_on: np.ndarray | None = None,
    source: NormalSource = "held-out examples",
    info: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
) -> pathlib.Path:
    """Exports encoder, decoder and reconstructor, each as a file of its own, proven before publication.

    Args:
        model: an `Autoencoder`.
        folder: of the bundle; an older bundle there is replaced in one step at the very end.
        options: `ExportOptions`; None is ONNX and a SavedModel in float32, of all parts.
        examples: held-out examples (N, ...) as the model takes them, the proof's inputs; None
            draws them from a seed, and the manifest says so.
        labels: (N,) class numbers of the examples, for a conditional model; None is each class in turn.
        normals: examples (N, ...) that were not trained on, for the scorer's calibration; None is
            `examples`. Without either, or for a conditional model without labels: no scorer.
        anomalies: examples (N, ...) known to be such: they measure the ROC area, which lower precisions keep.
        representative: examples (N, ...) that tell int8 the ranges of values; None is `examples`.
        reference: examples (M, ...) of the training, for a score that compares with them.
        trained_on: sketch of the training examples, see `aezoo.core.fingerprints.sketch`; None knows none.
        source, info, metrics: of the examples, and a run's run.json and metrics.json, for the manifest.

    Returns:
        The bundle's folder, a `pathlib.Path`.

    Raises:
        OptionError, ExportError: an option that cannot be used with this model, or a part with a format.
        ParityError: a file does not compute what the model computes; nothing is published.
        BundleError: the folder holds something else than a bundle.
        DataError: too few normal examples for the rate, or such as were trained on.
    """
    folder, options = pathlib.Path(folder), ExportOptions() if options is None else options
    told = (representative, reference, trained_on, source, info, metrics)
    given = validate(model, options, Given(examples, labels, normals, anomalies, *told))
    contract.check_target(folder)
    with files.replacing_folder(folder) as draft, contextlib.ExitStack() as ended:
        provers = parity.start(format for format, _ in options.pairs)  # they import runtimes meanwhile
        for prover in provers:
            ended.callback(prover.stop)
        try:
            proof = golden(model, options, given)
            manifest = write(draft, model, options, given, proof)
            finish(draft, prove(draft, manifest, proof.arrays, provers))
        except Exception as error:
            if lines := refused_by_tensorflow(error):
                raise ExportError(**lines) from error
            raise
    return folder


# -- the steps -------------------------------------------------------------------------------------


def validate(model: Autoencoder, options: ExportOptions, given: Given) -> Given:
    """Returns what was given, with labels as numbers; refuses what this model or this machine cannot do."""
    if not isinstance(options, ExportOptions):
        raise OptionError(
            "the options of an export are an ExportOptions",
            got=f"options={options!r}"[:200],
            expected="aezoo.export.ExportOptions, or None for ONNX and a SavedModel",
            fix="pass options=ExportOptions(formats=('onnx',))",
        )
    formats.check_installed(dict.fromkeys(format for format, _ in options.pairs))
    if model.kind != "images" and (options.input_dtype == "uint8" or options.layout != "nhwc"):
        bytes_ = options.input_dtype == "uint8"
        raise OptionError(
            "only images can be taken as bytes" if bytes_ else "only images have channels",
            got=f"{'input_dtype' if bytes_ else 'layout'}="
            f"{options.input_dtype if bytes_ else options.layout!r} for a model of {model.kind}",
            expected="input_dtype='float32'" if bytes_ else "layout='nhwc'",
            fix="leave out input_dtype" if bytes_ else "leave out layout",
        )
    if model.ragged:
        formats.check_ragged(options.pairs)
    for part in options.parts:
        check_choice("parts", part, (*model.parts(), "scorer"))
    labelled = next((name for name in ("normals", "anomalies") if getattr(given, name) is not None), None)
    if labelled and model.takes_labels:
        raise OptionError(
            "normal examples and anomalies of a conditional model come with their labels",
            got=f"{labelled} for model {model.model_name!r}",
            expected=f"no {labelled} at the export",
            fix="export without them, then call recalibration.recalibrate(folder, normals, labels=labels)",
        )
    if given.labels is None:
        return given
    count = len(given.labels if given.examples is None else given.examples)
    return dataclasses.replace(given, labels=as_labels(given.labels, count, model.classes))


def golden(model: Autoencoder, options: ExportOptions, given: Given) -> Golden:
    """Computes with Keras what the files will be held to, and calibrates the scorer."""
    parts = {name: part for name, part in model.parts().items() if options.wants(name)}
    normal, dtype = given.normal, options.input_dtype
    most = most_golden(model.example_shape)
    arrays = make_golden(model, given.examples, dtype, most, labels=given.labels)
    calibration, overlap, score = None, "", None
    if (
        options.wants("scorer")
        and normal is not None
        and (not model.takes_labels or given.labels is not None)
    ):
        overlap = refuse_training_data(normal, given.trained_on)
        score = scoring.fit(options.score, model, given.reference)
        calibration = calibrate(model, normal, given.labels, dtype, options.false_positive_rate, score)
        parts["scorer"] = scoring.build(model, calibration, score)
        keras_scorer, inputs, outputs = parts["scorer"]
        arrays = with_scores(arrays, keras_scorer, inputs, outputs, calibration, score.name)
    measured, labelled = None, dict[str, np.ndarray]()
    if given.anomalies is not None:
        measured, labelled, kept = _labelled(model, given, calibration, score, options)
        arrays = {**arrays, **kept}
    representative = given.examples if given.representative is None else given.representative
    ranges = make_golden(model, representative, dtype, _CALIBRATION)
    return Golden(parts, arrays, ranges, calibration, overlap, measured, labelled)


def write(
    draft: pathlib.Path, model: Autoencoder, options: ExportOptions, given: Given, proof: Golden
) -> Manifest:
    """Writes every file but the card into a draft; returns the manifest, without parity figures."""
    chosen = [
        (part, format, precision)
        for format, precision in options.pairs
        for part in proof.parts
        if FORMATS[format].has(part, precision)
    ]
    if not chosen:
        raise OptionError(
            "none of these parts is written in these formats",
            got=f"parts={tuple(proof.parts)!r}, formats={options.formats!r}",
            expected="one part at least that one format has",
            fix="leave out parts, or name another format",
        )
    properties = _properties(model, given.info, options.licence)
    artifacts = [_write(draft, model, options, proof, properties, *one) for one in chosen]
    calibrations = {} if proof.calibration is None else {"float32": proof.calibration}
    for number, artifact in enumerate(artifacts):
        if (artifact.part, artifact.format) == ("scorer", "onnx") and artifact.precision != "float32":
            own = _calibrate_own(draft, artifact, given, proof.calibration, options)
            calibrations[artifact.precision] = own
            artifacts[number] = contract.rehashed(draft, artifact)
    row = write_calibration(draft, calibrations, options.score, given, proof.overlap)
    manifest = _manifest(draft, model, options, given, proof, row, tuple(artifacts))
    return golden_file.write_golden(draft, manifest, proof.arrays)


def prove(
    draft: pathlib.Path, manifest: Manifest, arrays: Arrays, provers: Iterable[parity.Prover]
) -> Manifest:
    """Returns the manifest of a draft with the parity figures of every file; raises ParityError."""
    contract.write_manifest(draft, manifest)
    figures = {file: found for prover in provers for file, found in prover.prove(draft).items()}
    artifacts = tuple(dataclasses.replace(one, parity=figures[one.file]) for one in manifest.artifacts)
    return dataclasses.replace(manifest, artifacts=artifacts, trace=tracing.write(draft, artifacts, arrays))


def finish(draft: pathlib.Path, manifest: Manifest) -> None:
    """Writes the model card and the manifest of a proven draft, which may then take its name."""
    contract.write_manifest(draft, model_card.write(draft, manifest))


# -- what they are made of -------------------------------------------------------------------------


def _labelled(
    model: Autoencoder,
    given: Given,
    calibration: Calibration | None,
    score: scoring.Score | None,
    options: ExportOptions,
) -> tuple[Anomalies, Arrays, Arrays]:
    """Returns (row of the manifest, labelled examples that judge, those that are kept), see `label`."""
    normal, anomalies = given.normal, given.anomalies
    if calibration is None or score is None or normal is None or anomalies is None or not len(anomalies):
        raise OptionError(
            "anomalies tell how well a scorer finds them",
            got="no scorer among the parts" if calibration is None else "no example",
            expected="an export with the scorer, and at least one anomaly",
            fix="name scorer among the parts, with normal examples, or leave out anomalies",
        )
    judging, kept = (
        label(model, normal, anomalies, options.input_dtype, score, limit)
        for limit in (_LABELLED, _LABELLED_KEPT)
    )
    is_anomaly = judging["labelled_is_anomaly"]
    area = roc_area(judging["labelled_scores"], is_anomaly)
    return Anomalies(int(is_anomaly.sum()), int((~is_anomaly).sum()), area), judging, kept


def _calibrate_own(draft, artifact, given, calibration, options):
    """Calibrates a scorer of lower precision on what it scores itself, which is not what Keras scores."""
    stored, _ = stored_examples(given.normal, options.input_dtype)
    labels = None if given.labels is None else np.asarray(given.labels, "int32")[: len(stored)]
    return calibrate_file(draft, artifact, stored, labels, options.score, calibration.false_positive_rate)


def _write(draft, model, options, proof, properties, part, format, precision):
    """Writes one artifact; returns its row of the manifest, without parity figures yet."""
    keras_part, inputs, outputs = proof.parts[part]
    names, ends = artifact_files(part, format, precision), []
    for called, tensors in ((inputs, keras_part.inputs), (outputs, keras_part.outputs)):
        pairs = zip(called, tensors, strict=True)
        ends.append(tuple(_tensor(model, options, name, tensor) for name, tensor in pairs))
    job = Job(
        part=part,
        model=keras_part,
        inputs=ends[0],
        outputs=ends[1],
        precision=precision,
        opset=options.opset,
        properties=properties,
        calibration=proof.ranges,
        golden=proof.arrays,
        budget=options.budget,
        decode=model.decode,
        batch=options.batch,
        labelled=proof.labelled,
    )
    more = {
        "opset": options.opset if format == "onnx" else None,
        **formats.write(job, format, draft / names[0]),
    }
    if part == "scorer" and precision != "float32":  # no tolerance on values says anything of a verdict
        more.setdefault("budget", options.budget)
    held = contract.hash_files(draft, *names)
    size = sum((draft / file).stat().st_size for file in held)
    return Artifact(part, format, precision, names[0], held, size, inputs=ends[0], outputs=ends[1], **more)


def _tensor(model, options, name, keras_tensor):
    """Returns a row of the manifest; "golden" is the array of golden.npz that the tensor is held to."""
    dtype, golden, value_range = keras_tensor.dtype, name, None
    if name == model.input_name:
        dtype, golden = options.input_dtype, "examples"
        if model.kind == "images":
            value_range = (0, 255) if dtype == "uint8" else (0.0, 1.0)
    elif name == model.encoder_outputs[0]:
        golden = "latents"
    elif name == "labels":
        value_range = (0, model.classes - 1)
    sizes, layout = tuple(keras_tensor.shape[1:]), "nhwc"
    if options.layout == "nchw" and golden in ("examples", "reconstructions"):
        sizes, layout = (sizes[-1], *sizes[:-1]), options.layout
    return Tensor(name, dtype, (options.batch or "batch", *sizes), value_range, golden, layout)


def _manifest(
    draft: pathlib.Path,
    model: Autoencoder,
    options: ExportOptions,
    given: Given,
    proof: Golden,
    calibration: CalibrationRow | None,
    artifacts: tuple[Artifact, ...],
) -> Manifest:
    """Returns the manifest of a draft; `parity.write_golden` gives its golden row the hash."""
    kind: Any = model.kind
    input_dtype: Any = options.input_dtype
    scale = None if kind == "images" else tuple(np.atleast_1d(model.error_scale).tolist())
    return Manifest(
        schema_version=contract.SCHEMA_VERSION,
        aezoo_version=__version__,
        model=model.model_name,
        options=model.model_options,
        kind=kind,
        example_shape=tuple(model.example_shape),
        latent_shape=tuple(model.latent_shape),
        input_dtype=input_dtype,
        ragged=model.ragged,
        error_scale=scale,
        prior=_write_prior(model, draft),
        calibration=calibration,
        anomalies=proof.anomalies,
        likelihood=None if model.likelihood is None else Likelihood(**model.likelihood),
        classes=model.classes,
        codebook_size=model.codebook_size,
        parameters=model.count_params(),
        licence=options.licence or _LICENCE,
        versions=versions(),
        run=_portable(given.info),
        metrics=given.metrics,
        golden=GoldenRow(_source(given), len(proof.arrays["examples"]), {contract.GOLDEN: ""}),
        trace=None,
        card=None,
        artifacts=artifacts,
    )


def _source(given: Given) -> Literal["held-out examples", "seeded noise"]:
    return "seeded noise" if given.examples is None else "held-out examples"


def _write_prior(model: Autoencoder, draft: pathlib.Path) -> PriorRow | None:
    """Writes what latents are drawn from; returns its row of the manifest, or None."""
    prior = model.prior
    if prior is None:
        return None
    if prior.kind == "standard_normal":
        return PriorRow("standard_normal", {})
    kind: Any = prior.kind
    arrays = prior.to_arrays()
    size = sum(array.nbytes for array in arrays.values())
    try:
        if size > priors.LARGEST:
            raise Damaged("", f"has {size:,} bytes", f"at most {priors.LARGEST:,}")
        priors.from_arrays(kind, arrays)
    except Damaged as error:
        raise ExportError(
            "the prior of this model could not be read out of its bundle again",
            got=f"{kind}: {error}",
            expected=error.expected,
            fix="fit it anew with model.fit_prior(examples, components=10), or set model.prior = None",
        ) from error
    np.savez_compressed(draft / contract.PRIOR, **arrays)  # type: ignore[arg-type]
    return PriorRow(kind, contract.hash_files(draft, contract.PRIOR))


def _properties(model: Autoencoder, info: Mapping[str, Any] | None, licence: str | None) -> dict[str, str]:
    """Returns what every ONNX file says of itself in metadata_props; no time, so bytes repeat."""
    return {
        "aezoo.model": model.model_name or "",
        "aezoo.core.options": json.dumps(model.model_options, sort_keys=True),
        "aezoo.versions": json.dumps(versions(), sort_keys=True),
        "aezoo.data": info["data"]["name"] if info else "",
        "aezoo.data_sha256": info["data"]["content_hash"] if info else "",
        "aezoo.licence": licence or _LICENCE,
    }


def _portable(info: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns a run's description without the paths of the machine that trained it."""
    if info is None:
        return None
    data = dict(info["data"])
    data["load_options"] = {**data["load_options"], "data_dir": None}
    if pathlib.Path(data["source"]).is_absolute():
        data["source"] = None
    return {**info, "data": data}
