"""A `.keras` file becomes an `Autoencoder` again."""

import os

from aezoo.core.errors import RunError
from aezoo.nn import keras_file, known_classes
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.keras_internals import at_most, load_from_memory

# Variables may hold so many numbers: as the file, several times for an optimiser that is not in it, and some
# more for the state of metrics and generators.
_TIMES, _BESIDE = 8, 2**20


def load_model(path: str | os.PathLike[str]) -> Autoencoder:
    """Loads a .keras file as an `Autoencoder`, compiled as it was saved.

    The file is looked at before Keras reads it: it costs about the memory that it weighs, and nothing that
    it names is imported or run. What its layers compute is theirs; see `known_classes`.

    Raises:
        RunError: the file is missing, damaged, of another kind of model, or needs a class that nobody has
            registered.
    """
    return from_file(read(path), path)


def read(path: str | os.PathLike[str]) -> keras_file.KerasFile:
    """Reads and checks a .keras file, all but its classes.

    Raises:
        RunError: as `load_model`.
    """
    try:
        return keras_file.read(path)
    except Exception as error:  # zipfile, h5py and the file system each raise their own
        raise _refusal(path, _told(error)) from error


def from_file(file: keras_file.KerasFile, path: str | os.PathLike[str]) -> Autoencoder:
    """Returns the model of a file that was read; the path is for errors, which are those of `load_model`."""
    try:
        found = known_classes.find_classes(file.config)
        if not (isinstance(found, type) and issubclass(found, Autoencoder)):
            raise known_classes.Unknown(f"a {getattr(found, '__name__', found)}")
        with at_most(_TIMES * file.numbers + _BESIDE):
            model = load_from_memory(file.content)
    except known_classes.Unknown as error:
        raise _refusal(path, f"holds {error}", _way_to_import(error)) from error
    except Exception as error:  # whatever a layer, or Keras, makes of what the file says
        raise _refusal(path, _told(error)) from error
    return model


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _way_to_import(error: known_classes.Unknown) -> str | None:
    if not error.importable:
        return None
    registered = "its classes want @keras.saving.register_keras_serializable()"
    if error.module == "__main__":
        return f"move the class from your script into a module, which you import first; {registered}"
    return f"import {error.module[:80]} first, by --import on the command line; {registered}"


def _refusal(path: object, problem: str, fix: str | None = None) -> RunError:
    return RunError(
        "this file cannot be loaded as an autoencoder",
        got=f"{path}: {problem}",
        expected="a .keras file saved from a model of aezoo",
        fix=fix or "check the path, or train again",
    )
