"""`evaluate` as a whole, the tables made of it, the pictures, and the page that documents them."""

import dataclasses
import json
import re
import types

import numpy as np
import pytest
from conftest import ROOT

from aezoo import data
from aezoo.core.model import Model
from aezoo.core.priors import StandardNormal
from aezoo.data.parts import ArrayPart
from aezoo.evaluation import evaluate, table
from aezoo.evaluation.baselines import fit_pca
from aezoo.plots import pictures
from aezoo.testing import smooth_examples

SHAPE = (12, 10, 1)


class Components(Model):
    """PCA in the clothes of a model: all that `evaluate` measures of it is known to PCA."""

    example_shape = latent_shape = error_scale = None

    def __init__(self, dataset, components=3):
        self.example_shape, self.latent_shape = dataset.shape, (components,)
        train = dataset.train.array()
        self.error_scale = (
            np.float32(1) if self.kind == "images" else train.std(axis=(0, 1)[: train.ndim - 1])
        )
        self.pca = fit_pca(train / self.error_scale, components)

    def _encode(self, examples, labels, batch_size, wanted):
        rows = (examples / self.error_scale).reshape(len(examples), -1)
        return [self.pca.transform(rows).astype("float32")]

    def _decode(self, latents, labels, batch_size):
        examples = self.pca.inverse_transform(latents.reshape(len(latents), -1))
        return (examples.reshape(-1, *self.example_shape) * self.error_scale).astype("float32")

    def sample(self, n=64, seed=0, **given):
        return np.clip(super().sample(n, seed, **given), 0, 1)


class Posterior(Components):
    """With a posterior around the components, and a Gaussian likelihood."""

    def __init__(self, dataset):
        super().__init__(dataset)
        self.prior = StandardNormal(self.latent_shape)
        self.likelihood = {"kind": "gaussian", "scale": 0.1, "binarize": False}

    def _encode(self, examples, labels, batch_size, wanted):
        (mean,) = super()._encode(examples, labels, batch_size, wanted)
        return [(mean, np.full_like(mean, -4.0))[number] for number in wanted]


class Codes(Components):
    """Quantised to the signs of two components: four codes, one position."""

    codebook = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], "float32")
    codebook_size = 4

    def __init__(self, dataset):
        super().__init__(dataset, 2)

    def _encode(self, examples, labels, batch_size, wanted):
        signs = super()._encode(examples, labels, batch_size, wanted)[0] > 0
        codes = (2 * signs[:, :1] + signs[:, 1:])[:, :, None].astype("int32")
        return [(self.codebook[codes].reshape(-1, 2), codes)[number] for number in wanted]


class Rectified(Components):
    """With latents below 0 cut off."""

    def _encode(self, *given):
        return [np.maximum(latents, 0) for latents in super()._encode(*given)]


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    images = smooth_examples(SHAPE, 300)
    np.savez(path, images=images, labels=(images.mean(axis=(1, 2, 3)) > 0.2).astype(int))
    return data.load(path)


def test_a_model_that_is_pca_has_the_figures_of_pca(blobs):
    metrics = evaluate(Components(blobs), blobs, full=True)
    assert set(metrics) == {"data", "test_examples", "mse", "psnr_db", "ssim", "pca", "latents"}
    for name in ("mse", "psnr_db", "ssim"):
        assert metrics[name] == pytest.approx(metrics["pca"][name], rel=1e-4)
    pca = metrics["latents"].pop("pca")
    assert metrics["latents"] == pytest.approx(pca, rel=1e-4)
    assert set(pca) == {"explained_variance", "trustworthiness", "knn_accuracy", "linear_probe_accuracy"}
    assert pca["linear_probe_accuracy"] > 0.8
    glance = evaluate(Components(blobs), blobs)
    assert set(glance["latents"]) == {"explained_variance", "pca"}
    assert glance["mse"] == metrics["mse"]


def test_likelihood_of_variational_models(blobs):
    model = Posterior(blobs)
    glance, full = evaluate(model, blobs), evaluate(model, blobs, full=True, likelihood_samples=20)
    assert "nll_nats" not in glance["likelihood"]
    assert full["likelihood"]["samples"] == 20
    assert full["likelihood"]["examples"] == glance["likelihood"]["examples"] == 30
    assert full["likelihood"]["nll_nats"] < -full["likelihood"]["elbo_nats"]
    assert glance["likelihood"]["elbo_nats"] == pytest.approx(full["likelihood"]["elbo_nats"], rel=0.05)
    kl = glance["likelihood"]["kl_nats_per_axis"]
    assert sum(kl) == pytest.approx(glance["likelihood"]["kl_nats"], rel=1e-4)
    assert glance["likelihood"]["active_units"] == 3
    few = evaluate(model, blobs, full=True, likelihood_samples=2, likelihood_examples=1)
    assert few["likelihood"]["nll_standard_error"] is None
    json.loads(json.dumps(few), parse_constant=pytest.fail)  # no NaN, no infinity


def test_codebook_of_quantised_models(blobs):
    metrics = evaluate(Codes(blobs), blobs, full=True)
    figures = metrics["codebook"]
    assert figures["codes"] == 4
    assert figures["bits_per_image"] == 2
    assert figures["bits_per_dim"] == pytest.approx(2 / 120, rel=1e-4)
    assert 1 < figures["perplexity"] <= figures["used_codes"] <= 4
    assert figures["jpeg"]["quality"] == 1
    assert "jpeg" not in evaluate(Codes(blobs), blobs)["codebook"]


def test_sparsity_where_latents_are_zero(blobs):
    metrics = evaluate(Rectified(blobs), blobs)
    assert 0.2 < metrics["sparsity"]["sparsity"] < 0.8
    assert metrics["sparsity"]["dead_units"] == 0
    model = Components(blobs)
    model.reports_sparsity = True
    assert evaluate(model, blobs)["sparsity"] == {"sparsity": 0, "dead_units": 0}


def test_sequences_count_in_standard_deviations(tmp_path):
    draw = np.random.default_rng(0)
    steps = np.arange(9)[None, :, None]
    waves = np.sin(steps + draw.normal(size=(200, 1, 2))) * [1000.0, 1.0]
    np.save(tmp_path / "waves.npy", waves.astype("float32"))
    dataset = data.load(tmp_path / "waves.npy")
    assert dataset.kind == "sequences"
    metrics = evaluate(Components(dataset, 4), dataset, full=True)
    assert metrics["mse"] == pytest.approx(metrics["pca"]["mse"], rel=1e-3, abs=1e-9)
    assert metrics["mse"] < 0.01  # of 1 in each channel, though one is a thousand times larger
    assert metrics["latents"]["explained_variance"] > 0.99
    figure = pictures.sequences(Components(dataset, 4), dataset.test.array(5), dataset)
    assert len(figure.axes) == 4 * 2  # four sequences, two channels


def test_generation_of_digits_alone(mini, blobs):
    few = {name: ArrayPart(getattr(mini, name).examples[:60]) for name in ("train", "validation", "test")}
    digits = dataclasses.replace(mini, **few)
    model = Components(digits)
    assert "generation" not in evaluate(model, digits, full=True)
    model.prior = StandardNormal((3,))
    assert "generation" not in evaluate(model, digits)
    assert "generation" not in evaluate(model, dataclasses.replace(digits, name="letters"), full=True)
    metrics = evaluate(model, digits, full=True)
    assert metrics["generation"]["images"] == 60
    assert metrics["generation"]["frechet_digit_distance"] > 0
    assert set(metrics["generation"]) == {"images", *table._DISTANCES.values()}
    assert "samples against test images" in dict(table.rows(metrics))
    assert "generation" not in evaluate(Posterior(blobs), blobs, full=True, likelihood_samples=1)


class OfBytes(Components):
    """As a bundle for uint8 images: computes from bytes and nothing else."""

    example_dtype = "uint8"

    def _encode(self, examples, *given):
        assert examples.dtype == np.uint8
        return super()._encode(examples.astype("float32") / 255, *given)


def test_models_of_bytes_get_bytes(blobs):
    metrics = evaluate(OfBytes(blobs), blobs, full=True)
    assert metrics["mse"] == pytest.approx(metrics["pca"]["mse"], rel=0.01)


class Conditional(Posterior):
    """Asserts that each call comes with as many labels as examples, and class numbers at that."""

    classes = 2

    def _encode(self, examples, labels, *given):
        self.check(examples, labels)
        return super()._encode(examples, labels, *given)

    def _decode(self, latents, labels, *given):
        self.check(latents, labels)
        return super()._decode(latents, labels, *given)

    def check(self, given, labels):
        assert labels.dtype == np.int32
        assert labels.shape == (len(given),)
        assert set(labels.tolist()) <= {0, 1}


def test_conditional_models_get_labels(tmp_path):
    images = smooth_examples(SHAPE, 100)
    np.savez(tmp_path / "two.npz", images=images, labels=np.where(np.arange(100) % 2, 70, 5))
    dataset = data.load(tmp_path / "two.npz")
    model = Conditional(dataset)
    metrics = evaluate(model, dataset, full=True, likelihood_samples=3)
    assert metrics["mse"] == pytest.approx(metrics["pca"]["mse"], rel=1e-4)
    assert "knn_accuracy" in metrics["latents"]
    pictures.latents(model, dataset.test)
    pictures.image_rows(model, dataset.test.array(4), dataset)


# -- tables -------------------------------------------------------------------------------------


def test_rows_of_all_figures():
    latents = {"explained_variance": 0.9, "knn_accuracy": 0.8}
    metrics = {
        "mse": 0.01,
        "pca": {"components": 4, "mse": 0.02},
        "denoising": {"kind": "gaussian", "level": 0.4, "corrupted": {"mse": 0.1}, "model": {"mse": 0.05}},
        "likelihood": {"nll_nats": 90.123456, "kl_nats": 25.0, "kl_nats_per_axis": [1.0], "active_units": 20},
        "codebook": {"codes": 512, "perplexity": 300.0, "jpeg": {"quality": 3, "mse": 0.03}},
        "latents": {**latents, "pca": latents},
        "sparsity": {"sparsity": 0.9, "dead_units": 0.0},
        "generation": {
            "frechet_digit_distance": 12.0,
            "frechet_digit_distance_of_reconstructions": 3.0,
            "frechet_digit_distance_of_train_images": 1.0,
            "images": 10_000,
        },
    }
    found = table.tables(metrics)
    assert [(names, [label for label, _ in lines]) for names, lines in found] == [
        (("mse",), ["model", "PCA, 4 components", "gaussian 0.4, corrupted", "gaussian 0.4, model"]),
        (("nll_nats", "kl_nats", "active_units"), ["likelihood"]),
        (("codes", "perplexity"), ["codebook"]),
        (("quality", "mse"), ["JPEG"]),
        (("explained_variance", "knn_accuracy"), ["latents", "PCA, 4 components"]),
        (("sparsity", "dead_units"), ["latents"]),
        (
            ("frechet_digit_distance", "images"),
            [f"{what} against test images" for what in ("samples", "reconstructions", "train images")],
        ),
    ]
    assert found[1][1][0][1] == ("90.12", "25", "20")
    assert found[-1][1][0][1] == ("12", "10,000")


def test_every_figure_of_evaluate_is_in_a_row(blobs):
    """What `evaluate` learns to measure must not be missing from the table: names at the leaves agree."""

    def leaves(figures):
        for name, value in figures.items():
            if isinstance(value, dict):
                yield from leaves(value)
            elif not isinstance(value, (list, str)):
                yield name

    for model in (Posterior(blobs), Codes(blobs), Rectified(blobs)):
        metrics = evaluate(model, blobs, full=True, likelihood_samples=2)
        shown = {name for _, figures in table.rows(metrics) for name in figures}
        assert set(leaves(metrics)) - {"test_examples", "components"} == shown


# -- pictures -----------------------------------------------------------------------------------


def test_a_grid_of_samples_and_traversals(blobs):
    model = Posterior(blobs)
    (axes,) = pictures.samples(model, seed=3).axes
    picture = axes.images[0].get_array()
    assert picture.shape == (8 * 14, 8 * 12)  # a white pixel around each
    assert picture[0].min() == 1
    drawn = model.sample(64, 3)
    np.testing.assert_allclose(picture[1:13, 13:23], drawn[1, :, :, 0], atol=1e-6)
    np.testing.assert_allclose(picture[15:27, 1:11], drawn[8, :, :, 0], atol=1e-6)
    example = blobs.test.array(1)[0]
    (axes,) = pictures.traversals(model, example, axes=[2, 0], values=[-1, 0, 1]).axes
    assert axes.images[0].get_array().shape == (2 * 14, 3 * 12)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["latent 2", "latent 0"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["-1", "0", "1"]


def test_traversals_begin_with_the_surest_axis(blobs):
    model = Posterior(blobs)
    model.posterior = lambda examples, labels: (np.zeros((1, 3)), np.array([[-1.0, -3.0, -2.0]]))
    (axes,) = pictures.traversals(model, blobs.test.array(1)[0]).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["latent 1", "latent 2", "latent 0"]


def test_samples_are_drawn_where_a_run_has_a_file_for_them(blobs, tmp_path):
    files = {name: tmp_path / f"{name}.png" for name in ("loss_file", "latents_file", "reconstructions_file")}
    run = types.SimpleNamespace(history=[{"epoch": 1, "loss": 0.2, "val_loss": 0.3}], **files)
    pictures.save_all(run, Posterior(blobs), blobs)
    assert len(list(tmp_path.iterdir())) == 3
    run.samples_file = tmp_path / "samples.png"
    pictures.save_all(run, Components(blobs), blobs)  # no prior
    assert not run.samples_file.exists()
    pictures.save_all(run, Posterior(blobs), blobs)
    first = run.samples_file.read_bytes()
    pictures.save_all(run, Posterior(blobs), blobs)
    assert run.samples_file.read_bytes() == first


# -- the page -----------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "reference" / "figures.md").read_text("utf-8")


@pytest.mark.parametrize("program", re.findall(r"```python\n(.*?)```", PAGE, re.S))
def test_programs_of_the_page_run(program, capsys):
    names = {}
    exec(compile(program, "docs/reference/figures.md", "exec"), names)
    assert "PCA, 8 components" in capsys.readouterr().out
    assert names["metrics"]["mse"] < 0.1


def test_the_page_names_every_figure(blobs):
    names = [*table._RECONSTRUCTION, *table._LIKELIHOOD, *table._CODEBOOK, *table._LATENTS, "dead_units"]
    names += ["kl_nats_per_axis", "sparsity", "bits_per_image_with_header", "frechet_digit_distance"]
    for name in names:
        assert f"`{name}`" in PAGE, name
