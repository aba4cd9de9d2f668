"""aezoo: Keras 3 autoencoders whose encoder and decoder leave training as proven files.

    model = aezoo.build("conv", latent_dim=16)   # a compiled keras.Model
    model.fit(images)                            # no targets needed

Importing this package loads neither NumPy nor Keras: each name below is fetched on first use.
"""

import importlib
import os

__version__ = "0.1.0"

# onnxruntime 1.29 and later report to their maker on Linux and macOS, keep an identifier in the home
# folder, and log a warning where they cannot. The variable is read once, when onnxruntime is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# name -> module that holds it
_PUBLIC = {
    "build": "aezoo.registry",
    "describe": "aezoo.registry",
    "list_models": "aezoo.registry",
    "register": "aezoo.registry",
    "load": "aezoo.loading",
}

__all__ = ["__version__", *_PUBLIC]

# In a checkout export/ and recipes/ lie beside this package, not in it: `aezoo.export` and
# `aezoo.recipes` must be found there too when the checkout's own aezoo/ comes first on the path.
# (os.path and not pathlib, whose import alone would take longer than all of this.)
_checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_checkout, "export", "parity.py")) and _checkout not in __path__:
    __path__.append(_checkout)


# sub-packages that `aezoo.runtime.load(...)` and the like may be written with after `import aezoo`
_MODULES = ("autoencoder", "data", "evaluation", "export", "runtime", "testing", "training")


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"aezoo.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aezoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__():
    return sorted(__all__)
