"""The scores that a verdict can go by: what they are, that every format says the same, what they refuse."""

import keras
import numpy as np
import onnx
import pytest
from conftest import four_lines, mostly_exhaustive, run_command
from onnx import numpy_helper
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

import aezoo
from aezoo import runtime
from aezoo.core.calibration import roc_area
from aezoo.core.errors import OptionError
from aezoo.core.scores import SCORES
from aezoo.export import ExportOptions, export_bundle, scoring
from aezoo.export.formats import FORMATS, is_installed
from aezoo.export.recalibration import recalibrate
from aezoo.export.scoring import memory
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

MODELS = {
    "images": ("conv", {"latent_dim": 3, "image_shape": (20, 24, 3), "filters": (4, 6)}),
    "large images": ("conv", {"latent_dim": 2, "image_shape": (130, 201, 1), "filters": (2, 4, 4)}),
    "small images": ("conv", {"latent_dim": 2, "image_shape": (8, 8, 1), "filters": (4,)}),
    "rows": ("dense", {"latent_dim": 3, "features": 7, "units": (8,)}),
    "sequences": ("conv1d", {"latent_dim": 3, "sequence_shape": (32, 2), "filters": (4, 6)}),
}
FORMS = [form for form in FORMATS if form != "c" and is_installed(form)]  # no header holds a scorer
OF_ALL = ("largest_error", "mahalanobis_distance", "memory_distance")
CASES = [(kind, score) for kind in MODELS for score in OF_ALL]
BUILT = {}


def built(kind):
    """A model of a kind of examples, a little trained."""
    if kind not in BUILT:
        keras.utils.set_random_seed(0)
        name, options = MODELS[kind]
        model = aezoo.build(name, **options)
        model.adapt(smooth_examples(model.example_shape, 200))
        model.fit(smooth_examples(model.example_shape, 200), verbose=0)
        BUILT[kind] = model
    return BUILT[kind]


def exported(kind, score, folder, forms=("onnx",), precisions=("float32",), **more):
    model = built(kind)
    options = ExportOptions(
        formats=forms,
        precisions=precisions,
        parts=["scorer"],
        score=score,
        false_positive_rate=0.05,
        budget=0.9,
    )
    given = {"reference": smooth_examples(model.example_shape, 200), **more}
    examples = smooth_examples(model.example_shape, 100, seed=1)
    return export_bundle(model, folder / "bundle", options, examples=examples, **given)


@pytest.mark.parametrize(
    ("kind", "score"), mostly_exhaustive(CASES, lambda case: case[0] in ("rows", "images"))
)
def test_every_format_holds_every_score(kind, score, tmp_path):
    wide = score == "memory_distance"
    forms, precisions = (FORMS, ("float32", "float16", "int8")) if wide else (["onnx"], ("float32",))
    bundle = runtime.load(exported(kind, score, tmp_path, forms, precisions))
    assert {row.format for row in bundle.manifest.artifacts} == set(forms)
    assert bundle.manifest.calibration.score == bundle.score_name == score
    model = built(kind)
    examples = smooth_examples(model.example_shape, 300, seed=2)
    found = bundle.score(examples)
    fitted = scoring.fit(score, model, smooth_examples(model.example_shape, 200))
    wanted = scoring.score_examples(model, examples, {}, fitted)
    np.testing.assert_allclose(found[score], wanted, rtol=1e-4, atol=1e-5 * wanted.max())
    np.testing.assert_array_equal(found["is_anomaly"], found[score] > bundle.threshold)
    assert 0.005 < found["is_anomaly"].mean() < 0.2
    assert np.isfinite(found["p_value"]).all()


def test_rows_are_compared_as_scikit_learn_would():
    reference = np.random.default_rng(0).normal(size=(120, 7)).astype("float32") * [1, 2, 3, 100, 0.1, 1, 5]
    rows = np.random.default_rng(1).normal(size=(40, 7)).astype("float32") * [1, 2, 3, 100, 0.1, 1, 9]
    model = aezoo.build("dense", latent_dim=2, features=7, units=(4,))
    model.adapt(reference)
    fitted = scoring.fit("memory_distance", model, reference)
    found = scoring.score_examples(model, rows.astype("float32"), {}, fitted)
    scaled = [(each - reference.mean(axis=0)) / reference.std(axis=0) for each in (reference, rows)]
    neighbours = NearestNeighbors().fit(scaled[0])
    own = neighbours.kneighbors(n_neighbors=3)[0].mean(axis=1)
    near = neighbours.kneighbors(scaled[1], n_neighbors=3)[0].mean(axis=1, keepdims=True)
    weights = np.exp(
        -(cdist(scaled[1], scaled[0]) ** 2) / (0.5 * near**2 + 0.125 * np.mean(own**2) + 0.002 * 7)
    )
    around = (weights * own).sum(axis=1) / weights.sum(axis=1)
    wanted = near[:, 0] / around**0.25
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_patches_are_compared_after_their_light_is_taken_off():
    images = smooth_examples((24, 20, 2), 30)
    layer = memory.PatchMemory(size=6, strides=3, contrast=2.0, components=5, remembered=50)
    layer.build((None, 24, 20, 2))
    layer.remember(images)
    ones = np.ones_like(images[:4])

    def blurred(values):
        for axis in (1, 2):
            values = gaussian_filter1d(values, 2.0, axis=axis, mode="constant", truncate=3.0)
        return values

    difference = images[:4] - blurred(images[:4].astype("float64")) / blurred(ones)
    wanted = difference / (np.sqrt(blurred(difference**2) / blurred(ones)) + memory.EPSILON)
    found = keras.ops.convert_to_numpy(layer.normalised(images[:4]))
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    kernel, bank = (keras.ops.convert_to_numpy(value) for value in (layer.kernel, layer.memory))
    patch = wanted[1, 6:12, 3:9].reshape(-1) @ kernel.reshape(-1, 5) + keras.ops.convert_to_numpy(layer.bias)
    nearest = np.sqrt(((bank - patch) ** 2).sum(axis=1).min())
    distances = keras.ops.convert_to_numpy(layer(images[:4]))
    assert distances.shape == (4, 7, 5)
    np.testing.assert_allclose(distances[1, 2, 1], nearest, rtol=1e-3, atol=1e-3)
    darker = keras.ops.convert_to_numpy(layer(0.5 * images[:4] + 0.1))
    np.testing.assert_allclose(darker, distances, atol=0.35 * distances.max())


def test_a_small_defect_is_found_and_shown(tmp_path):
    """One that the mean error of the image hardly moves by."""
    model = built("images")
    bundle = runtime.load(exported("images", "memory_distance", tmp_path))
    normal = smooth_examples(model.example_shape, 60, seed=3)
    defect = normal.copy()
    defect[:, 8:12, 14:18] = 1 - defect[:, 8:12, 14:18]
    scores = bundle.score(np.concatenate([normal, defect]))
    is_anomaly = np.arange(120) >= 60
    area = roc_area(scores["memory_distance"], is_anomaly)
    assert area > 0.8
    assert area > roc_area(scores["reconstruction_error"], is_anomaly) + 0.1
    shown = scores["anomaly_map"][60:] / scores["anomaly_map"][:60]
    assert shown[:, 8:12, 14:18].mean() > 1.3 * shown[:, :4, :8].mean()


def test_a_surprise_goes_on_where_a_share_would_be_none():
    layer = memory.Surprise()
    layer.build((None,))
    values = np.random.default_rng(0).exponential(size=5000)
    layer.learn(values)
    found = keras.ops.convert_to_numpy(layer(np.asarray([0.7, 2.3, 20.0, np.nan, np.inf], "float32")))
    np.testing.assert_allclose(found[:3], [0.7, 2.3, 20.0], rtol=0.1)  # -log of the share above x is x
    assert not np.isfinite(found[3:]).any()
    layer.learn(np.zeros(20))
    assert np.isfinite(keras.ops.convert_to_numpy(layer(np.asarray([0.0, 1.0], "float32")))).all()


def test_examples_that_repeat_have_distances():
    layer = memory.Nearest(40)
    layer.build((None, 3))
    layer.remember(np.zeros((40, 3)), scaled=True)
    assert np.isfinite(keras.ops.convert_to_numpy(layer(np.asarray([[0, 0, 0], [1, 2, 3]], "float32")))).all()
    few = memory.Nearest(2)
    few.build((None, 3))
    few.remember(np.eye(3)[:2], scaled=True)
    assert np.isfinite(keras.ops.convert_to_numpy(few(np.eye(3, dtype="float32")))).all()


def test_lower_precision_compares_in_float32(tmp_path):
    folder = exported("images", "memory_distance", tmp_path, precisions=("float32", "float16", "int8"))
    for name in ("scorer.float16.onnx", "scorer.int8.onnx"):
        weights = {tensor.name: tensor for tensor in onnx.load(folder / name).graph.initializer}
        banks = [name for name in weights if name.startswith("memory_distance_") and name.endswith("/memory")]
        assert len(banks) == 3
        assert {numpy_helper.to_array(weights[bank]).dtype for bank in banks} == {np.dtype("float32")}


def test_another_calibration_keeps_the_score(tmp_path):
    folder = exported("rows", "memory_distance", tmp_path)
    before = runtime.load(folder).threshold
    recalibrate(folder, 1.5 * smooth_examples((7,), 80, seed=5), false_positive_rate=0.1)
    bundle = runtime.load(folder)
    assert bundle.score_name == "memory_distance"
    assert bundle.threshold > before


def test_what_is_refused_is_said():
    rows = smooth_examples((7,), 50)
    for score in ("mahalanobis_distance", "memory_distance"):
        with pytest.raises(OptionError) as error:
            scoring.fit(score, built("rows"))
        four_lines(error, "none are here", score, "reference=examples")
    with pytest.raises(OptionError) as error:
        scoring.fit("memory_distance", aezoo.build("conditional_vae", image_shape=(8, 8, 1), classes=2), rows)
    four_lines(error, "of no class", "conditional")
    ragged = aezoo.build("conv1d", latent_dim=2, sequence_shape=(16, 1), filters=(4,), ragged=True)
    with pytest.raises(OptionError) as error:
        scoring.fit("mahalanobis_distance", ragged, smooth_examples((16, 1), 9))
    four_lines(error, "of one length", "different lengths")
    with pytest.raises(OptionError) as error:
        scoring.fit("mahalanobis_distance", aezoo.build("dense", latent_dim=2049, features=7, units=()), rows)
    four_lines(error, "so many latents", "(2049,)")
    with pytest.raises(OptionError) as error:
        ExportOptions(score="nearest")
    four_lines(error, *SCORES)
    with pytest.raises(OptionError) as error:
        ExportOptions(score="mahalanobis_distance", precisions=("float32", "int8"))
    four_lines(error, "8 bits", "leave int8 out")


def test_the_command_takes_what_a_run_keeps(tmp_path, capsys):
    np.save(tmp_path / "rows.npy", smooth_examples((5,), 300))
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    quick = ("--epochs", "1", "-O", "units=8", "--latent-dim", "2")
    assert run_command("train", "dense", "--data", tmp_path / "rows.npy", *quick, "-o", run) == 0
    export = ("export", run, "-o", bundle, "--formats", "onnx", "--score", "memory_distance")
    assert run_command(*export) == 0
    assert contract.read_manifest(bundle).calibration.score == "memory_distance"
    assert run_command("score", bundle, tmp_path / "rows.npy") == 0
    assert "memory_distance" in capsys.readouterr().out
    (run / "reference.npz").unlink()  # as a run of an earlier version
    assert run_command(*export) == 2
    assert "train again" in capsys.readouterr().err
