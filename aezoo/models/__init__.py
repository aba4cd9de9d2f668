"""The zoo: one paper, one file, one `build()`; the table that gives them names is `_registry.py`.

Stands on `nn`. Listing and describing models imports none of them, nor Keras.
"""

from aezoo.models._registry import Entry, build, describe, list_models, register

__all__ = ["Entry", "build", "describe", "list_models", "register"]
