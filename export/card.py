"""The model card of a bundle, made from its manifest alone, so that its numbers cannot drift."""

from aezoo.evaluation.table import tables

_USE = """import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("encoder.onnx")
{name} = np.zeros((1, {shape}), "{dtype}")  # {range}
{labels}(latents,) = session.run(["{latents}"], {{{given}}})
print(latents.shape)
"""


def render(manifest):
    """Returns the card as Markdown.

    Args:
        manifest: the finished manifest, parity figures included.
    """
    encoder = next(a for a in manifest["artifacts"] if a["part"] == "encoder")
    formats = {artifact["format"] for artifact in manifest["artifacts"]}
    lines = [
        f"# {manifest['model'] or 'autoencoder'}: an aezoo bundle",
        "",
        f"Encodes {manifest['kind']} of shape {_shape(manifest['example_shape'])} into latents of shape "
        f"{_shape(manifest['latent_shape'])}; {manifest['parameters']:,} parameters. "
        f"Made by aezoo {manifest['aezoo_version']}. Licence: {manifest['licence']}.",
        "",
        "Options: " + ", ".join(f"`{name}={value!r}`" for name, value in manifest["options"].items()),
        "",
        *(_use(encoder) if "onnx" in formats else []),
        "## Files",
        "",
        "| file | input | output | bytes | largest difference from Keras | allowed |",
        "|---|---|---|---:|---:|---:|",
    ]
    for artifact in manifest["artifacts"]:
        parity = artifact["parity"]
        taken, given = (", ".join(_tensor(row) for row in artifact[end]) for end in ("inputs", "outputs"))
        lines.append(
            f"| `{artifact['file']}` | {taken} | {given} | {artifact['size_bytes']:,} "
            f"| {parity['max_difference']:.1e} | {parity['allowed']:.1e} |"
        )
    golden = manifest["golden"]
    lines += _memory(manifest["artifacts"])
    lines += [
        "",
        "Allowed is 1e-5 of the output's range (for rows of each column's), or four float32 roundings of the "
        "largest value where that is more.",
    ]
    lines += ["", f"Proven on {golden['examples']} examples ({golden['source']}), kept in `golden.npz`."]
    if manifest["metrics"]:
        lines += ["", "## Test figures", "", *_figures(manifest["metrics"])]
    if manifest["run"]:
        run = manifest["run"]
        lines += [
            "",
            "## Training",
            "",
            f"{run['data']['train']:,} examples of `{run['data']['name']}` "
            f"(sha256 `{run['data']['content_hash'][:16]}...`), {run['epochs']} epochs, "
            f"{run['seconds']:g} seconds. Settings: "
            + ", ".join(f"`{name}={value!r}`" for name, value in run["settings"].items()),
        ]
    return "\n".join(lines) + "\n"


def _memory(artifacts):
    headers = [artifact for artifact in artifacts if artifact["format"] == "c"]
    if headers:
        yield ""
        yield "On a microcontroller, in bytes:"
        yield ""
        yield "| header | constants | working memory |"
        yield "|---|---:|---:|"
    for row in headers:
        yield f"| `{row['file']}` | {row['weights_bytes']:,} | {row['arena_bytes']:,} |"


def _use(encoder):
    yield "## Use"
    yield ""
    yield "```python"
    first, *others = encoder["inputs"]
    names = [row["name"] for row in encoder["inputs"]]
    yield _USE.format(
        name=first["name"],
        shape=", ".join(str(size) for size in first["shape"][1:]),
        dtype=first["dtype"],
        range="raw units" if first["range"] is None else "{} to {}".format(*first["range"]),
        labels="".join(
            f'{row["name"]} = np.zeros(1, "{row["dtype"]}")  # {row["range"][0]} to {row["range"][1]}\n'
            for row in others
        ),
        latents=encoder["outputs"][0]["name"],
        given=", ".join(f'"{name}": {name}' for name in names),
    ).rstrip()
    yield "```"
    yield ""
    yield "`aezoo.load` opens the folder, does the same, and checks files and inputs first; `aezoo verify`"
    yield "proves every file again."
    yield ""


def _figures(metrics):
    yield f"{metrics['test_examples']:,} test examples of `{metrics['data']}`."
    for names, rows in tables(metrics):
        yield ""
        yield "| | " + " | ".join(names) + " |"
        yield "|---|" + "---:|" * len(names)
        for label, cells in rows:
            yield f"| {label} | " + " | ".join(cells) + " |"


def _shape(shape):
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def _tensor(tensor):
    return f"`{tensor['name']}` {tensor['dtype']} {_shape(tensor['shape'])}"
