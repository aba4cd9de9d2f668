"""The model card of a bundle, made from its manifest alone, so that its numbers cannot drift.

A name in it, of a model, a data set, a licence, a layer or an option, may hold anything: `shown.code` and
`shown.markdown` keep it from becoming a row, a link or HTML.
"""

import dataclasses
import pathlib

from aezoo.core.json_text import json_text
from aezoo.core.shown import code, markdown
from aezoo.evaluation.table import tables
from aezoo.runtime import manifest as contract
from aezoo.runtime.batching import fixed_batch
from aezoo.runtime.schema import CardRow, Manifest

_USE = """import numpy as np, onnxruntime

session = onnxruntime.InferenceSession({file})
{name} = np.zeros(({shape}), "{dtype}")  # {range}
{labels}(latents,) = session.run(["{latents}"], {{{given}}})
print(latents.shape)
"""


def write(draft: pathlib.Path, manifest: Manifest) -> Manifest:
    """Writes the card into a draft; returns the manifest with its row, by which the card is covered as well.

    Args:
        draft: folder of the bundle in the making.
        manifest: all but finished, parity figures included.
    """
    (draft / contract.CARD).write_bytes(render(manifest).encode("utf-8"))
    return dataclasses.replace(manifest, card=CardRow(contract.hash_files(draft, contract.CARD)))


_ENDS = (
    "Series may be shorter: NaN in all columns behind its last step says that a series has ended. Errors and "
    "scores are of the steps before. In the files' outputs the error map is 0 behind an end, and "
    "reconstructions hold nothing of use there."
)


def render(manifest: Manifest) -> str:
    """Returns the card as Markdown.

    Args:
        manifest: the finished manifest, parity figures included.
    """
    encoders = [a for a in manifest.artifacts if (a.part, a.format) == ("encoder", "onnx")]
    lines = [
        f"# {markdown(manifest.model or 'autoencoder')}: an aezoo bundle",
        "",
        f"Encodes {manifest.kind} of shape {_shape(manifest.example_shape)} into latents of shape "
        f"{_shape(manifest.latent_shape)}; {manifest.parameters:,} parameters. "
        f"Made by aezoo {markdown(manifest.aezoo_version)}. Licence: {markdown(manifest.licence)}.",
        "",
        "Options: " + _settings(manifest.options),
        "",
        *((_ENDS, "") if manifest.ragged else ()),
        *(_use(encoders[0]) if encoders else []),
        "## Files",
        "",
        "| file | input | output | bytes | largest difference from Keras | allowed |",
        "|---|---|---|---:|---:|---:|",
    ]
    for artifact in manifest.artifacts:
        parity = artifact.parity
        ends = (artifact.inputs, artifact.outputs)
        taken, given = (", ".join(_tensor(tensor) for tensor in tensors) for tensors in ends)
        lines.append(
            f"| {code(artifact.file, cell=True)} | {taken} | {given} | {artifact.size_bytes:,} "
            + (
                "| not proven | |"
                if parity is None
                else f"| {parity.max_difference:.1e} | {parity.allowed:.1e} |"
            )
        )
    golden = manifest.golden
    lines += _memory(manifest.artifacts)
    lines += ["", *_allowances(manifest.artifacts)]
    lines += ["", f"Proven on {golden.examples} examples ({golden.source}), kept in `golden.npz`."]
    if known := manifest.anomalies:
        lines += [
            "",
            "In float32 the scorer ranks an anomaly above a normal example "
            f"{known.roc_area:.2%} of the time "
            f"(ROC area; {known.examples} anomalies, {known.normals} normal examples).",
        ]
    if manifest.metrics:
        lines += ["", "## Test figures", "", *_figures(manifest.metrics)]
    if manifest.run:
        run = manifest.run
        lines += [
            "",
            "## Training",
            "",
            f"{run['data']['train']:,} examples of {code(run['data']['name'])} "
            f"(sha256 {code(run['data']['content_hash'][:16] + '...')}), {run['epochs']} epochs, "
            f"{run['seconds']:g} seconds. Settings: {_settings(run['settings'])}",
        ]
    return "\n".join(lines) + "\n"


def _settings(values):
    return ", ".join(code(f"{name}={value!r}") for name, value in values.items())


def _allowances(artifacts):
    """What the figures of the table mean, and which layers have kept float32."""
    tolerances = dict.fromkeys(a.parity.tolerance for a in artifacts if a.parity and a.budget is None)
    for tolerance in tolerances:
        held = " and ".join(dict.fromkeys(a.precision for a in artifacts if _tolerance(a) == tolerance))
        yield (
            f"Allowed in {held} is {tolerance:g} of the output's range (for rows of each column's), or four "
            "roundings of the largest value where that is more."
        )
    budgets = [a for a in artifacts if a.budget is not None]
    if budgets:
        files = ", ".join(code(a.file) for a in budgets)
        yield (
            f"Of {files} the figures are shares that are lost, of a "
            f"budget of {budgets[0].budget:g}: 1 - mean cosine of latents, growth of the mean squared "
            "error of reconstructions, whole numbers that differ, the fall of a scorer's ROC area. Below 0, "
            "nothing is lost."
        )
    for artifact in budgets:
        if artifact.float_layers:
            names = ", ".join(map(code, artifact.float_layers))
            yield f"- {code(artifact.file)} keeps these layers in float32, to stay within it: {names}"


def _tolerance(artifact):
    return None if artifact.budget is not None or not artifact.parity else artifact.parity.tolerance


def _memory(artifacts):
    headers = [artifact for artifact in artifacts if artifact.format == "c"]
    if headers:
        yield ""
        yield "On a microcontroller, in bytes:"
        yield ""
        yield "| header | constants | working memory |"
        yield "|---|---:|---:|"
    for row in headers:
        yield f"| {code(row.file, cell=True)} | {row.weights_bytes:,} | {row.arena_bytes:,} |"


def _use(encoder):
    yield "## Use"
    yield ""
    yield "```python"
    first, *others = encoder.inputs
    batch = fixed_batch(first) or 1
    names = [row.name for row in encoder.inputs]
    yield _USE.format(
        file=json_text(encoder.file),
        name=first.name,
        shape=", ".join(str(size) for size in (batch, *first.shape[1:])),
        dtype=first.dtype,
        range="raw units" if first.range is None else "{} to {}".format(*first.range),
        labels="".join(
            f'{row.name} = np.zeros({batch}, "{row.dtype}")  # {row.range[0]} to {row.range[1]}\n'
            for row in others
        ),
        latents=encoder.outputs[0].name,
        given=", ".join(f'"{name}": {name}' for name in names),
    ).rstrip()
    yield "```"
    yield ""
    yield "`aezoo.load` opens the folder, does the same, and checks files and inputs first; `aezoo verify`"
    yield "proves every file again."
    yield ""


def _figures(metrics):
    yield f"{metrics['test_examples']:,} test examples of {code(metrics['data'])}."
    for names, rows in tables(metrics):
        yield ""
        yield "| | " + " | ".join(names) + " |"
        yield "|---|" + "---:|" * len(names)
        for label, cells in rows:
            yield f"| {markdown(label)} | " + " | ".join(map(markdown, cells)) + " |"


def _shape(shape):
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def _tensor(tensor):
    return f"{code(tensor.name, cell=True)} {tensor.dtype} {_shape(tensor.shape)}"
