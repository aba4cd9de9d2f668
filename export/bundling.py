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
from aezoo.training import versions

_GOLDEN = 64  # examples that the files are proven on
_LICENCE = "not stated; ask whoever holds the rights in the training data"


def export_bundle(
    model,
    folder,
    *,
    examples=None,
    formats=("saved_model", "onnx"),
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
        formats: among "saved_model" and "onnx".
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
    formats = tuple(dict.fromkeys(formats))
    if not formats:
        raise OptionError(
            message(
                "an export needs a format",
                got="formats=()",
                expected=f"among {', '.join(contract.FORMATS)}",
                fix="leave --formats out for all of them",
            )
        )
    for form in formats:
        check_choice("formats", form, contract.FORMATS)
    check_choice("input_dtype", input_dtype, ("float32", "uint8"))
    if input_dtype == "uint8" and model.kind == "rows":
        raise OptionError(
            message(
                "only images can be taken as bytes",
                got="input_dtype='uint8' for a model of rows",
                expected="input_dtype='float32'",
                fix="leave out --input-dtype",
            )
        )
    contract.check_target(folder)
    draft = contract.make_draft(folder)
    provers = {form: parity.Prover(form) for form in formats}
    try:
        golden = make_golden(model, examples, input_dtype)
        np.savez_compressed(draft / contract.GOLDEN, **golden)
        properties = _properties(model, info, licence)
        artifacts = [
            _write(model, part, form, draft, opset, input_dtype, properties)
            for form in formats
            for part in contract.PARTS
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
            "error_scale": np.atleast_1d(model.error_scale).tolist() if model.kind == "rows" else None,
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


def make_golden(model, examples=None, input_dtype="float32"):
    """Returns the proof's arrays: real inputs, and what Keras makes of them.

    Args:
        model: an `Autoencoder`.
        examples: (N, ...) float32; at most 64 are used; None draws 64 from a seed.
        input_dtype: of the exported inputs.

    Returns:
        {"examples": as the exported encoder takes them, "latents": float32, "reconstructions": float32}.
    """
    if examples is None:
        draw = np.random.Generator(np.random.Philox(0))
        examples = draw.random((_GOLDEN, *model.example_shape), dtype="float32")
        if model.kind == "rows":
            layer = model.encoder.get_layer("standardize")
            mean = keras.ops.convert_to_numpy(layer.mean)
            examples = mean + model.error_scale * (examples * 4 - 2)
    examples = np.asarray(examples, "float32")[:_GOLDEN]
    if input_dtype == "uint8":
        stored = np.rint(examples * 255).astype("uint8")
        examples = stored / np.float32(255)
    else:
        stored = examples
    latents = model.encode(examples)
    return {"examples": stored, "latents": latents, "reconstructions": model.decode(latents)}


def part_of(model, part):
    """Returns a part as a Keras model; the reconstructor is made of the other two."""
    if part != "reconstructor":
        return getattr(model, part)
    inputs = keras.Input(model.example_shape, name=contract.part_names(part, model.kind)[0])
    return keras.Model(inputs, model.decoder(model.encoder(inputs)), name=part)


def _write(model, part, form, draft, opset, input_dtype, properties):
    """Writes one artifact; returns its row of the manifest, without parity figures yet."""
    keras_part = part_of(model, part)
    input_name, output_name = contract.part_names(part, model.kind)
    dtype = "float32" if part == "decoder" else input_dtype
    relative = contract.artifact_file(part, form)
    (draft / relative).parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[form](
        keras_part,
        draft / relative,
        part=part,
        input_name=input_name,
        output_name=output_name,
        input_dtype=dtype,
        opset=opset,
        properties=properties,
    )
    files = contract.hash_files(draft, relative)
    return {
        "part": part,
        "format": form,
        "precision": "float32",
        "file": relative,
        "files": files,
        "size_bytes": sum((draft / name).stat().st_size for name in files),
        "opset": opset if form == "onnx" else None,
        "inputs": [_tensor(input_name, dtype, keras_part.input_shape, _range(model, part, dtype))],
        "outputs": [_tensor(output_name, "float32", keras_part.output_shape, None)],
    }


def _tensor(name, dtype, shape, value_range):
    return {"name": name, "dtype": dtype, "shape": ["batch", *shape[1:]], "range": value_range}


def _range(model, part, dtype):
    if part == "decoder" or model.kind == "rows":
        return None
    return [0, 255] if dtype == "uint8" else [0.0, 1.0]


def _write_onnx(keras_part, path, *, part, input_name, output_name, input_dtype, opset, properties):
    from aezoo.export import to_onnx

    to_onnx.write(
        keras_part,
        path,
        inputs=(input_name,),
        outputs=(output_name,),
        opset=opset,
        input_dtype=input_dtype,
        metadata={**properties, "aezoo.part": part},
    )


def _write_saved_model(keras_part, path, *, part, input_name, output_name, input_dtype, opset, properties):
    from aezoo.export import to_saved_model

    to_saved_model.write(
        keras_part,
        path,
        input_name=input_name,
        output_name=output_name,
        endpoint=part,
        input_dtype=input_dtype,
    )


_WRITERS = {"onnx": _write_onnx, "saved_model": _write_saved_model}


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
