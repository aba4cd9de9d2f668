"""The page of `aezoo explore` in a real Chromium: what it computes, and what a visitor can do with it."""

import json
import os
import shutil
import subprocess
import threading

import numpy as np
import pytest
from browser import Browser, BrowserError, find_chromium
from test_exploring import files_of

import aezoo
from aezoo.core.errors import AezooError
from aezoo.explorer import site, web_runtime
from aezoo.explorer.server import open_server
from aezoo.export import ExportOptions, export_bundle
from aezoo.nn.autoencoder import keras
from aezoo.testing import fit_on, smooth_examples

pytestmark = pytest.mark.clients
IMAGE = {"image_shape": (28, 28, 1)}
# name: (model, its options, how it is exported)
CASES = {
    "conv": ("conv", {"latent_dim": 16, "filters": (4, 8), **IMAGE}, {}),
    "vae": ("vae", {"latent_dim": 2, "body_options": {"units": (16,)}, **IMAGE}, {}),
    "conditional": (
        "conditional_vae",
        {"latent_dim": 6, "classes": 4, "body_options": {"units": (16,)}, **IMAGE},
        {},
    ),
    "quantised": ("vq_vae", {"image_shape": (12, 16, 1), "filters": (4,), "codebook_size": 8}, {}),
    "accelerator": (
        "conv",
        {"latent_dim": 3, "filters": (4,), "image_shape": (10, 12, 3)},
        {"input_dtype": "uint8", "layout": "nchw", "batch": 3, "parts": ["encoder", "decoder"]},
    ),
}


@pytest.fixture(scope="module")
def engine():
    try:
        return web_runtime.find()
    except AezooError as error:
        pytest.skip(f"onnxruntime-web cannot be fetched here: {str(error).splitlines()[0]}")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """An installed Chromium, or the one of npm's @sparticuz/chromium."""
    found = find_chromium()
    if found is not None:
        return found
    if shutil.which("npm") is None:
        pytest.skip("neither Chromium nor npm is installed")
    folder = tmp_path_factory.mktemp("chromium")
    (folder / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "@sparticuz/chromium"]
    unpack = "import chromium from '@sparticuz/chromium'; console.log(await chromium.executablePath())"
    for command in (install, ["node", "--input-type=module", "-e", unpack]):
        env = {**os.environ, "TMPDIR": str(folder)}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8")
        if done.returncode:
            pytest.skip("Chromium cannot be installed here")
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def browser(chromium, tmp_path_factory):
    try:
        opened = Browser(chromium, tmp_path_factory.mktemp("profile"))
    except BrowserError as error:
        pytest.skip(f"{chromium} does not run here: {error}")
    with opened:
        yield opened


@pytest.fixture(scope="module")
def pages(engine, tmp_path_factory):
    """A function: name of a case -> (bundle, address of its page); served from one folder."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def page(name):
        if name not in made:
            model_name, options, export = CASES[name]
            keras.utils.set_random_seed(0)
            model = aezoo.build(model_name, **options)
            examples = smooth_examples(model.example_shape, 110)
            labels = model.labels_in_turn(110)
            if labels:  # a class is a brightness, so that it matters to the picture
                share = (labels["labels"] + 1) / options["classes"]
                examples = (examples * share[:, None, None, None]).astype("float32")
            fit_on(model, examples, epochs=40)  # else all pictures are one grey
            bundle = folder / "bundles" / name
            how = ExportOptions(formats=["onnx"], **export)
            export_bundle(model, bundle, how, examples=examples, **labels)
            site.lay_out(bundle, folder / name, runtime=engine)
            made[name] = bundle
        return made[name], f"http://127.0.0.1:{server.server_port}/{name}/"

    with open_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield page
        server.shutdown()
        thread.join()


@pytest.fixture
def visit(browser, pages):
    """A function that opens the page of a case; afterwards nothing may have gone wrong on it."""
    opened = []

    def open_page(name, *, width=1280, dark=False):
        bundle, address = pages(name)
        browser.size(width, 900, phone=width < 600)
        browser.dark(dark)
        browser.open(address)
        opened.append(address)
        browser.until("globalThis.explorer !== undefined")
        browser.run("explorer.ready.then(() => 1)")
        return bundle

    yield open_page
    assert browser.complaints() == []
    for address in browser.addresses():
        assert address.startswith((opened[-1], "blob:")), f"{address} is another origin, or another page"


def golden_of(bundle):
    with np.load(bundle / "golden.npz") as file:
        return dict(file)


def values(browser, expression):
    return np.array(browser.run(f"Promise.resolve({expression}).then((found) => Array.from(found))"))


def largest(browser, call, given, expected, labels, count=8):
    """Returns the largest difference between what the page computes of examples and what is expected."""
    worst = 0.0
    for number in range(count):
        array = json.dumps(given[number].ravel().tolist())
        label = "undefined" if labels is None else int(labels[number])
        found = values(browser, call.format(array=array, label=label))
        worst = max(worst, np.abs(found - expected[number].ravel()).max())
    return worst


@pytest.mark.parametrize("name", CASES)
def test_the_page_computes_the_golden_arrays(name, visit, browser):
    bundle = visit(name)
    golden = golden_of(bundle)
    labels, examples = golden.get("labels"), golden["examples"]
    examples = examples / 255 if examples.dtype == np.uint8 else examples
    latents = golden["code_indices"] if name == "quantised" else golden["latents"]
    decode = "explorer.decode({array}, {label}).then((found) => found.reconstructions)"
    assert largest(browser, decode, latents, golden["reconstructions"], labels) < 1e-3
    output = json.loads((bundle / "manifest.json").read_text("utf-8"))["artifacts"][0]["outputs"][0]["name"]
    encode = f"explorer.parts.encoder.run({{array}}, {{label}}).then((found) => found.{output})"
    spread = np.ptp(golden["latents"])
    assert largest(browser, encode, examples, golden["latents"], labels) < 1e-3 * max(1, spread)
    if "error_map" in golden:
        score = "explorer.parts.scorer.run({array}, {label}).then((found) => found.error_map)"
        assert largest(browser, score, examples, golden["error_map"], labels) < 1e-3


@pytest.mark.parametrize("name", CASES)
def test_the_first_example_is_encoded_and_scored(name, visit, browser):
    bundle = visit(name)
    loaded, golden = aezoo.load(bundle), golden_of(bundle)
    order = np.arange(64) if "labels" not in golden else np.argsort(golden["labels"], kind="stable")
    example = golden["examples"][order[:1]]
    labels = {"labels": golden["labels"][order[:1]]} if "labels" in golden else {}
    if name == "accelerator":  # without a reconstructor and a scorer
        bytes_in = example / np.float32(255)
        error = np.square(loaded.decode(loaded.encode(example)) - bytes_in).mean()
    else:
        error = loaded.reconstruction_error(example, **labels)[0]
    latents = loaded.encode(example, **labels)
    shown = values(browser, "explorer.found.latents")
    np.testing.assert_allclose(shown, latents.ravel(), atol=1e-4 * max(1, np.ptp(golden["latents"])))
    found = browser.run("[].concat(explorer.found.reconstruction_error).map((e) => e[0] ?? e)[0]")
    assert found == pytest.approx(error, rel=1e-3)
    told = browser.run("document.getElementById('score').textContent")
    if name == "accelerator":
        assert told.startswith("reconstruction error ")
    else:
        verdict = "anomaly" if loaded.score(example, **labels)["is_anomaly"][0] else "normal"
        assert told.startswith(f"{verdict}: score ")
        assert "threshold" in told
        assert "p-value" in told


def decoded(browser):
    browser.run("explorer.show()")
    browser.run("new Promise((done) => setTimeout(done, 150))")
    return values(browser, "explorer.decoded")


def shown(browser):
    """Returns the bytes of the canvas, which a visitor sees."""
    return values(
        browser,
        "(() => { const c = document.getElementById('decoded');"
        "const copy = document.createElement('canvas'); copy.width = c.width; copy.height = c.height;"
        "const context = copy.getContext('2d'); context.drawImage(c, 0, 0);"
        "return context.getImageData(0, 0, c.width, c.height).data })()",
    )


def middle(browser, element):
    box = browser.run(
        f"(({{x, y, width, height}}) => [x, y, width, height])({element}.getBoundingClientRect())"
    )
    return box[0] + box[2] / 2, box[1] + box[3] / 2, box[2], box[3]


@pytest.mark.parametrize("name", ["conv", "vae"])
def test_the_pointer_moves_the_picture(name, visit, browser):
    bundle = visit(name)
    x, y, width, height = middle(browser, "document.getElementById('map')")
    pictures, latents = [], []
    for share in (-0.35, 0.35):
        browser.move(x + share * width, y + share * height / 2)
        pictures.append(decoded(browser))
        latents.append(values(browser, "explorer.latents"))
        np.testing.assert_allclose(
            pictures[-1].reshape(28, 28, 1),
            aezoo.load(bundle).decode(latents[-1][None].astype("float32"))[0],
            atol=1e-3,
        )
        grey = shown(browser).reshape(28, 28, 4)[..., 0]
        assert np.abs(grey / 255 - pictures[-1].reshape(28, 28)).max() <= 0.51 / 255
    assert np.abs(pictures[0] - pictures[1]).max() > 1e-3
    # the move lies in the plane of the map, and what is outside of it stays
    axes = np.array(browser.run("explorer.facts.map.axes"))
    move = latents[1] - latents[0]
    np.testing.assert_allclose(axes.T @ (axes @ move), move, atol=1e-4 * np.abs(move).max())
    # a click holds the place
    for kind in ("mousePressed", "mouseReleased"):
        browser.move(x, y, kind)
    held = values(browser, "explorer.latents")
    browser.move(x + 0.2 * width, y)
    np.testing.assert_array_equal(values(browser, "explorer.latents"), held)
    assert browser.run("document.getElementById('hold').getAttribute('aria-pressed')") == "true"


def test_only_the_newest_request_is_decoded(visit, browser):
    visit("conv")
    count = browser.run(
        "(async () => { let runs = 0; const part = explorer.parts.decoder, run = part.run.bind(part);"
        "part.run = (...given) => { runs += 1; return run(...given) };"
        "const moves = []; for (let n = 0; n < 200; n++) {"
        "  moves.push(explorer.moveTo(Float32Array.from({length: 16}, () => n / 100))); }"
        "await Promise.all(moves); return runs })()"
    )
    assert count == 2  # the first, which was in flight, and the last
    np.testing.assert_allclose(values(browser, "explorer.latents"), 1.99, rtol=1e-6)


def test_the_keyboard_moves_the_picture(visit, browser):
    visit("vae")
    browser.run("document.getElementById('map').focus()")
    seen = []
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        before = values(browser, "explorer.latents")
        browser.press(key)
        seen.append(values(browser, "explorer.latents") - before)
    step = browser.run("explorer.map.step")
    np.testing.assert_allclose(seen, [[step, 0], [0, step], [-step, 0], [0, -step]], atol=1e-5)
    browser.press("Enter")
    points = values(browser, "explorer.points").reshape(-1, 2)
    assert np.abs(points - values(browser, "explorer.latents")).max(axis=1).min() < 1e-6
    browser.run("document.getElementById('axis-1').focus()")
    before, picture = values(browser, "explorer.latents"), decoded(browser)
    for _ in range(20):
        browser.press("ArrowRight")
    after = values(browser, "explorer.latents")
    assert after[0] == before[0]
    assert after[1] > before[1] + 0.05
    assert np.abs(decoded(browser) - picture).max() > 1e-4


def test_a_class_changes_the_picture(visit, browser):
    bundle = visit("conditional")
    latents = values(browser, "explorer.latents")[None].astype("float32")
    browser.run(
        "(() => { const chooser = document.getElementById('label'); chooser.value = 3;"
        "chooser.dispatchEvent(new Event('change')) })()"
    )
    found = decoded(browser).reshape(1, 28, 28, 1)
    loaded = aezoo.load(bundle)
    np.testing.assert_allclose(found, loaded.decode(latents, [3]), atol=1e-3)
    assert np.abs(found - loaded.decode(latents, [0])).max() > 1e-3
    np.testing.assert_array_equal(values(browser, "explorer.latents"), latents[0])


def test_a_code_changes_the_picture(visit, browser):
    bundle = visit("quantised")
    x, y, width, height = middle(browser, "document.getElementById('codes')")
    picture = decoded(browser)
    for kind in ("mousePressed", "mouseReleased"):
        browser.move(x - 0.45 * width, y - 0.45 * height, kind)
    browser.run("document.getElementById('codes').focus()")
    browser.press("ArrowRight")
    assert browser.run("explorer.codes.chosen") == 1
    browser.run("explorer.codes.put(explorer.codes.codes[1] + 3)")
    codes = values(browser, "explorer.codes.codes").astype("int32")
    loaded = aezoo.load(bundle)
    expected = loaded.decode(codes.reshape(1, *loaded.latent_shape[:-1]))
    found = decoded(browser)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-3)
    assert np.abs(found - picture).max() > 1e-4


def test_drawing_files_and_what_is_no_image(visit, browser):
    visit("conv")
    click = "document.getElementById('{}').click()"
    browser.run(click.format("clear"))
    browser.run("document.getElementById('input').scrollIntoView()")
    x, y, width, _ = middle(browser, "document.getElementById('input')")
    before = values(browser, "explorer.picture.values")
    browser.move(x - width / 4, y, "mousePressed")
    browser.move(x + width / 4, y)
    browser.move(x + width / 4, y, "mouseReleased")
    drawn = values(browser, "explorer.picture.values").reshape(28, 28)
    changed = np.argwhere(np.abs(drawn - before.reshape(28, 28)) > 0.1)
    assert changed[:, 0].min() >= 11
    assert changed[:, 0].max() <= 16
    assert np.ptp(changed[:, 1]) >= 12
    # a file of another size and in colour becomes grey as Pillow makes it
    given = values(
        browser,
        "(async () => { const c = document.createElement('canvas'); c.width = c.height = 56;"
        "const g = c.getContext('2d'); g.fillStyle = 'rgb(200 40 90)'; g.fillRect(0, 0, 56, 56);"
        "const blob = await new Promise((done) => c.toBlob(done));"
        "await explorer.picture.read(new File([blob], 'a.png')); return explorer.picture.values })()",
    )
    np.testing.assert_allclose(given, round(0.299 * 200 + 0.587 * 40 + 0.114 * 90) / 255, atol=1.1 / 255)
    text = "document.getElementById('{}').textContent"
    browser.until(f"{text.format('score')} && explorer.found")
    browser.run("new Promise((done) => setTimeout(done, 300))")
    verdict = browser.run(text.format("score"))
    browser.run("explorer.picture.read(new File(['text'], 'notes.txt'))")
    assert browser.run(text.format("problem")) == "notes.txt is no image that this browser reads"
    assert browser.run(text.format("score")) == verdict
    assert browser.run("document.getElementById('problem').getAttribute('aria-live')") == "assertive"
    np.testing.assert_array_equal(values(browser, "explorer.picture.values"), given)
    browser.run(click.format("invert"))
    assert browser.run(text.format("problem")) == ""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [1280, 800, 360])
def test_nothing_is_wider_than_the_screen(name, width, visit, browser):
    visit(name, width=width, dark=width == 360)
    assert browser.run("document.documentElement.scrollWidth") <= width
    theme = browser.run("document.documentElement.dataset.theme")
    assert theme == ("dark" if width == 360 else "light")


def test_the_theme_can_be_chosen(visit, browser):
    visit("vae")
    colours = []
    for _ in range(3):
        browser.run("document.getElementById('theme').click()")
        colours.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] == colours[2] != colours[1]  # light, dark, as the system says: light


def test_a_page_says_why_it_cannot_start(pages, browser, engine, tmp_path):
    bundle, _ = pages("vae")
    site.lay_out(bundle, tmp_path / "page", runtime=engine)
    (tmp_path / "page" / "decoder.onnx").unlink()
    with open_server(tmp_path / "page", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        browser.until("document.getElementById('stage')?.textContent.startsWith('This page cannot start')")
        assert "decoder.onnx: 404" in browser.run("document.getElementById('stage').textContent")
        browser.open("about:blank")
        server.shutdown()
        thread.join()


def test_two_layouts_are_the_same(pages, engine, tmp_path):
    bundle, _ = pages("conv")
    for name in ("a", "b"):
        site.lay_out(bundle, tmp_path / name, runtime=engine)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
