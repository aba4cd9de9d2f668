"""Where anomalies are known, a scorer's ROC area is measured, kept, and held to the budget."""

import json
import shutil

import numpy as np
import pytest
from conftest import four_lines
from sklearn.metrics import roc_auc_score

import aezoo
from aezoo import runtime
from aezoo.cli import main
from aezoo.core.calibration import roc_area
from aezoo.core.errors import ExportError, OptionError, ParityError
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.proof import golden_file, parity
from aezoo.export.recalibration import recalibrate
from aezoo.export.to_onnx.precision import quantize
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

ALL = ("float32", "float16", "int8")


def noise(model, count, seed=3):
    return (np.random.default_rng(seed).random((count, *model.example_shape)) < 0.5).astype("float32")


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    """Blobs are normal, noise is not; a fifth of the "anomalies" are blobs, so that nothing is perfect."""
    model, _ = trained
    normals = smooth_examples(model.example_shape, 160, seed=1)
    anomalies = np.concatenate([noise(model, 80), smooth_examples(model.example_shape, 20, seed=6)])
    return export_bundle(
        model,
        tmp_path_factory.mktemp("known") / "bundle",
        ExportOptions(formats=["onnx", "litert"], precisions=ALL, parts=["scorer"]),
        examples=normals,
        anomalies=anomalies,
    )


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_that_of_scikit_learn(ties):
    draw = np.random.default_rng(0)
    is_anomaly = draw.random(300) < 0.2
    scores = draw.normal(size=300) + is_anomaly
    scores = np.round(scores) if ties else scores
    assert roc_area(scores, is_anomaly) == pytest.approx(roc_auc_score(is_anomaly, scores), abs=1e-12)


def test_the_area_is_measured_and_proven(bundle, trained):
    manifest = contract.read_manifest(bundle)
    known = manifest.anomalies
    assert (known.examples, known.normals) == (100, 160)
    assert 0.8 < known.roc_area < 0.999
    files = {artifact.file: artifact for artifact in manifest.artifacts}
    assert {"scorer.int8.onnx", "scorer.float16.onnx", "scorer.float16.tflite"} < set(files)
    golden = golden_file.read_golden(bundle, manifest)
    assert golden["labelled_is_anomaly"].sum() == 64
    assert len(golden["labelled_examples"]) == len(golden["labelled_scores"]) == 128
    opened = runtime.load(bundle, precision="int8")
    found = opened.score(golden["labelled_examples"])["reconstruction_error"]
    before = roc_area(golden["labelled_scores"], golden["labelled_is_anomaly"])
    assert before - roc_area(found, golden["labelled_is_anomaly"]) <= 0.01
    card = (bundle / "README.md").read_text("utf-8")
    assert f"{known.roc_area:.2%} of the time" in card
    assert "the fall of a scorer's ROC area" in card


def test_a_fallen_area_is_no_proof(bundle, tmp_path):
    """The same files, but Keras is said to have found every anomaly."""
    manifest = contract.read_manifest(bundle)
    golden = golden_file.read_golden(bundle, manifest)
    golden["labelled_scores"] = golden["labelled_is_anomaly"].astype("float32")
    artifact = contract.find(manifest, "scorer", precision="int8")
    with pytest.raises(ParityError) as error:
        parity.prove(bundle, artifact, golden)
    four_lines(error, "scorer.int8.onnx loses more than its budget", "in the ROC area", "at most 1.00%")


def test_a_mixture_that_ranks_worse_is_refused(trained, tmp_path, monkeypatch):
    model, examples = trained
    monkeypatch.setattr(quantize, "area_lost", lambda ends, golden, run: 0.5 if golden else None)
    options = ExportOptions(formats=["onnx"], precisions=["int8"], parts=["scorer"])
    export_bundle(model, tmp_path / "without", options, examples=examples)
    with pytest.raises(ExportError) as error:
        export_bundle(model, tmp_path / "with", options, examples=examples, anomalies=noise(model, 9))
    four_lines(error, "no mixture", "a loss of 50.00%")


def test_it_survives_a_calibration(bundle, trained, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    recalibrate(copy, smooth_examples(trained[0].example_shape, 300, seed=8), false_positive_rate=0.1)
    manifest = contract.read_manifest(copy)
    assert manifest.anomalies == contract.read_manifest(bundle).anomalies
    assert len(golden_file.read_golden(copy, manifest)["labelled_scores"]) == 128


def test_what_is_refused(trained, tmp_path):
    model, examples = trained
    with pytest.raises(OptionError) as error:
        export_bundle(
            model,
            tmp_path / "b",
            ExportOptions(parts=["encoder"]),
            examples=examples,
            anomalies=noise(model, 3),
        )
    four_lines(error, "no scorer among the parts", "leave out anomalies")
    with pytest.raises(OptionError) as error:
        export_bundle(model, tmp_path / "b", examples=examples, anomalies=noise(model, 0))
    four_lines(error, "no example", "at least one anomaly")
    conditional = aezoo.build("conditional_vae", latent_dim=2, image_shape=(8, 8, 1), classes=3)
    images = smooth_examples((8, 8, 1), 8)
    with pytest.raises(OptionError) as error:
        export_bundle(conditional, tmp_path / "b", examples=images, anomalies=images)
    four_lines(error, "come with their labels", "anomalies for model 'conditional_vae'")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, capfd):
    images = smooth_examples((12, 12, 1), 400)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "odd.npy", np.random.default_rng(0).random((30, 12, 12, 1), dtype="float32"))
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    train = ["train", "dense", "--data", str(tmp_path / "images.npy"), "-O", "units=8,", "--latent-dim", "2"]
    assert main.main([*train, "--epochs", "1", "-o", str(run)]) == 0
    export = ["export", str(run), "-o", str(bundle), "--formats", "onnx", "--parts", "scorer"]
    assert main.main([*export, "--anomalies", str(tmp_path / "odd.npy")]) == 0
    known = json.loads((bundle / "manifest.json").read_text("utf-8"))["anomalies"]
    assert known["examples"] == 30
