"""Films: which examples, which weights, which frames, and what is written."""

import dataclasses
import sys

import numpy as np
import pytest
from conftest import four_lines, without_logs
from conftest import run_command as run
from PIL import Image

from aezoo import data
from aezoo.core.errors import AezooError, DataError, MissingExtraError, OptionError
from aezoo.film import frames, recording
from aezoo.plots import style
from aezoo.training.settings import Settings

UNITS = (16, 8)


@pytest.fixture(scope="module")
def digits(mini):
    """A few hundred digits."""
    from aezoo.data.parts import ArrayPart

    def few(part, count):
        return ArrayPart(part.examples[:count], part.labels[:count], part.classes)

    parts = {"train": few(mini.train, 600), "test": few(mini.test, 200)}
    return dataclasses.replace(mini, **parts)


def make(dataset, *activations, **options):
    options = {"epochs": 2, "frames": 5, "units": UNITS, "progress": False, **options}
    return recording.make_film(dataset, activations, **options)


@pytest.fixture(scope="module")
def film(digits):
    return make(digits, "tanh", "leaky_relu", "vae", classes="0137")


# -- training -----------------------------------------------------------------------------------------


def weights_of(name, dataset, seed=0):
    model = recording.build_panel(name, dataset, Settings(seed=seed), UNITS)
    return {
        f"{part}/{recording._HEADS.get(layer.name, layer.name)}/{number}": weight
        for part in ("encoder", "decoder")
        for layer in getattr(model, part).layers
        for number, weight in enumerate(layer.get_weights())
    }


def test_panels_begin_alike(digits):
    tanh, relu, vae = (weights_of(name, digits) for name in ("tanh", "leaky_relu", "vae"))
    assert set(tanh) == set(relu) < set(vae)
    for name, weight in tanh.items():
        np.testing.assert_array_equal(weight, relu[name], err_msg=name)
        np.testing.assert_array_equal(weight, vae[name], err_msg=name)
    other = weights_of("tanh", digits, seed=1)
    assert any(not np.array_equal(weight, other[name]) for name, weight in tanh.items())


def test_first_frames_differ_by_the_activation_alone(film):
    tanh, relu, vae = (panel.latents[0] for panel in film.panels)
    np.testing.assert_allclose(tanh, np.tanh(vae), atol=1e-6)
    np.testing.assert_allclose(relu, np.where(vae < 0, 0.2 * vae, vae), atol=1e-6)


def test_panels_see_the_same_batches(digits, monkeypatch):
    seen = []

    def looking(model, batches, **options):
        seen.append([float(batch.sum()) for batch in batches.as_numpy_iterator()])
        options["callbacks"][0].latents.append(np.zeros((1, 2)))

    monkeypatch.setattr("aezoo.nn.autoencoder.Autoencoder.fit", looking)
    monkeypatch.setattr(recording, "_mse", lambda *_: 0.0)
    make(digits, "tanh", "vae")
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2 * 5


@pytest.mark.exhaustive
def test_a_seed_gives_the_same_film(digits, film):
    again = make(digits, "vae", classes="0137")
    np.testing.assert_array_equal(again.panels[0].latents, film.panels[2].latents)
    assert again.panels[0].mse == film.panels[2].mse
    other = make(digits, "vae", classes="0137", seed=1, epochs=1)
    assert not np.array_equal(other.panels[0].latents[0], film.panels[2].latents[0])


def test_latents_of_tanh_stay_in_their_square(film, digits):
    tanh, relu, vae = film.panels
    assert np.abs(tanh.latents).max() <= 1
    assert (tanh.bounds, relu.bounds, vae.bounds) == ((-1, 1), None, None)
    shown = np.isin(digits.test.labels, [0, 1, 3, 7])
    assert tanh.latents.shape == (len(film.steps), shown.sum(), 2)
    np.testing.assert_array_equal(film.numbers, digits.test.labels[shown])
    assert film.steps[0] == 0
    assert film.steps[-1] == 2 * -(-np.isin(digits.train.labels, [0, 1, 3, 7]).sum() // 128)
    assert np.ptp(relu.latents[-1]) > np.ptp(relu.latents[0])  # it has learned something


@pytest.mark.parametrize("name", sorted(recording.BOUNDS))
def test_bounds_are_those_of_keras(name):
    from aezoo.nn.layers import keras

    values = np.asarray(
        keras.activations.get(name)(np.linspace(-50, 50, 200, dtype="float32")[:, None].repeat(2, 1))
    )
    low, high = recording.BOUNDS[name]
    assert low <= values.min()
    assert values.max() <= high


def test_a_film_of_rows():
    table = data.load("sklearn:wine")
    made = make(table, "vae", epochs=1)
    assert made.panels[0].latents.shape == (len(made.steps), len(table.test), 2)
    assert made.names == list(table.label_names)
    assert made.panels[0].mse < 5  # in standard deviations


def test_frames_are_close_at_the_beginning():
    steps = recording.frame_steps(1000, 50)
    assert (steps[0], steps[-1]) == (0, 1000)
    assert (np.diff(steps) > 0).all()
    assert (np.diff(np.diff(steps)) >= -1).all()
    assert np.count_nonzero(steps < 100) > 15


def test_wrong_films(mini):
    for activations, words in (
        (["tnah"], ("no activation of this name (did you mean 'tanh'?)", "vae", "leaky_relu")),
        ([], ("no activation of this name",)),
        (["tanh", "relu", "gelu", "silu", "elu", "selu", "linear"], ("so many panels", "6 at most")),
    ):
        with pytest.raises(OptionError) as error:
            recording.make_film(mini, activations)
        four_lines(error, *words)
    with pytest.raises(DataError) as error:
        recording.make_film(data.load("quasi_periodic"), ["tanh"])
    four_lines(error, "images and of rows", "sequences of shape")
    many = [dataclasses.replace(mini), np.arange(len(mini.test)) % 30]
    part = type(mini.train)(mini.test.examples, many[1], np.arange(30))
    with pytest.raises(DataError) as error:
        recording.make_film(
            dataclasses.replace(mini, train=part, validation=part, test=part, label_names=None), ["tanh"]
        )
    four_lines(error, "30 classes", "20 at most", "classes=['0', '1', '2', '3']")
    for options in ({"epochs": 0}, {"frames": 1}, {"every": 0}):
        with pytest.raises(OptionError) as error:
            recording.make_film(mini, ["tanh"], **options)
        four_lines(error, next(iter(options)))


@pytest.mark.parametrize("activation", ["tanh", "leaky_relu"])
def test_such_latents_are_exported_in_every_format(activation, tmp_path):
    import aezoo
    from aezoo.export import ExportOptions, export_bundle, formats
    from aezoo.runtime.manifest import read_manifest
    from aezoo.testing import smooth_examples

    for package in ("ai_edge_litert", "openvino"):
        pytest.importorskip(package)
    wanted = ["onnx", "litert", "openvino", *["c"] * (formats.c_compiler() is not None)]
    shape = {"latent_dim": 2, "image_shape": (9, 11, 1), "units": (12,)}
    model = aezoo.build("dense", latent_activation=activation, **shape)
    examples = smooth_examples((9, 11, 1), 24)
    bundle = export_bundle(
        model, tmp_path / "bundle", ExportOptions(formats=wanted, parts=["encoder"]), examples=examples
    )
    proven = read_manifest(bundle).artifacts
    assert [artifact.format for artifact in proven] == wanted
    assert all(artifact.parity.max_difference >= 0 for artifact in proven)


# -- frames -----------------------------------------------------------------------------------------


@pytest.fixture
def styled():
    with style.style():
        yield


@pytest.mark.usefixtures("styled")
def test_axes_hold_all_frames_and_stay(film):
    boxes = frames.limits(film)
    for (x0, x1, y0, y1), panel in zip(boxes, film.panels, strict=True):
        assert x1 - x0 == pytest.approx(y1 - y0)
        points = panel.latents.reshape(-1, 2)
        assert x0 < points[:, 0].min()
        assert points[:, 0].max() < x1
        assert y0 < points[:, 1].min()
        assert points[:, 1].max() < y1
    assert boxes[0][0] < -1  # tanh's square is seen as a whole
    assert boxes[0][1] > 1
    stage = frames.Stage(film, 480)
    for number in (0, len(film.steps) - 1):
        stage.draw(number)
        for axes, box in zip(stage.axes, boxes, strict=True):
            assert (*axes.get_xlim(), *axes.get_ylim()) == pytest.approx(box)
    far = dataclasses.replace(film.panels[1], latents=100 * film.panels[1].latents)
    scales = [
        x1 - x0 for x0, x1, _, _ in frames.limits(dataclasses.replace(film, panels=(film.panels[0], far)))
    ]
    assert scales[1] > 2 * scales[0]  # on axes of their own
    near = frames.limits(dataclasses.replace(film, panels=(film.panels[0], film.panels[0])))
    assert near[0] == near[1]


@pytest.mark.usefixtures("styled")
def test_a_frame_is_drawn_as_a_whole(film):
    stage = frames.Stage(film, 480)
    last = stage.draw(len(film.steps) - 1)
    assert last.dtype == np.uint8
    assert last.shape == (stage.size[1], stage.size[0], 3)
    assert stage.size[0] % 2 == stage.size[1] % 2 == 0
    first = stage.draw(0)
    assert not np.array_equal(first, last)
    np.testing.assert_array_equal(
        frames.Stage(film, 480).draw(0), first
    )  # nothing is left of the other frame


# imageio_ffmpeg leaves the pipes of its reader open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_repeat_and_can_be_read(film, tmp_path):
    encoder = pytest.importorskip("imageio_ffmpeg")
    told = []
    with style.style():
        paths = frames.save_film(
            film, tmp_path / "film", width=480, fps=10, tell=lambda *done: told.append(done)
        )
        again = frames.save_film(film, tmp_path / "again", width=480, fps=10)
    count = len(film.steps)
    assert [path.name for path in paths] == ["film.mp4", "film.gif", "film.png"]
    for path, other in zip(paths, again, strict=True):
        assert path.read_bytes() == other.read_bytes(), path.suffix
    assert told == [(done, 2 * count + 1) for done in range(1, 2 * count + 2)]
    reader = encoder.read_frames(str(paths[0]))
    meta = next(reader)
    assert (meta["fps"], meta["codec"]) == (10, "h264")
    read = list(reader)
    assert len(read) == count + 15  # the last one stays for a second and a half
    size = meta["size"]
    assert len(read[0]) == 3 * size[0] * size[1]
    with style.style():
        stage = frames.Stage(film, 480)
        assert size == stage.size
        drawn = stage.draw(count - 1).astype(int)
    assert np.abs(np.frombuffer(read[-1], "uint8").reshape(drawn.shape) - drawn).mean() < 4
    with Image.open(paths[1]) as picture:
        assert picture.n_frames == count
        assert picture.size[0] == 480
        assert picture.info["loop"] == 0
    with Image.open(paths[2]) as picture:
        assert picture.size[0] == 960
        assert not {"Software", "date"} & set(picture.info)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{stem}.{form}" for stem in ("film", "again") for form in frames.FORMATS
    )


def test_a_gif_stays_small(film):
    assert frames._GIF["frames"] <= 80
    assert frames._GIF["width"] <= 800


@pytest.mark.usefixtures("styled")
@pytest.mark.parametrize("formats", [["gif", "png"], ["mp4", "gif"]])
def test_what_is_stopped_leaves_nothing(film, tmp_path, formats):
    if "mp4" in formats:
        pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "film.gif").write_bytes(b"older")

    def stop(done, of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frames.save_film(film, tmp_path / "film", formats, width=480, tell=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]
    assert (tmp_path / "film.gif").read_bytes() == b"older"


# -- what is not there ---------------------------------------------------------------------------------


def test_without_the_encoder(film, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtraError) as error:
        frames.check_formats(["gif", "mp4"])
    four_lines(error, 'pip install "aezoo[film]"', "formats=['gif', 'png']")
    assert frames.check_formats(["gif", "png"]) == ["gif", "png"]
    with style.style():
        frames.save_film(film, tmp_path / "film", ["png"], width=480)


def test_without_the_encoders_program(film, tmp_path, monkeypatch):
    encoder = pytest.importorskip("imageio_ffmpeg")

    def none():
        raise RuntimeError("No ffmpeg exe could be found. Install ffmpeg on your system")

    monkeypatch.setattr(encoder, "get_ffmpeg_exe", none)
    with pytest.raises(MissingExtraError) as error:
        frames.check_formats(["mp4"])
    four_lines(error, "No ffmpeg exe", "extra 'film'")


def test_an_encoder_that_stops(film, tmp_path, monkeypatch):
    encoder = pytest.importorskip("imageio_ffmpeg")

    def write_frames(*_, **__):
        yield
        raise OSError("broken pipe\nno space left on device")

    monkeypatch.setattr(encoder, "write_frames", write_frames)
    with style.style(), pytest.raises(AezooError) as error:
        frames.save_film(film, tmp_path / "film", ["mp4"], width=480)
    four_lines(error, "no space left on device", "formats=['gif', 'png']")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("styled")
def test_wrong_files(film, tmp_path):
    for formats, options, words in (
        (["avi"], {}, ("format cannot be 'avi'", "'mp4'")),
        ([], {}, ("format cannot be ''",)),
        (["png"], {"width": 100}, ("--size", "320")),
        (["png"], {"width": 9000}, ("--size 9000", "320 to 3840")),
        (["png"], {"fps": 0}, ("--fps",)),
        (["png"], {"fps": 100}, ("1 to 60",)),
    ):
        with pytest.raises(OptionError) as error:
            frames.save_film(film, tmp_path / "film", formats, **options)
        four_lines(error, *words)


def test_a_letter_that_no_font_has(film, tmp_path):
    names = [*film.names]
    names[3] = "三\U0001f600"
    with style.style(), pytest.raises(OptionError) as error:
        frames.save_film(dataclasses.replace(film, names=names), tmp_path / "film", ["png"])
    four_lines(error, "the font has no sign for a letter", "font='Noto Sans CJK JP'")
    with pytest.raises(OptionError) as error, style.style(font="DejaVu Snas"):
        pass
    four_lines(error, "no font of this name is installed (did you mean 'DejaVu Sans'?)", "leave font out")
    with style.style(font="DejaVu Serif"):
        style.check_texts(["null"])


# -- the command ------------------------------------------------------------------------------------


def test_the_command(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    common = ["film", "--data", "sklearn:wine", "--epochs", 1, "--formats", "gif,png", "--size", 480]
    assert run(*common, "--latent-activation", "tanh,vae", "--frames", 4) == 0
    printed = capfd.readouterr()
    assert "film.gif" in printed.out
    assert "tanh" in printed.out
    assert without_logs(printed.err) == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.gif", "film.png"]
    for arguments, status, words in (
        (["--classes", "class_9"], 2, "no such class"),
        (["--font", "No Such Font"], 2, "no font of this name"),
        (["--latent-activation", "thna"], 2, "no activation of this name"),
        (["--formats", "avi"], 2, "format cannot be 'avi'"),
        (["--fps", 0], 2, "--fps"),
        (["-o", "nowhere/film"], 1, "there is no folder"),
        (["--data", "no_such_data"], 1, "no_such_data"),
        (["--every", 0], 2, "every"),
    ):
        assert run(*common, *arguments) == status, arguments
        error = capfd.readouterr().err
        assert words in error, error
        assert "fix:" in error
