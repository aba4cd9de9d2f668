"""`export_bundle`: draft, write, prove, publish. The only place where a bundle comes into being."""

import json
import pathlib
import shutil

import numpy as np

from aezoo import __version__
from aezoo.core import files
from aezoo.core.calibration import refuse_training_data, roc_area
from aezoo.core.errors import ExportError, OptionError
from aezoo.core.examples import as_labels
from aezoo.core.imports import refused_by_tensorflow
from aezoo.core.options import check_between, check_choice, check_positive
from aezoo.core.versions import versions
from aezoo.export import model_card, scorer
from aezoo.export.calibration import calibrate, label, write_calibration
from aezoo.export.formats import FORMATS, Job, artifact_file, check_layout
from aezoo.export.formats import check as check_formats
from aezoo.export.formats import write as write_artifact
from aezoo.export.golden import make_golden, stored_examples, with_scores
from aezoo.export.proof import parity, tracing
from aezoo.export.recalibration import calibrate_file
from aezoo.runtime import manifest as contract

_CALIBRATION = 512  # examples that tell the ranges of values
_LABELLED, _LABELLED_KEPT = 512, 64  # examples of each kind that judge a scorer, and that golden.npz keeps
_LICENCE = "not stated; ask whoever holds the rights in the training data"


def export_bundle(
    model,
    folder,
    *,
    examples=None,
    formats=("saved_model", "onnx"),
    precisions=("float32",),
    parts=None,
    representative=None,
    budget=0.01,
    opset=18,
    input_dtype="float32",
    labels=None,
    normals=None,
    anomalies=None,
    false_positive_rate=None,
    score="reconstruction_error",
    trained_on=None,
    batch=None,
    layout="nhwc",
    info=None,
    metrics=None,
    licence=None,
):
    """Exports encoder, decoder and reconstructor, each as a file of its own, proven before publication.

    Args:
        model: an `Autoencoder`.
        folder: of the bundle; an older bundle there is replaced in one step at the very end.
        examples: held-out examples (N, ...) as the model takes them, the proof's inputs; None
            draws them from a seed, and the manifest says so.
        formats: of `formats.FORMATS`.
        precisions: of `formats.PRECISIONS`; each is written in every format that has it.
        parts: names of the parts to be written, "encoder" for example; None is all of them.
        representative: examples (N, ...) that tell the ranges of values, for int8; None is `examples`.
        budget: what int8 may lose, a share: of the latents' cosine, of the mean squared error, and with
            `anomalies` of the scorer's ROC area.
        opset: of the ONNX files, 17 to 24.
        input_dtype: "float32", or "uint8" for encoder and reconstructor that take bytes 0..255.
        labels: (N,) class numbers of the examples, for a conditional model; None is each class in turn.
        normals: examples (N, ...) that were not trained on, whose scores the scorer is calibrated on;
            None is `examples`. Without either, and for a conditional model without labels, there
            is no scorer.
        anomalies: examples (N, ...) known to be anomalies. With them the scorer's ROC area is measured, and a
            scorer of lower precision is held to it.
        false_positive_rate: share of normal examples that may count as anomalies; None is 0.01, or the
            smallest that so few examples allow.
        score: of `scorer.SCORES`, what the scorer's verdict goes by.
        trained_on: sketch of the training examples, see `aezoo.core.calibration.sketch`; None knows none.
        batch: examples in a batch of every file, as accelerators want it; None leaves it open.
        layout: "nchw" for images of ONNX and OpenVINO files with channels first, else "nhwc".
        info: content of a run's run.json, copied into the manifest.
        metrics: content of a run's metrics.json, likewise.
        licence: terms of the exported weights, a text.

    Returns:
        The bundle's folder, a `pathlib.Path`.

    Raises:
        OptionError: an option that cannot be used.
        ExportError: a part cannot be written in a format.
        ParityError: a file does not compute what the model computes; nothing is published.
        BundleError: the folder holds something else than a bundle.
        DataError: too few normal examples for the rate, or such as were trained on.
    """
    folder = pathlib.Path(folder)
    pairs = check_formats(formats, precisions)
    check_choice("input_dtype", input_dtype, ("float32", "uint8"))
    if input_dtype == "uint8" and model.kind != "images":
        raise OptionError(
            "only images can be taken as bytes",
            got=f"input_dtype='uint8' for a model of {model.kind}",
            expected="input_dtype='float32'",
            fix="leave out --input-dtype",
        )
    check_layout(dict.fromkeys(form for form, _ in pairs), layout, model.kind)
    batch = None if batch is None else check_positive("batch", batch)
    if labels is not None:
        labels = as_labels(labels, len(labels if examples is None else examples), model.classes)
    contract.check_target(folder)
    draft = files.make_draft(folder)
    provers = {form: parity.Prover(form) for form in dict.fromkeys(form for form, _ in pairs)}
    try:
        known = model.parts()
        for part in parts or ():
            check_choice("parts", part, (*known, "scorer"))
        chosen = {name: part for name, part in known.items() if not parts or name in parts}
        normal = examples if normals is None else normals
        calibration, overlap = None, None
        labelled, measured = {}, None
        if (normals is not None or anomalies is not None) and model.takes_labels:
            given = "normals" if normals is not None else "anomalies"
            raise OptionError(
                "normal examples and anomalies of a conditional model come with their labels",
                got=f"{given} for model {model.model_name!r}",
                expected=f"no {given} at the export",
                fix="export without them, then `aezoo calibrate BUNDLE INPUT --labels ...`",
            )
        wanted = not parts or "scorer" in parts
        if wanted and normal is not None and (not model.takes_labels or labels is not None):
            overlap = refuse_training_data(normal, trained_on)
            calibration = calibrate(model, normal, labels, input_dtype, false_positive_rate, score)
            chosen["scorer"] = scorer.build(model, calibration, score)
        golden = make_golden(model, examples, input_dtype, labels=labels)
        if calibration is not None:
            golden = with_scores(golden, *chosen["scorer"], calibration, score)
        if anomalies is not None:
            measured, labelled, kept = _labelled(model, normal, anomalies, calibration, input_dtype, score)
            golden = {**golden, **kept}
        common = {
            "opset": opset,
            "input_dtype": input_dtype,
            "batch": batch,
            "layout": layout,
            "properties": _properties(model, info, licence),
            "calibration": make_golden(
                model, examples if representative is None else representative, input_dtype, _CALIBRATION
            ),
            "golden": golden,
            "labelled": labelled,
            "budget": check_between("budget", budget, 0.0, 1.0, 0.01),
            "decode": model.decode,
        }
        artifacts = [
            _write(model, part, form, draft, precision=precision, **common)
            for form, precision in pairs
            for part in chosen.items()
            if FORMATS[form].has(part[0], precision)
        ]
        calibrations = {} if calibration is None else {"float32": calibration}
        for artifact in artifacts:
            where = artifact["part"], artifact["format"]
            if where == ("scorer", "onnx") and artifact["precision"] != "float32":
                own = _calibrate_own(draft, artifact, normal, labels, calibration, input_dtype, score)
                calibrations[artifact["precision"]] = own
        manifest = {
            "schema_version": contract.SCHEMA_VERSION,
            "aezoo_version": __version__,
            "model": model.model_name,
            "options": model.model_options,
            "kind": model.kind,
            "example_shape": list(model.example_shape),
            "latent_shape": list(model.latent_shape),
            "input_dtype": input_dtype,
            "error_scale": None if model.kind == "images" else np.atleast_1d(model.error_scale).tolist(),
            "prior": _write_prior(model, draft),
            "calibration": write_calibration(
                draft, calibrations, score, trained_on, overlap, held_out=normals is None
            ),
            "anomalies": measured,
            "likelihood": model.likelihood,
            "classes": model.classes,
            "codebook_size": model.codebook_size,
            "parameters": model.count_params(),
            "licence": licence or _LICENCE,
            "versions": versions(),
            "run": _portable(info),
            "metrics": metrics,
            "golden": {
                "source": "seeded noise" if examples is None else "held-out examples",
            },
            "trace": None,
            "artifacts": artifacts,
        }
        parity.write_golden(draft, manifest, golden)
        contract.write_manifest(draft, manifest)
        for prover in provers.values():
            figures = prover.prove(draft)
            for artifact in artifacts:
                artifact["parity"] = figures.get(artifact["file"], artifact.get("parity"))
        tracing.write(draft, manifest, golden)
        contract.write_manifest(draft, manifest)
        (draft / contract.CARD).write_text(model_card.render(manifest), encoding="utf-8")
        files.publish(draft, folder)
    except Exception as error:
        if lines := refused_by_tensorflow(error):
            raise ExportError(**lines) from error
        raise
    finally:
        for prover in provers.values():
            prover.stop()
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _labelled(model, normals, anomalies, calibration, input_dtype, score):
    """Returns (row of the manifest, labelled examples that judge, those that are kept), see `label`."""
    if calibration is None or not len(anomalies):
        raise OptionError(
            "anomalies tell how well a scorer finds them",
            got="no scorer among the parts" if calibration is None else "no example",
            expected="an export with the scorer, and at least one anomaly",
            fix="add scorer to --parts, with normal examples, or leave out --anomalies",
        )
    judging, kept = (
        label(model, normals, anomalies, input_dtype, score, limit) for limit in (_LABELLED, _LABELLED_KEPT)
    )
    is_anomaly = judging["labelled_is_anomaly"]
    row = {
        "examples": int(is_anomaly.sum()),
        "normals": int((~is_anomaly).sum()),
        "roc_area": roc_area(judging["labelled_scores"], is_anomaly),
    }
    return row, judging, kept


def _calibrate_own(draft, artifact, normals, labels, calibration, input_dtype, score):
    """Calibrates a scorer of lower precision on what it scores itself, which is not what Keras scores."""
    stored, _ = stored_examples(normals, input_dtype)
    labels = None if labels is None else np.asarray(labels, "int32")[: len(stored)]
    own = calibrate_file(draft, artifact, stored, labels, score, calibration.false_positive_rate)
    artifact["files"] = contract.hash_files(draft, artifact["file"])
    return own


def _write(model, part, form, draft, **job):
    """Writes one artifact; returns its row of the manifest, without parity figures yet."""
    name, (keras_part, inputs, outputs) = part
    input_dtype, precision = job.pop("input_dtype"), job["precision"]
    ends = {"batch": job["batch"], "layout": job.pop("layout")}
    relative = artifact_file(name, form, precision)
    takes = [
        _tensor(model, *pair, input_dtype, **ends) for pair in zip(inputs, keras_part.inputs, strict=True)
    ]
    gives = [_tensor(model, *pair, **ends) for pair in zip(outputs, keras_part.outputs, strict=True)]
    job = Job(part=name, model=keras_part, inputs=takes, outputs=gives, **job)
    more = write_artifact(job, form, draft / relative)
    if name == "scorer" and precision != "float32":  # no tolerance on values says anything of a verdict
        more = {"budget": job.budget, **more}
    files = contract.hash_files(draft, relative)
    return {
        "part": name,
        "format": form,
        "precision": precision,
        "file": relative,
        "files": files,
        "size_bytes": sum((draft / file).stat().st_size for file in files),
        "opset": job.opset if form == "onnx" else None,
        "inputs": takes,
        "outputs": gives,
        **more,
    }


def _tensor(model, name, keras_tensor, input_dtype="float32", *, batch=None, layout="nhwc"):
    """Returns a row of the manifest; "golden" is the array of golden.npz that the tensor is held to."""
    dtype, golden, value_range = keras_tensor.dtype, name, None
    if name == model.input_name:
        dtype, golden = input_dtype, "examples"
        if model.kind == "images":
            value_range = [0, 255] if dtype == "uint8" else [0.0, 1.0]
    elif name == model.encoder_outputs[0]:
        golden = "latents"
    elif name == "labels":
        value_range = [0, model.classes - 1]
    sizes, more = list(keras_tensor.shape[1:]), {}
    if layout == "nchw" and golden in ("examples", "reconstructions"):
        sizes, more = [sizes[-1], *sizes[:-1]], {"layout": layout}
    shape = [batch or "batch", *sizes]
    return {"name": name, "dtype": dtype, "shape": shape, "range": value_range, "golden": golden, **more}


def _write_prior(model, draft):
    """Writes what latents are drawn from; returns its row of the manifest, or None."""
    prior = model.prior
    if prior is None:
        return None
    row = {"kind": prior.kind}
    if prior.kind != "standard_normal":
        np.savez_compressed(draft / contract.PRIOR, **prior.to_arrays())
        row["files"] = contract.hash_files(draft, contract.PRIOR)
    return row


def _properties(model, info, licence):
    """Returns what every ONNX file says of itself in metadata_props; no time, so bytes repeat."""
    return {
        "aezoo.model": model.model_name or "",
        "aezoo.core.options": json.dumps(model.model_options, sort_keys=True),
        "aezoo.versions": json.dumps(versions(), sort_keys=True),
        "aezoo.data": info["data"]["name"] if info else "",
        "aezoo.data_sha256": info["data"]["content_hash"] if info else "",
        "aezoo.licence": licence or _LICENCE,
    }


def _portable(info):
    """Returns a run's description without the paths of the machine that trained it."""
    if info is None:
        return None
    data = dict(info["data"])
    data["load_options"] = {**data["load_options"], "data_dir": None}
    if pathlib.Path(data["source"]).is_absolute():
        data["source"] = None
    return {**info, "data": data}
