"""A model, data and settings become a run. Stands on `models`, `data`, `evaluation` and `plots`."""

import importlib
from typing import Any

_PUBLIC = {
    "Recipe": "aezoo.training.recipe",
    "Run": "aezoo.training.run",
    "Settings": "aezoo.training.settings",
    "resume": "aezoo.training.loop",
    "seed_everything": "aezoo.training.loop",
    "train": "aezoo.training.loop",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:  # settings and runs are read where Keras is not installed
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aezoo.training' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
