"""A `.keras` file becomes an `Autoencoder` again."""

import importlib
import os
import re
import zipfile

from aezoo.core.errors import RunError
from aezoo.nn.autoencoder import Autoencoder, keras


def load_model(path: str | os.PathLike[str]) -> Autoencoder:
    """Loads a .keras file as an `Autoencoder`, compiled as it was saved.

    Raises:
        RunError: the file is missing, damaged, or holds another kind of model.
    """
    problem, cause, foreign = None, None, []
    try:
        foreign = _import_classes(path)
        model = keras.saving.load_model(path)
        if not isinstance(model, Autoencoder):
            problem = f"holds a {type(model).__name__}"
    except Exception as error:  # zipfile, h5py, Keras and the file system each raise their own
        problem, cause = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}", error
    if problem:
        fix = "check the path, or train again"
        if foreign:
            fix = (
                f"import {', '.join(foreign)} first, by --import on the command line; "
                "its classes want @keras.saving.register_keras_serializable()"
            )
        raise RunError(
            "this file cannot be loaded as an autoencoder",
            got=f"{path}: {problem}",
            expected="a .keras file saved from a model of aezoo",
            fix=fix,
        ) from cause
    return model


def _import_classes(path):
    """Imports the modules of aezoo that a .keras file names: a class registers itself when it is imported.

    Returns:
        The names of the modules that are neither aezoo's nor Keras's; those are the user's to import.
    """
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    named = sorted(set(re.findall(r'"module": ?"([^"]+)"', config)))
    for module in named:
        if re.fullmatch(r"aezoo\.[a-z0-9_.]+", module):
            importlib.import_module(module)
    return [module for module in named if module.partition(".")[0] not in ("aezoo", "keras", "builtins")]
