"""What `mkdocs build` needs beside mkdocs.yml: the package laid out as it is installed, for the API pages.

mkdocstrings reads sources without running them, and in a checkout export/ lies beside aezoo/, not in it.
"""

import pathlib
import re
import sys
import tempfile

from mkdocs.config.defaults import MkDocsConfig

sys.path.append(str(pathlib.Path(__file__).parent))

import check_package
from mkdocs.plugins import event_priority

_folder = tempfile.TemporaryDirectory(prefix="aezoo-docs-")

# the lines of a docstring from `>>>` to an empty line or the end
_EXAMPLE = re.compile(r'^( +)>>> .*\n(?:(?!\s*(?:"""|\n)).*\n)*', re.M)


def _under_a_heading(found):
    """Indents an example below "Examples:", the only place where mkdocstrings takes it for code."""
    lines = "".join(f"    {line}" for line in found[0].splitlines(keepends=True))
    return f"{found[1]}Examples:\n{lines}"


@event_priority(100)  # before mkdocstrings reads its settings
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Assembles the package and points mkdocstrings at it."""
    folder = pathlib.Path(_folder.name)
    if not (folder / "aezoo").exists():
        check_package.assemble(folder)
        for path in folder.rglob("*.py"):
            text = path.read_text("utf-8")
            path.write_text(_EXAMPLE.sub(_under_a_heading, text), encoding="utf-8")
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(folder)]
    return config
