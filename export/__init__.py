"""Export: turns a trained model into a bundle that is proven equal to it, or into nothing at all.

`export_bundle` is the way in, and `ExportOptions` what it can be told; `proof` holds the proof and runs where
TensorFlow is not installed.
"""

import importlib
from typing import Any

_PUBLIC = {"ExportOptions": "aezoo.export.options", "export_bundle": "aezoo.export.bundling"}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:  # who proves a bundle does not pay for Keras
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aezoo.export' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
