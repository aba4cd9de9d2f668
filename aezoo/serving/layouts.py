"""Lays the files of a bundle out as servers want them: Triton, MLServer, TensorFlow Serving.

    models/onnx/conv_encoder/config.pbtxt            for Triton
                             model-settings.json     for MLServer, with `aezoo.serving.mlserver`
                             1/model.onnx
    models/saved_model/models.config                 for TensorFlow Serving
                       conv_encoder/1/saved_model.pb

The files are copies of those that were proven, checked by their sha256; nothing is converted.
"""

import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from aezoo.core import files, strict_json
from aezoo.core.errors import OptionError
from aezoo.core.json_text import json_text
from aezoo.core.options import check_choice, check_positive
from aezoo.runtime import manifest as contract
from aezoo.runtime.batching import fixed_batch
from aezoo.runtime.schema import Artifact, Tensor

# server -> (folder of its models, format of its files)
SERVERS = {
    "triton": ("onnx", "onnx"),
    "mlserver": ("onnx", "onnx"),
    "tfserving": ("saved_model", "saved_model"),
}
CONFIG = "config.pbtxt"
SETTINGS = "model-settings.json"
MODELS = "models.config"
RUNTIME = "aezoo.serving.mlserver.OnnxModel"
_PLAIN = frozenset(range(32, 127)) - frozenset(b'"\\')  # bytes that protobuf's text format takes as they are

# NumPy's name -> the name in the Open Inference Protocol; Triton's has TYPE_ before it
_DATATYPES = {
    "float32": "FP32",
    "float16": "FP16",
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
    "bool": "BOOL",
}
_NO_THRESHOLD = """\
# The file's optional input `threshold` is not offered: Triton takes optional inputs only where it does not
# batch (max_batch_size: 0). `aezoo serve-layout --threshold` writes that; or compare the score yourself.
"""


def lay_out(
    bundle: contract.Folder,
    folder: contract.Folder,
    servers: Iterable[str] = tuple(SERVERS),
    *,
    name: str | None = None,
    version: int = 1,
    precision: str = "float32",
    max_batch: int = 64,
    threshold: bool = False,
    digest: str | None = None,
) -> list[pathlib.Path]:
    """Copies the parts of a bundle into the repositories of servers, as `NAME_PART/VERSION/`.

    A version appears in one step, so that a server that watches the folder never sees half of one.

    Args:
        bundle: folder of the bundle.
        folder: where onnx/ and saved_model/ go; other models and versions in there stay.
        servers: of `SERVERS`.
        name: what the models' names begin with; None is the name of the bundle's model.
        version: whole number from 1; servers take the highest.
        precision: of the ONNX files.
        max_batch: examples that Triton may put into one call; without meaning for a bundle of a fixed batch,
            whose requests have that size.
        threshold: whether Triton's scorer takes the optional input `threshold` (1,), for which it then
            gives up putting requests together.
        digest: which the bundle must have; None accepts any. A server runs what it is given: a SavedModel of
            somebody whom you do not know is his program.

    Returns:
        Folders of the models, a list of `pathlib.Path`.

    Raises:
        OptionError: an unknown server, a name that is none, a version that is there, a model of
            this name with other inputs and outputs, or a folder that holds other things than models.
        BundleError: no bundle, one without files of the format, or a file of it is missing or altered.
    """
    servers, folder = check_servers(servers), pathlib.Path(folder)
    number = str(check_positive("version", version, usual=1))
    check_positive("max_batch", max_batch, usual=64)
    jobs = _jobs(bundle, contract.read_manifest(bundle, digest), servers, name, precision)
    _check_links(folder, [model / number for model, _ in jobs])
    _check_repository(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with files.drafting(folder) as draft:
        for model, artifact in jobs:
            _copy(bundle, artifact, draft / model / number)
            texts = _texts(model.name, number, artifact, servers, max_batch, threshold)
            for file, text in texts.items():
                (draft / model / file).write_text(text, encoding="utf-8")
            _check_place(folder / model, number, texts)
        for model, _ in jobs:  # nothing is published before all is there and fits
            _publish(draft / model, folder / model, number)
    if "tfserving" in servers:
        _list_models(folder / SERVERS["tfserving"][0])
    return [folder / model for model, _ in jobs]


def _jobs(bundle, manifest, servers, name, precision):
    """Returns [(folder of a model, its artifact)], each artifact checked."""
    name = _check_name(manifest.model or "model" if name is None else name)
    if not servers or ("tfserving" in servers and precision != "float32"):
        raise OptionError(
            "SavedModels are float32" if servers else "which server is it for?",
            got=f"servers={servers!r}, precision={precision!r}",
            expected=f"among {', '.join(server for server in SERVERS if server != 'tfserving')}"
            if servers
            else f"among {', '.join(SERVERS)}",
            fix="pass servers=['triton', 'mlserver']",
        )
    jobs = []
    for place, format in dict.fromkeys(SERVERS[server] for server in servers):
        contract.check_precision(manifest, precision, format)
        chosen = [row for row in manifest.artifacts if (row.format, row.precision) == (format, precision)]
        if not chosen:
            contract.find(manifest, "encoder", format, precision)  # names what is there
        for artifact in chosen:
            contract.check_files(bundle, artifact.files)  # before a folder is made
            jobs.append((pathlib.Path(place, f"{name}_{artifact.part}"), artifact))
    return jobs


def next_version(folder: contract.Folder) -> int:
    """Returns the number after the last version of any model in a folder of layouts; 1 at first."""
    found = (path.name for path in pathlib.Path(folder).glob("*/*/[0-9]*"))
    return 1 + max((int(name) for name in found if name.isdigit()), default=0)


def check_servers(servers: Iterable[str], formats: Sequence[str] | None = None) -> tuple[str, ...]:
    """Returns the servers, a tuple, each once.

    Args:
        servers: names.
        formats: of the bundle that is to be laid out, where that is known.

    Raises:
        OptionError: none of `SERVERS`, or one whose format is not among those.
    """
    servers = tuple(dict.fromkeys(servers))
    for server in servers:
        check_choice("servers", server, tuple(SERVERS))
        format = SERVERS[server][1]
        if formats is not None and format not in formats:
            raise OptionError(
                f"{server} serves files of the format {format}",
                got=f"formats {', '.join(formats)}",
                expected=f"{format} among them",
                fix=f"add {format} to formats, or leave {server} out",
            )
    return servers


def config_pbtxt(name: str, artifact: Artifact, *, max_batch: int = 64, threshold: bool = False) -> str:
    """Returns Triton's configuration of an ONNX file, a text.

    A tensor (B,) is (B, 1) for a client: Triton knows no empty shape beside the batch. A file of a fixed
    batch N is served without batching, in requests of N examples.

    Source: Triton's model configuration; that optional inputs and batching exclude each other is in
    `ModelInstanceState::ValidateInputs` of its onnxruntime backend.

    Args:
        name: of the model, which is that of its folder.
        artifact: the file's row of the manifest.
        max_batch, threshold: as for `lay_out`.
    """
    scorer = artifact.part == "scorer"
    batches = fixed_batch(artifact.inputs[0]) is None and not (scorer and threshold)
    lines = [
        f"name: {_quoted(name)}",
        'platform: "onnxruntime_onnx"',
        f"max_batch_size: {max_batch if batches else 0}",
    ]
    for end in ("input", "output"):
        lines += [
            _tensor(end, row, batches) for row in (artifact.inputs if end == "input" else artifact.outputs)
        ]
        if end == "input" and scorer and threshold:
            row = Tensor("threshold", "float32", (1,), None, "threshold")
            lines.append(_tensor(end, row, False, "optional: true"))
    if batches:
        lines.append("dynamic_batching { }")
    return (_NO_THRESHOLD if scorer and not threshold else "") + "\n".join(lines) + "\n"


def _tensor(end, row, batches, more=""):
    shape = [-1 if isinstance(size, str) else size for size in row.shape]
    dims = shape[1:] if batches else shape
    if not dims:
        dims, more = [1], "reshape { shape: [ ] }"
    rows = [f"name: {_quoted(row.name)}", f"data_type: TYPE_{_DATATYPES[row.dtype]}", f"dims: {dims}", more]
    return "\n".join([f"{end} {{", *(f"  {line}" for line in rows if line), "}"])


def _quoted(text):
    """Returns a string of protobuf's text format, which ends where the text does: other bytes are octal."""
    spelled = (chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in os.fsencode(text))
    return f'"{"".join(spelled)}"'


def model_settings(name: str, version: str, artifact: Artifact) -> dict[str, Any]:
    """Returns MLServer's settings of an ONNX file, a dict; tensors (B,) are (B, 1), as in Triton."""
    settings: dict[str, Any] = {
        "name": name,
        "implementation": RUNTIME,
        "platform": "onnxruntime_onnx",
        "parameters": {"uri": f"./{version}/model.onnx", "version": version},
    }
    for end, tensors in (("inputs", artifact.inputs), ("outputs", artifact.outputs)):
        settings[end] = [
            {
                "name": row.name,
                "datatype": _DATATYPES[row.dtype],
                "shape": [-1 if isinstance(size, str) else size for size in row.shape]
                + ([] if row.shape[1:] else [1]),
            }
            for row in tensors
        ]
    return settings


def _texts(name, version, artifact, servers, max_batch, threshold):
    """Returns {file beside the versions: text} of a model."""
    texts = {}
    if artifact.format == "onnx":
        if "triton" in servers:
            texts[CONFIG] = config_pbtxt(name, artifact, max_batch=max_batch, threshold=threshold)
        if "mlserver" in servers:
            texts[SETTINGS] = json_text(model_settings(name, version, artifact), indent=2) + "\n"
    return texts


def _copy(bundle, artifact, target):
    """Copies an artifact: a SavedModel's files, or an ONNX file as model.onnx.

    What an ONNX file keeps beside itself keeps its name, by which the file knows it.
    """
    root = pathlib.PurePosixPath(artifact.file)
    for file, sha256 in artifact.files.items():
        inner = pathlib.PurePosixPath(file)
        inner = pathlib.PurePosixPath("model.onnx") if inner == root else inner
        inner = inner.relative_to(root) if inner.is_relative_to(root) else inner
        contract.copy_file(bundle, file, sha256, files.place_in(target, inner.as_posix()))


def _check_repository(folder):
    """Raises OptionError unless a place is new, or a folder of nothing but models, whoever made those."""
    places = {place for place, _ in SERVERS.values()}
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        foreign = there
    elif not folder.is_dir():
        return
    else:
        inside = [folder, *(folder / place for place in sorted(places) if (folder / place).is_dir())]
        entries = (path for one in inside for path in sorted(one.iterdir()) if path not in inside)
        foreign = next((path for path in entries if not _is_model(path)), None)
    if foreign is not None:
        raise OptionError(
            "models would be mixed with other files",
            got=f"{foreign}",
            expected="a new folder, or one that holds nothing but models for servers",
            fix="name another folder",
        )


def _check_links(folder, models):
    """Raises DataError where a link below the folder would lead what is written elsewhere."""
    for model in models:
        for name in (model, model.with_name(CONFIG), model.with_name(SETTINGS), model.parents[1] / MODELS):
            files.check_place(folder, name)


def _is_model(path):
    """Whether a path is a model of a repository, its list, or hidden, which no server reads."""
    if path.name.startswith(".") or path.name == MODELS:
        return True
    return path.is_dir() and any(
        inner.name in (CONFIG, SETTINGS) or (inner.name.isdigit() and inner.is_dir())
        for inner in path.iterdir()
    )


def _check_place(model, version, texts):
    """Raises OptionError where a version is there, or versions with other inputs or outputs."""
    problem, fix = None, f"pass version={int(version) + 1}, another name, or another folder"
    if (model / version).exists():
        problem, got = "this version is there already", f"{model / version}"
    for file, text in texts.items():
        there = model / file
        if there.is_file() and _tensors(there.read_text("utf-8", errors="replace")) != _tensors(text):
            problem, got = "a model of this name has another configuration", f"{there}"
            fix = f"pass another name or another folder, or remove {model}"
    if problem:
        raise OptionError(
            problem, got=got, expected="a new version, with inputs and outputs as before", fix=fix
        )


def _tensors(text):
    """Returns what settings say of inputs and outputs, whatever the version is; Triton's say no version.

    Settings that somebody else wrote, and that are no JSON, are another text.
    """
    try:
        settings = strict_json.parse(text.encode())
    except strict_json.Damaged:
        return text
    return (settings.get("inputs"), settings.get("outputs")) if isinstance(settings, dict) else text


def _publish(draft, model, version):
    if not model.exists():
        model.parent.mkdir(parents=True, exist_ok=True)
        os.rename(draft, model)
        return
    os.rename(draft / version, model / version)
    for file in draft.iterdir():  # the settings, which name the version
        os.replace(file, model / file.name)


def _list_models(place):
    """Writes TensorFlow Serving's list of all models in a folder, which is /models to its container."""
    names = sorted(
        path.parent.name for path in place.glob("*/[0-9]*") if not path.parent.name.startswith(".")
    )
    rows = "".join(
        f"  config {{ name: {_quoted(name)} base_path: {_quoted('/models/' + name)} "
        'model_platform: "tensorflow" }\n'
        for name in dict.fromkeys(names)
    )
    with files.replacing(place / MODELS) as new:
        new.write_text(f"model_config_list {{\n{rows}}}\n", encoding="utf-8")


def _check_name(name):
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}", name):
        raise OptionError(
            "this cannot be the name of a served model",
            got=f"name={name!r}"[:100],
            expected="at most 200 letters, digits, '_', '-' and '.', as a folder and an address have",
            fix="pass name='digits'",
        )
    return name
