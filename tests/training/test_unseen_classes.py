"""Faults of a test part that training has not seen: they neither calibrate the scorer nor count as normal."""

import numpy as np
import pytest
from conftest import run_command
from PIL import Image

from aezoo import runtime
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples
from aezoo.training.run import Run

SHAPE = (16, 16, 1)


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """MVTec's layout, with pictures of blobs, some of which have a crack."""
    folder = tmp_path_factory.mktemp("data") / "faults"
    draw = np.random.default_rng(0)
    for seed, (name, count) in enumerate((("train/good", 160), ("test/good", 30), ("test/crack", 24))):
        images = np.rint(smooth_examples(SHAPE, count, seed=seed)[..., 0] * 255).astype("uint8")
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            if name.endswith("crack"):
                row, column = draw.integers(2, 12, 2)
                image[row : row + 3], image[:, column : column + 2] = 255, 0
            Image.fromarray(image).save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def run(faults, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    train = ["train", "dense", "--data", faults, "--latent-dim", "4", "-O", "units=64,", "--epochs", "30"]
    assert run_command(*train, "--batch-size", "16", "--learning-rate", "0.003", "-o", folder) == 0
    return folder


def test_cracks_are_flagged(run, faults, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    assert run_command("export", run, "-o", bundle, "--formats", "onnx", "--parts", "scorer") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "from 30 held-out examples" in printed
    assert "of 24 from the test part: crack" in printed
    manifest = contract.read_manifest(bundle)
    assert (manifest.calibration.examples, manifest.calibration.source) == (30, "held-out examples")
    assert (manifest.anomalies.examples, manifest.anomalies.normals) == (24, 30)
    assert manifest.anomalies.roc_area > 0.95
    found = {}
    for name in ("crack", "good"):
        images = [np.asarray(Image.open(path)) for path in sorted((faults / "test" / name).iterdir())]
        images = np.stack(images)[..., None] / np.float32(255)
        found[name] = runtime.load(bundle).score(images)["is_anomaly"].mean()
    assert found["crack"] > 0.8
    assert found["good"] <= 1 / 31 + 1e-6


def test_figures_of_the_test_part_leave_them_out(run):
    metrics = Run(run).metrics
    assert metrics["test_examples"] == 30
    odd = metrics["unseen_classes"]
    assert (odd["classes"], odd["examples"]) == (["crack"], 24)
    assert odd["mse"] > 2 * metrics["mse"]
    assert odd["psnr_db"] < metrics["psnr_db"]


def test_the_validation_part_is_named_where_it_calibrates(run, faults, tmp_path, capsys):
    """Half of 160 for validation: more than the 30 normal ones of the test part, too few for 0.01."""
    other = tmp_path / "run"
    train = ["train", "dense", "--data", faults, "--latent-dim", "2", "-O", "units=8,", "--epochs", "1"]
    assert run_command(*train, "--validation-fraction", "0.5", "-o", other) == 0
    held_out = Run(other).held_out
    assert (len(held_out["examples"]), held_out["source"]) == (80, "validation examples")
    assert len(held_out["anomalies"]) == 24
    bundle = tmp_path / "bundle"
    assert run_command("export", other, "-o", bundle, "--formats", "onnx", "--parts", "scorer") == 0
    assert "from 80 validation examples" in " ".join(capsys.readouterr().out.split())
    assert contract.read_manifest(bundle).calibration.source == "validation examples"
    assert run_command("export", other, "-o", tmp_path / "b", "--formats", "onnx", "--parts", "encoder") == 0


def test_normals_and_anomalies_of_one_s_own_come_first(run, tmp_path, capsys):
    np.save(tmp_path / "normals.npy", smooth_examples(SHAPE, 120, seed=9))
    np.save(tmp_path / "odd.npy", np.random.default_rng(0).random((5, *SHAPE), dtype="float32"))
    export = ["export", run, "-o", tmp_path / "b", "--formats", "onnx", "--parts", "scorer"]
    given = ["--normals", tmp_path / "normals.npy", "--anomalies", tmp_path / "odd.npy"]
    assert run_command(*export, *given) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "from 120 examples that were given" in printed
    assert "of 5 that were given" in printed
