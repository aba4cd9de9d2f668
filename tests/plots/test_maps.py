"""Maps: every map of every model, of bundles without Keras, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
from conftest import ROOT, four_lines, mostly_exhaustive, without_logs
from conftest import run_command as run
from small_models import FEW, small

import aezoo
from aezoo import runtime
from aezoo.cli import main
from aezoo.cli.plot import open_shown
from aezoo.core.errors import BundleError, DataError, OptionError
from aezoo.evaluation.baselines import principal_plane
from aezoo.export import ExportOptions, export_bundle
from aezoo.plots import decoder_maps, maps, style
from aezoo.plots.shown import Shown
from aezoo.testing import smooth_examples


def shown_for(model, count=40):
    examples = smooth_examples(model.example_shape, count)
    numbers = np.arange(count, dtype="int32") % 3
    features = tuple(f"feature {n}" for n in range(model.example_shape[-1])) if model.kind == "rows" else None
    return Shown(examples, numbers, ["ape", "bee", "cat"], features, "blobs", examples[:30], numbers[:30])


CASES = mostly_exhaustive([(name, small(name)) for name in aezoo.list_models()], lambda case: case[0] in FEW)
CASES += [("dense", {"latent_dim": size, "features": 6, "units": (8,)}) for size in (1, 2, 4)]
CASES += [("vae", {**small("vae"), "latent_dim": size}) for size in (1, 2)]


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value)[:60])
def test_every_map_of_every_model(name, options):
    model = aezoo.build(name, **options)
    shown = shown_for(model)
    drawn = []
    with style.style():
        for each in maps.MAPS:
            if maps.obstacle(each, model, shown) is None:
                figure = maps.draw(each, model, shown)
                figure.canvas.draw()
                drawn.append(each)
    quantised = model.codebook_size is not None
    assert drawn == [each for each in maps.MAPS if not (quantised and each in maps._OF_PLANES)]


@pytest.fixture(scope="module")
def vae():
    model = aezoo.build("vae", latent_dim=4, image_shape=(9, 11, 1), body_options={"units": (12,)})
    return model, shown_for(model)


@pytest.mark.exhaustive
def test_a_seed_gives_the_same_files(vae, tmp_path):
    model, shown = vae
    for each in maps.MAPS:
        for form in style.SUFFIXES:
            for name in ("one", "two"):
                with style.style():
                    style.save(tmp_path / f"{name}.{form}", maps.draw(each, model, shown, seed=3))
            one, two = ((tmp_path / f"{name}.{form}").read_bytes() for name in ("one", "two"))
            assert one == two, (each, form)
            for word in (b"Software", b"dc:date", b"matplotlib.org"):
                assert word not in one.replace(b"http://matplotlib.org", b""), (each, form)
    with style.style():
        style.save(tmp_path / "two.png", maps.draw("reconstructions", model, shown, seed=4))
        style.save(tmp_path / "one.png", maps.draw("reconstructions", model, shown, seed=3))
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def test_the_plane_of_a_prior_is_its_quantiles(vae):
    from scipy.stats import norm

    model, _ = vae
    codes = np.random.default_rng(0).normal(size=(50, 4)) * [0.1, 1, 0.2, 0.9]
    latents, x, y, titles = decoder_maps.plane_of(model, codes, 5)
    np.testing.assert_allclose(norm.cdf(x), [0.1, 0.3, 0.5, 0.7, 0.9], atol=1e-9)
    grid = latents.reshape(5, 5, 4)
    assert (grid[..., [0, 2]] == 0).all()
    np.testing.assert_allclose(grid[0, :, 1], x)  # the first active axis goes to the right
    np.testing.assert_allclose(grid[:, 0, 3], y[::-1])  # the second upwards
    assert titles[0].startswith("latent 1, normal quantiles")


def test_the_plane_of_a_plain_model_holds_its_latents():
    model = types.SimpleNamespace(prior=None)
    codes = np.random.default_rng(0).normal(size=(200, 5)) * [5, 1, 0.1, 0.1, 0.1] + 7
    latents, x, y, titles = decoder_maps.plane_of(model, codes, 4)
    assert latents.shape == (16, 5)
    assert np.ptp(latents[:, 0]) > 15
    assert np.ptp(latents[:, 2]) < 2
    assert titles == ("principal component 1", "principal component 2")
    plane = principal_plane(codes)
    np.testing.assert_allclose(plane.project(latents)[:4, 0], x, atol=1e-9)
    np.testing.assert_allclose(plane.project(latents)[::4, 1], y[::-1], atol=1e-9)
    line, x, _, _ = decoder_maps.plane_of(model, codes[:, :1], 3)
    assert line.shape == (9, 1)
    assert x is None
    assert (np.diff(line[:, 0]) > 0).all()


@pytest.mark.parametrize("shape", [(60, 5), (20, 50)])
def test_the_principal_plane_is_scikit_learns(shape):
    from sklearn.decomposition import PCA

    points = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 0.1, shape[1])
    plane, pca = principal_plane(points), PCA(2).fit(points)
    np.testing.assert_allclose(np.abs((plane.directions * pca.components_).sum(axis=1)), 1, rtol=1e-9)
    np.testing.assert_allclose(plane.shares, pca.explained_variance_ratio_, rtol=1e-9)
    assert (plane.directions[[0, 1], np.abs(plane.directions).argmax(axis=1)] > 0).all()


def test_examples_are_of_all_classes(vae):
    _, shown = vae
    chosen = decoder_maps._chosen(shown, 6, 0)
    assert sorted(shown.numbers[chosen].tolist()) == [0, 0, 1, 1, 2, 2]
    assert not np.array_equal(chosen, decoder_maps._chosen(shown, 6, 1))


def test_classes_differ_in_colour_and_in_sign():
    with style.style():
        signs = [style.sign_of(number) for number in range(20)]
    assert len({color for color, _ in signs[:10]}) == len({marker for _, marker in signs[:10]}) == 10
    assert len(set(signs)) == 20


# What people see whose eyes have two kinds of cones: Machado, Oliveira & Fernandes 2009,
# doi:10.1109/TVCG.2009.113, at full severity, on linear RGB.
SEEN = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
}


@pytest.mark.parametrize("kind", SEEN)
def test_first_classes_are_told_apart_by_colour_blind_people(kind):
    from matplotlib.colors import to_rgb

    with style.style():
        colors = np.array([to_rgb(style.sign_of(number)[0]) for number in range(4)])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(SEEN[kind]).T, 0, 1) ** (1 / 2.4)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(4, 1)]
    assert distances.min() > 0.15


def test_scores_show_the_threshold(vae, exported):
    model, shown = vae
    with style.style():
        (axes,) = maps.scores(model, shown, 0).axes
        few = Shown(shown.examples, normals=shown.examples[:5])
        assert len(maps.scores(model, few, 0).axes[0].lines) == 0  # 5 examples calibrate nothing
        (line,) = axes.lines
        errors = model.reconstruction_error(shown.normals)
        assert line.get_xdata()[0] >= np.quantile(errors, 0.95)
        bundle, golden = open_shown(exported)
        (axes,) = maps.scores(bundle, golden, 0).axes
    assert axes.lines[0].get_xdata()[0] == bundle.manifest.calibration.threshold


# -- bundles, runs, and what is not there ---------------------------------------------------------------


def test_a_bundle_is_drawn_where_there_is_no_keras(exported, tmp_path):
    absent = ("keras", "tensorflow", "sklearn", "scipy", "pandas")
    code = f"import sys\nfor name in {absent}: sys.modules[name] = None\n"
    code += "from aezoo.cli.main import main\n"
    code += f"sys.exit(main(['plot', {str(exported)!r}, '-o', 'maps', '--json']))"
    done = subprocess.run(
        # Matplotlib opens its cache of fonts without an encoding; that is not ours to mend.
        [sys.executable, "-W", "error", "-W", "ignore::EncodingWarning:matplotlib.font_manager", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["skipped"] == {}
    assert sorted(path.name for path in (tmp_path / "maps").glob("[!.]*")) == sorted(
        f"{name}.png" for name in maps.MAPS
    )


def test_bytes_and_labels_of_bundles(tmp_path):
    from aezoo.export import ExportOptions, export_bundle

    model = aezoo.build("conditional_vae", **small("conditional_vae"))
    examples = smooth_examples(model.example_shape, 24)
    labels = np.arange(24, dtype="int32") % model.classes
    export_bundle(
        model,
        tmp_path / "bundle",
        ExportOptions(formats=["onnx"], input_dtype="uint8"),
        examples=examples,
        labels=labels,
    )
    bundle, shown = open_shown(tmp_path / "bundle")
    assert shown.examples.max() <= 1
    with style.style():
        for name in maps.MAPS:
            if maps.obstacle(name, bundle, shown) is None:
                maps.draw(name, bundle, shown)
    with pytest.raises(DataError) as error:
        Shown(shown.examples).labels_for(bundle)
    four_lines(error, "without labels", "data='mnist_mini'")


def test_a_bundle_without_parts(trained, tmp_path, capfd):
    from aezoo.export import ExportOptions, export_bundle

    model, examples = trained
    export_bundle(
        model, tmp_path / "bundle", ExportOptions(formats=["onnx"], parts=["encoder"]), examples=examples
    )
    assert run("plot", tmp_path / "bundle", "-o", tmp_path / "plots") == 0
    printed = capfd.readouterr().out
    for name, part in (("manifold", "decoder"), ("reconstructions", "reconstructor"), ("scores", "scorer")):
        assert f"{name}: skipped, this bundle holds no {part} as ONNX" in printed
    assert sorted(path.name for path in (tmp_path / "plots").glob("[!.]*")) == ["activity.png", "latents.png"]
    assert run("plot", tmp_path / "bundle", "-o", tmp_path / "plots", "--maps", "latents,manifold") == 1
    error = capfd.readouterr().err
    assert "the map 'manifold' cannot be drawn" in error
    assert "it holds encoder" in error
    assert "fix:" in error
    with pytest.raises(BundleError) as error:
        maps.draw("scores", runtime.load(tmp_path / "bundle"), Shown(examples))
    four_lines(error, "no scorer", "without parts")


def test_quantised_models_have_no_plane():
    model = aezoo.build("vq_vae", **small("vq_vae"))
    with pytest.raises(OptionError) as error:
        maps.draw("manifold", model, shown_for(model))
    four_lines(error, "knows its codes and nothing between them", "leave manifold out")
    with pytest.raises(OptionError) as error:
        maps.draw("interpolations", model, shown_for(model, 1))
    four_lines(error, "it wants 2 examples, and there is 1")


def test_a_run_and_the_command(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    np.savez("blobs.npz", images=smooth_examples((12, 10, 1), 200), labels=np.arange(200) % 2)
    small_one = ["--epochs", 1, "--latent-dim", 2, "-O", "units=8", "-o", "run"]
    assert run("train", "dense", "--data", "blobs.npz", *small_one) == 0
    capfd.readouterr()
    assert run("plot", "run", "--format", "svg,png") == 0
    printed = capfd.readouterr()
    assert "examples: the test part of blobs, 20 examples" in printed.out
    assert without_logs(printed.err) == ""
    assert len(list((tmp_path / "plots").glob("[!.]*"))) == 2 * len(maps.MAPS)
    shutil.move("blobs.npz", "elsewhere.npz")
    assert run("plot", "run", "--maps", "latents", "-o", "held") == 0  # with what the run kept
    assert "20 held-out examples, since blobs is not there" in capfd.readouterr().out
    assert run("plot", "run", "--maps", "scores", "--data", "elsewhere.npz", "--json") == 0
    assert json.loads(capfd.readouterr().out)["files"] == [os.path.join("plots", "scores.png")]
    (tmp_path / "file").write_text("", encoding="utf-8")
    np.savez("others.npz", images=smooth_examples((9, 9, 1), 60))
    for arguments, status, words in (
        (["--maps", "manifld"], 2, "did you mean 'manifold'?"),
        (["--format", "pdf"], 2, "--format cannot be 'pdf'"),
        (["--seed", -1], 2, "seed"),
        (["--font", "No Such Font"], 2, "no font of this name"),
        (["-o", "file"], 1, "file: a file"),
        (["--data", "nowhere.npz"], 1, "nowhere.npz"),
        (["--data", "others.npz"], 2, "(batch, 12, 10, 1)"),
    ):
        code = run("plot", "run", *arguments)
        error = capfd.readouterr().err
        assert words in error, error
        assert "fix:" in error
        assert code in (1, 2), (arguments, status)
    assert run("plot", "nowhere") == 1
    assert "nothing that aezoo wrote lies there" in capfd.readouterr().err


def test_dollars_are_no_formulas(tmp_path):
    """Names of classes are drawn as they are; an unfinished formula would end the drawing."""
    points = np.random.default_rng(0).normal(size=(60, 2))
    with style.style():
        figure, axes = style.subplots(figsize=(4, 3))
        style.scatter(axes, points, np.arange(60) % 3, ["$5 to $10", "$x^{bad$", "cheap"])
        style.save(tmp_path / "a.svg", figure)
        texts = [text.get_text() for text in axes.texts]
    assert texts == [r"\$5 to \$10", r"\$x^{bad\$", "cheap"]


def test_a_file_is_shown_whole(trained, tmp_path):
    model, _ = trained
    folder = tmp_path / "bundle"
    export_bundle(
        model, folder, ExportOptions(formats=["onnx"]), examples=smooth_examples(model.example_shape, 120)
    )
    labels = np.array([3, 8] * 20)
    np.savez(tmp_path / "some.npz", images=smooth_examples(model.example_shape, 40), labels=labels)
    _, shown = open_shown(folder, data_source=str(tmp_path / "some.npz"))
    assert len(shown.examples) == 40
    assert shown.names == ["3", "8"]
    np.testing.assert_array_equal(shown.numbers, [0, 1] * 20)
    assert shown.source == "40 examples of some.npz"


def test_ways_of_a_conditional_model_have_one_class(tmp_path):
    model = aezoo.build("conditional_vae", latent_dim=2, image_shape=(8, 8, 1), classes=3)
    images, numbers = smooth_examples((8, 8, 1), 12), np.array([0, 1, 2, 2] * 3)
    shown = Shown(images, numbers, ["a", "b", "c"])
    with style.style():
        figure = maps.draw("interpolations", model, shown)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["a", "b", "c"]


def test_maps_give_way_to_the_next_and_mix_with_nothing(trained, tmp_path, capfd):
    model, _ = trained
    bundle, plots = tmp_path / "bundle", tmp_path / "plots"
    export_bundle(
        model, bundle, ExportOptions(formats=["onnx"]), examples=smooth_examples(model.example_shape, 120)
    )
    assert main.main(["plot", str(bundle), "-o", str(plots), "--maps", "latents"]) == 0
    assert main.main(["plot", str(bundle), "-o", str(plots), "--maps", "activity", "--format", "svg"]) == 0
    assert [path.name for path in plots.iterdir() if not path.name.startswith(".")] == ["activity.svg"]
    for folder in (bundle, tmp_path):
        capfd.readouterr()
        assert main.main(["plot", str(bundle), "-o", str(folder), "--maps", "latents"]) == 1
        assert len(capfd.readouterr().err.strip().splitlines()) == 4
