"""What a visitor of `aezoo explore`'s page does in an awkward order, on a phone, or with unusual examples."""

import chromium_pages
import numpy as np
import pytest

from aezoo.explorer import site
from aezoo.testing import smooth_examples

pytestmark = [pytest.mark.clients, pytest.mark.exhaustive]
engine, chromium, page = chromium_pages.engine, chromium_pages.chromium, chromium_pages.page
pages, visit = chromium_pages.pages, chromium_pages.visit
values = chromium_pages.values

SHAPE = (28, 28, 1)


@pytest.fixture
def visit_with(pages, page, engine, tmp_path):
    """A function that opens the page of a case with data of its own."""

    watch = chromium_pages.Watch(page)

    def open_page(name, *, width=1280, **data):
        bundle, address = pages(name)
        np.savez(tmp_path / "some.npz", **data)
        folder = bundle.parents[1] / tmp_path.name
        facts = site.lay_out(bundle, folder, data=tmp_path / "some.npz", runtime=engine)
        watch.open(address.replace(f"/{name}/", f"/{tmp_path.name}/"), width=width)
        return facts

    yield open_page
    assert watch.wrong() == []


def text(page, name):
    return page.evaluate(f"document.getElementById('{name}').textContent")


# The encoder waits for `open()`; `settle()` ends when nothing is in flight; `seen`: what ran on which values.
GATE = """(() => {
  globalThis.seen = [];
  const gate = new Promise((done) => (globalThis.open = done));
  for (const name of ["encoder", "scorer"]) {
    const part = explorer.parts[name], run = part.run.bind(part);
    part.run = async (...given) => {
      seen.push([name, Array.from(given[0])]);
      if (name === "encoder") await gate;
      return run(...given);
    };
  }
  globalThis.settle = async () => {
    open();
    await new Promise((done) => setTimeout(done, 600));
  };
})()"""


def test_a_class_chosen_meanwhile_does_not_lose_a_drawing(visit, page):
    visit("conditional")
    page.evaluate(GATE)
    page.evaluate(
        "(() => { explorer.picture.invert(); explorer.picture.set(explorer.exampleOf(5));"
        "const chooser = document.getElementById('label'); chooser.value = 2;"
        "chooser.dispatchEvent(new Event('change')); return settle() })()"
    )
    assert page.evaluate("seen.length") == 4  # the first image, and the last one
    encode = "explorer.parts.encoder.run(explorer.exampleOf(5), 2)"
    expected = values(page, f"{encode}.then((found) => found[explorer.facts.parts.encoder.outputs[0].name])")
    np.testing.assert_allclose(values(page, "explorer.latents"), expected, atol=1e-6)
    # the class alone leaves the latents where they are
    page.evaluate(
        "(() => { const chooser = document.getElementById('label'); chooser.value = 0;"
        "chooser.dispatchEvent(new Event('change')); return settle() })()"
    )
    np.testing.assert_allclose(values(page, "explorer.latents"), expected, atol=1e-6)


def test_a_slow_encoder_does_not_call_the_visitor_back(visit, page):
    visit("conv")
    page.evaluate(GATE)
    page.evaluate("explorer.picture.invert(); explorer.moveTo(new Float32Array(16).fill(0.5)); settle()")
    assert (values(page, "explorer.latents") == 0.5).all()
    inverted, judged = values(page, "explorer.picture.values"), values(page, "seen[1][1]")
    np.testing.assert_array_equal(judged, inverted)  # the verdict is of the new image all the same
    page.evaluate("explorer.picture.invert(); settle()")
    assert not (values(page, "explorer.latents") == 0.5).any()


def test_a_slow_encoder_does_not_undo_a_code(visit, page):
    visit("quantised")
    page.evaluate(GATE)
    codes = values(page, "explorer.codes.codes")
    page.evaluate("explorer.picture.invert(); explorer.codes.put(explorer.codes.codes[0] + 3); settle()")
    kept = values(page, "explorer.codes.codes")
    np.testing.assert_array_equal(kept, [(codes[0] + 3) % 8, *codes[1:]])
    encode = "explorer.parts.encoder.run(explorer.picture.values).then((found) => found.code_indices)"
    assert (kept != values(page, encode)).any()


def test_a_verdict_is_of_one_image(visit, page):
    visit("conv")
    page.evaluate(GATE)
    before = values(page, "explorer.picture.values")
    page.evaluate("explorer.judgeImage(); explorer.picture.stroke([4, 4], [20, 20]); settle()")
    seen = page.evaluate("seen")
    assert [name for name, _ in seen] == ["encoder", "scorer"] * 2
    after = values(page, "explorer.picture.values")
    assert np.abs(after - before).max() > 0.1
    for (_, given), expected in zip(seen, (before, before, after, after), strict=True):
        np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("name", ["conv", "vae"])
def test_a_map_of_one_example_can_be_walked_on(name, visit_with, page):
    facts = visit_with(name, images=smooth_examples(SHAPE, 1))
    assert text(page, "map-facts") == "1 example: some.npz"
    assert facts["map"]["shares"] == [0, 0]
    before = values(page, "explorer.latents")
    for _ in range(24):
        page.evaluate("document.getElementById('map').focus()")
        page.keyboard.press("ArrowRight")
    np.testing.assert_allclose(np.linalg.norm(values(page, "explorer.latents") - before), 1, rtol=1e-3)
    x, y, width, _ = chromium_pages.middle(page, "document.getElementById('map')")
    page.mouse.move(x + 0.25 * width, y)
    page.mouse.move(x - 0.25 * width, y)
    assert np.linalg.norm(values(page, "explorer.latents") - before) > 0.4


def test_a_map_of_the_same_example_again_and_again(visit_with, page):
    visit_with("conv", images=np.repeat(smooth_examples(SHAPE, 1), 5, axis=0))
    assert text(page, "map-facts") == "5 examples: some.npz"
    assert page.evaluate("explorer.map.half") == 1


def box(page, name):
    found = f"document.getElementById('{name}').getBoundingClientRect()"
    return page.evaluate(f"(({{top, bottom, width}}) => ({{top, bottom, width}}))({found})")


@pytest.mark.parametrize("name", ["conv", "conditional"])
def test_a_phone_has_room_to_draw(name, visit, page):
    visit(name, width=360)
    assert box(page, "input")["width"] > 300
    for element in ("input", "score", "examples", "map"):
        page.evaluate(f"document.getElementById('{element}').scrollIntoView()")
        page.evaluate("new Promise((done) => requestAnimationFrame(done))")
        assert box(page, element)["top"] >= box(page, "decoded-card")["bottom"], element


def test_the_histogram_has_figures_and_says_what_lies_beyond(visit, page):
    visit("conv")
    ends = page.evaluate("[...document.querySelectorAll('#histogram .end')].map((node) => node.textContent)")
    score = page.evaluate("explorer.facts.score")
    np.testing.assert_allclose(list(map(float, ends)), [score["low"], score["high"]], rtol=0.01, atol=1e-6)
    beyond = "document.querySelector('#histogram .beyond').textContent"
    shape = "document.querySelector('#histogram .here').getAttribute('d')"
    assert page.evaluate(beyond) == ""
    shapes = [page.evaluate(shape)]
    for number in (score["high"] * 7, score["low"] - 1):
        shown = f"explorer.score.show({{...explorer.found, [explorer.facts.score.name]: [{number}]}})"
        page.evaluate(shown)
        shapes.append(page.evaluate(shape))
        figure, words = page.evaluate(beyond).split(", ")
        assert words == "beyond the scale"
        assert float(figure) == pytest.approx(number, rel=0.01)
    assert len(set(shapes)) == 3


def test_a_thousand_classes_are_one_line(visit_with, page):
    visit_with("conv", images=smooth_examples(SHAPE, 1000), labels=np.arange(1000))
    assert text(page, "many-facts") == "1,000 classes: too many for colours."
    assert page.evaluate("document.querySelectorAll('#legend button').length") == 0
    assert page.evaluate("document.documentElement.scrollHeight") < 2000
    assert page.evaluate("explorer.map.named.length") == 0
    colours = colours_of(page)
    assert len(colours) == 1  # that of the accent
    # one class can be looked at alone
    before = page.evaluate("explorer.map.still.toDataURL()")
    page.evaluate(
        "(() => { const only = document.getElementById('only'); only.value = 700;"
        "only.dispatchEvent(new Event('change')) })()"
    )
    assert page.evaluate("explorer.map.only") == 700
    assert page.evaluate("explorer.map.still.toDataURL()") != before


def colours_of(page):
    """Returns the colours that points are drawn in."""
    return set(
        page.evaluate(
            "(() => { const seen = new Set(), context = document.createElement('canvas').getContext('2d');"
            "const fill = context.fill.bind(context); context.fill = () => { seen.add(context.fillStyle);"
            " fill() }; explorer.map.drawPoints(context); return [...seen] })()"
        )
    )


def contrast(one, other):
    def light(colour):
        parts = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_class_has_one_colour_everywhere(visit_with, page):
    visit_with("vae", images=smooth_examples(SHAPE, 16), labels=np.arange(16) % 8)
    swatches = page.evaluate(
        "[...document.querySelectorAll('#legend canvas')].map((canvas) => '#' +"
        "[...canvas.getContext('2d').getImageData(14, 14, 1, 1).data].slice(0, 3)"
        ".map((byte) => byte.toString(16).padStart(2, '0')).join(''))"
    )
    for wanted in ("false", "true"):  # without and with pictures below the points
        page.evaluate(
            f"(() => {{ const tiles = document.getElementById('tiles'); tiles.checked = {wanted};"
            "return explorer.paintTiles() })()"
        )
        assert page.evaluate("Boolean(explorer.map.backdrop)") == (wanted == "true")
        assert colours_of(page) == set(swatches)
    for ground in ("#ffffff", "#000000", "#1b1d24"):
        assert contrast(swatches[7], ground) >= 3


def test_names_of_classes_do_not_lie_upon_each_other(visit_with, page):
    facts = visit_with("vae", images=smooth_examples(SHAPE, 1).repeat(12, axis=0), labels=np.arange(12))
    named = page.evaluate("explorer.map.named")
    assert 3 <= len(named) <= len(facts["label_names"])
    for n, one in enumerate(named):
        for other in named[:n]:
            apart = abs(one["x"] - other["x"]) >= (one["width"] + other["width"]) / 2
            assert apart or abs(one["y"] - other["y"]) >= 18
