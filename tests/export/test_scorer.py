"""The scorer: one graph from examples to a verdict, in every format, and its calibration afterwards."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from conftest import four_lines

import aezoo
from aezoo import runtime
from aezoo.cli import main
from aezoo.core.errors import BundleError, DataError, OptionError, ParityError
from aezoo.core.fingerprints import fingerprints, sketch
from aezoo.evaluation.likelihood import elbo_nats
from aezoo.export import ExportOptions, export_bundle, scoring
from aezoo.export.proof import parity
from aezoo.export.recalibration import recalibrate
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

SHAPE = (11, 9, 2)


@pytest.fixture(scope="module")
def trained():
    model = aezoo.build("conv", latent_dim=3, image_shape=SHAPE, filters=(4, 6))
    model.fit(smooth_examples(SHAPE, 64), verbose=0)
    return model


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scorer") / "bundle"
    return export_bundle(
        trained,
        folder,
        ExportOptions(false_positive_rate=0.05),
        examples=smooth_examples(SHAPE, 200, seed=1),
        trained_on=sketch(fingerprints(smooth_examples(SHAPE, 64))),
    )


def test_outputs_are_those_of_keras_and_follow_from_each_other(trained, exported):
    bundle, images = runtime.load(exported), smooth_examples(SHAPE, 300, seed=2)
    found = bundle.score(images)
    assert list(found) == [
        "latents",
        "reconstructions",
        "error_map",
        "reconstruction_error",
        "p_value",
        "is_anomaly",
    ]
    np.testing.assert_allclose(found["latents"], trained.encode(images), atol=1e-5)
    np.testing.assert_allclose(found["reconstructions"], trained.reconstruct(images), atol=1e-5)
    np.testing.assert_allclose(found["reconstruction_error"], trained.reconstruction_error(images), rtol=1e-4)
    squared = np.square(found["reconstructions"] - images).mean(axis=-1)
    np.testing.assert_allclose(found["error_map"], squared, atol=1e-6)
    assert found["error_map"].shape == (300, 11, 9)
    np.testing.assert_array_equal(found["is_anomaly"], found["p_value"] <= 0.05)
    calibration = bundle.manifest.calibration
    assert calibration.examples == 200
    assert calibration.source == "held-out examples"
    low, high = calibration.false_positive_rate_interval
    assert low < 0.05 < high


def test_the_threshold_is_an_input_that_may_be_left_out(exported):
    model = onnx.load(exported / "scorer.onnx")
    assert [value.name for value in model.graph.input] == ["images", "threshold"]
    bundle, images = runtime.load(exported), smooth_examples(SHAPE, 9, seed=2)
    errors = bundle.score(images)["reconstruction_error"]
    middle = float(np.sort(errors)[4])
    assert bundle.score(images, threshold=middle)["is_anomaly"].sum() == 4
    assert bundle.score(images, threshold=0)["is_anomaly"].all()
    with pytest.raises(OptionError) as error:
        bundle.score(images, threshold=np.nan)
    four_lines(error, "a threshold is a number")


def test_every_batch_size_gives_the_same(exported):
    bundle, images = runtime.load(exported), smooth_examples(SHAPE, 300, seed=2)
    whole = bundle.score(images)
    for name, array in bundle.score(images[:1]).items():
        np.testing.assert_allclose(array, whole[name][:1], atol=1e-6)
    assert all(len(array) == 300 for array in whole.values())


@pytest.mark.parametrize(
    ("name", "options", "places"),
    [
        ("vae", {"image_shape": SHAPE, "body_options": {"units": (8,)}}, (11, 9)),
        ("vae", {"features": 6}, (6,)),
        ("dense", {"features": 6, "units": (8,)}, (6,)),
        ("lstm", {"sequence_shape": (9, 2), "units": 8}, (9,)),
        ("vq_vae", {"image_shape": SHAPE, "filters": (4, 6), "residual_blocks": 1}, (11, 9)),
    ],
    ids=str,
)
def test_every_kind_of_model_has_one(name, options, places, tmp_path):
    model = aezoo.build(name, **{"latent_dim": 3, **options})
    examples = smooth_examples(model.example_shape, 150)
    model.adapt(examples)
    score = "negative_elbo" if model.likelihood else "reconstruction_error"
    bytes_too = {"input_dtype": "uint8"} if model.kind == "images" else {}
    how = ExportOptions(formats=["onnx"], score=score, **bytes_too)
    folder = export_bundle(model, tmp_path / "b", how, examples=examples)
    bundle = runtime.load(folder)
    given = examples
    if bytes_too:
        given = np.rint(examples * 255).astype("uint8")
        examples = given / np.float32(255)
    found = bundle.score(given)
    assert found["error_map"].shape == (150, *places)
    np.testing.assert_allclose(found["reconstruction_error"], bundle.reconstruction_error(given), rtol=1e-4)
    assert found["p_value"].min() >= 1 / 151 - 1e-6
    assert found["is_anomaly"].mean() <= 0.011
    if score == "negative_elbo":
        mean, log_var = model.posterior(examples)
        kl = 0.5 * (np.square(mean) + np.exp(log_var) - log_var - 1).sum(axis=1)
        nll = np.asarray(model.nll(examples, model.decode(mean)))
        np.testing.assert_allclose(found["negative_elbo"], nll + kl, rtol=1e-5)
        # at the mean, and on average over draws, it is nearly the same for a posterior this narrow or wide
        assert abs(found["negative_elbo"].mean() + elbo_nats(model, examples)) < 0.2 * abs(nll.mean()) + 5


def test_scores_that_a_model_does_not_have(trained):
    with pytest.raises(OptionError) as error:
        scoring.fit("negative_elbo", trained)
    four_lines(error, "no evidence lower bound", "reconstruction_error")


def test_without_real_examples_there_is_no_scorer(trained, tmp_path):
    folder = export_bundle(trained, tmp_path / "b", ExportOptions(formats=["onnx"]))
    assert not (folder / "scorer.onnx").exists()
    bundle = runtime.load(folder)
    with pytest.raises(OptionError) as error:
        bundle.score(smooth_examples(SHAPE, 2))
    four_lines(error, "has no scorer")
    with pytest.raises(BundleError) as error:
        recalibrate(folder, smooth_examples(SHAPE, 200))
    four_lines(error, "no scorer that can be calibrated", "scorer.onnx", "normals=normals")
    assert "'onnx' among the formats" not in str(error.value)


def test_what_is_missing_is_what_is_named(trained, tmp_path):
    """The part, the format or the precision: whatever an export would have to have besides."""
    options = ExportOptions(formats=["onnx"], parts=["encoder", "decoder"])
    folder = export_bundle(trained, tmp_path / "b", options, examples=smooth_examples(SHAPE, 200))
    bundle = runtime.load(folder)
    for ask in (bundle.reconstruct, bundle.reconstruction_error):
        with pytest.raises(BundleError) as error:
            ask(smooth_examples(SHAPE, 2))
        four_lines(error, "holds no reconstructor\n", "again with parts=('reconstructor',)")
    for asked, words in (
        ({"precision": "int8"}, "again with precisions=('int8',)"),
        ({"format": "saved_model"}, "again with formats=('saved_model',)"),
    ):
        with pytest.raises(BundleError) as error:
            contract.find(bundle.manifest, "encoder", **asked)
        four_lines(error, words)


def test_a_conditional_model_needs_labels(tmp_path):
    model = aezoo.build("conditional_vae", latent_dim=2, image_shape=(8, 8, 1), classes=3)
    images, labels = smooth_examples((8, 8, 1), 120), np.arange(120, dtype="int32") % 3
    folder = export_bundle(model, tmp_path / "b", ExportOptions(formats=["onnx"]), examples=images)
    assert not (folder / "scorer.onnx").exists()
    folder = export_bundle(
        model, tmp_path / "b", ExportOptions(formats=["onnx"]), examples=images, labels=labels
    )
    assert runtime.load(folder).score(images, labels=labels)["is_anomaly"].mean() <= 0.01
    recalibrate(folder, images, labels=labels, false_positive_rate=0.2)
    assert 0.1 < runtime.load(folder).score(images, labels=labels)["is_anomaly"].mean() <= 0.2
    with pytest.raises(OptionError) as error:
        export_bundle(model, tmp_path / "b", ExportOptions(formats=["onnx"]), normals=images)
    four_lines(error, "come with their labels", "recalibrate(folder, normals, labels=labels)")


def test_calibrated_again_without_training(trained, exported, tmp_path):
    import shutil

    folder = tmp_path / "bundle"
    shutil.copytree(exported, folder)
    with pytest.raises(DataError) as error:
        recalibrate(folder, smooth_examples(SHAPE, 64), trust=True)
    four_lines(error, "were trained on")
    before = runtime.load(folder).manifest.calibration
    normals, fresh = smooth_examples(SHAPE, 1500, seed=3), smooth_examples(SHAPE, 3000, seed=4)
    found, gone = recalibrate(folder, normals, false_positive_rate=0.1, trust=True)
    assert gone == []
    bundle = runtime.load(folder)
    assert bundle.manifest.calibration.threshold == found.threshold != before.threshold
    low, high = found.interval
    assert low - 0.02 < bundle.score(fresh)["is_anomaly"].mean() < high + 0.02
    figures = parity.verify(folder, trust=True)  # both formats, in fresh processes
    assert {"scorer.onnx", "saved_model/scorer"} <= set(figures)
    np.testing.assert_allclose(
        bundle.score(fresh)["p_value"], found.p_values(bundle.score(fresh)["reconstruction_error"]), atol=1e-6
    )


def test_edge_formats_are_calibrated_or_leave(trained, tmp_path):
    precisions = ["float32", "float16"]
    options = {"formats": ["onnx", "openvino", "litert"], "precisions": precisions, "parts": ["scorer"]}
    folder = export_bundle(
        trained, tmp_path / "b", ExportOptions(**options), examples=smooth_examples(SHAPE, 120)
    )
    before = (folder / "openvino" / "scorer.xml").read_text("utf-8")
    found, gone = recalibrate(str(folder), smooth_examples(SHAPE, 1500, seed=3), false_positive_rate=0.1)
    assert gone == ["scorer.tflite", "scorer.float16.tflite"]
    assert not list(folder.glob("*.tflite"))
    figures = parity.verify(folder, trust=True)
    assert {"openvino/scorer.xml", "openvino/scorer.float16.xml"} < set(figures)
    after = (folder / "openvino" / "scorer.xml").read_text("utf-8")
    assert [len(text.splitlines()) for text in (before, after)] == [len(before.splitlines())] * 2
    assert np.float32(found.threshold).tobytes() in (folder / "openvino" / "scorer.bin").read_bytes()
    assert sorted(path.name for path in (folder / "openvino").iterdir()) == [
        "scorer.bin",
        "scorer.float16.bin",
        "scorer.float16.xml",
        "scorer.xml",
    ]


def test_commands(exported, tmp_path, capsys):
    import shutil

    shutil.copytree(exported, tmp_path / "bundle")
    folder = str(tmp_path / "bundle")
    np.save(tmp_path / "normals.npy", smooth_examples(SHAPE, 400, seed=5))
    np.save(tmp_path / "trained.npy", smooth_examples(SHAPE, 64))
    normals = str(tmp_path / "normals.npy")
    assert main.main(["score", folder, normals]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "example,reconstruction_error,p_value,is_anomaly"
    assert len(rows) == 401
    assert main.main(["score", folder, normals, "--threshold", "0", "--json"]) == 0
    assert all(row["is_anomaly"] is True for row in json.loads(capsys.readouterr().out))
    assert main.main(["calibrate", folder, str(tmp_path / "trained.npy"), "--trust"]) == 1
    assert "were trained on" in capsys.readouterr().err
    digest = contract.digest_of(folder)
    options = ["--false-positive-rate", "0.25", "--digest", digest]
    assert main.main(["calibrate", folder, normals, *options]) == 0
    printed = capsys.readouterr().out
    assert f"digest: {contract.digest_of(folder)}" in printed
    assert digest not in printed
    assert "from 400 normal examples" in printed
    assert "confidence of 95 %" in printed
    assert contract.read_manifest(folder).calibration.false_positive_rate == 0.25
    assert main.main(["calibrate", folder, normals, "--false-positive-rate", "0.0001", "--trust"]) == 1
    assert "too few normal examples" in capsys.readouterr().err


def test_some_parts_alone(trained, tmp_path):
    examples = smooth_examples(SHAPE, 120)
    folder = export_bundle(
        trained, tmp_path / "b", ExportOptions(formats=["onnx"], parts=["encoder"]), examples=examples
    )
    assert [artifact.file for artifact in contract.read_manifest(folder).artifacts] == ["encoder.onnx"]
    assert runtime.load(folder).encode(examples).shape == (120, 3)
    with pytest.raises(OptionError) as error:
        export_bundle(
            trained, tmp_path / "c", ExportOptions(formats=["onnx"], parts=["encodr"]), examples=examples
        )
    four_lines(error, "did you mean 'encoder'?")


def test_a_fixed_layout_is_calibrated_too(trained, tmp_path):
    """Batches of 4, channels first, bytes: whoever calibrates need not know."""
    examples = smooth_examples(SHAPE, 120)
    options = {"formats": ["onnx"], "parts": ["scorer"], "batch": 4, "layout": "nchw", "input_dtype": "uint8"}
    folder = export_bundle(trained, tmp_path / "b", ExportOptions(**options), examples=examples)
    normals = np.rint(smooth_examples(SHAPE, 501, seed=3) * 255).astype("uint8")
    found, _ = recalibrate(folder, normals, false_positive_rate=0.1)
    assert found.examples == 501
    assert runtime.load(folder).score(normals)["is_anomaly"].mean() == pytest.approx(0.1, abs=0.01)
    with pytest.raises(DataError) as error:
        recalibrate(folder, normals.astype("float32") / 255)
    four_lines(error, "uint8")


@pytest.mark.parametrize(
    ("labels", "word"),
    [(None, "label"), ([1, 2], "one for each"), ([77] * 40, "77"), ([-1] * 40, "-1")],
)
def test_labels_of_normal_examples_are_checked(labels, word, tmp_path):
    model = aezoo.build("conditional_vae", latent_dim=2, image_shape=(8, 8, 1), classes=3)
    images, known = smooth_examples((8, 8, 1), 120), np.arange(120) % 3
    options = {"formats": ["onnx"], "parts": ["scorer"]}
    folder = export_bundle(model, tmp_path / "b", ExportOptions(**options), examples=images, labels=known)
    with pytest.raises((DataError, OptionError)) as error:
        recalibrate(folder, images[:40], labels=labels, false_positive_rate=0.1)
    four_lines(error, word)


def test_labels_are_not_ignored(exported):
    with pytest.raises((DataError, OptionError)) as error:
        recalibrate(exported, smooth_examples(SHAPE, 200, seed=5), labels=[1] * 200, trust=True)
    four_lines(error, "label")


@pytest.mark.parametrize("score", ["reconstruction_error", "negative_elbo"])
def test_lower_precisions_have_tables_of_their_own(score, tmp_path):
    """Each file scores in its own way; the rate that was asked for is that of its own scores."""
    shape, precisions = (11, 9, 2), ("float32", "float16", "int8")
    model = aezoo.build("vae", latent_dim=3, image_shape=shape, body="conv", body_options={"filters": (4, 6)})
    examples = smooth_examples(shape, 160)
    model.fit(examples, epochs=2, verbose=0)
    normals = smooth_examples(shape, 600, seed=3)
    folder = export_bundle(
        model,
        tmp_path / "b",
        ExportOptions(
            false_positive_rate=0.1,
            score=score,
            precisions=precisions,
            formats=["onnx"],
            parts=["scorer"],
            budget=0.9,
        ),
        examples=examples,
        normals=normals,
    )
    thresholds = contract.read_manifest(folder).calibration.thresholds
    assert len(set(thresholds.values())) == 3
    for precision in precisions:
        bundle = runtime.load(folder, precision=precision)
        assert bundle.score(normals)["is_anomaly"].mean() == pytest.approx(0.1, abs=0.005), precision
        moved = bundle.score(normals, threshold=thresholds[precision])["is_anomaly"]
        assert moved.mean() == pytest.approx(0.1, abs=0.005)


def test_a_changed_verdict_of_lower_precision_is_found(trained, tmp_path):
    options = {"formats": ["onnx"], "parts": ["scorer"], "precisions": ["int8"], "budget": 0.9}
    folder = export_bundle(
        trained, tmp_path / "b", ExportOptions(**options), examples=smooth_examples(SHAPE, 120)
    )
    path = folder / "scorer.int8.onnx"
    for name, value in (("threshold", [-1.0]), ("p_value/step", [0.5])):
        whole = path.read_bytes()
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            if tensor.name == name:
                new = np.asarray(value, "float32").reshape(onnx.numpy_helper.to_array(tensor).shape)
                tensor.CopyFrom(onnx.numpy_helper.from_array(new, name))
        onnx.save(model, path)
        manifest = contract.read_manifest(folder)
        artifacts = (contract.rehashed(folder, manifest.artifacts[0]),)
        contract.write_manifest(folder, dataclasses.replace(manifest, artifacts=artifacts))
        with pytest.raises(ParityError) as error:
            parity.verify(folder, trust=True)
        four_lines(error, "than follows from its scores", "calibration.npz")
        path.write_bytes(whole)


def test_what_is_known_of_the_training_is_said(trained, exported, tmp_path):
    assert contract.read_manifest(exported).calibration.training_examples == "none found"
    options = {"formats": ["onnx"], "parts": ["scorer"]}
    folder = export_bundle(
        trained, tmp_path / "b", ExportOptions(**options), examples=smooth_examples(SHAPE, 120)
    )
    assert contract.read_manifest(folder).calibration.training_examples == "unknown"
    golden = [len(np.load(folder / "golden.npz")["examples"])]
    for seed in (3, 4):
        recalibrate(folder, smooth_examples(SHAPE, 200, seed=seed), false_positive_rate=0.3)
        golden.append(len(np.load(folder / "golden.npz")["examples"]))
    assert golden == [64, 64, 64]
