"""Every example of the pages in docs/ runs, and every model has its page."""

import importlib.util
import json
import re

import pytest
from conftest import ROOT

import aezoo
from aezoo.models import _registry

PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "_TABLE", dict(_registry._TABLE))  # a page registers a model of its own
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), flags=re.S | re.M)
    assert blocks, "a page without an example"
    namespace = {"__name__": page.stem}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page.name}, example {number + 1}", "exec"), namespace)


@pytest.mark.parametrize("name", aezoo.list_models())
def test_every_model_has_a_page(name):
    page = ROOT / "docs" / f"{name}.md"
    assert page.is_file()
    author = aezoo.describe(name).paper.split(",")[0].split(" 20")[0].split(" &")[0].split(" et")[0]
    assert author in page.read_text("utf-8")


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
