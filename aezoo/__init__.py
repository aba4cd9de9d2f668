"""aezoo: Keras 3 autoencoders whose encoder and decoder leave training as proven files.

    model = aezoo.build("conv", latent_dim=16)   # a compiled keras.Model
    model.fit(images)                            # no targets needed

Importing this package loads neither NumPy nor Keras: each name below is fetched on first use.
"""

import importlib
import importlib.machinery
import os
import sys

__version__ = "0.1.0"

# onnxruntime 1.29 and later report to their maker on Linux and macOS, keep an identifier in the home
# folder, and log a warning where they cannot. The variable is read once, when onnxruntime is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# name -> module that holds it
_PUBLIC = {
    "Autoencoder": "aezoo.nn.autoencoder",
    "build": "aezoo.models",
    "describe": "aezoo.models",
    "list_models": "aezoo.models",
    "load": "aezoo.loading",
    "register": "aezoo.models",
}

# sub-packages that `aezoo.runtime.load(...)` and the like may be written with after `import aezoo`
_MODULES = ("data", "evaluation", "export", "models", "nn", "plots", "runtime", "testing", "training")

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"aezoo.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aezoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted((*__all__, *_MODULES))


class _Checkout:
    """Finds `aezoo.export` and `aezoo.recipes`, and nothing else, beside this package.

    In a checkout the two lie at its top, in the wheel inside `aezoo/`, where Python finds them by itself.
    """

    # os.path and not pathlib, whose import alone would take longer than all of this file
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    names = ("aezoo.export", "aezoo.recipes")

    @classmethod
    def find_spec(
        cls, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in cls.names:
            return None
        place = os.path.join(cls.folder, name.rpartition(".")[2])
        file = os.path.join(place, "__init__.py")
        if not os.path.isfile(file):
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(name, file, submodule_search_locations=[place])


if not os.path.isdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "export")) and os.path.isfile(
    os.path.join(_Checkout.folder, "export", "bundling.py")
):
    sys.meta_path.insert(0, _Checkout)
