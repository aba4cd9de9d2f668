"""The strict reader of manifest.json: whatever is not as it was written is refused, and its place named."""

import copy
import dataclasses
import json
import math
import os
import subprocess
import typing

import pytest
from conftest import four_lines, reseal

from aezoo.core import strict_json
from aezoo.core.errors import BundleError
from aezoo.export import formats
from aezoo.runtime import manifest as contract
from aezoo.runtime import naming, schema
from aezoo.runtime.schema import (
    Anomalies,
    Artifact,
    CalibrationRow,
    CardRow,
    GoldenRow,
    Likelihood,
    Manifest,
    Parity,
    PriorRow,
    Tensor,
    TraceRow,
)

SHA = "0123456789abcdef" * 4
IMAGES = Tensor("images", "float32", ("batch", 8, 8, 1), (0.0, 1.0), "examples")
LABELS = Tensor("labels", "int32", ("batch",), (0, 9), "labels")
LATENTS = Tensor("latents", "float32", ("batch", 3), None, "latents")
LOG_VAR = Tensor("posterior_log_var", "float32", ("batch", 3), None, "posterior_log_var")
PARITY = Parity("latents", 1e-7, 1e-5, 2.0, 1e-5, "float32 sums in another order", (1, 7), 64)
ENCODER = Artifact(
    part="encoder",
    format="onnx",
    precision="float32",
    file="encoder.onnx",
    files={"encoder.onnx": SHA},
    size_bytes=10,
    opset=18,
    inputs=(IMAGES, LABELS),
    outputs=(LATENTS, LOG_VAR),
    parity=PARITY,
)
SCORER = dataclasses.replace(
    ENCODER,
    part="scorer",
    precision="int8",
    file="scorer.int8.onnx",
    files={"scorer.int8.onnx": SHA, "scorer.int8.onnx.data": SHA},
    outputs=tuple(
        Tensor(name, "bool" if name == "is_anomaly" else "float32", ("batch",), None, name)
        for name in ("reconstruction_error", "p_value", "is_anomaly")
    ),
    budget=0.01,
    float_layers=("conv", "dense"),
    arena_bytes=1,
    weights_bytes=2,
)
RUN = {
    "status": "finished",
    "options": {},
    "settings": {"epochs": 3},
    "epochs": 3,
    "seconds": 1.5,
    "data": {"name": "mnist_mini", "content_hash": SHA, "load_options": {}, "train": 100},
}
WHOLE = Manifest(
    schema_version=schema.SCHEMA_VERSION,
    aezoo_version="0.1.0",
    model="vae",
    options={"filters": [8, 16], "activation": None},
    kind="images",
    example_shape=(8, 8, 1),
    latent_shape=(3,),
    input_dtype="float32",
    ragged=False,
    error_scale=(1.0,),
    prior=PriorRow("gaussian_mixture", {"prior.npz": SHA}),
    calibration=CalibrationRow(
        threshold=0.1,
        false_positive_rate=0.01,
        false_positive_rate_interval=(0.005, 0.02),
        examples=200,
        thresholds={"float32": 0.1, "int8": 0.2},
        score="reconstruction_error",
        source="held-out examples",
        training_examples="unknown",
        files={"calibration.npz": SHA},
    ),
    anomalies=Anomalies(10, 20, 0.9),
    likelihood=Likelihood("bernoulli", 1.0, True),
    classes=10,
    codebook_size=16,
    parameters=1234,
    licence="CC0",
    versions={"python": "3.11"},
    run=RUN,
    metrics={"mse": 0.1, "tables": [[1, 2]]},
    golden=GoldenRow("held-out examples", 64, {"golden.npz": SHA}),
    trace=TraceRow({"trace.npz": SHA}),
    card=CardRow({"README.md": SHA}),
    artifacts=(ENCODER, SCORER),
)


def fields(kind=Manifest, where=()):
    """Yields (path of names and numbers, annotation) of every field of `WHOLE`, however deep."""
    for name, annotation in typing.get_type_hints(kind, include_extras=True).items():
        yield (*where, name), annotation
        for inner in dataclasses_in(annotation):
            entry = (*where, name, 0) if "tuple" in str(annotation) else (*where, name)
            yield from fields(inner, entry)


def dataclasses_in(annotation):
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return [annotation]
    return [found for inner in typing.get_args(annotation) for found in dataclasses_in(inner)]


FIELDS = dict(fields())


def named(path):
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def spoiled(path, change):
    """Returns the JSON of `WHOLE`, in which `change` was made to (object, key) of a path."""
    content = copy.deepcopy(strict_json.to_json(WHOLE))
    inner = content
    for part in path[:-1]:
        inner = inner[part]
    change(inner, path[-1])
    return content


def refused(tmp_path, content, *words):
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    (tmp_path / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    reseal(tmp_path)
    with pytest.raises(BundleError) as error:
        contract.read_manifest(tmp_path)
    four_lines(error, "manifest.json", *words)
    assert len(str(error.value)) < 1500


def put(value):
    return lambda inner, key: inner.__setitem__(key, value)


def test_what_is_written_is_read(tmp_path):
    contract.write_manifest(tmp_path, WHOLE)
    assert contract.read_manifest(tmp_path) == WHOLE
    content = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert content == strict_json.to_json(WHOLE)
    assert content["artifacts"][0]["inputs"][0]["shape"] == ["batch", 8, 8, 1]


def test_the_paths_of_the_fields_are_those_of_the_json():
    assert named(("artifacts", 0, "outputs", 0, "shape")) in map(named, FIELDS)
    assert len(FIELDS) > 70
    for path in FIELDS:
        spoiled(path, lambda inner, key: inner[key])


def test_the_names_are_those_of_the_formats():
    assert typing.get_args(schema.Format) == tuple(formats.FORMATS)
    assert {name: set(row.tolerances) for name, row in formats.FORMATS.items()} == {
        name: set(row.precisions) for name, row in naming.FILES.items()
    }


@pytest.mark.parametrize("path", FIELDS, ids=named)
def test_every_field_is_needed_and_of_its_type(path, tmp_path):
    refused(tmp_path, spoiled(path, lambda inner, key: inner.pop(key)), f"{named(path)} is missing")
    kind = FIELDS[path]
    taken = {str: ["\x07"], bool: [True]}.get(kind, [])  # a text may hold anything
    taken += [{"x": 1}] if "dict[str, typing.Any]" in str(kind) and path != ("run",) else []
    taken += [None] if type(None) in typing.get_args(kind) else []
    for wrong in ({"x": 1}, [[]], True, None, "\x07", math.nan, math.inf, -math.inf, 10**30, "\ud800"):
        if wrong not in taken:
            refused(tmp_path, spoiled(path, put(wrong)), named(path))


@pytest.mark.parametrize("path", sorted({path[:-1] for path in FIELDS}, key=str), ids=named)
def test_an_unknown_name_is_refused(path, tmp_path):
    change = spoiled((*path, "further"), put(1))
    refused(tmp_path, change, f"{named((*path, 'further'))} is not known")
    refused(tmp_path, spoiled((*path, "\x1b[31m" * 50), put(1)), "is not known", "\\x1b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is no JSON"]),
        ("{", ["is no JSON"]),
        ("[]", ["a list of 0", "an object"]),
        ("null", ["null"]),
        ("\ufeff{}", ["is no JSON"]),
        (b"\xff\xfe{\x00}\x00", ["is no JSON", "utf-8"]),
        ("[" * 100_000, ["too deep"]),
        ("[" * 100_000 + "]" * 100_000, ["too deep"]),
        ('{"a":' * 100_000, ["too deep"]),
        ('"' + "[" * 100, ["is no JSON"]),
        ('"' + '\\"' * 100_000, ["is no JSON"]),
        ("9" * 100_000, ["an object"]),
        ('{"schema_version": 1' + "0" * 9_999 + "}", ["is missing"]),
        ('{"schema_version": 1, "schema_version": 5}', ["schema_version is said twice"]),
        ('{"schema_version": 99}', ["schema version 99"]),
        (" " * (2**24 + 1), ["too large"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_no_manifest(text, words, tmp_path):
    refused(tmp_path, text, *words)


def test_a_name_that_is_said_twice_deep_inside(tmp_path):
    text = json.dumps(strict_json.to_json(WHOLE)).replace('"range": null', '"range": null, "range": null', 1)
    refused(tmp_path, text, "artifacts[0].outputs[0].range is said twice")


@pytest.mark.parametrize("where", ["options", "metrics", "run"])
def test_what_may_hold_anything_holds_finite_numbers_and_little_depth(where, tmp_path):
    for wrong in (math.nan, 10**400, -math.inf):
        refused(tmp_path, spoiled((where, "x"), put([{"y": wrong}])), f"{where}.x[0].y")
    deep = []
    for _ in range(40):
        deep = [deep]
    refused(tmp_path, spoiled((where, "x"), put(deep)), "too deep")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../encoder.onnx",
        "a/../encoder.onnx",
        "./encoder.onnx",
        "a//b",
        "a/",
        "",
        "a\\b",
        "C:x",
        "a\nb",
        "...",
        "a\0",
    ],
)
def test_files_lie_inside(name, tmp_path):
    assert not naming.is_inside(name)
    refused(tmp_path, spoiled(("artifacts", 0, "file"), put(name)), "artifacts[0].file")
    change = spoiled(("artifacts", 0, "files"), put({"encoder.onnx": SHA, name: SHA}))
    refused(tmp_path, change, "artifacts[0].files")
    refused(tmp_path, spoiled(("golden", "files"), put({name: SHA})), "golden.files")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("artifacts", 0, "files"), {"decoder.onnx": SHA}, ["artifacts[0].files holds 'decoder.onnx'"]),
        (("artifacts", 0, "files"), {"encoder.onnx.data": SHA}, ["does not hold 'encoder.onnx'"]),
        (("artifacts", 0, "files"), {"encoder.onnx": SHA[:-1]}, ["a sha256"]),
        (("artifacts", 0, "outputs", 0, "shape"), ["batch", "batch"], ["outputs[0].shape"]),
        (("artifacts", 0, "outputs", 0, "shape"), [0], ["artifacts[0].outputs[0].shape[0] is 0"]),
        (("artifacts", 0, "outputs", 0, "layout"), "nchw", ["artifacts[0].outputs[0].layout"]),
        (("artifacts", 1, "file"), "encoder.onnx", ["artifacts[1].file is", "'scorer.int8.onnx'"]),
        (("artifacts", 0, "file"), "model.onnx", ["artifacts[0].file is 'model.onnx'", "'encoder.onnx'"]),
        (("artifacts", 0, "part"), "decoder", ["artifacts[0].file is 'encoder.onnx'", "'decoder.onnx'"]),
        (("artifacts", 0, "precision"), "float16", ["artifacts[0].file", "'encoder.float16.onnx'"]),
        (("artifacts", 0, "format"), "c", ["artifacts[0].file", "'c/encoder.h'"]),
        (("artifacts", 1, "format"), "openvino", ["artifacts[1].precision is 'int8'", "openvino"]),
        (("artifacts", 1, "budget"), None, ["artifacts[1].budget is null"]),
        (("artifacts", 0, "inputs", 0, "name"), 'images" }', ["artifacts[0].inputs[0].name"]),
        (("artifacts", 0, "outputs", 0, "name"), "latents\n", ["artifacts[0].outputs[0].name"]),
        (("artifacts", 0, "outputs", 0, "golden"), "a/b", ["artifacts[0].outputs[0].golden"]),
        (("artifacts", 0, "outputs", 0, "name"), "l\u00e4tents", ["artifacts[0].outputs[0].name"]),
        (("card", "files"), {"LICENSE": SHA}, ["card.files", "README.md"]),
        (("golden", "files"), {"other.npz": SHA}, ["golden.files", "golden.npz"]),
        (("prior", "kind"), "standard_normal", ["prior.files"]),
        (("calibration",), None, ["calibration is null", "scorers"]),
        (("calibration", "thresholds"), {"int4": 1.0}, ["calibration.thresholds.int4", "'int8'"]),
        (("kind",), "rows", ["example_shape has 3 axes"]),
        (("classes",), None, ["artifacts[0].inputs has 2 entries", "1, of this part"]),
        (("artifacts", 0, "inputs", 0, "shape"), [4, 8, 8, 1], ["artifacts[0] has the batches"]),
        (("artifacts", 0, "inputs", 0, "shape"), ["batch", 8, 8, 2], ["artifacts[0].inputs[0] is float32"]),
        (("artifacts", 0, "outputs", 1, "dtype"), "int32", ["artifacts[0].outputs[1] is int32 (3,)"]),
        (("artifacts", 1, "outputs", 1, "name"), "p", ["artifacts[1].outputs has no p_value"]),
        (("latent_shape",), [2**13, 2**13, 2], ["latent_shape has 134,217,728 values"]),
        (("classes",), 2**60, ["classes is 1152921504606846976"]),
        (("error_scale",), [1e-40], ["error_scale[0] is 1e-40"]),
        (("calibration", "threshold"), 1e39, ["calibration.threshold is 1e+39"]),
        (("run", "data"), {}, ["run.data.name is missing"]),
        (("run", "seconds"), True, ["run.seconds is bool"]),
        (("run", "data", "feature_names"), -1, ["run.data.feature_names is int"]),
        (("run", "data", "feature_names"), "ab", ["run.data.feature_names is str"]),
        (("run", "data", "feature_names"), ["a", 1], ["run.data.feature_names[1] is int"]),
        (("run", "data", "shape"), [8, True], ["run.data.shape[1] is bool"]),
        (("run", "data", "source"), 3, ["run.data.source is int"]),
        (("error_scale",), [0.0], ["error_scale[0] is 0.0", "from 1e-30"]),
    ],
    ids=str,
)
def test_what_does_not_fit_together(path, value, words, tmp_path):
    refused(tmp_path, spoiled(path, put(value)), *words)


def test_an_artifact_stands_once(tmp_path):
    content = strict_json.to_json(WHOLE)
    content["artifacts"].append(content["artifacts"][0])
    refused(tmp_path, content, "artifacts[2] is artifacts[0] again")


def test_what_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(BundleError) as error:
        contract.write_manifest(tmp_path, dataclasses.replace(WHOLE, error_scale=(math.nan,)))
    four_lines(error, "error_scale[0] is", "a finite number")


def test_a_sidecar_is_written_and_wanted(tmp_path):
    contract.write_manifest(tmp_path, WHOLE)
    digest = contract.digest_of(tmp_path)
    assert (tmp_path / "bundle.sha256").read_bytes() == f"{digest}  manifest.json\n".encode()
    done = subprocess.run(["sha256sum", "-c", "bundle.sha256"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0
    assert contract.read_manifest(tmp_path, digest.upper()) == WHOLE
    for wrong in (b"", b"\xff" * 64, b"0" * 64 + b"  manifest.json\n", digest.encode() + b"  other.json\n"):
        (tmp_path / "bundle.sha256").write_bytes(wrong)
        with pytest.raises(BundleError) as error:
            contract.read_manifest(tmp_path, digest)
        four_lines(error, "the manifest no longer says", "bundle.sha256")
    (tmp_path / "bundle.sha256").unlink()
    with pytest.raises(BundleError) as error:
        contract.read_manifest(tmp_path)
    four_lines(error, "bundle.sha256: No such file")


def test_an_edit_is_found_wherever_it_is(tmp_path):
    """Though what it says is valid: another scale, another threshold, another figure."""
    contract.write_manifest(tmp_path, WHOLE)
    edits = {
        ("calibration", "threshold"): 0.2,
        ("error_scale",): [1000.0],
        ("prior",): None,
        ("licence",): "",
        ("artifacts", 0, "parity", "allowed"): 1.0,
        ("run", "seconds"): 1,
        ("golden", "source"): "seeded noise",
    }
    for path, value in edits.items():
        content = spoiled(path, put(value))
        (tmp_path / "manifest.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
        with pytest.raises(BundleError) as error:
            contract.read_manifest(tmp_path)
        four_lines(error, "the manifest no longer says", "sha256")


@pytest.mark.parametrize("name", ["manifest.json", "bundle.sha256"])
@pytest.mark.parametrize("kind", ["a link", "no regular file"])
def test_a_manifest_is_a_regular_file(kind, name, tmp_path):
    """A pipe without a writer would hang for ever."""
    contract.write_manifest(tmp_path, WHOLE)
    (tmp_path / name).rename(tmp_path / "there")
    if kind == "a link":
        (tmp_path / name).symlink_to("there")
    else:
        os.mkfifo(tmp_path / name)
    with pytest.raises(BundleError) as error:
        contract.read_manifest(tmp_path)
    four_lines(error, f"{name}: is {kind}")


def test_of_a_run_it_says_how_a_bundle_is_made(tmp_path):
    run = tmp_path / "my run"
    run.mkdir()
    (run / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError) as caught:
        contract.read_manifest(run)
    assert f"aezoo export '{run}' -o bundle" in str(caught.value)
