"""Callbacks that a user brings to a training."""

import importlib.util
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from aezoo.core.errors import MissingExtraError, OptionError, RunError
from aezoo.nn.layers import keras


def check_callbacks(callbacks: Iterable[Any] | None) -> list[Any]:
    """Returns Keras callbacks as a list, [] for None.

    Raises:
        OptionError: something else than a list of instances of `keras.callbacks.Callback`.
    """
    if callbacks is None:
        return []
    several = isinstance(callbacks, (list, tuple))
    for each in callbacks if several else [callbacks]:
        if not (several and isinstance(each, keras.callbacks.Callback)):
            is_class = isinstance(each, type)
            name = getattr(each, "__name__", None) if is_class else type(each).__name__
            raise OptionError(
                "callbacks is a list of Keras callbacks",
                got=f"the class {name}" if is_class else f"{name}, {str(each)[:60]!r}",
                expected="a list of instances of keras.callbacks.Callback",
                fix=f"pass callbacks=[{name}()]" if is_class else "pass callbacks=[MyCallback()]",
            )
    return list(callbacks)


def names_of(callbacks: Iterable[Any]) -> list[str]:
    """Returns the classes of callbacks, for run.json; TensorBoard only looks on, and is left out."""
    return [type(each).__name__ for each in callbacks if type(each) is not keras.callbacks.TensorBoard]


def check_resumed(info: Mapping[str, Any], folder: str | os.PathLike[str], callbacks: Iterable[Any]) -> None:
    """Checks that a run goes on with callbacks of the classes that it was begun with.

    Args:
        info: content of run.json.
        folder: of the run, for the error.
        callbacks: that it is resumed with.

    Raises:
        RunError: it does not.
    """
    begun, given = info.get("callbacks") or [], names_of(callbacks)
    if given == begun:
        return
    said = ", ".join(map(str, begun)) if isinstance(begun, list) else str(begun)
    call = ", ".join(f"{name}(...)" for name in said.split(", ")) if said else ""
    raise RunError(
        "a run is resumed with the callbacks that it was begun with",
        got=f"callbacks: {', '.join(given) or 'none'}",
        expected=f"{said or 'none'}, as run.json says",
        fix=f"in Python, training.resume({os.fspath(folder)!r}, callbacks=[{call}]); what a callback "
        "remembers is not kept"
        if said
        else "leave callbacks out, or train again into another folder",
    )


def tensorboard(folder: str | os.PathLike[str]) -> Any:
    """Returns the callback that writes the losses and the learning rate of every epoch for TensorBoard.

    Args:
        folder: of the logs; a resumed run adds to what is there.

    Raises:
        MissingExtraError: the package tensorboard is not installed.
        OptionError: a file is in the way.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError(
            "this needs the package tensorboard, which is not installed",
            got="no module named 'tensorboard'",
            expected="tensorboard, beside TensorFlow",
            fix="pip install tensorboard",
        )
    path = pathlib.Path(folder)
    if path.exists() and not path.is_dir():
        raise OptionError(
            "TensorBoard's logs go into a folder",
            got=f"--tensorboard {path}, a file",
            expected="a folder, or a name that is free",
            fix="pass --tensorboard logs",
        )
    return keras.callbacks.TensorBoard(str(path), write_graph=False)
