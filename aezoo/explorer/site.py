"""The command `aezoo explore`: a static page in which a bundle's files run in the visitor's browser.

page/
  index.html  explorer.css  *.js     as they lie in aezoo/explorer/page/
  explorer.json                      what the page knows of the bundle
  points.bin                         latents of the map, float32, little endian
  examples.bin                       some images to start from, bytes where these hold them, else float32
  encoder.onnx  decoder.onnx  ...    of the bundle, checked by their sha256
  runtime/                           onnxruntime-web and its licence
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from aezoo.core import files
from aezoo.core.errors import BundleError, OptionError
from aezoo.core.json_text import json_text
from aezoo.core.shown import one_line
from aezoo.core.strict_json import to_json
from aezoo.explorer import web_runtime
from aezoo.runtime import manifest as contract

FACTS = "explorer.json"
_ASSETS = pathlib.Path(__file__).parent / "page"
_EXAMPLES = 24  # images to start from
# What the page knows of a file.
_SHOWN = ("precision", "size_bytes", "inputs", "outputs")
_LETTERS = 100  # of a name; the page writes names as texts, never as HTML
_BARS = 48  # of the histogram of normal scores


def lay_out(
    bundle: contract.Folder,
    folder: contract.Folder,
    *,
    data: str | pathlib.Path | None = None,
    data_dir: str | pathlib.Path | None = None,
    value_range: Sequence[float] | None = None,
    points: int = 2000,
    seed: int = 0,
    precision: str = "float32",
    runtime: contract.Folder | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Writes the page of a bundle: static files for any web server. The same arguments write the same bytes.

    Args:
        bundle: folder of the bundle, of a model of images.
        folder: of the page: a new or an empty one, or one that holds an earlier page.
        data: whose latents the map shows, a source as `aezoo.data.reading` tells; None shows the bundle's
            golden examples.
        data_dir, value_range: of the data, as for `read_points`.
        points, seed: examples on the map at most, and the seed by which they are drawn.
        precision: of the ONNX files.
        runtime: onnxruntime-web as a .tgz or a folder, see `web_runtime.find`; None: npm fetches it once.
        say: is called with a text before what takes long.

    Returns:
        What the page knows, a dict: content of explorer.json.

    Raises:
        AezooError: onnxruntime-web cannot be fetched.
        BundleError: no bundle, one without encoder or decoder in ONNX, or an altered file.
        DataError: `data` cannot be read, or the folder holds other files.
        OptionError: the bundle is of rows or sequences, or an option cannot be used.
    """
    from aezoo import runtime as deployed
    from aezoo.core import outputs
    from aezoo.explorer.latent_map import read_points

    manifest = contract.read_manifest(bundle)
    artifacts = _artifacts(bundle, manifest, precision)
    folder = pathlib.Path(folder).expanduser()
    sources = [bundle, *(path for path in (data, runtime) if path is not None)]
    outputs.check_folder(folder, sources=sources, what="the page")
    loaded = deployed.load(bundle, precision=precision)
    say("encoding the examples of the map")
    read = read_points(loaded, data, data_dir=data_dir, value_range=value_range, count=points, seed=seed)
    engine = web_runtime.find(runtime, say=say)

    examples = _starting_points(read)
    facts = _facts(bundle, manifest, artifacts, read, examples, engine)
    contents = {FACTS: (json_text(facts, separators=(",", ":")) + "\n").encode()}
    contents["examples.bin"] = _packed(read.examples[examples]).tobytes()
    if facts["map"] is not None:
        contents["points.bin"] = read.latents.astype("<f4").tobytes()
    contents |= {path.name: path.read_bytes() for path in sorted(_ASSETS.iterdir()) if path.is_file()}
    contents |= {f"runtime/{name}": web_runtime.read(engine, name) for name in web_runtime.FILES}
    _write(folder, contents, bundle, artifacts)
    return facts


def _write(folder, contents, bundle, artifacts):
    """Writes a page: {name: bytes}, and copies of the files that a bundle holds."""
    from aezoo.core import outputs

    held = {file: sha256 for row in artifacts.values() for file, sha256 in row.files.items()}
    with outputs.filling(folder) as draft:
        for name, sha256 in held.items():
            contract.copy_file(bundle, name, sha256, files.place_in(draft, name))
        for name, content in contents.items():
            files.place_in(draft, name).write_bytes(content)
        web_runtime.write_licences(draft / "runtime")


def _artifacts(bundle, manifest, precision):
    """Returns {part: row of the manifest} of the files that the page runs."""
    if manifest.kind != "images":
        raise OptionError(
            "the explorer shows models of images",
            got=f"{bundle}: a model of {manifest.kind}, of shape {manifest.example_shape}",
            expected="a bundle whose examples are images (H, W, C)",
            fix=f"aezoo.runtime.load({str(bundle)!r}).traverse(...) shows a latent axis of {manifest.kind}",
        )
    contract.check_precision(manifest, precision)
    rows = {row.part: row for row in manifest.artifacts if (row.format, row.precision) == ("onnx", precision)}
    needed = ["encoder", "decoder", *(["code_decoder"] if manifest.codebook_size is not None else [])]
    for part in needed:
        if part not in rows:
            raise BundleError(
                f"there is nothing to explore without {part}.onnx",
                got=f"{bundle} holds {', '.join(rows) or 'no ONNX files'}",
                expected=f"{', '.join(needed)} in ONNX, {precision}",
                fix=f"export again with formats=('onnx',) and precisions=({precision!r},), without parts",
            )
    chosen = {}
    for part in (*needed, *(["scorer"] if "scorer" in rows else [])):
        row = rows[part]
        if len(row.files) > 1:
            raise BundleError(
                f"the {part} is too large for a browser",
                got=f"{row.file} keeps its weights beside itself, {row.size_bytes:,} bytes in all",
                expected="one file of less than 2 GiB",
                fix="export a smaller model, or this one with precisions=('int8',)",
            )
        chosen[part] = row
    return chosen


def _starting_points(read):
    """Returns indices of some examples, of each label in turn."""
    import numpy as np

    if read.labels is None:
        return np.arange(min(_EXAMPLES, len(read.examples)))
    rank = np.zeros(len(read.labels), int)  # how many of the same label came before
    for label in np.unique(read.labels):
        of_it = np.flatnonzero(read.labels == label)
        rank[of_it] = np.arange(len(of_it))
    return np.lexsort((read.labels, rank))[:_EXAMPLES]


def _as_bytes(examples):
    import numpy as np

    return examples if examples.dtype == np.uint8 else np.rint(examples * 255).astype(np.uint8)


def _packed(examples):
    """Returns bytes, or float32 of images that bytes would alter: their latents would be others."""
    import numpy as np

    packed = _as_bytes(examples)
    if examples.dtype == np.uint8 or np.allclose(packed / np.float32(255), examples, rtol=0, atol=1e-6):
        return packed
    return examples.astype("<f4")


def _facts(bundle, manifest, artifacts, read, examples, engine):
    import numpy as np

    from aezoo.explorer.latent_map import plane, slider_axes

    pixels = _as_bytes(read.examples[:500])
    height, width = pixels.shape[1:3]
    border = np.ones((height, width), bool)
    border[1:-1, 1:-1] = False
    continuous = manifest.codebook_size is None
    dims = int(np.prod(manifest.latent_shape))
    labels = None if read.labels is None else read.labels.tolist()
    shown = None
    if continuous and dims > 1:
        mean, axes, shares = plane(read.latents)
        shown = {
            "mean": _numbers(mean),
            "axes": [_numbers(axis) for axis in axes],
            "shares": _numbers(shares),
            "labels": labels,
        }
    wasm = "ort-wasm-simd-threaded.wasm"
    return {
        "model": one_line(manifest.model or "autoencoder", _LETTERS),
        "aezoo_version": one_line(manifest.aezoo_version, _LETTERS),
        "parameters": manifest.parameters,
        "example_shape": list(manifest.example_shape),
        "latent_shape": list(manifest.latent_shape),
        "codebook_size": manifest.codebook_size,
        "classes": manifest.classes,
        "label_names": read.label_names and [one_line(name, _LETTERS) for name in read.label_names],
        "source": one_line(read.source, _LETTERS),
        "points": len(read.latents),
        "parts": {
            part: {"file": row.file, **{key: to_json(getattr(row, key)) for key in _SHOWN}}
            for part, row in artifacts.items()
        },
        "runtime": {
            "version": web_runtime.VERSION,
            "wasm": f"runtime/{wasm}",
            "wasm_bytes": (engine / wasm).stat().st_size,
        },
        "map": shown,
        "axes": slider_axes(read.latents) if continuous else [],
        "examples": {
            "count": len(examples),
            "dtype": str(_packed(read.examples[examples]).dtype),
            "labels": None if labels is None else [labels[n] for n in examples],
        },
        "background": np.median(pixels[:, border], axis=(0, 1)).round().astype(int).tolist(),
        "score": _score(bundle, manifest, artifacts),
    }


def _numbers(array):
    return [float(f"{number:.7g}") for number in array.tolist()]


def _score(bundle, manifest, artifacts):
    """Returns what the scorer's verdict goes by, with a histogram of normal scores; None without a scorer."""
    import numpy as np

    from aezoo.export.proof.golden_file import read_calibration

    calibration = manifest.calibration
    if calibration is None or "scorer" not in artifacts:
        return None
    table = read_calibration(bundle, manifest)["table"]
    scores = table[table > np.finfo("float32").min]  # what fills the table up is no score
    threshold = calibration.threshold
    low = float(
        min(scores.min(initial=threshold), 0.0 if calibration.score != "negative_elbo" else threshold)
    )
    high = float(max(scores.max(initial=threshold), threshold + 0.5 * (threshold - low)))
    counts, _ = np.histogram(scores, bins=_BARS, range=(low, high))
    return {
        "name": calibration.score,
        "threshold": threshold,
        "false_positive_rate": calibration.false_positive_rate,
        "examples": calibration.examples,
        "low": float(f"{low:.7g}"),
        "high": float(f"{high:.7g}"),
        "counts": counts.tolist(),
    }


# -- the command ---------------------------------------------------------------------------------
