"""`export_bundle`: draft, write, prove, publish. The only place where a bundle comes into being."""

import json
import pathlib
import shutil

import numpy as np

from aezoo import __version__
from aezoo import bundle as contract
from aezoo.autoencoder import keras
from aezoo.errors import OptionError, check_choice, message
from aezoo.export import card, parity
from aezoo.export.formats import FORMATS, Job, artifact_file, check_compiler
from aezoo.export.formats import check as check_formats
from aezoo.export.formats import write as write_artifact
from aezoo.options import check_between
from aezoo.training import versions

_GOLDEN = 64  # examples that the files are proven on
_CALIBRATION = 512  # examples that tell the ranges of values
_LICENCE = "not stated; ask whoever holds the rights in the training data"


def export_bundle(
    model,
    folder,
    *,
    examples=None,
    formats=("saved_model", "onnx"),
    precisions=("float32",),
    calibration=None,
    budget=0.01,
    opset=18,
    input_dtype="float32",
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
        calibration: examples (N, ...) that tell the ranges of values, for int8; None is `examples`.
        budget: what int8 may lose, a share: of the latents' cosine, and of the mean squared error.
        opset: of the ONNX files, 17 to 24.
        input_dtype: "float32", or "uint8" for encoder and reconstructor that take bytes 0..255.
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
    """
    folder = pathlib.Path(folder)
    pairs = check_formats(formats, precisions)
    check_compiler(form for form, _ in pairs)
    check_choice("input_dtype", input_dtype, ("float32", "uint8"))
    if input_dtype == "uint8" and model.kind != "images":
        raise OptionError(
            message(
                "only images can be taken as bytes",
                got=f"input_dtype='uint8' for a model of {model.kind}",
                expected="input_dtype='float32'",
                fix="leave out --input-dtype",
            )
        )
    contract.check_target(folder)
    draft = contract.make_draft(folder)
    provers = {form: parity.Prover(form) for form in dict.fromkeys(form for form, _ in pairs)}
    try:
        golden = make_golden(model, examples, input_dtype)
        np.savez_compressed(draft / contract.GOLDEN, **golden)
        common = {
            "opset": opset,
            "input_dtype": input_dtype,
            "properties": _properties(model, info, licence),
            "calibration": make_golden(
                model, examples if calibration is None else calibration, input_dtype, _CALIBRATION
            ),
            "budget": check_between("budget", budget, 0.0, 1.0, 0.01),
        }
        artifacts = [
            _write(model, part, form, draft, precision=precision, **common)
            for form, precision in pairs
            for part in model.parts().items()
            if FORMATS[form].parts is None or part[0] in FORMATS[form].parts
        ]
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
            "likelihood": model.likelihood,
            "classes": model.classes,
            "codebook_size": model.codebook_size,
            "parameters": model.count_params(),
            "licence": licence or _LICENCE,
            "versions": versions(),
            "run": _portable(info),
            "metrics": metrics,
            "golden": {
                "files": contract.hash_files(draft, contract.GOLDEN),
                "examples": len(golden["examples"]),
                "source": "seeded noise" if examples is None else "held-out examples",
            },
            "artifacts": artifacts,
        }
        _write_manifest(draft, manifest)
        for prover in provers.values():
            figures = prover.prove(draft)
            for artifact in artifacts:
                artifact["parity"] = figures.get(artifact["file"], artifact.get("parity"))
        _write_manifest(draft, manifest)
        (draft / contract.CARD).write_text(card.render(manifest))
        contract.publish(draft, folder)
    finally:
        for prover in provers.values():
            prover.stop()
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def make_golden(model, examples=None, input_dtype="float32", limit=_GOLDEN):
    """Returns the proof's arrays: real inputs, and what Keras makes of them.

    Examples that lie on the border between two codes of a quantised model, or two places of a k-sparse
    one, are left out: a rounding decides there, and every runtime rounds in its own way.

    Args:
        model: an `Autoencoder`.
        examples: (N, ...) float32; None draws 64 from a seed.
        input_dtype: of the exported inputs.
        limit: examples that are used at most; None is all.

    Returns:
        {"examples": as the exported encoder takes them, "latents": the encoder's first output,
        "reconstructions": float32}; further outputs by their names, and "labels" for a conditional model.
    """
    if examples is None:
        draw = np.random.Generator(np.random.Philox(0))
        examples = draw.random((_GOLDEN, *model.example_shape), dtype="float32")
        if model.kind != "images":
            layer = model.encoder.get_layer("standardize")
            mean = keras.ops.convert_to_numpy(layer.mean)
            examples = mean + model.error_scale * (examples * 4 - 2)
    examples = np.asarray(examples, "float32")[:limit]
    if input_dtype == "uint8":
        stored = np.rint(examples * 255).astype("uint8")
        examples = stored / np.float32(255)
    else:
        stored = examples
    if model.codebook is not None or getattr(model, "reports_sparsity", False):
        sure = _away_from_borders(model, examples)
        stored, examples = stored[sure], examples[sure]
    labels = model.labels_in_turn(len(examples))
    latents, *others = model.outputs(examples, **labels)
    return {
        "examples": stored,
        **labels,
        "latents": latents,
        **dict(zip(model.encoder_outputs[1:], others, strict=True)),
        "reconstructions": model.decode(latents, **labels),
    }


def _away_from_borders(model, examples):
    """Returns which examples (N,) keep their codes, or their places of zeros, under a few roundings."""
    chosen = _choices(model, examples)
    sure = np.ones(len(examples), bool)
    for factor in (1 - 2e-6, 1 + 2e-6):
        nearby = np.clip(examples * np.float32(factor), 0, 1) if model.kind == "images" else examples * factor
        same = _choices(model, nearby.astype("float32")) == chosen
        sure &= same.reshape(len(examples), -1).all(axis=1)
    return sure if sure.any() else np.ones(len(examples), bool)


def _choices(model, examples):
    """Returns what a model decides on for each example, in whole numbers."""
    return model.code_indices(examples) if model.codebook is not None else model.encode(examples) != 0


def _write(model, part, form, draft, **job):
    """Writes one artifact; returns its row of the manifest, without parity figures yet."""
    name, (keras_part, inputs, outputs) = part
    input_dtype, precision = job.pop("input_dtype"), job["precision"]
    relative = artifact_file(name, form, precision)
    takes = [_tensor(model, *pair, input_dtype) for pair in zip(inputs, keras_part.inputs, strict=True)]
    gives = [_tensor(model, *pair) for pair in zip(outputs, keras_part.outputs, strict=True)]
    job = Job(part=name, model=keras_part, inputs=takes, outputs=gives, **job)
    more = write_artifact(job, form, draft / relative)
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


def _tensor(model, name, keras_tensor, input_dtype="float32"):
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
    shape = ["batch", *keras_tensor.shape[1:]]
    return {"name": name, "dtype": dtype, "shape": shape, "range": value_range, "golden": golden}


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
        "aezoo.options": json.dumps(model.model_options, sort_keys=True),
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


def _write_manifest(draft, manifest):
    (draft / contract.MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
