"""Imports Keras and its backend without the log lines that they print at start-up.

TensorFlow's C++ writes to file descriptor 2 before any Python setting reaches it, so the
descriptor itself is pointed elsewhere while it is first imported. AEZOO_VERBOSE=1 (the
command's -v) brings every line back.
"""

import codecs
import contextlib
import gc
import importlib.util
import os
import re
import sys
import tempfile
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from types import ModuleType

from aezoo.core.errors import AezooError, MissingExtraError, OptionError


def verbose() -> bool:
    """Whether the log lines of the frameworks are wanted."""
    return os.environ.get("AEZOO_VERBOSE", "") not in ("", "0")


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
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


def print_anything() -> None:
    """Lets standard output take every text, whatever the locale: the nearest ASCII for what it cannot encode.

    Names of files that are no text in the locale go out as they are; tables keep their columns.
    """
    codecs.register_error("aezoo", _spelled_out)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="aezoo")


def _spelled_out(error):
    letters = error.object[error.start : error.end]
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        plain = (unicodedata.normalize("NFKD", letter)[0] for letter in letters.replace("±", "~"))
        return "".join(letter if letter.isascii() else "?" for letter in plain), error.end


def import_keras() -> ModuleType:
    """Returns the module keras, imported without a word. Call it before any other framework import."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    # TensorFlow turns it on by itself on newer processors alone; layers without it would fail on others.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not verbose():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

    with silent_stderr(), warnings.catch_warnings(), _no_collection():
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


@contextlib.contextmanager
def _no_collection():
    """Holds the garbage collector back: thousands of modules leave none, and looking takes a sixth longer.

    Nor does it look at them later, which would take as much of the tracing of every graph.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def import_tensorflow() -> ModuleType:
    """Returns the module tensorflow, imported without a word."""
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    import_keras()
    with silent_stderr():  # still to be imported where Keras runs on another backend
        return need("tensorflow", extra="train")


def need(module: str, *, extra: str) -> ModuleType:
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


@contextlib.contextmanager
def meanwhile(*modules: str) -> Iterator[None]:
    """Imports modules in another thread while a block works in the framework, and waits for it at the end.

    Args:
        *modules: dotted names. What cannot be imported says so where it is needed.
    """

    def import_them() -> None:
        with contextlib.suppress(Exception):
            for module in modules:
                importlib.import_module(module)

    thread = threading.Thread(target=import_them, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def import_named(module: str, *, given: str) -> ModuleType:
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


def refused_by_tensorflow(error: BaseException) -> dict[str, str] | None:
    """Returns the four lines {"problem": ..., ...} for an error of TensorFlow's kernels, None for any other.

    Which layers have a kernel depends on processor, build and settings: dilated transposed
    convolutions, for example, have one for CPUs in oneDNN alone.
    """
    names = {base.__name__ for base in type(error).__mro__}
    if "OpError" not in names or "ResourceExhaustedError" in names:  # too little memory is another matter
        return None
    # Colours, and names of nodes that nobody gave, stand in what is computed outside of a graph.
    message = re.sub(r"\x1b\[[\d;]*m|{{function_node [^}]*}}", "", str(getattr(error, "message", error)))
    layer = re.search(r"Exception encountered when calling (\w+)\.call\(\)\.\s*", message)
    message = message if layer is None else message[layer.end() :]
    # In between stand the lines of the program, and behind it what the user did not name.
    lines = [line.strip() for line in message.splitlines() if not line.startswith((" ", "\t"))]
    told = [line for line in lines if line and not line.startswith(("Graph execution", "Detected at"))]
    node = layer or re.search(r"{{node (\S+)}}", message)
    is_on = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "") == "1"
    return {
        "problem": "TensorFlow cannot compute this model on this machine",
        "got": f"{node[1]}: {told[0]}" if node and told else " ".join(told)[:200] or type(error).__name__,
        "expected": "a model whose layers all have a kernel for this processor",
        "fix": "use another layer, or a machine that has a kernel for this one"
        if is_on
        else "TF_ENABLE_ONEDNN_OPTS=1 in the environment, which turns oneDNN's kernels on",
    }
