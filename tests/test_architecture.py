"""Who may import whom, what importing costs, and that the wheel holds all of the tree."""

import ast
import pathlib
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path
    for folder in ("aezoo", "export", "recipes")
    for path in sorted((ROOT / folder).rglob("*.py"))
}

# module -> the packages outside the standard library that it and its functions may import
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch", "onnx", "tf2onnx", "sklearn", "matplotlib", "pandas"}
WITHOUT_FRAMEWORK = {
    "aezoo.__init__": set(),
    "aezoo.errors": set(),
    "aezoo.registry": set(),
    "aezoo.bundle": set(),
    "aezoo.options": set(),
    "aezoo.settings": set(),
    "aezoo.checks": {"numpy"},
    "aezoo.fitting": {"numpy"},
    "aezoo.priors": {"numpy"},
    "aezoo.latent_space": {"numpy"},
    "aezoo.runtime": {"numpy", "onnxruntime"},
    "aezoo.latency": {"numpy"},
    "aezoo.measuring": {"numpy"},
    "aezoo.processes": set(),
    "aezoo.benchmarking": set(),
    "aezoo.serving": set(),
    "aezoo.serving_mlserver": {"onnxruntime", "mlserver"},
    "aezoo.comparing": {"numpy"},
    "aezoo.cli_bundles": set(),
    "aezoo.explorer.web_runtime": set(),
    "aezoo.explorer.server": set(),
    "aezoo.explorer.points": {"numpy"},
    "aezoo.explorer.laying_out": set(),
    "aezoo.cli_seeing": set(),
    "aezoo.bars": set(),
    "aezoo.drawing": {"numpy"},
    "aezoo.seeing.maps": {"numpy"},
    "aezoo.seeing.decoded": {"numpy"},
    "aezoo.seeing.shown": {"numpy"},
    "aezoo.seeing.frames": {"numpy"},
    "export.card": set(),
}
# the row of the design: a module may import from its own stage and from earlier ones
STAGES = [
    {"errors", "quiet", "checks", "options", "settings", "bundle", "run", "registry", "loading"}
    | {"priors", "latent_space", "fitting", "processes", "bars", "drawing"},
    {"data"},
    {"layers", "losses", "predicting", "autoencoder"}
    | {"bodies", "variational", "regularized", "quantized", "patches", "models"},
    {"evaluation"},
    {"training", "progress"},
    {"export"},
    {"runtime", "latency", "measuring", "inputs", "explorer"},
    {"testing", "recipe", "serving", "serving_mlserver", "comparing", "seeing"},
    {"cli", "commands", "applying", "benchmarking", "cli_bundles", "cli_seeing", "recipes"},
]


def imports(path):
    """Yields (module, whether at the top of the file) for each import."""
    tree = ast.parse(path.read_text("utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "aezoo":
                for name in node.names:
                    yield f"aezoo.{name.name}", id(node) in top
            else:
                yield node.module, id(node) in top


def stage(module):
    parts = module.split(".")
    name = parts[0] if parts[0] in ("export", "recipes") else (parts[1] if len(parts) > 1 else "")
    found = [number for number, names in enumerate(STAGES) if name in names]
    return found[0] if found else None


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downward(module):
    here = stage(module)
    for name, at_top in imports(MODULES[module]):
        assert name.split(".")[0] not in ("export", "recipes"), f"{name}: always aezoo.{name}"
        if name.startswith("aezoo.") and at_top and here is not None:
            there = stage(name)
            assert there is None or there <= here, f"{module} imports {name}, which comes later"


@pytest.mark.parametrize("module", WITHOUT_FRAMEWORK)
def test_no_framework(module):
    allowed = WITHOUT_FRAMEWORK[module] | {"aezoo"} | set(sys.stdlib_module_names)
    for name, at_top in imports(MODULES[module]):
        if at_top:
            assert name.split(".")[0] in allowed, f"{module} imports {name}"


def test_nothing_imports_recipes_or_the_command():
    for module, path in MODULES.items():
        for name, _ in imports(path):
            assert module.startswith(("recipes", "aezoo.cli")) or not name.startswith(
                ("aezoo.recipes", "aezoo.cli", "aezoo.commands", "aezoo.applying")
            ), module


def test_files_stay_short():
    for module, path in MODULES.items():
        most = 150 if module.startswith("aezoo.models.") else 400
        assert len(path.read_text("utf-8").splitlines()) <= most, module


def test_the_wheel_lists_every_package():
    listed = CONFIG["tool"]["setuptools"]["packages"]
    mapping = CONFIG["tool"]["setuptools"]["package-dir"]
    on_disk = set()
    for name, folder in (("aezoo", "aezoo"), ("aezoo.export", "export"), ("aezoo.recipes", "recipes")):
        for found in [ROOT / folder, *(ROOT / folder).rglob("*")]:
            if (found / "__init__.py").is_file():
                inner = found.relative_to(ROOT / folder).as_posix().replace("/", ".")
                on_disk.add(name if inner == "." else f"{name}.{inner}")
    assert sorted(listed) == sorted(on_disk)
    for name, folder in mapping.items():
        assert (ROOT / folder / "__init__.py").is_file(), name


def test_version_is_said_once_alike():
    import aezoo

    assert CONFIG["project"]["version"] == aezoo.__version__


def loaded_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(' '.join(sys.modules))"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import aezoo", FRAMEWORKS | {"numpy", "onnxruntime", "rich"}),
        ("import aezoo; aezoo.list_models()", FRAMEWORKS | {"numpy"}),
        ("from aezoo.cli import main; main(['list'])", FRAMEWORKS | {"numpy"}),
        (
            "from aezoo.cli import main\ntry: main(['train', '--help'])\nexcept SystemExit: pass",
            FRAMEWORKS | {"numpy"},
        ),
        ("import aezoo.runtime", FRAMEWORKS),
        ("import aezoo.export.parity", FRAMEWORKS),
        ("import aezoo.data", FRAMEWORKS),
    ],
)
def test_import_costs(code, absent):
    assert not loaded_after(code) & absent


def test_every_module_and_public_function_has_a_docstring():
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text("utf-8"))
        assert ast.get_docstring(tree), module
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{module}.{node.name}"


@pytest.mark.parametrize(
    "module", [name for name, path in MODULES.items() if ">>>" in path.read_text("utf-8")]
)
def test_docstring_examples_run(module):
    import doctest
    import importlib

    name = module.removesuffix(".__init__")
    name = name if name.startswith("aezoo") else f"aezoo.{name}"
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 0
    assert results.failed == 0


def test_no_path_of_a_machine_is_in_the_tree():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8")
    for name in listed.stdout.split():
        path = ROOT / name
        if (
            path.suffix in (".py", ".md", ".toml")
            and path.is_file()
            and path.name != pathlib.Path(__file__).name
        ):
            text = path.read_text("utf-8")
            assert "/work/" not in text, name
            assert "/tmp/" not in text, name
