"""A score that is no number is an anomaly: in every format, precision and family, and in what is printed."""

import json

import numpy as np
import pytest
from conftest import mostly_exhaustive, run_command

import aezoo
from aezoo import runtime
from aezoo.core.calibration import Calibration
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.formats import FORMATS, is_installed
from aezoo.export.proof import readers
from aezoo.export.scoring.layers import IsAnomaly
from aezoo.nn.autoencoder import keras
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

# What stands in tables for "not measured", and what float16 (65504) or float32 (3.4e38) lose on their way.
FILLS = (1e5, 1e30, 1e37, -1e37, 3e38)
NORMALS = 160
SCORERS = {
    "dense": ("dense", {"latent_dim": 2, "features": 6, "units": (8,)}, "reconstruction_error"),
    "vae": ("vae", {"latent_dim": 2, "features": 6}, "negative_elbo"),
    "conv1d": (
        "conv1d",
        {"latent_dim": 2, "sequence_shape": (17, 3), "filters": (4, 6)},
        "reconstruction_error",
    ),
    "lstm": ("lstm", {"latent_dim": 2, "sequence_shape": (9, 2), "units": 8}, "reconstruction_error"),
    "memory": ("dense", {"latent_dim": 2, "features": 6, "units": (8,)}, "memory_distance"),
    "largest": ("conv1d", {"latent_dim": 2, "sequence_shape": (17, 3), "filters": (4, 6)}, "largest_error"),
    "mahalanobis": ("dense", {"latent_dim": 2, "features": 6, "units": (8,)}, "mahalanobis_distance"),
    "sparse": ("sparse", {"latent_dim": 3, "features": 6}, "reconstruction_error"),
}
PRECISIONS = {"lstm": ["float32", "int8"], "mahalanobis": ["float32", "float16"]}  # others are refused
BEYOND = {("vae", "litert")}  # so few trained steps leave a range of which its roundings are more than 1e-5
FORMS = [form for form in FORMATS if form != "c" and is_installed(form)]  # no header holds a scorer


def exported(name, folder, forms):
    """A bundle of scorers in every precision, normal examples, and the name of the score."""
    family, options, score = SCORERS[name]
    keras.utils.set_random_seed(1)
    model = aezoo.build(family, **options)
    examples = smooth_examples(model.example_shape, NORMALS)
    model.adapt(examples)
    model.fit(examples, epochs=3, verbose=0)
    options = ExportOptions(
        formats=forms,
        precisions=PRECISIONS.get(name, ["float32", "float16", "int8"]),
        parts=["scorer"],
        budget=0.9,
        false_positive_rate=0.1,
        score=score,
    )
    return (
        export_bundle(model, folder / "bundle", options, examples=examples, reference=examples),
        examples,
        score,
    )


@pytest.mark.parametrize("name", mostly_exhaustive(SCORERS, lambda name: name in ("dense", "memory")))
def test_fill_values_are_anomalies_in_every_file(name, tmp_path):
    """The graphs themselves, without the checks in front of them: NaN and infinity are anomalies as well."""
    forms = [form for form in FORMS if (name, form) not in BEYOND]
    bundle, examples, score = exported(name, tmp_path, forms)
    artifacts, scores = contract.read_manifest(bundle).artifacts, []
    assert {artifact.format for artifact in artifacts} == set(forms)
    for artifact in artifacts:
        run, _ = readers.open_artifact(bundle, artifact)
        for value in (*FILLS, np.nan, np.inf, -np.inf):
            given = examples[:7].copy()
            given[2].flat[1], given[4] = value, value
            found = {key: np.asarray(array) for key, array in run({artifact.inputs[0].name: given}).items()}
            told = str((artifact.file, value, found[score]))
            assert found["is_anomaly"][[2, 4]].all(), told
            assert not found["is_anomaly"][[0, 1, 3, 5, 6]].all(), told
            np.testing.assert_allclose(found["p_value"][[2, 4]], 1 / (NORMALS + 1), rtol=2e-3, err_msg=told)
            scores.extend(found[score])
    assert np.isnan(scores).any()
    # A distance is a difference of infinite numbers; and infinity times 0 is none.
    assert name in ("memory", "largest") or np.isinf(scores).any()


def test_the_layer_says_so_on_every_backend():
    layer = IsAnomaly()
    layer.threshold.assign([1.0])
    given = keras.ops.convert_to_tensor([0.5, 1.0, 1.5, np.nan, np.inf, -np.inf])
    wanted = [False, False, True, True, True, False]
    assert keras.ops.convert_to_numpy(layer(given)).tolist() == wanted
    assert Calibration([0.0], 0.5, 0.5, 1.0, 0.1, 1, (0, 1)).is_anomaly(given).tolist() == wanted


def test_numpy_s_calibration_says_the_same():
    found = Calibration.fit(np.arange(1.0, 100.0), 0.05)
    odd = [np.nan, np.inf, 3e38]
    assert found.is_anomaly(odd).all()
    assert found.is_anomaly(odd, threshold=1e9).all()
    np.testing.assert_allclose(found.p_values(odd), 1 / 100)
    assert found.is_sure(odd).all()


def test_what_is_printed_is_json(tmp_path, capsys):
    bundle, examples, _ = exported("dense", tmp_path, ["onnx"])
    given = examples[:3].copy()
    given[1] = 3e38
    np.save(tmp_path / "rows.npy", given)
    assert run_command("score", bundle, tmp_path / "rows.npy", "--json") == 0

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    rows = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert [row["is_anomaly"] for row in rows][1] is True
    assert rows[1]["reconstruction_error"] is None
    assert run_command("score", bundle, tmp_path / "rows.npy") == 0
    assert capsys.readouterr().out.splitlines()[2].split(",")[1] in ("nan", "inf")
    assert runtime.load(bundle).score(given)["is_anomaly"][1]
