"""README: its tables are the code's, its programs run, its commands are commands, its length is bearable."""

import csv
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

import aezoo
from aezoo.cli import main
from aezoo.testing import smooth_examples

TEXT = (ROOT / "README.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = [
    line[2:] for block in re.findall(r"```console\n(.*?)```", TEXT, re.S) for line in block.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with bundle/, as the first command of README leaves it, but for the training."""
    from aezoo.export import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp("readme")
    model = aezoo.build("conv", latent_dim=16)
    model.fit_prior(smooth_examples(model.example_shape, 64), components=2)
    export_bundle(model, folder / "bundle", ExportOptions(formats=["onnx"]))
    return folder


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_run(program, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    program += "\nimport sys; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == str("model.fit" in program)


def test_five_lines_are_those_of_the_recipe():
    recipe = (ROOT / "recipes" / "encode_digits.py").read_text("utf-8").split('"""\n\n')[1]
    assert PROGRAMS[0] == recipe
    assert len([line for line in recipe.splitlines() if line]) == 5


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_commands(command):
    program, *arguments = shlex.split(command)
    assert program == "aezoo"
    main._parser().parse_args(arguments)


PAGES = ["README.md", "docs/models/index.md", "docs/results/index.md", "docs/results/own_data.md"]


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_up_to_date(page):
    spec = importlib.util.spec_from_file_location("readme", ROOT / "tools" / "readme.py")
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    assert page in readme.PAGES
    text = (ROOT / page).read_text("utf-8")
    assert "made by tools/readme.py" in text
    assert readme.render(text) == text, "run python tools/readme.py"


def test_no_row_of_own_data_is_worse_than_pca():
    with open(ROOT / "docs" / "results" / "own_data.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 24
    for row in rows:
        assert float(row["mse"]) <= float(row["pca"]) * 1.0001, row["data"]


def test_rows_of_speed_are_those_that_were_measured():
    """README shows some rows of the page of measurements, as they stand there."""
    measured = (ROOT / "docs" / "results" / "speed.md").read_text("utf-8").splitlines()
    rows = re.findall(r"^\|.* ms .*\|$", TEXT, re.M)
    assert len(rows) >= 4
    assert set(rows) <= set(measured)


@pytest.mark.parametrize(("page", "most"), [("README.md", 130), ("CONTRIBUTING.md", 100)])
def test_a_newcomer_reads_it_in_one_go(page, most):
    assert len((ROOT / page).read_text("utf-8").splitlines()) <= most


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / page).read_text("utf-8")):
        assert (ROOT / target).exists(), target


def test_the_first_two_commands_are_what_ci_runs():
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    assert len(blocks) == 2
    assert "recipes/quickstart.py" in blocks[0]
    assert "pytest" in blocks[1]
    assert "README.md" in (ROOT / ".ci" / "run").read_text("utf-8")
