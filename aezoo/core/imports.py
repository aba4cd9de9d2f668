"""Imports Keras and its backend without the log lines that they print at start-up.

TensorFlow's C++ writes to file descriptor 2 before any Python setting reaches it, so the
descriptor itself is pointed elsewhere while it is first imported. AEZOO_VERBOSE=1 (the
command's -v) brings every line back.
"""

import contextlib
import importlib.util
import os
import sys
import tempfile
import warnings

from aezoo.core.errors import AezooError, MissingExtraError, OptionError


def verbose():
    """Whether the log lines of the frameworks are wanted."""
    return os.environ.get("AEZOO_VERBOSE", "") not in ("", "0")


@contextlib.contextmanager
def silent_stderr():
    """Holds back what is written to file descriptor 2; gives it out after all if the block raises."""
    if verbose():
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:  # not Ctrl-C: nobody wants to read those lines then
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def import_keras():
    """Returns the module keras, imported without a word. Call it before any other framework import."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    if not verbose():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    pass

    with silent_stderr(), warnings.catch_warnings():
        if not verbose():
            warnings.simplefilter("ignore")
        keras = need("keras", extra="train")
        if keras.backend.backend() != "tensorflow" and importlib.util.find_spec("tensorflow"):
            # Keras imports it anyway when `fit` looks at its data, and then it is not quiet.
            need("tensorflow", extra="train")
    if not verbose():
        import logging

        for name in ("tensorflow", "absl", "tf2onnx", "jax"):
            logging.getLogger(name).setLevel(logging.ERROR)
    return keras


def need(module, *, extra):
    """Imports a module that an extra brings, or says which extra to install.

    Args:
        module: dotted name, for example "sklearn.decomposition".
        extra: the name of the extra in pyproject.toml, for example "train".

    Raises:
        MissingExtraError: the module's package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module missing inside an installed package is a broken install, not a missing extra.
        package = module.partition(".")[0]
        if error.name != package:
            raise
        raise MissingExtraError(
            f"this needs the package {package}, which is not installed",
            got=f"no module named {package!r}",
            expected=f"the extra {extra!r} of aezoo",
            fix=f'pip install "aezoo[{extra}]"',
        ) from error


def import_named(module, *, given):
    """Imports a module that a user named.

    Args:
        module: dotted name.
        given: how it was named, for the error.

    Raises:
        OptionError: it is not found, or its own code fails.
    """
    try:
        return importlib.import_module(module)
    except AezooError:
        raise
    except Exception as error:  # whatever the user's code raises
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-1]  # Python's own machinery where nothing was found
        place = "" if last.filename.startswith("<frozen") else f" ({last.filename}, line {last.lineno})"
        told = "".join(str(error).splitlines()[:1])
        raise OptionError(
            f"the module {module!r} cannot be imported",
            got=f"{given}: {type(error).__name__}: {told}{place}",
            expected="the name of a module, without .py, in the current folder or installed",
            fix=f"mend what it says, or go to the folder of {module}, or add that to PYTHONPATH",
        ) from error
