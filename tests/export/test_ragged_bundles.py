"""Bundles of models of series of different lengths: proven in every format, with NaN behind the ends."""

import json

import keras
import numpy as np
import onnx
import pytest
from conftest import four_lines, run_command
from series_makers import STEPS, series

import aezoo
from aezoo import runtime
from aezoo.core import ragged
from aezoo.core.errors import DataError, ExportError, OptionError, ParityError
from aezoo.export import ExportOptions, export_bundle, formats
from aezoo.export.budget import lost
from aezoo.export.golden import make_golden
from aezoo.export.proof import parity
from aezoo.export.recalibration import recalibrate
from aezoo.runtime import manifest as contract

OPTIONS = {"conv1d": {"filters": (4, 6), "linear_path": True}, "lstm": {"units": (6,)}}
PARTS = ("encoder", "scorer")


def built(name, **options):
    keras.utils.set_random_seed(0)
    model = aezoo.build(name, latent_dim=3, sequence_shape=(STEPS, 2), **OPTIONS[name], **options)
    model.fit(series() if model.ragged else np.stack(series(1) * 40), epochs=3, verbose=0)
    return model


@pytest.fixture(scope="module", params=OPTIONS)
def exported(request, tmp_path_factory):
    """A model, and its bundle of ONNX and a SavedModel."""
    model = built(request.param, ragged=True)
    folder = tmp_path_factory.mktemp("ragged") / "bundle"
    held_out = ragged.padded(series(150, seed=1))
    return model, export_bundle(model, folder, ExportOptions(), examples=held_out)


def test_a_bundle_answers_as_the_model_does(exported):
    model, folder = exported
    bundle, given = runtime.load(folder), series(40, seed=2)
    assert bundle.ragged
    assert bundle.manifest.ragged
    whole = ragged.padded(given)
    errors = model.reconstruction_error(given)
    scale = model.error_scale
    for some in (given, whole):
        found = bundle.score(some, batch_size=7)
        np.testing.assert_allclose(found["reconstruction_error"], errors, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(bundle.reconstruction_error(some), errors, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(bundle.encode(some), model.encode(some), atol=1e-4)
        np.testing.assert_array_equal(np.isnan(found["error_map"]), ragged.behind_ends(whole))
        np.testing.assert_array_equal(np.isnan(found["reconstructions"]), np.isnan(whole))
        by_hand = np.square((found["reconstructions"] - whole) / scale).mean(axis=2)
        np.testing.assert_allclose(found["error_map"], by_hand, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(np.nanmean(by_hand, axis=1), errors, rtol=1e-3, atol=1e-6)
    short = np.stack([one[:2] for one in given])
    np.testing.assert_allclose(
        bundle.score(short)["reconstruction_error"], model.reconstruction_error(short), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_array_equal(bundle.encode(short), bundle.encode(ragged.padded(short, STEPS)))


def test_what_a_bundle_refuses(exported, tmp_path):
    bundle, whole = runtime.load(exported[1]), ragged.padded(series(5))
    for index, words in (
        ((2, 0), "example 2, at (0, 0)"),
        ((1, 1, 1), "example 1, at (1, 1)"),
        (3, "without steps"),
    ):
        damaged = whole.copy()
        damaged[index] = np.nan
        for call in (bundle.encode, bundle.score):
            with pytest.raises(DataError) as error:
                call(damaged)
            four_lines(error, words)
    with pytest.raises(DataError) as error:
        bundle.score([*series(3), np.ones((STEPS + 1, 2))])
    four_lines(error, "longer than the model's", f"example 3 has {STEPS + 1} steps")
    with pytest.raises(DataError) as error:
        bundle.score(np.ones((3, STEPS + 1, 2)))
    four_lines(error, "wrong shape")


def test_a_bundle_of_one_length_takes_no_ends(tmp_path):
    model = built("conv1d")
    folder = export_bundle(model, tmp_path / "b", ExportOptions(formats=("onnx",), parts=("encoder",)))
    bundle = runtime.load(folder)
    assert not bundle.ragged
    nodes = {node.op_type for node in onnx.load(folder / "encoder.onnx").graph.node}
    assert not nodes & {"IsNaN", "Where"}
    for given in (ragged.padded(series(5)), np.ones((3, STEPS - 1, 2))):
        with pytest.raises(DataError) as error:
            bundle.encode(given)
        four_lines(error)


def test_the_graph_itself_sees_the_ends(exported):
    """As who has the file alone and no aezoo: NaN goes in, numbers come out."""
    import onnxruntime

    model, folder = exported
    whole = ragged.padded(series(9, seed=4))
    session = onnxruntime.InferenceSession(folder / "scorer.onnx", providers=["CPUExecutionProvider"])
    names = [row.name for row in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"examples": whole}), strict=True))
    assert all(np.isfinite(value).all() for value in found.values())
    assert (found["error_map"][ragged.behind_ends(whole)] == 0).all()
    np.testing.assert_allclose(
        found["reconstruction_error"], model.reconstruction_error(whole), rtol=1e-3, atol=1e-6
    )
    nothing = dict(zip(names, session.run(names, {"examples": np.full_like(whole, np.nan)}), strict=True))
    assert nothing["is_anomaly"].all()  # a score that is no number


def test_every_proof_sees_ends(exported):
    model, folder = exported
    golden = np.load(folder / "golden.npz")
    assert ragged.has_ends(golden["examples"])
    for examples in (None, np.stack(series(1) * 8)):  # none of which ends
        made = make_golden(model, examples)
        assert 0 < ragged.behind_ends(made["examples"]).mean() < 0.6
        assert np.isfinite(made["reconstructions"]).all()


def test_a_file_that_counts_behind_the_ends_is_refused(exported, tmp_path):
    """The proof that such a graph must pass: the mask is taken out of the scorer's mean."""
    _, folder = exported
    manifest = contract.read_manifest(folder)
    row = next(one for one in manifest.artifacts if one.file == "scorer.onnx")
    draft = tmp_path / "draft"
    contract.copy_bundle(folder, manifest, draft)
    proto = onnx.load(draft / row.file)
    for node in proto.graph.node:
        if node.op_type == "Div" and node.name.startswith("reconstruction_error/"):
            node.op_type, node.input[:] = "Identity", node.input[:1]
    onnx.save(proto, draft / row.file)
    golden = dict(np.load(draft / "golden.npz"))
    with pytest.raises(ParityError) as error:
        parity.prove(draft, contract.rehashed(draft, row), golden)
    four_lines(error, "does not compute what the Keras model computes", "reconstruction_error")


@pytest.mark.parametrize(
    ("precision", "parts"), [("float32", PARTS), ("float16", ("encoder", "reconstructor"))]
)
@pytest.mark.parametrize("form", ["litert", "openvino"])
def test_other_formats(exported, form, precision, parts, tmp_path):
    model, _ = exported
    if not formats.is_installed(form):
        pytest.skip(f"{form} is not installed")
    options = ExportOptions(formats=(form,), precisions=(precision,), parts=parts)
    folder = export_bundle(model, tmp_path / "b", options, examples=ragged.padded(series(120, seed=1)))
    rows = contract.read_manifest(folder).artifacts
    assert {(row.part, row.format) for row in rows} == {(part, form) for part in parts}


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_lower_precisions_of_onnx(exported, precision, tmp_path):
    model, _ = exported
    options = ExportOptions(formats=("onnx",), precisions=("float32", precision), parts=PARTS, budget=0.1)
    held_out = ragged.padded(series(200, seed=1))
    if (model.model_name, precision) == ("lstm", "float16"):
        with pytest.raises(ExportError) as error:
            export_bundle(model, tmp_path / "b", options, examples=held_out)
        four_lines(error, "cannot be written in float16", "recurrent layer")
        return
    folder = export_bundle(model, tmp_path / "b", options, examples=held_out)
    found = runtime.load(folder, precision=precision).score(series(30, seed=5))
    errors = model.reconstruction_error(series(30, seed=5))
    np.testing.assert_allclose(found["reconstruction_error"], errors, rtol=0.3, atol=0.02)


@pytest.mark.parametrize(("form", "precision"), [("c", "float32"), ("litert", "int8")])
def test_formats_that_see_no_ends(exported, form, precision, tmp_path):
    options = ExportOptions(formats=(form,), precisions=(precision,))
    with pytest.raises(OptionError) as error:
        export_bundle(exported[0], tmp_path / "b", options)
    four_lines(error, "do not see where a series ends", f"{form} in {precision}")
    assert not (tmp_path / "b").exists()


def test_calibration_takes_ends(exported, tmp_path):
    _, folder = exported
    manifest = contract.read_manifest(folder)
    copy = tmp_path / "copy"
    contract.copy_bundle(folder, manifest, copy)
    contract.write_manifest(copy, manifest)
    normals = series(300, seed=7)
    found, _ = recalibrate(copy, normals, false_positive_rate=0.05, trust=True)
    errors = runtime.load(copy).score(normals)["reconstruction_error"]
    assert np.mean(errors > found.threshold) == pytest.approx(0.05, abs=0.02)
    assert "Series may be shorter" in (copy / "README.md").read_text("utf-8")


def test_the_manifest_says_so(exported):
    manifest = json.loads((exported[1] / "manifest.json").read_text("utf-8"))
    assert (manifest["schema_version"], manifest["ragged"]) == (contract.SCHEMA_VERSION, True)


def test_a_loss_is_measured_up_to_the_ends():
    whole = ragged.padded(series(20))
    good, bad = np.nan_to_num(whole), np.nan_to_num(whole, nan=1e6)
    off = np.where(np.isnan(whole), good, good + 1)
    assert lost("reconstructions", off, np.where(np.isnan(whole), bad, off), whole) == pytest.approx(0)
    pair = ragged.padded([[0.0], [1.0, -1.0, 1.0, -1.0]])  # each counts alike, whatever its length
    again = np.nan_to_num(pair) + 1
    worse = again + [[[1.0]], [[0.0]]]
    assert lost("reconstructions", again, worse, pair) == pytest.approx((4 + 1) / 2 - 1)


def test_the_commands(tmp_path, monkeypatch, capfd):
    """From files to verdicts; the option is chosen from the data, said, and recorded."""
    monkeypatch.chdir(tmp_path)
    np.savez("series.npz", sequences=ragged.padded(series(80)))
    np.save("new.npy", ragged.padded([one[:9] for one in series(12, seed=9)]))
    small = ["-O", "filters=4,8", "--latent-dim", 3, "--epochs", 2]
    assert run_command("train", "conv1d", "--data", "series.npz", *small, "-o", "run") == 0
    printed = capfd.readouterr()
    assert "ragged=True" in printed.out
    assert "series of 2 to 16 steps" in printed.out + printed.err
    info = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert info["options"]["ragged"] is info["chosen"]["ragged"] is True
    assert run_command("export", "run", "-o", "bundle", "--formats", "onnx") == 0
    assert run_command("score", "bundle", "new.npy") == 0
    lines = capfd.readouterr().out.splitlines()[-12:]
    errors = aezoo.load("run").reconstruction_error(np.load("new.npy"))
    np.testing.assert_allclose([float(line.split(",")[1]) for line in lines], errors, rtol=1e-3)
    assert run_command("evaluate", "run", "--json") == 0
    figures = json.loads(capfd.readouterr().out)
    assert 0 < figures["mse"] < 10
    assert np.isfinite(figures["pca"]["mse"])
    for refused, words in (
        (["train", "conv1d", "-O", "ragged=False"], "takes one length"),
        (["train", "dense"], "does not take sequences"),
    ):
        assert run_command(*refused, "--data", "series.npz", "-o", "other") != 0
        assert words in capfd.readouterr().err
