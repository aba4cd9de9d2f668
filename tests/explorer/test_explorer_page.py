"""The page of `aezoo explore` in a real Chromium: what it computes, and what a visitor can do with it."""

import json
import threading

import chromium_pages
import numpy as np
import pytest
from test_exploring import files_of

import aezoo
from aezoo.explorer import site
from aezoo.explorer.server import open_server

pytestmark = [pytest.mark.clients, pytest.mark.exhaustive]
engine, chromium, page = chromium_pages.engine, chromium_pages.chromium, chromium_pages.page
pages, visit = chromium_pages.pages, chromium_pages.visit
until, values, middle = chromium_pages.until, chromium_pages.values, chromium_pages.middle
CASES = chromium_pages.CASES


def golden_of(bundle):
    with np.load(bundle / "golden.npz") as file:
        return dict(file)


def largest(page, call, given, expected, labels, count=8):
    """Returns the largest difference between what the page computes of examples and what is expected."""
    worst = 0.0
    for number in range(count):
        array = json.dumps(given[number].ravel().tolist())
        label = "undefined" if labels is None else int(labels[number])
        found = values(page, call.format(array=array, label=label))
        worst = max(worst, np.abs(found - expected[number].ravel()).max())
    return worst


@pytest.mark.parametrize("name", CASES)
def test_the_page_computes_the_golden_arrays(name, visit, page):
    bundle = visit(name)
    golden = golden_of(bundle)
    labels, examples = golden.get("labels"), golden["examples"]
    examples = examples / 255 if examples.dtype == np.uint8 else examples
    latents = golden["code_indices"] if name == "quantised" else golden["latents"]
    decode = "explorer.decode({array}, {label}).then((found) => found.reconstructions)"
    assert largest(page, decode, latents, golden["reconstructions"], labels) < 1e-3
    output = json.loads((bundle / "manifest.json").read_text("utf-8"))["artifacts"][0]["outputs"][0]["name"]
    encode = f"explorer.parts.encoder.run({{array}}, {{label}}).then((found) => found.{output})"
    spread = np.ptp(golden["latents"])
    assert largest(page, encode, examples, golden["latents"], labels) < 1e-3 * max(1, spread)
    if "error_map" in golden:
        score = "explorer.parts.scorer.run({array}, {label}).then((found) => found.error_map)"
        assert largest(page, score, examples, golden["error_map"], labels) < 1e-3


@pytest.mark.parametrize("name", CASES)
def test_the_first_example_is_encoded_and_scored(name, visit, page):
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
    shown = values(page, "explorer.found.latents")
    np.testing.assert_allclose(shown, latents.ravel(), atol=1e-4 * max(1, np.ptp(golden["latents"])))
    found = page.evaluate("[].concat(explorer.found.reconstruction_error).map((e) => e[0] ?? e)[0]")
    assert found == pytest.approx(error, rel=1e-3)
    told = page.evaluate("document.getElementById('score').textContent")
    if name == "accelerator":
        assert told.startswith("reconstruction error ")
    else:
        verdict = "anomaly" if loaded.score(example, **labels)["is_anomaly"][0] else "normal"
        assert told.startswith(f"{verdict}: score ")
        assert "threshold" in told
        assert "p-value" in told


def decoded(page):
    page.evaluate("explorer.show()")
    page.evaluate("new Promise((done) => setTimeout(done, 150))")
    return values(page, "explorer.decoded")


def shown(page):
    """Returns the bytes of the canvas, which a visitor sees."""
    return values(
        page,
        "(() => { const c = document.getElementById('decoded');"
        "const copy = document.createElement('canvas'); copy.width = c.width; copy.height = c.height;"
        "const context = copy.getContext('2d'); context.drawImage(c, 0, 0);"
        "return context.getImageData(0, 0, c.width, c.height).data })()",
    )


@pytest.mark.parametrize("name", ["conv", "vae"])
def test_the_pointer_moves_the_picture(name, visit, page):
    bundle = visit(name)
    x, y, width, height = middle(page, "document.getElementById('map')")
    pictures, latents = [], []
    for share in (-0.35, 0.35):
        page.mouse.move(x + share * width, y + share * height / 2)
        pictures.append(decoded(page))
        latents.append(values(page, "explorer.latents"))
        np.testing.assert_allclose(
            pictures[-1].reshape(28, 28, 1),
            aezoo.load(bundle).decode(latents[-1][None].astype("float32"))[0],
            atol=1e-3,
        )
        grey = shown(page).reshape(28, 28, 4)[..., 0]
        assert np.abs(grey / 255 - pictures[-1].reshape(28, 28)).max() <= 0.51 / 255
    assert np.abs(pictures[0] - pictures[1]).max() > 1e-3
    # the move lies in the plane of the map, and what is outside of it stays
    axes = np.array(page.evaluate("explorer.facts.map.axes"))
    move = latents[1] - latents[0]
    np.testing.assert_allclose(axes.T @ (axes @ move), move, atol=1e-4 * np.abs(move).max())
    # a click holds the place
    page.mouse.click(x, y)
    held = values(page, "explorer.latents")
    page.mouse.move(x + 0.2 * width, y)
    np.testing.assert_array_equal(values(page, "explorer.latents"), held)
    assert page.evaluate("document.getElementById('hold').getAttribute('aria-pressed')") == "true"


def test_only_the_newest_request_is_decoded(visit, page):
    visit("conv")
    count = page.evaluate(
        "(async () => { let runs = 0; const part = explorer.parts.decoder, run = part.run.bind(part);"
        "part.run = (...given) => { runs += 1; return run(...given) };"
        "const moves = []; for (let n = 0; n < 200; n++) {"
        "  moves.push(explorer.moveTo(Float32Array.from({length: 16}, () => n / 100))); }"
        "await Promise.all(moves); return runs })()"
    )
    assert count == 2  # the first, which was in flight, and the last
    np.testing.assert_allclose(values(page, "explorer.latents"), 1.99, rtol=1e-6)


def test_the_keyboard_moves_the_picture(visit, page):
    visit("vae")
    page.evaluate("document.getElementById('map').focus()")
    seen = []
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        before = values(page, "explorer.latents")
        page.keyboard.press(key)
        seen.append(values(page, "explorer.latents") - before)
    step = page.evaluate("explorer.map.step")
    np.testing.assert_allclose(seen, [[step, 0], [0, step], [-step, 0], [0, -step]], atol=1e-5)
    page.keyboard.press("Enter")
    points = values(page, "explorer.points").reshape(-1, 2)
    assert np.abs(points - values(page, "explorer.latents")).max(axis=1).min() < 1e-6
    page.evaluate("document.getElementById('axis-1').focus()")
    before, picture = values(page, "explorer.latents"), decoded(page)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    after = values(page, "explorer.latents")
    assert after[0] == before[0]
    assert after[1] > before[1] + 0.05
    assert np.abs(decoded(page) - picture).max() > 1e-4


def test_a_class_changes_the_picture(visit, page):
    bundle = visit("conditional")
    latents = values(page, "explorer.latents")[None].astype("float32")
    page.evaluate(
        "(() => { const chooser = document.getElementById('label'); chooser.value = 3;"
        "chooser.dispatchEvent(new Event('change')) })()"
    )
    found = decoded(page).reshape(1, 28, 28, 1)
    loaded = aezoo.load(bundle)
    np.testing.assert_allclose(found, loaded.decode(latents, labels=[3]), atol=1e-3)
    assert np.abs(found - loaded.decode(latents, labels=[0])).max() > 1e-3
    np.testing.assert_array_equal(values(page, "explorer.latents"), latents[0])


def test_a_code_changes_the_picture(visit, page):
    bundle = visit("quantised")
    x, y, width, height = middle(page, "document.getElementById('codes')")
    picture = decoded(page)
    page.mouse.click(x - 0.45 * width, y - 0.45 * height)
    page.evaluate("document.getElementById('codes').focus()")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("explorer.codes.chosen") == 1
    page.evaluate("explorer.codes.put(explorer.codes.codes[1] + 3)")
    codes = values(page, "explorer.codes.codes").astype("int32")
    loaded = aezoo.load(bundle)
    expected = loaded.decode(codes.reshape(1, *loaded.latent_shape[:-1]))
    found = decoded(page)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-3)
    assert np.abs(found - picture).max() > 1e-4


def test_drawing_files_and_what_is_no_image(visit, page):
    visit("conv")
    click = "document.getElementById('{}').click()"
    page.evaluate(click.format("clear"))
    page.evaluate("document.getElementById('input').scrollIntoView()")
    x, y, width, _ = middle(page, "document.getElementById('input')")
    before = values(page, "explorer.picture.values")
    page.mouse.move(x - width / 4, y)
    page.mouse.down()
    page.mouse.move(x + width / 4, y)
    page.mouse.up()
    drawn = values(page, "explorer.picture.values").reshape(28, 28)
    changed = np.argwhere(np.abs(drawn - before.reshape(28, 28)) > 0.1)
    assert changed[:, 0].min() >= 11
    assert changed[:, 0].max() <= 16
    assert np.ptp(changed[:, 1]) >= 12
    # a file of another size and in colour becomes grey as Pillow makes it
    given = values(
        page,
        "(async () => { const c = document.createElement('canvas'); c.width = c.height = 56;"
        "const g = c.getContext('2d'); g.fillStyle = 'rgb(200 40 90)'; g.fillRect(0, 0, 56, 56);"
        "const blob = await new Promise((done) => c.toBlob(done));"
        "await explorer.picture.read(new File([blob], 'a.png')); return explorer.picture.values })()",
    )
    np.testing.assert_allclose(given, round(0.299 * 200 + 0.587 * 40 + 0.114 * 90) / 255, atol=1.1 / 255)
    text = "document.getElementById('{}').textContent"
    until(page, f"{text.format('score')} && explorer.found")
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    verdict = page.evaluate(text.format("score"))
    page.evaluate("explorer.picture.read(new File(['text'], 'notes.txt'))")
    assert page.evaluate(text.format("problem")) == "notes.txt is no image that this browser reads"
    assert page.evaluate(text.format("score")) == verdict
    assert page.evaluate("document.getElementById('problem').getAttribute('aria-live')") == "assertive"
    np.testing.assert_array_equal(values(page, "explorer.picture.values"), given)
    page.evaluate(click.format("invert"))
    assert page.evaluate(text.format("problem")) == ""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [1280, 800, 360])
def test_nothing_is_wider_than_the_screen(name, width, visit, page):
    visit(name, width=width, dark=width == 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    theme = page.evaluate("document.documentElement.dataset.theme")
    assert theme == ("dark" if width == 360 else "light")


def test_the_theme_can_be_chosen(visit, page):
    visit("vae")
    colours = []
    for _ in range(3):
        page.evaluate("document.getElementById('theme').click()")
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] == colours[2] != colours[1]  # light, dark, as the system says: light


def test_a_page_says_why_it_cannot_start(pages, page, engine, tmp_path):
    bundle, _ = pages("vae")
    site.lay_out(bundle, tmp_path / "page", runtime=engine)
    (tmp_path / "page" / "decoder.onnx").unlink()
    with open_server(tmp_path / "page", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        until(page, "document.getElementById('stage')?.textContent.startsWith('This page cannot start')")
        assert "decoder.onnx: 404" in page.evaluate("document.getElementById('stage').textContent")
        page.goto("about:blank")
        server.shutdown()
        thread.join()


def test_two_layouts_are_the_same(pages, engine, tmp_path):
    bundle, _ = pages("conv")
    for name in ("a", "b"):
        site.lay_out(bundle, tmp_path / name, runtime=engine)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
