"""`recalibrate`: other normal examples or another rate for a bundle's scorer. No Keras, no training."""

import dataclasses
import math
import pathlib
import shutil

import numpy as np

from aezoo.core import files
from aezoo.core.calibration import Calibration, figures, write_tables
from aezoo.core.errors import BundleError
from aezoo.core.examples import as_inputs, as_labels
from aezoo.core.fingerprints import refuse_training_data
from aezoo.core.imports import need
from aezoo.core.ragged import as_series_inputs
from aezoo.export import model_card
from aezoo.export.budget import SURE
from aezoo.export.formats import WOULD_RUN, is_installed, why_skipped
from aezoo.export.proof import golden_file, parity, tracing
from aezoo.runtime import manifest as contract
from aezoo.runtime.schema import Artifact, CalibrationRow, Manifest, Parity, Score

_BATCH = 256  # examples at a time


def recalibrate(
    folder: contract.Folder,
    normals: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    false_positive_rate: float = 0.01,
    trust: bool = False,
    digest: str | None = None,
) -> tuple[Calibration, list[str]]:
    """Calibrates a bundle's scorer anew; what is published is proven, as at the export.

    So it opens every file, and of a bundle with a SavedModel or a C header somebody must vouch for them.

    ONNX files, of whatever precision, are calibrated on their own scores. A SavedModel and OpenVINO's files
    take over the float32 figures where TensorFlow, or OpenVINO, is installed. A scorer in LiteRT's format,
    or without its runtime, cannot be changed and leaves the bundle.

    Args:
        folder: of the bundle.
        normals: (N, ...) as the bundle takes them; normal examples that were not trained on.
        labels: (N,) class numbers, for a conditional model.
        false_positive_rate: share of normal examples that may count as anomalies.
        trust: whether the caller vouches for the bundle, see `aezoo.export.proof.parity.verify`.
        digest: which the bundle must have; who knows it vouches.

    Returns:
        (`Calibration` of the float32 scorer, files that left the bundle).

    Raises:
        BundleError: no scorer, a file is missing or altered, or nobody vouches for files that would run code.
        DataError: too few examples for the rate, or such as were trained on.
        ParityError: a changed file does not compute what it should.
    """
    folder = pathlib.Path(folder)
    manifest = contract.read_manifest(folder, digest)
    check_scorer(manifest)
    _check_trust(manifest, trust or digest is not None)
    trained_on = golden_file.read_calibration(folder, manifest).get("trained_on")
    normals, labels = _checked(manifest, normals, labels)
    overlap = refuse_training_data(normals, trained_on)
    before = golden_file.read_golden(folder, manifest)
    with files.replacing_folder(folder) as draft:
        contract.copy_bundle(folder, manifest, draft)
        artifacts, found, gone = _calibrate(draft, manifest, normals, labels, false_positive_rate)
        write_tables(draft / contract.CALIBRATION, found, trained_on)
        row = CalibrationRow(
            **figures(found),
            score=_score(manifest),
            source="examples that were given",
            training_examples=overlap,
            files=contract.hash_files(draft, contract.CALIBRATION),
        )
        manifest = dataclasses.replace(manifest, artifacts=artifacts, calibration=row, trace=None, card=None)
        golden = _with_verdicts(before, manifest, found["float32"])
        _prove(draft, golden_file.write_golden(draft, manifest, golden), golden)
    return found["float32"], gone


def check_scorer(manifest: Manifest) -> None:
    """Raises BundleError unless there is the scorer that all others follow."""
    scorers = {(row.format, row.precision) for row in manifest.artifacts if row.part == "scorer"}
    if ("onnx", "float32") not in scorers:
        fix = "export again with export_bundle(..., normals=normals), and with 'scorer' where parts are named"
        if scorers:
            fix = "export again with 'onnx' among the formats"
        if "onnx" in {format for format, _ in scorers}:
            fix = "export again with 'float32' among the precisions"
        raise BundleError(
            "this bundle holds no scorer that can be calibrated",
            got=", ".join(sorted({row.file for row in manifest.artifacts})),
            expected="scorer.onnx",
            fix=fix,
        )


def _check_trust(manifest: Manifest, trusted: bool) -> None:
    """Raises BundleError where a file that is here to be proven would run code, and nobody vouches for it."""
    skipped = [row.file for row in manifest.artifacts if why_skipped(row.format, trusted) == WOULD_RUN]
    if skipped:
        raise BundleError(
            "a calibrated bundle is proven anew, and that would run code out of this one",
            got=f"{', '.join(skipped[:3])}{', ...' if skipped[3:] else ''}",
            expected="the digest that the export printed, or a bundle of somebody whom you trust",
            fix="pass digest='...', as the export printed it; or trust=True where you know who made it",
        )


def _score(manifest: Manifest) -> Score:
    """Returns what the verdicts of a bundle go by; with a scorer in it, its manifest says so."""
    assert manifest.calibration is not None
    return manifest.calibration.score


def _calibrate(draft, manifest, normals, labels, false_positive_rate):
    """Changes all scorers of a draft; returns (artifacts, {precision: `Calibration`}, files that left)."""
    rows = {row.file: row for row in manifest.artifacts}
    scorers = [row for row in manifest.artifacts if row.part == "scorer"]
    scorers.sort(key=lambda row: (row.format != "onnx", row.precision != "float32"))
    found, gone = {}, []
    for row in scorers:
        if row.format == "onnx":
            own = calibrate_file(draft, row, normals, labels, _score(manifest), false_positive_rate)
            found[row.precision] = own
        elif row.format == "saved_model" and is_installed("saved_model"):
            _into_saved_model(draft / row.file, found["float32"])
        elif row.format == "openvino" and is_installed("openvino"):
            _into_openvino(draft / row.file, draft / scorers[0].file, row.precision)
        else:
            gone.append(row.file)
            del rows[row.file]
            for file in row.files:
                (draft / file).unlink()
            continue
        rows[row.file] = contract.rehashed(draft, row)
    return tuple(rows.values()), found, gone


def _prove(draft, manifest, golden):
    """Proves a draft, and writes its manifest and its card; files whose runtime is not here keep figures."""
    contract.write_manifest(draft, manifest)
    found = {file: one for file, one in parity.verify(draft, trust=True).items() if isinstance(one, Parity)}
    artifacts = tuple(
        dataclasses.replace(row, parity=found.get(row.file, row.parity)) for row in manifest.artifacts
    )
    trace = tracing.write(draft, artifacts, golden)
    manifest = dataclasses.replace(manifest, artifacts=artifacts, trace=trace)
    contract.write_manifest(draft, model_card.write(draft, manifest))


def calibrate_file(
    folder: contract.Folder,
    artifact: Artifact,
    normals: np.ndarray,
    labels: np.ndarray | None,
    score: str,
    false_positive_rate: float,
) -> Calibration:
    """Calibrates a scorer's ONNX file on its own scores, and writes them into it; returns the `Calibration`.

    Args:
        folder: that the file lies in.
        artifact: its row of the manifest.
        normals: (N, ...) as the file takes them, but channels last.
        labels: (N,) int32, of a conditional model, or None.
        score: of `scoring.SCORES`.
        false_positive_rate: as for `recalibrate`.
    """
    run = parity.opened(folder, artifact)
    given = {artifact.inputs[0].name: normals, **({} if labels is None else {"labels": labels})}
    starts = range(0, len(normals), _BATCH)
    batches = ({name: array[start : start + _BATCH] for name, array in given.items()} for start in starts)
    scores = np.concatenate([run([score], batch)[0] for batch in batches])
    calibration = Calibration.fit(scores, false_positive_rate)
    _into_onnx(pathlib.Path(folder) / artifact.file, calibration)
    return calibration


def _checked(manifest, normals, labels):
    """Returns normals and labels as the scorer takes them, or raises DataError."""
    kind = manifest.kind
    if manifest.ragged:
        return as_series_inputs(normals, manifest.example_shape, source="normal examples"), None
    normals = as_inputs(
        normals,
        tuple(manifest.example_shape),
        dtype=manifest.input_dtype,
        unit_range=kind == "images",
        source="normal examples",
    )
    if manifest.classes is None and labels is None:
        return normals, None
    return normals, as_labels(labels, len(normals), manifest.classes)


def _into_onnx(path, calibration):
    """Exchanges the constants of a scorer; their shapes and types stay."""
    onnx = need("onnx", extra="calibrate")
    model = onnx.load(path)
    values = {
        "p_value/table": calibration.table[None],
        "p_value/base": calibration.base,
        "p_value/step": calibration.step,
        "threshold": calibration.threshold,
    }
    for tensor in model.graph.initializer:
        if tensor.name in values and math.prod(tensor.dims) == np.size(values[tensor.name]):
            like = onnx.numpy_helper.to_array(tensor)
            new = np.asarray(values.pop(tensor.name), like.dtype).reshape(like.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array(new, tensor.name))
    if values:
        raise BundleError(
            f"{path.name} was not written by this aezoo's emitter, so its constants cannot be found",
            got=f"no initialiser named {', '.join(values)}",
            expected="a scorer whose layers were all written directly",
            fix="export again with export_bundle(..., normals=normals)",
        )
    path.write_bytes(model.SerializeToString(deterministic=True))


def _into_openvino(path, source, precision):
    """Makes OpenVINO's file of a scorer anew, from the float32 ONNX file that has just been calibrated."""
    onnx = need("onnx", extra="train")
    from aezoo.export import to_openvino

    model = onnx.load(source)
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    del model.metadata_props[:]  # OpenVINO would keep them a second time, at a place of its own
    plain = path.with_suffix(".onnx")
    onnx.save(model, plain)
    to_openvino.convert(plain, path, name=model.graph.name, precision=precision, metadata=metadata)
    plain.unlink()


def _into_saved_model(path, calibration):
    """Exchanges the variables of a SavedModel's scorer."""
    import os

    from aezoo.core.imports import silent_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    values = {
        "p_value/table": calibration.table,
        "p_value/steps": [calibration.base, calibration.step],
        "is_anomaly/threshold": [calibration.threshold],
    }
    with silent_stderr():
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        for variable in loaded.variables:
            for name in [name for name in values if variable.name.removesuffix(":0").endswith(name)]:
                variable.assign(np.asarray(values.pop(name), "float32"))
        if values:
            raise BundleError(
                "the SavedModel of the scorer does not hold the variables of a calibration",
                got=f"no variable named {', '.join(values)}",
                expected="a SavedModel that aezoo has written",
                fix="export again with export_bundle(..., normals=normals)",
            )
        new = path.with_name(path.name + ".new")
        tf.saved_model.save(loaded, str(new), signatures=dict(loaded.signatures))
    shutil.rmtree(path)
    new.rename(path)


def _with_verdicts(golden, manifest, calibration):
    """Returns the golden arrays with new verdicts."""
    scores = golden[_score(manifest)]
    return {
        **golden,
        "p_value": calibration.p_values(scores),
        "is_anomaly": calibration.is_anomaly(scores),
        SURE: calibration.is_sure(scores),
    }
