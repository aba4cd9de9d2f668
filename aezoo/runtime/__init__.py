"""Runs bundles: NumPy and onnxruntime, on top of `core` alone. This room and `core` are the base install."""

import importlib

_PUBLIC = {
    "Bundle": "aezoo.runtime.session",
    "load": "aezoo.runtime.session",
    "rows_of": "aezoo.core.windows",
    "windows_of": "aezoo.core.windows",
}

__all__ = [*_PUBLIC]


def __getattr__(name):  # who reads a manifest does not pay for onnxruntime
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aezoo.runtime' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
