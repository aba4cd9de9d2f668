"""`aezoo.load`: opens whatever aezoo wrote to disk."""

import pathlib

from aezoo.core.errors import RunError
from aezoo.nn.saving import load_model


def load(path):
    """Loads a bundle, a run or a .keras file.

    Args:
        path: a bundle's folder gives an `aezoo.runtime.Bundle` (onnxruntime, no Keras); a run's
            folder or a .keras file gives the `Autoencoder`.

    Raises:
        RunError: nothing that aezoo wrote lies there, or a class of the model cannot be found.
        BundleError: the bundle is damaged.
    """
    try:
        path = pathlib.Path(path)
        there = path.exists()
    except (TypeError, ValueError):  # no path at all
        there = False
    if not there:  # said before Keras is imported
        raise RunError(
            "nothing that aezoo wrote lies there",
            got=f"{path} (does not exist)" if isinstance(path, pathlib.Path) else repr(path),
            expected="the folder of a bundle or of a run, or a .keras file",
            fix="check the path; `aezoo train` makes a run, and `aezoo export` a bundle of it",
        )
    if (path / "manifest.json").is_file():
        from aezoo.runtime.session import load as load_bundle

        return load_bundle(path)
    if path.suffix == ".keras":
        return load_model(path)
    from aezoo.training.run import Run

    return Run.load(path).model
