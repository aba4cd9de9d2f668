"""The versions that a figure depends on."""

import platform
import sys

import numpy as np

from aezoo import __version__
from aezoo.core.imports import import_keras


def versions() -> dict[str, str]:
    """Returns the versions that a figure depends on: {"python": ..., "keras": ..., ...}."""
    keras = import_keras()
    found = {
        "aezoo": __version__,
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
    backend = sys.modules.get(keras.backend.backend())
    if backend is not None:
        found[keras.backend.backend()] = backend.__version__
    return found
