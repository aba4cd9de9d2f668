"""Imports Keras and its backend without the log lines that they print at start-up.

TensorFlow's C++ writes to file descriptor 2 before any Python setting reaches it, so the
descriptor itself is pointed elsewhere while it is first imported. AEZOO_VERBOSE=1 (the
command's -v) brings every line back.
"""

import codecs
import contextlib
import importlib.util
import os
import sys
import tempfile
import unicodedata
import warnings


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


def print_anything():
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


def import_keras():
    """Returns the module keras, imported without a word. Call it before any other framework import."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    # TensorFlow turns it on by itself on newer processors alone; layers without it would fail on others.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not verbose():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from aezoo.errors import need

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
