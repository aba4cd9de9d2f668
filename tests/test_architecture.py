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

# what a room's files may import at the top, beside the standard library and aezoo
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch", "onnx", "tf2onnx", "sklearn", "matplotlib", "pandas"}
OUTSIDE = {
    "aezoo.core": {"numpy"},
    "aezoo.runtime": {"numpy", "onnxruntime"},
    "aezoo.bench": {"numpy"},
    "aezoo.cli": {"numpy"},
    "aezoo.explorer": {"numpy"},
    "aezoo.plots": {"numpy"},
    "aezoo.serving": {"onnxruntime", "mlserver"},
    "aezoo.models._registry": set(),
    "aezoo.film.frames": {"numpy"},
    "aezoo.evaluation.comparison": {"numpy"},
    "aezoo.training.settings": set(),
    "export.model_card": set(),
}


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


def room(module):
    """Returns the row of OUTSIDE that is nearest to a module, or None."""
    while module not in OUTSIDE and module:
        module = module.rpartition(".")[0]
    return module or None


def test_who_imports_whom():
    """The contracts of pyproject.toml, with imports inside functions, on the package as it is installed."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "check_package.py"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_imported_at_the_top(module):
    allowed = OUTSIDE.get(room(module), FRAMEWORKS | {"aezoo"}) | {"aezoo"} | set(sys.stdlib_module_names)
    for name, at_top in imports(MODULES[module]):
        assert name.split(".")[0] not in ("export", "recipes"), f"{name}: always aezoo.{name}"
        if at_top and room(module):
            assert name.split(".")[0] in allowed, f"{module} imports {name}"


def test_nothing_of_the_checkout_becomes_importable():
    """aezoo.export and aezoo.recipes lie beside the package there; their neighbours are not its modules."""
    import importlib.util

    assert importlib.util.find_spec("aezoo.export").origin.endswith("__init__.py")
    assert importlib.util.find_spec("aezoo.recipes.quickstart")
    for name in ("tools", "docs", "tests", "aezoo", "benchmarks"):
        assert importlib.util.find_spec(f"aezoo.{name}") is None, name


def test_files_stay_short():
    for module, path in MODULES.items():
        most = 150 if module.startswith("aezoo.models.") and "._" not in module else 400
        assert len(path.read_text("utf-8").splitlines()) <= most, module


def test_functions_stay_short():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{module}.{node.name}"


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
        ("from aezoo.cli.main import main; main(['list'])", FRAMEWORKS | {"numpy"}),
        (
            "from aezoo.cli.main import main\ntry: main(['train', '--help'])\nexcept SystemExit: pass",
            FRAMEWORKS | {"numpy"},
        ),
        ("import aezoo; aezoo.load", FRAMEWORKS),
        ("import aezoo.runtime.session", FRAMEWORKS),
        ("import aezoo.export.proof.parity", FRAMEWORKS),
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
