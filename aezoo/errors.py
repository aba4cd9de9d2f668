"""The errors of aezoo, and the one form that their texts have.

Every text that a user can cause has four lines: what is wrong, what was given, what was
expected, and what to type instead. `message` builds it; tests read it.
"""

import importlib
import os
import re


class AezooError(Exception):
    """Whatever aezoo refuses to do, and says so."""


class OptionError(AezooError, ValueError):
    """An option, a name or an argument that cannot be used."""


class DataError(AezooError, ValueError):
    """Examples, or a file of them, that break the contract of shape and range."""


class RunError(AezooError):
    """A run folder that is not there, not finished, or in the way."""


class BundleError(AezooError):
    """A bundle that is incomplete, altered, or no bundle at all."""


class ExportError(AezooError):
    """A model that cannot be written in the format asked for."""


class ParityError(ExportError):
    """An exported file that does not compute what the Keras model computes."""


class BenchError(AezooError):
    """A bundle that is slower, or further from Keras, than a gate of `aezoo bench` allows."""


class MissingExtraError(AezooError, ImportError):
    """A package that an extra of aezoo would bring is not installed."""


def message(problem, *, got, expected, fix):
    """Returns the four lines of an error.

    >>> print(message("the image is too small", got="4x4", expected="8x8 or more", fix="pad it"))
    the image is too small
      got:      4x4
      expected: 8x8 or more
      fix:      pad it
    """
    return f"{problem}\n  got:      {got}\n  expected: {expected}\n  fix:      {fix}"


def refused_by_tensorflow(error):
    """Returns the four lines for an error of TensorFlow's kernels, None for any other.

    Which layers have a kernel depends on processor, build and settings: dilated transposed
    convolutions, for example, have one for CPUs in oneDNN alone.
    """
    names = {base.__name__ for base in type(error).__mro__}
    if "OpError" not in names or "ResourceExhaustedError" in names:  # too little memory is another matter
        return None
    # In between stand the lines of the program, and behind it what the user did not name.
    lines = [line.strip() for line in str(error.message).splitlines() if not line.startswith((" ", "\t"))]
    told = [line for line in lines if line and not line.startswith(("Graph execution", "Detected at"))]
    node = re.search(r"{{node (\S+)}}", str(error.message))
    is_on = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "") == "1"
    return message(
        "TensorFlow cannot compute this model on this machine",
        got=f"{node[1]}: {told[0]}" if node and told else " ".join(told)[:200] or type(error).__name__,
        expected="a model whose layers all have a kernel for this processor",
        fix="use another layer, or a machine that has a kernel for this one"
        if is_on
        else "TF_ENABLE_ONEDNN_OPTS=1 in the environment, which turns oneDNN's kernels on",
    )


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
            message(
                f"this needs the package {package}, which is not installed",
                got=f"no module named {package!r}",
                expected=f"the extra {extra!r} of aezoo",
                fix=f'pip install "aezoo[{extra}]"',
            )
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
            message(
                f"the module {module!r} cannot be imported",
                got=f"{given}: {type(error).__name__}: {told}{place}",
                expected="the name of a module, without .py, in the current folder or installed",
                fix=f"mend what it says, or go to the folder of {module}, or add that to PYTHONPATH",
            )
        ) from error


def nearest(word, choices):
    """Returns " (did you mean ...?)" for the closest of the choices, or an empty text.

    >>> nearest("cnov", ["conv", "dense"])
    " (did you mean 'conv'?)"
    """
    import difflib

    close = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def check_choice(option, value, choices):
    """Raises OptionError unless `value` is one of `choices`; names the nearest one."""
    if value not in choices:
        raise OptionError(
            message(
                f"{option} has no such choice{nearest(value, choices)}",
                got=f"{option}={value!r}",
                expected=f"one of {', '.join(repr(choice) for choice in choices)}",
                fix=f"pass {option}={choices[0]!r}",
            )
        )
