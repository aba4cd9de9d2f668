"""Every example of the pages in docs/ runs, every command parses, and the navigation lists every page."""

import importlib.util
import json
import re
import shlex

import pytest
import yaml
from conftest import ROOT

import aezoo
from aezoo.cli import main
from aezoo.models import _registry

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAMES = [page.relative_to(DOCS).as_posix() for page in PAGES]
# indexes lead elsewhere, decisions and results state, API pages come from docstrings
WITHOUT_EXAMPLE = re.compile(r"(.*/)?index\.md|(decisions|results|reference/api)/.*")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "_TABLE", dict(_registry._TABLE))  # a page registers a model of its own
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / name).read_text("utf-8"), flags=re.S | re.M)
    assert blocks or WITHOUT_EXAMPLE.fullmatch(name), "a page without an example"
    namespace = {"__name__": name.rpartition("/")[2].removesuffix(".md")}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{name}, example {number + 1}", "exec"), namespace)


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_commands(name):
    blocks = re.findall(r"^```console\n(.*?)^```$", (DOCS / name).read_text("utf-8"), flags=re.S | re.M)
    for line in "".join(blocks).splitlines():
        if line.startswith("aezoo "):
            main._parser().parse_args(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize("name", aezoo.list_models())
def test_every_model_has_a_page(name):
    page = DOCS / "models" / f"{name}.md"
    assert page.is_file()
    assert aezoo.describe(name).paper.split(",")[0].split(" 20")[0].split(" &")[0].split(" et")[
        0
    ] in page.read_text("utf-8")


def pages_of(nav):
    """Yields the pages of mkdocs.yml's nav, in order."""
    for entry in nav:
        if isinstance(entry, str):
            yield entry
            continue
        for below in entry.values():
            yield from [below] if isinstance(below, str) else pages_of(below)


def test_the_navigation_lists_every_page_once():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(pages_of(config["nav"])) == sorted(NAMES)
    assert config["strict"], "a broken link must fail the build"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", (DOCS / name).read_text("utf-8")):
        assert (DOCS / name).parent.joinpath(target).is_file(), target


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_named_exist(name):
    """A page that names `aezoo/nn/losses.py` or `recipes/` names what lies there today."""
    rooms = "aezoo|export|recipes|tests|benchmarks|tools|docs"
    for target in re.findall(rf"`((?:{rooms})/[\w./]*)`", (DOCS / name).read_text("utf-8")):
        assert (ROOT / target).exists(), target


def test_built_pages_ask_no_other_host():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert config["theme"]["font"] is False
    assert not [url for key in ("extra_css", "extra_javascript") for url in config.get(key, []) if ":" in url]


def test_recipes_state_what_their_runs_reached():
    """docs/results.json is what runs left; a recipe's stated number must be among it."""
    results = json.loads((ROOT / "docs" / "results.json").read_text("utf-8"))
    spec = importlib.util.spec_from_file_location("readme_tool", ROOT / "tools" / "readme.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    stated = 0
    for path, recipe in tool.recipes():
        for data, expected in recipe.expected.items():
            result = results[path.stem]
            assert (result["model"], result["data"]) == (recipe.model, data), path.name
            for metric, (value, tolerance) in expected.items():
                reached = tool.looked_up(result["metrics"], metric)
                assert abs(reached - value) <= tolerance, (path.name, metric)
                stated += 1
    assert stated
