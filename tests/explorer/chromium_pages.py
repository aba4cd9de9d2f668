"""A real Chromium with the page of `aezoo explore` in it: fixtures of the tests of that page."""

import os
import shutil
import threading
import time

import numpy as np
import pytest

import aezoo
from aezoo.core.errors import AezooError
from aezoo.explorer import site, web_runtime
from aezoo.explorer.server import open_server
from aezoo.export import ExportOptions, export_bundle
from aezoo.nn.autoencoder import keras
from aezoo.testing import fit_on, smooth_examples

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
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
def chromium():
    """A running Chromium: the one that AEZOO_CHROMIUM names, or that is installed."""
    program = os.environ.get("AEZOO_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser is installed: {', '.join(NAMES)}")
    with sync_api.sync_playwright() as playwright:
        # The sandbox is of no use to a container's root, and there is nothing but our own page.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        yield page


def until(page, expression, seconds=60):
    """Waits until an expression holds; the page's own policy forbids `wait_for_function` to evaluate it."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(50)


class Watch:
    """What a page tells its console, and which addresses it asks for, since it was opened."""

    def __init__(self, page):
        self.page, self.complaints, self.addresses = page, [], []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, address, *, width=1280, dark=False):
        """Opens the page of an explorer and waits until it is ready; a narrow one is on a phone."""
        self.page.set_viewport_size({"width": width, "height": 900})
        if width < 600:
            phone = {"width": width, "height": 900, "deviceScaleFactor": 2, "mobile": True}
            self.page.context.new_cdp_session(self.page).send("Emulation.setDeviceMetricsOverride", phone)
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.complaints.clear()
        self.addresses.clear()
        self.page.goto(address)
        until(self.page, "globalThis.explorer !== undefined")
        self.page.evaluate("explorer.ready.then(() => 1)")

    def wrong(self):
        """Returns what went wrong, texts."""
        self.page.evaluate("0")  # what it told before has come then
        return self.complaints


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
def visit(page, pages):
    """A function that opens the page of a case; afterwards nothing may have gone wrong on it."""
    watch, opened = Watch(page), []

    def open_page(name, *, width=1280, dark=False):
        bundle, address = pages(name)
        opened.append(address)
        watch.open(address, width=width, dark=dark)
        return bundle

    yield open_page
    assert watch.wrong() == []
    for address in watch.addresses:
        assert address.startswith((opened[-1], "blob:")), f"{address} is another origin, or another page"


def values(page, expression):
    return np.array(page.evaluate(f"Promise.resolve({expression}).then((found) => Array.from(found))"))


def middle(page, element):
    box = page.evaluate(
        f"(({{x, y, width, height}}) => [x, y, width, height])({element}.getBoundingClientRect())"
    )
    return box[0] + box[2] / 2, box[1] + box[3] / 2, box[2], box[3]
