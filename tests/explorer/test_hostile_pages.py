"""Pages of bundles, and in folders, that somebody made to write elsewhere or to run a script."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import test_exploring
from conftest import ROOT, four_lines, reseal

from aezoo.core.errors import AezooError, BundleError, DataError, OptionError
from aezoo.explorer import latent_map, site, web_runtime
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

engine = test_exploring.engine
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m"
SEEN = r"</script><img src=x onerror=alert(1)>\u202e\x1b[31m"


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("file", ["explorer.js", "index.html", "sub/../../../evil", "/evil"])
def test_a_bundle_has_no_say_in_the_names_of_a_page(file, exported, engine, tmp_path):
    bundle = shutil.copytree(exported, tmp_path / "a" / "b" / "bundle")
    content = json.loads((bundle / "manifest.json").read_text("utf-8"))
    (row,) = (row for row in content["artifacts"] if (row["part"], row["format"]) == ("encoder", "onnx"))
    row["files"] = {file: row["files"][row["file"]]}
    row["file"] = file
    (bundle / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    reseal(bundle)
    before = files_below(tmp_path)
    with pytest.raises(BundleError) as error:
        site.lay_out(bundle, tmp_path / "page", runtime=engine)
    four_lines(error, "the manifest of this bundle is damaged")
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("link", [".aezoo_wrote.json", "runtime", "encoder.onnx", "points.bin", "index.html"])
def test_a_link_in_an_earlier_page_leads_nowhere(link, exported, engine, tmp_path):
    page, away = tmp_path / "page", tmp_path / "away"
    site.lay_out(exported, page, runtime=engine)
    away.mkdir()
    theirs = (page / ".aezoo_wrote.json").read_text("utf-8").replace(" ", "")  # a list of files of theirs
    (away / "theirs").write_text(theirs, encoding="utf-8")
    shutil.rmtree(page / link) if (page / link).is_dir() else (page / link).unlink()
    (page / link).symlink_to(away if link == "runtime" else away / "theirs")
    try:
        site.lay_out(exported, page, runtime=engine)
    except DataError as error:  # a link is no file of ours
        four_lines(error, "mixed into other files")
    assert files_below(away) == ["theirs"]
    assert (away / "theirs").read_text("utf-8") == theirs


def test_the_page_may_be_a_link_itself(exported, engine, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "page").symlink_to(tmp_path / "real")
    site.lay_out(exported, tmp_path / "page", runtime=engine)
    assert (tmp_path / "real" / "index.html").is_file()


@pytest.mark.parametrize("name", ["encoder.onnx", "ort.wasm.bundle.min.mjs"])
def test_a_file_that_is_exchanged_meanwhile_is_not_shown(name, exported, engine, tmp_path, monkeypatch):
    bundle = shutil.copytree(exported, tmp_path / "bundle")
    find = web_runtime.find

    def slowly(*given, **options):
        found = find(*given, **options)
        ((engine if name.endswith(".mjs") else bundle) / name).write_bytes(b"another")
        return found

    monkeypatch.setattr(web_runtime, "find", slowly)
    with pytest.raises(AezooError) as error:
        site.lay_out(bundle, tmp_path / "page", runtime=engine)
    four_lines(error, name)
    assert b"another" not in test_exploring.files_of(tmp_path / "page").values()


def test_names_of_classes_are_texts(exported, engine, tmp_path):
    images = smooth_examples((16, 12, 1), 4)
    source = tmp_path / "<b>x\x1b.npz"
    np.savez(source, images=images, labels=np.array([HOSTILE, "b", "a" * 100_000, "b"]))
    facts = site.lay_out(exported, tmp_path / "page", data=source, runtime=engine)
    assert sorted(facts["label_names"]) == sorted([SEEN, "a" * 100 + "... (100,000 letters)", "b"])
    assert facts["source"] == r"<b>x\x1b.npz"
    text = (tmp_path / "page" / "explorer.json").read_bytes()
    assert text.isascii()
    assert json.loads(text, parse_constant=pytest.fail) == facts


def test_the_page_writes_no_html():
    """Names reach the page as texts alone; its policy forbids scripts in it besides."""
    for path in (ROOT / "aezoo" / "explorer" / "page").glob("*.js"):
        text = path.read_text("utf-8")
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert way not in text, (path.name, way)
    html = (ROOT / "aezoo" / "explorer" / "page" / "index.html").read_text("utf-8")
    assert "unsafe-inline" not in html
    assert "unsafe-eval'" not in html.replace("wasm-unsafe-eval'", "")


def test_a_model_without_a_name_has_a_title(exported, engine, tmp_path, monkeypatch):
    read = contract.read_manifest
    for name, title in ((None, "autoencoder"), (HOSTILE, SEEN)):
        monkeypatch.setattr(
            contract,
            "read_manifest",
            lambda *given, name=name, **more: dataclasses.replace(read(*given), model=name),
        )
        assert site.lay_out(exported, tmp_path / "page", runtime=engine)["model"] == title


def test_latents_that_are_no_numbers_are_refused(exported, monkeypatch):
    import aezoo

    bundle = aezoo.load(exported)
    latents = np.zeros((64, 4), "float32")
    latents[3, 1] = np.nan
    monkeypatch.setattr(bundle, "encode", lambda examples, labels=None: latents)
    with pytest.raises(DataError) as error:
        latent_map.read_points(bundle)
    four_lines(error, "some latents are no numbers", "1 of 256", "golden examples")


# -- onnxruntime-web -----------------------------------------------------------------------------


def test_a_large_file_is_no_package(tmp_path):
    with open(tmp_path / "it.tgz", "wb") as file:
        file.truncate(2**40)  # of holes
    with pytest.raises(OptionError) as error:
        web_runtime.find(tmp_path / "it.tgz")
    four_lines(error, "as it was published", "it.tgz", "1,099,511,627,776 bytes", "at most")


@pytest.mark.parametrize("odd", ["link", "outside", "missing", "large"])
def test_a_package_of_odd_entries(odd, engine, tmp_path, monkeypatch):
    """Whoever could break sha512 would still only have files of the pinned sha256 taken, under our names."""
    import io
    import tarfile

    monkeypatch.setattr(web_runtime, "_LARGEST", 50_000)
    buffer, (name, *others) = io.BytesIO(), web_runtime.FILES
    with tarfile.open(fileobj=buffer, mode="w:gz") as package:
        for other in others:
            row = tarfile.TarInfo(f"package/dist/{other}")
            content = (engine / other).read_bytes()
            row.size = len(content)
            package.addfile(row, io.BytesIO(content))
        row = tarfile.TarInfo(f"package/dist/{name}")
        if odd == "link":
            row.type, row.linkname = tarfile.SYMTYPE, "/etc/passwd"
        elif odd == "outside":
            row.name = f"../../{name}"
        elif odd == "large":
            row.size = web_runtime._LARGEST + 1
        if odd == "large":
            package.addfile(row, io.BytesIO(bytes(row.size)))
        elif odd != "missing":
            package.addfile(row)
    content = buffer.getvalue()
    monkeypatch.setattr(web_runtime, "INTEGRITY", test_exploring.integrity(content))
    (tmp_path / "it.tgz").write_bytes(content)
    before = files_below(tmp_path)
    with pytest.raises(OptionError) as error:
        web_runtime.find(tmp_path / "it.tgz")
    four_lines(error, "as it was published", name)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("name", sorted(web_runtime.FILES))
def test_links_in_a_folder_of_the_package_are_copied_as_what_they_hold(name, exported, engine, tmp_path):
    (engine / name).rename(tmp_path / "real")
    (engine / name).symlink_to(tmp_path / "real")
    site.lay_out(exported, tmp_path / "page", runtime=engine)
    assert not (tmp_path / "page" / "runtime" / name).is_symlink()
    (tmp_path / "real").write_text("another", encoding="utf-8")
    with pytest.raises(AezooError) as error:
        site.lay_out(exported, tmp_path / "page", runtime=engine)
    four_lines(error, "as it was published")
