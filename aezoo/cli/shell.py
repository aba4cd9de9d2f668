"""What every command is run in: errors become text and an exit status."""

import argparse
import atexit
import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from aezoo.cli.spoken import in_words_of
from aezoo.core.errors import AezooError, DataNote, OptionError, message
from aezoo.core.files import is_full
from aezoo.core.imports import import_named, refused_by_tensorflow
from aezoo.core.shown import one_line


def guarded(command: Callable[[], object], parsed: argparse.Namespace) -> int:
    """Runs a command; errors become text on standard error and an exit status.

    Args:
        command: is called without arguments; may return an exit status.
        parsed: with `verbose`, `imports` and the `parser` that made it, in whose words a fix is told.

    Returns:
        The command's, else 0; 1 for an error, 2 for an option that cannot be used, 130 after Ctrl-C.
    """
    if parsed.verbose:
        os.environ["AEZOO_VERBOSE"] = "1"
    try:
        _import_modules(parsed)
        with _notes_as_lines(parsed.parser):
            status = command()
        sys.stdout.flush()  # here, where a full disk is an error of four lines
        return status if isinstance(status, int) else 0
    except AezooError as error:
        error.fix = in_words_of(parsed.parser, error.fix)
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    except OSError as error:  # a full disk, a folder that cannot be written, a path that is a file
        _leave_stdout()
        if not isinstance(error, BrokenPipeError):  # the reader of our output has left, as `| head` does
            print(f"OSError: {message(**_refused_by_the_system(error))}", file=sys.stderr)
        return 1
    except Exception as error:
        name, lines = type(error).__name__, refused_by_tensorflow(error)
        if is_full(error):
            name, lines = "OSError", _refused_by_the_system(error)
        elif _is_out_of_memory(error):
            name = "MemoryError"
            lines = {
                "problem": "there is not enough memory for this",
                "got": str(error).strip().splitlines()[0][:200]
                if str(error).strip()
                else type(error).__name__,
                "expected": "arrays that fit into this machine's memory",
                "fix": "fewer examples at a time, or a smaller batch size, image or latent_dim",
            }
        if lines is None:
            raise
        print(f"{name}: {message(**lines)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped" + _how_to_resume(parsed), file=sys.stderr)
        return 130


def leave(status: int) -> NoReturn:
    """Ends the process without taking TensorFlow's modules apart one by one, which takes a second.

    What was registered for the end still runs, temporary folders among it.

    Args:
        status: of the exit.
    """
    if "tensorflow" in sys.modules and all(
        each.daemon or each is threading.main_thread() for each in threading.enumerate()
    ):
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError, ValueError):  # a reader that has left
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


@contextlib.contextmanager
def _notes_as_lines(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Prints each `DataNote` as one line on standard error, in the words of the command."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataNote)
        show = warnings.showwarning

        def show_note(text: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, DataNote):
                print(f"note: {one_line(in_words_of(parser, str(text)))}", file=sys.stderr)
            else:
                show(text, category, *place, **more)

        warnings.showwarning = show_note  # type: ignore[assignment]  # typeshed wants every argument by name
        yield


def _leave_stdout():
    """Points standard output elsewhere where it takes no more: Python would fail once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):  # what stands for it in a test has no number
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused_by_the_system(error):
    """Returns the four lines of an OSError, or of a library's error about a full disk."""
    told = getattr(error, "strerror", None) or (str(error).strip().splitlines() or [type(error).__name__])[0]
    filename = getattr(error, "filename", None)
    return {
        "problem": "the system refused to read or write",
        "got": told[:200] if filename is None else f"{filename}: {told}",
        "expected": "a path that can be read or written, and room on the disk",
        "fix": "check the path, its permissions and the free space",
    }


def _import_modules(parsed):
    """Imports what --import and AEZOO_IMPORT name: there a user's own models are registered."""
    names = [*os.environ.get("AEZOO_IMPORT", "").split(","), *parsed.imports]
    names = [name.strip() for name in names if name.strip()]
    if names and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does; the installed command does not
    for name in names:
        import_named(name, given=f"--import {name}")


def _is_out_of_memory(error):
    """Whether an error is Python's or a framework's word for too little memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError")
        or any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "Failed to allocate memory"))
    )


def _how_to_resume(parsed):
    from aezoo.training.run import Run

    folder = getattr(parsed, "output", None)
    if not hasattr(parsed, "resume") or not folder or not Run(folder).checkpoint_file.is_file():
        return ""
    return f"; go on from the last checkpoint: aezoo train --resume -o {folder}"
