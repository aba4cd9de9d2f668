"""Programs that nobody here wrote read a bundle: onnxruntime in Node, and those of docs/jobs/anomalies.md.

OpenVINO, OpenCV and onnx.reference read every model of the zoo in test_zoo_onnx.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from small_models import small

import aezoo
from aezoo.export import ExportOptions, export_bundle
from aezoo.testing import fit_on, smooth_examples

pytestmark = pytest.mark.clients
PAGE = (ROOT / "docs" / "jobs" / "anomalies.md").read_text("utf-8")
MODELS = ("conv", "vae", "vq_vae", "conditional_vae", "lstm", "masked", "sparse")


def program(language):
    return re.search(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.S | re.M).group(1)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A folder with onnxruntime-node, in which `node` finds it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js is not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "onnxruntime-node"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    if done.returncode:
        pytest.skip("onnxruntime-node cannot be installed here")
    return folder


def run(command, folder):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder with bundle/, whose images are 28 x 28."""
    model = aezoo.build("conv", latent_dim=3, filters=(4, 6))
    folder = tmp_path_factory.mktemp("digits")
    examples = smooth_examples((28, 28, 1), 120)
    export_bundle(model, folder / "bundle", ExportOptions(formats=["onnx"]), examples=examples)
    expected = aezoo.load(folder / "bundle").score(np.zeros((1, 28, 28, 1), "float32"))
    return folder, expected


def test_the_python_program(digits):
    folder, expected = digits
    first, second = run([sys.executable, "-c", program("py")], folder)
    found, moved = (re.findall(r"\[ ?([^\[\]]+)\]", line) for line in (first, second))
    assert float(found[0]) == pytest.approx(expected["reconstruction_error"][0], rel=1e-4)
    assert float(found[1]) == pytest.approx(expected["p_value"][0], abs=1e-6)
    assert (found[2], moved[2].strip()) == (str(expected["is_anomaly"][0]), "False")


@pytest.mark.exhaustive
def test_the_javascript_program(digits, node):
    folder, expected = digits
    shutil.copytree(folder / "bundle", node / "bundle", dirs_exist_ok=True)
    (node / "score.mjs").write_text(program("js"), encoding="utf-8")
    first, second = run(["node", "score.mjs"], node)
    error, p_value, verdict = map(float, first.split())
    assert error == pytest.approx(expected["reconstruction_error"][0], rel=1e-4)
    assert p_value == pytest.approx(expected["p_value"][0], abs=1e-6)
    assert (verdict, second) == (expected["is_anomaly"][0], "false")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.exhaustive
def test_node_computes_what_keras_computed(name, node, tmp_path):
    model = aezoo.build(name, **small(name))
    examples = smooth_examples(model.example_shape, 110)
    fit_on(model, examples)
    labels = model.labels_in_turn(110)
    bundle = export_bundle(
        model, tmp_path / "bundle", ExportOptions(formats=["onnx"]), examples=examples, **labels
    )
    arrays, index = tmp_path / "arrays", {}
    arrays.mkdir()
    with np.load(bundle / "golden.npz") as golden:
        # One entry is no tensor but the hash of the manifest; verdicts of some examples hang on a rounding.
        sure = golden["is_sure"]
        values = {key: golden[key][sure] for key in golden.files if golden[key].dtype.kind != "U"}
    for key, value in values.items():
        index[key] = {"dtype": str(value.dtype), "shape": value.shape}
        (arrays / f"{key}.bin").write_bytes(np.ascontiguousarray(value).tobytes())
    spreads = {key: np.ptp(value.astype("float64")) for key, value in values.items()}
    (arrays / "index.json").write_text(json.dumps(index), encoding="utf-8")
    shutil.copy(ROOT / "tests" / "runtime" / "clients" / "read_bundle.mjs", node)
    report = json.loads(run(["node", "read_bundle.mjs", str(bundle), str(arrays)], node)[-1])
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    assert {artifact["file"] for artifact in manifest["artifacts"]} == set(report)
    assert "scorer.onnx" in report
    for artifact in manifest["artifacts"]:
        for row in artifact["outputs"]:
            worst = report[artifact["file"]][row["name"]]
            exact = row["dtype"] in ("int32", "bool")
            assert worst <= (0 if exact else 3e-5 * spreads[row["golden"]] + 1e-6), (artifact["file"], row)
