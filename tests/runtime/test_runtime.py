"""The runtime: equal to Keras, careful with inputs, and never in one process with TensorFlow."""

import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import four_lines, reseal

import aezoo
from aezoo import runtime
from aezoo.core.errors import BundleError, DataError, OptionError
from aezoo.testing import smooth_examples


@pytest.fixture(scope="module")
def bundle(exported):
    return runtime.load(exported)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_equal_to_keras(bundle, trained, size):
    model, images = trained[0], trained[1][:size]
    latents = model.encode(images)
    scale = np.ptp(model.encode(trained[1]))
    np.testing.assert_allclose(bundle.encode(images), latents, atol=1e-5 * scale, rtol=0)
    np.testing.assert_allclose(bundle.decode(latents), model.decode(latents), atol=1e-5)
    np.testing.assert_allclose(bundle.reconstruct(images), model.reconstruct(images), atol=1e-5)
    errors = model.reconstruction_error(images)
    np.testing.assert_allclose(bundle.reconstruction_error(images), errors, rtol=1e-3)


def test_batches_of_any_size(bundle):
    images = smooth_examples(bundle.example_shape, 600)
    latents = bundle.encode(images)
    assert latents.shape == (600, 4)
    in_pieces = np.concatenate(list(bundle.encode_batches(images[i : i + 50] for i in range(0, 600, 50))))
    np.testing.assert_allclose(latents, in_pieces, atol=1e-5)


def test_encode_batches_holds_one_batch_at_a_time(bundle):
    taken = []

    def batches():
        for number in range(5):
            taken.append(number)
            yield smooth_examples(bundle.example_shape, 2, seed=number)

    stream = bundle.encode_batches(batches())
    next(stream)
    assert taken == [0]
    next(stream)
    assert taken == [0, 1]


def test_encode_batches_of_a_conditional_model(bundle, monkeypatch):
    seen = []
    monkeypatch.setattr(bundle, "classes", 10)
    monkeypatch.setattr(bundle, "encode", lambda examples, labels, **_: seen.append((examples, labels)))
    assert list(bundle.encode_batches([("first", [0]), ["second", [1]]])) == [None, None]
    assert seen == [("first", [0]), ("second", [1])]
    for batch in (np.zeros((2, 16, 12, 1), "float32"), ("only",)):
        with pytest.raises(DataError) as error:
            next(bundle.encode_batches([batch]))
        four_lines(error, "a label with each example", type(batch).__name__, "pairs")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: np.rint(x * 255).astype("uint8"), ["wrong dtype", "uint8", "astype('float32') / 255"]),
        (lambda x: x * 2, ["must lie in [0, 1]"]),
        (lambda x: np.where(x == x.max(), np.nan, x), ["not finite", "nan"]),
        (lambda x: np.where(x == x.max(), np.inf, x), ["not finite", "inf"]),
        (lambda x: x[0], ["add the batch axis"]),
        (lambda x: x[..., 0], ["add the channel axis"]),
        (lambda x: x[0, ..., 0], ["add the batch and the channel axis"]),
        (lambda x: x[:, :, :-1], ["(3, 16, 11, 1)"]),
        (lambda x: x[:0], ["no examples"]),
        (lambda x: x.astype("complex64"), ["complex64"]),
        (lambda x: [x[0], x[1, :-1]], ["does not make an array", "numpy.stack"]),
        (lambda x: x.astype("float64") * 1e300, ["not finite", "3.4e38"]),
    ],
)
def test_wrong_inputs(bundle, spoil, words):
    images = spoil(smooth_examples(bundle.example_shape, 3))
    for use in (bundle.encode, bundle.reconstruct, bundle.reconstruction_error):
        with pytest.raises(DataError) as error:
            use(images)
        four_lines(error, *words)


def test_wrong_latents(bundle):
    for latents, word in (
        (np.zeros((2, 5)), "(2, 5)"),
        (np.full((2, 4), 1e300), "3.4e38"),
        ([[1], [2, 3]], "array"),
    ):
        with pytest.raises(DataError) as error:
            bundle.decode(latents)
        four_lines(error, "latents", word)


def test_other_float_widths_are_taken(bundle):
    images = smooth_examples(bundle.example_shape, 3)
    np.testing.assert_allclose(bundle.encode(images.astype("float64")), bundle.encode(images), atol=1e-6)


def test_float_images_are_understood_by_a_bundle_of_bytes(trained, tmp_path):
    from aezoo.export import ExportOptions, export_bundle

    model, images = trained
    options = ExportOptions(formats=["onnx"], input_dtype="uint8")
    bundle = runtime.load(export_bundle(model, tmp_path / "b", options))
    pixels = np.rint(images * 255).astype("uint8")
    assert bundle.example_dtype == "uint8"
    for use in (bundle.encode, bundle.reconstruct, bundle.reconstruction_error):
        np.testing.assert_array_equal(use(images), use(pixels))
    for wrong, words in (
        (images * 2, ["must lie in [0, 1]"]),
        (images.astype("int32"), ["wrong dtype", "uint8"]),
    ):
        with pytest.raises(DataError) as error:
            bundle.encode(wrong)
        four_lines(error, *words)


def test_threads(exported):
    """Many threads on a fresh bundle: each session is made once and shared."""
    bundle = runtime.load(exported, intra_op_threads=1, inter_op_threads=1)
    images = smooth_examples(bundle.example_shape, 16)
    expected = runtime.load(exported).reconstruct(images)
    results, start = [], threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(20):
            results.append(bundle.reconstruct(images))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 160
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-6)
    assert set(bundle._sessions) == {"reconstructor"}


@pytest.mark.parametrize("threads", ["a", 1.5, True, -1, 2**31])
@pytest.mark.parametrize("option", ["intra_op_threads", "inter_op_threads"])
def test_no_number_of_threads(option, threads, exported):
    with pytest.raises(OptionError) as error:
        runtime.load(exported, **{option: threads})
    four_lines(error, f"{option}={threads!r}", "whole number")


@pytest.mark.parametrize("end", ["inputs", "outputs"])
def test_a_manifest_with_other_names_than_its_file(end, exported, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(exported, folder)
    content = json.loads((folder / "manifest.json").read_text("utf-8"))
    for artifact in content["artifacts"]:
        artifact[end][0]["name"] = "other"
    (folder / "manifest.json").write_text(json.dumps(content), "utf-8")
    reseal(folder)
    bundle = runtime.load(folder)
    with pytest.raises(BundleError) as error:
        bundle.encode(np.zeros((1, *bundle.example_shape), "float32"))
    four_lines(error, f"calls {end} of the encoder", "manifest.json: other", "encoder.onnx", "export again")


def test_provider_that_is_not_here(exported):
    with pytest.raises(OptionError) as error:
        runtime.load(exported, providers=["CUDAExecutionProvider"])
    four_lines(error, "CUDAExecutionProvider", "CPUExecutionProvider", "onnxruntime-gpu")


def test_a_missing_file_is_named(exported, tmp_path):
    import shutil

    shutil.copytree(exported, tmp_path / "copy")
    (tmp_path / "copy" / "decoder.onnx").unlink()
    with pytest.raises(BundleError) as error:
        runtime.load(tmp_path / "copy")
    four_lines(error, "decoder.onnx", "no such file")


def test_aezoo_load_opens_a_bundle(exported):
    assert isinstance(aezoo.load(exported), runtime.Bundle)


def test_runs_where_no_framework_can_be_imported(exported):
    code = f"""
import sys
for name in ("tensorflow", "keras", "jax", "torch", "onnx", "sklearn", "pandas", "matplotlib"):
    sys.modules[name] = None  # importing it raises
import numpy as np
import aezoo.runtime
bundle = aezoo.runtime.load({str(exported)!r})
images = np.zeros((2, 16, 12, 1), "float32")
assert bundle.encode(images).shape == (2, 4)
assert bundle.reconstruction_error(images).shape == (2,)
from aezoo.export.proof.parity import prove_format
assert len(prove_format({str(exported)!r}, "onnx")) == 4
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_quick_look_never_passes_what_the_careful_one_refuses():
    from aezoo.core.examples import as_inputs, surely_inputs

    shape = (2, 3)
    values = [0.0, -0.0, 0.5, 1.0, np.nextafter(np.float32(1), 2), -1e-45, 1e-45, -0.5, 2.0, np.nan, -np.nan]
    values += [np.inf, -np.inf]
    for value in values:
        for unit_range in (True, False):
            examples = np.full((4, *shape), 0.25, "float32")
            examples[2, 1, 1] = value
            if surely_inputs(examples, shape, np.dtype("float32"), unit_range):
                assert as_inputs(examples, shape, unit_range=unit_range) is examples
            elif 0 < value <= 1:
                raise AssertionError(f"{value} is right, and was not seen so")
    good = np.zeros((4, *shape), "float32")
    for wrong in (
        good.astype("float64"),
        good[:0],
        good[0],
        good[..., :2],
        good.tolist(),
        good.astype("uint8"),
    ):
        assert not surely_inputs(wrong, shape, np.dtype("float32"), True)
    strided = good[::2]  # left to the careful look: the quick one would copy it
    assert not surely_inputs(strided, shape, np.dtype("float32"), True)
    assert as_inputs(strided, shape) is strided


def test_a_threshold_for_a_scorer_of_a_fixed_batch(trained, tmp_path):
    from aezoo.export import ExportOptions, export_bundle

    options = ExportOptions(formats=["onnx"], parts=["scorer"], batch=4)
    examples = smooth_examples(trained[0].example_shape, 120)
    bundle = runtime.load(export_bundle(trained[0], tmp_path / "bundle", options, examples=examples))
    assert bundle.score(examples[:6], threshold=-1.0)["is_anomaly"].tolist() == [True] * 6
    assert bundle.score(examples[:6], threshold=1e9)["is_anomaly"].tolist() == [False] * 6
