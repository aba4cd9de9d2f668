"""Checks the package as it is installed: who imports whom (import-linter), and types (mypy).

    python tools/check_package.py

export/ and recipes/ lie beside aezoo/ in a checkout and inside it in the wheel, where alone the tools that
read a package find them; so the three are copied together first. Exit status 0 where all holds.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
_LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def assemble(folder: pathlib.Path) -> None:
    """Copies the package into a folder as the wheel holds it."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "aezoo", folder / "aezoo", ignore=without)
    for inner in ("export", "recipes"):
        shutil.copytree(ROOT / inner, folder / "aezoo" / inner, ignore=without)


def main() -> int:
    """Runs the checks; returns the exit status of the first that fails, or 0."""
    with tempfile.TemporaryDirectory() as folder:
        assemble(pathlib.Path(folder))
        environment = {**os.environ, "PYTHONPATH": folder}
        settings = str(ROOT / "pyproject.toml")
        commands = (
            ["-c", _LINT, settings, "--no-cache"],
            ["-m", "mypy", "--config-file", settings, "-p", "aezoo"],
        )
        for command in commands:
            done = subprocess.run([sys.executable, *command], cwd=folder, env=environment)
            if done.returncode:
                return done.returncode
        return 0


if __name__ == "__main__":
    sys.exit(main())
