"""Fresh processes of aezoo's own modules. Standard library only."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

import aezoo


class Piped(subprocess.Popen[str]):
    """A process of text, with pipes to its standard input and output."""

    stdin: IO[str]
    stdout: IO[str]


def fresh(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
) -> Piped:
    """Starts a module in a fresh Python, with pipes to its standard input and output.

    Args:
        module: dotted name.
        arguments: texts.
        environment: {name: text} that it gets beyond this process's own.
        options: of `subprocess.Popen`.

    Returns:
        The `Piped`, a `subprocess.Popen`.
    """
    # The process must find this very aezoo, whether it is installed or a checkout.
    root = str(pathlib.Path(aezoo.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return Piped(
        [sys.executable, "-P", "-X", f"utf8={sys.flags.utf8_mode}", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Whatever the locale is: the two must spell the name of a folder alike.
        encoding="utf-8",
        errors="surrogateescape",
        env={
            **os.environ,
            **(environment or {}),
            "PYTHONPATH": path,
            "PYTHONIOENCODING": "utf-8:surrogateescape",
        },
        **options,
    )


class Process:
    """A fresh process that answers questions, a line of JSON each way.

    Whatever befalls it becomes an answer with "refused": a runtime may crash it.

    Args:
        module: dotted name.
        order: its one argument, what JSON can hold.
        patience: seconds that an answer may take; a process that hangs is ended.
        environment: {name: text} that it gets beyond this process's own.
    """

    def __init__(
        self,
        module: str,
        order: object,
        patience: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.patience = patience
        # What it logs goes nowhere: a pipe that nobody reads would fill up and stop it.
        self.process = fresh(module, json.dumps(order), environment=environment, stderr=subprocess.DEVNULL)

    def answer(self, question: object = None) -> dict[str, Any]:
        """Returns its answer to a question, a dict; {"refused", "died"} where there is none."""
        timer = threading.Timer(self.patience, self.process.kill)
        begun = time.perf_counter()
        timer.start()
        try:
            if question is not None:
                self.process.stdin.write(json.dumps(question) + "\n")
                self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if line.endswith("\n"):  # else it died while it wrote
            return json.loads(line)
        status = self.process.wait()
        late = time.perf_counter() - begun >= self.patience
        return {
            "refused": f"no answer within {self.patience:g} seconds" if late else _death(status),
            "died": True,
        }

    def stop(self) -> None:
        """Ends it."""
        end(self.process)


def end(process: Piped) -> None:
    """Kills a process that still runs, and closes its pipes."""
    if process.poll() is None:
        process.kill()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError):  # what it never read
            pipe.close()
    process.wait()


def _death(status):
    if status >= 0:
        return f"died with exit status {status}"
    try:
        return f"died with signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"died with signal {-status}"
