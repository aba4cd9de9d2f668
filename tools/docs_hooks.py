"""What `mkdocs build` needs beside mkdocs.yml: the package laid out as it is installed, for the API pages.

mkdocstrings reads sources without running them, and in a checkout export/ lies beside aezoo/, not in it.
"""

import pathlib
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).parent))

import check_package
from mkdocs.plugins import event_priority

_folder = tempfile.TemporaryDirectory(prefix="aezoo-docs-")


@event_priority(100)  # before mkdocstrings reads its settings
def on_config(config):
    """Assembles the package and points mkdocstrings at it."""
    folder = pathlib.Path(_folder.name)
    if not (folder / "aezoo").exists():
        check_package.assemble(folder)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(folder)]
    return config
