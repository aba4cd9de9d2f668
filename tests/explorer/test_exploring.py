"""`aezoo explore`: what it writes, what it refuses, what it serves. In a browser: test_explorer_page.py."""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import urllib.request

import numpy as np
import pytest
from conftest import ROOT, four_lines
from interruptible import command_line
from small_models import small

import aezoo
from aezoo.cli import main
from aezoo.core.errors import AezooError, BundleError, DataError, OptionError
from aezoo.explorer import latent_map, site, web_runtime
from aezoo.explorer.server import open_server
from aezoo.export import ExportOptions, export_bundle
from aezoo.testing import fit_on, smooth_examples

ASSETS = sorted((ROOT / "aezoo" / "explorer" / "page").iterdir())


@pytest.fixture(autouse=True)
def engine(tmp_path, monkeypatch):
    """A folder of small files that count as onnxruntime-web; none of these tests runs it."""
    folder = tmp_path / "engine"
    folder.mkdir()
    digests = {}
    for name in web_runtime.FILES:
        (folder / name).write_bytes(f"this is {name}".encode())
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(web_runtime, "FILES", digests)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """{name: bundle} of small models, with scorers."""
    folder, made = tmp_path_factory.mktemp("bundles"), {}
    for name in ("conditional_vae", "vq_vae"):
        model = aezoo.build(name, **small(name))
        examples = smooth_examples(model.example_shape, 110)
        fit_on(model, examples)
        options, labels = ExportOptions(formats=["onnx"]), model.labels_in_turn(110)
        made[name] = export_bundle(model, folder / name, options, examples=examples, **labels)
    return made


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_page_holds_the_bundle(exported, engine, tmp_path):
    facts = site.lay_out(exported, tmp_path / "page", runtime=engine)
    files = files_of(tmp_path / "page")
    assert json.loads(files["explorer.json"]) == facts
    assert {path.name for path in ASSETS} <= set(files)
    for part in ("encoder", "decoder", "scorer"):
        assert files[f"{part}.onnx"] == (exported / f"{part}.onnx").read_bytes()
    assert "Microsoft" in files["runtime/LICENSE.txt"].decode()
    with np.load(exported / "golden.npz") as golden:
        examples, latents = golden["examples"], golden["latents"]
    latent_map = np.frombuffer(files["points.bin"], "<f4").reshape(latents.shape)
    np.testing.assert_allclose(latent_map, latents, atol=1e-5 * np.ptp(latents))
    kept = np.frombuffer(files["examples.bin"], "<f4").reshape(24, *examples.shape[1:])
    np.testing.assert_array_equal(kept, examples[:24])  # bytes would alter them
    assert facts["examples"]["dtype"] == "float32"
    assert facts["map"]["labels"] is None
    assert (facts["classes"], facts["codebook_size"], facts["points"]) == (None, None, 64)
    assert [axis["index"] for axis in facts["axes"]] == [0, 1, 2, 3]
    calibration = json.loads((exported / "manifest.json").read_text("utf-8"))["calibration"]
    assert facts["score"]["threshold"] == calibration["threshold"]
    assert sum(facts["score"]["counts"]) == calibration["examples"]


def test_the_same_bundle_gives_the_same_bytes(exported, engine, tmp_path):
    for name in ("a", "b"):
        site.lay_out(exported, tmp_path / name, runtime=engine, points=20, seed=3)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    site.lay_out(exported, tmp_path / "b", runtime=engine, points=20, seed=4)
    assert files_of(tmp_path / "a")["points.bin"] != files_of(tmp_path / "b")["points.bin"]


def test_a_page_replaces_a_page_and_nothing_else(exported, bundles, engine, tmp_path):
    page = tmp_path / "page"
    site.lay_out(exported, page, runtime=engine)
    (page / ".nojekyll").write_text("mine", encoding="utf-8")
    site.lay_out(bundles["vq_vae"], page, runtime=engine)
    assert not (page / "points.bin").exists()  # a quantised model has no map
    assert (page / "code_decoder.onnx").is_file()
    assert (page / ".nojekyll").read_text("utf-8") == "mine"
    (page / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError) as error:
        site.lay_out(exported, page, runtime=engine)
    four_lines(error, "the page would be mixed", "notes.txt", "-o")
    with pytest.raises(DataError) as error:
        site.lay_out(exported, exported, runtime=engine)
    four_lines(error, "-o")


def test_labels_of_files_and_folders(exported, engine, tmp_path):
    from PIL import Image

    images = smooth_examples((16, 12, 1), 6)
    np.savez(tmp_path / "some.npz", images=images, labels=np.array(["b", "a", "b", "c", "a", "b"]))
    facts = site.lay_out(exported, tmp_path / "page", data=tmp_path / "some.npz", runtime=engine)
    assert (facts["label_names"], facts["map"]["labels"]) == (["a", "b", "c"], [1, 0, 1, 2, 0, 1])
    # one of each class first, so that a visitor finds them all
    assert facts["examples"] == {"count": 6, "dtype": "float32", "labels": [0, 1, 2, 0, 1, 1]}
    for number, label in enumerate(("10", "9", "10")):
        file = tmp_path / "folder" / "train" / label / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((images[number, ..., 0] * 255).astype("uint8")).save(file)
    facts = site.lay_out(exported, tmp_path / "page", data=tmp_path / "folder", runtime=engine)
    assert (facts["label_names"], facts["map"]["labels"]) == (["9", "10"], [1, 1, 0])
    assert facts["source"] == "folder"
    # images of bytes stay bytes
    assert facts["examples"]["dtype"] == "uint8"
    read = np.frombuffer((tmp_path / "page" / "examples.bin").read_bytes(), "uint8").reshape(3, -1)
    written = (images[:3] * 255).astype("uint8").reshape(3, -1)
    assert {row.tobytes() for row in read} == {row.tobytes() for row in written}


def test_a_named_data_set(engine, tmp_path):
    model = aezoo.build("dense", latent_dim=1, image_shape=(28, 28, 1), units=(4,))
    bundle = export_bundle(model, tmp_path / "bundle", ExportOptions(formats=["onnx"], input_dtype="uint8"))
    facts = site.lay_out(bundle, tmp_path / "page", data="mnist_mini[train]", points=50, runtime=engine)
    assert facts["source"] == "mnist_mini, training part"
    points = latent_map.read_points(aezoo.load(bundle), "mnist_mini", count=5)
    assert points.source == "mnist_mini, test part"
    assert facts["label_names"] == [str(digit) for digit in range(10)]
    assert facts["map"] is None  # one latent has a slider
    assert facts["background"] == [0]


def test_what_is_refused(exported, bundles, engine, tmp_path):
    model = aezoo.build("dense", latent_dim=2, features=5)
    rows = export_bundle(model, tmp_path / "rows", ExportOptions(formats=["onnx"]))
    model = aezoo.build("conv", latent_dim=2, image_shape=(8, 8, 1), filters=(4,))
    half = export_bundle(model, tmp_path / "half", ExportOptions(formats=["onnx"], parts=["encoder"]))
    images = smooth_examples((16, 12, 1), 6)
    np.save(tmp_path / "plain.npy", smooth_examples((*small_shape(bundles), 1), 6))
    np.savez(tmp_path / "few.npz", images=np.load(tmp_path / "plain.npy"), labels=["a", "b"] * 3)
    np.save(tmp_path / "other.npy", images[:, :8])
    altered = shutil.copytree(exported, tmp_path / "altered")
    (altered / "decoder.onnx").write_bytes(b"another")
    conditional = bundles["conditional_vae"]
    cases = [
        (OptionError, rows, {}, ("models of images", "a model of rows")),
        (BundleError, half, {}, ("without decoder.onnx", "encoder", "without parts")),
        (BundleError, exported, {"precision": "int8"}, ("precision", "int8")),
        (BundleError, altered, {}, ("decoder.onnx", "not the file that was proven")),
        (BundleError, tmp_path, {}, ("there is no bundle",)),
        (DataError, exported, {"data": tmp_path / "other.npy"}, ("other.npy", "16, 12, 1")),
        (DataError, exported, {"data": "mnist_mini"}, ("mnist_mini", "16, 12, 1")),
        (DataError, exported, {"data": tmp_path / "none.npy"}, ("does not exist",)),
        (OptionError, exported, {"points": 0}, ("points",)),
        (OptionError, exported, {"seed": -1}, ("seed",)),
        (DataError, conditional, {"data": tmp_path / "plain.npy"}, ("with its label", "labels=")),
        (DataError, conditional, {"data": tmp_path / "few.npz"}, ("not the classes", "a, b")),
    ]
    for kind, bundle, options, words in cases:
        with pytest.raises(kind) as error:
            site.lay_out(bundle, tmp_path / "page", runtime=engine, **options)
        four_lines(error, *words)
        assert not (tmp_path / "page").exists(), words


def small_shape(bundles):
    return aezoo.load(bundles["conditional_vae"]).example_shape[:2]


def test_the_plane_of_principal_components():
    draw = np.random.default_rng(1)
    latents = draw.normal(size=(500, 6)) * [3, 1, 2, 0.1, 0.1, 0.1] + 7
    mean, axes, shares = latent_map.plane(latents)
    places = (latents - mean) @ axes.T
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    covariance = np.cov(places.T, bias=True)
    assert abs(covariance[0, 1]) < 1e-10
    np.testing.assert_allclose(np.diag(covariance) / latents.var(axis=0).sum(), shares, rtol=1e-10)
    assert shares[0] > shares[1] > 0.2
    assert (np.abs(axes).argmax(axis=1) == [0, 2]).all()
    assert (np.take_along_axis(axes, np.array([[0], [2]]), axis=1) > 0).all()
    for same in (np.ones((1, 5)), 0.1 + 1e-9 * np.eye(7, 5), np.zeros((3, 2))):  # no spread
        _, axes, shares = latent_map.plane(same)
        np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
        assert (shares == 0).all()


def test_sliders_are_of_the_axes_that_vary_most():
    latents = np.random.default_rng(0).normal(size=(50, 10)) * np.arange(10)
    axes = latent_map.slider_axes(latents, most=3)
    assert [axis["index"] for axis in axes] == [7, 8, 9]
    assert latent_map.slider_axes(np.zeros((3, 2)))[0] == {"index": 0, "low": -1.0, "high": 1.0}


# -- onnxruntime-web -----------------------------------------------------------------------------


def archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as package:
        for name, content in files.items():
            row = tarfile.TarInfo(f"package/dist/{name}")
            row.size = len(content)
            package.addfile(row, io.BytesIO(content))
    return buffer.getvalue()


def integrity(content):
    import base64

    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def test_npm_fetches_it_once(engine, tmp_path, monkeypatch):
    content = archive({name: (engine / name).read_bytes() for name in web_runtime.FILES})
    monkeypatch.setattr(web_runtime, "INTEGRITY", integrity(content))
    asked = []
    monkeypatch.setattr(web_runtime, "_packed", lambda: asked.append(1) or content)
    said = []
    folder = web_runtime.find(say=said.append)
    assert web_runtime.find(say=said.append) == folder
    assert folder.is_relative_to(tmp_path / "cache" / "aezoo")
    assert (len(asked), len(said)) == (1, 1)
    next(folder.iterdir()).write_bytes(b"damaged")
    assert web_runtime.find() == folder
    assert len(asked) == 2
    (tmp_path / "it.tgz").write_bytes(content)
    assert web_runtime.find(tmp_path / "it.tgz") == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_is_not_onnxruntime_web(engine, tmp_path):
    (tmp_path / "it.tgz").write_bytes(b"something else")
    with pytest.raises(OptionError) as error:
        web_runtime.find(tmp_path / "it.tgz")
    four_lines(error, "as it was published", "it.tgz", "sha512-", "npm pack onnxruntime-web@")
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(OptionError) as error:
            web_runtime.find(folder)
        four_lines(error, "is not there", folder, "runtime='onnxruntime-web-")
    package = tmp_path / "package"
    shutil.copytree(engine, package / "dist")
    assert web_runtime.find(package) == package / "dist"
    next((package / "dist").iterdir()).write_bytes(b"another")
    with pytest.raises(OptionError) as error:
        web_runtime.find(package)
    four_lines(error, "as it was published", "package/dist")


def test_without_npm_or_network(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AezooError) as error:
        web_runtime.find()
    four_lines(error, "npm", "is not installed", "runtime='onnxruntime-web-")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho npm error network is unreachable >&2\nexit 1\n", encoding="utf-8")
    npm.chmod(0o755)
    with pytest.raises(AezooError) as error:
        web_runtime.find()
    four_lines(error, "npm cannot fetch", "network is unreachable", "runtime='onnxruntime-web-")


# -- the command, and the server -----------------------------------------------------------------


def test_the_command(exported, engine, tmp_path, capsys):
    page = tmp_path / "page"
    given = ["explore", str(exported), "-o", str(page), "--runtime", str(engine)]
    assert main.main(given) == 0
    told = capsys.readouterr().out
    assert "64 points, golden examples" in told
    assert f"aezoo explore --serve -o {page}" in told
    assert main.main([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["points"] == 64


def test_the_command_without_bundle(tmp_path, capsys):
    for more, word in (([], "which bundle"), (["--serve"], "no page to serve")):
        assert main.main(["explore", "-o", str(tmp_path / "page"), *more]) == 2
        four_lines(capsys.readouterr().err.rstrip(), word, "is no page", "aezoo explore bundle")


def test_a_taken_port(tmp_path):
    with open_server(tmp_path, 0) as server:
        for port in (server.server_port, 70000):
            with pytest.raises(OptionError) as error:
                open_server(tmp_path, port)
            four_lines(error, "cannot be served on this port", f"port={port}:", "pass port=0")


def test_it_serves_until_ctrl_c(exported, engine, tmp_path):
    page = tmp_path / "page"
    site.lay_out(exported, page, runtime=engine)
    command = command_line("explore", "--serve", "--port", "0", "-o", page)
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ},
    )
    try:
        address = re.match(r"(http://127\.0\.0\.1:\d+/) ", server.stdout.readline()).group(1)
        types = {
            "": "text/html",
            "explorer.js": "text/javascript",
            "explorer.css": "text/css",
            "explorer.json": "application/json",
            "runtime/ort.wasm.bundle.min.mjs": "text/javascript",
            "runtime/ort-wasm-simd-threaded.wasm": "application/wasm",
            "decoder.onnx": "application/octet-stream",
        }
        for path, kind in types.items():
            with urllib.request.urlopen(address + path) as answer:
                assert answer.headers["Content-Type"].split(";")[0] == kind, path
                assert answer.read() == (page / (path or "index.html")).read_bytes()
        server.send_signal(signal.SIGINT)
        _, told = server.communicate(timeout=30)
    finally:
        server.kill()
        server.wait()
    assert (server.returncode, told.strip()) == (130, "stopped")


# -- the files of the page -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.name)
def test_assets(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 400
    assert max(map(len, text.splitlines())) <= 120 or path.suffix in (".html", ".svg")
    found = set(re.findall(r"https?://[^\"'`\s)]+", text))
    assert found <= {"http://www.w3.org/2000/svg"}, "a page that asks nobody else"


def test_every_element_that_the_script_names_is_there():
    html = (ROOT / "aezoo" / "explorer" / "page" / "index.html").read_text("utf-8")
    script = (ROOT / "aezoo" / "explorer" / "page" / "explorer.js").read_text("utf-8")
    there = set(re.findall(r'\bid="([^"]+)"', html))
    named = set(re.findall(r'\$\("([^"]+)"\)', script))
    assert named <= there
    assert set(re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"', html)) <= there
