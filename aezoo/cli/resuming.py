"""`aezoo train --resume`: a run goes on as it was begun, whatever else stands on the command line."""

import argparse
import dataclasses
import json
import os
import shlex
from collections.abc import Mapping
from typing import Any

from aezoo.cli import parsing
from aezoo.core.errors import OptionError
from aezoo.training.choosing import MAY_BE_CHOSEN
from aezoo.training.recipe import Recipe, unversioned
from aezoo.training.settings import Settings

_OF_DATA = ("image_shape", "features", "sequence_shape", "classes", "dataset_size", "seed")  # not typed
_CLASSES = {"only_classes": "--classes", "exclude_classes": "--exclude"}


def check_same(
    recipe: Recipe, parsed: argparse.Namespace, info: Mapping[str, Any], typed: Mapping[str, Any]
) -> None:
    """Checks that a run is resumed as what it was begun as.

    Args:
        recipe: whose model and options were asked for.
        parsed: the command line.
        info: content of run.json.
        typed: settings and options of tables that stand on the command line, by name.

    Raises:
        OptionError: it is not.
    """
    _check_no_other_start(parsed)
    cut = ("kind", "image_shape", "validation_fraction", "value_range", "window", "stride", *_CLASSES)
    asked = {name: getattr(parsed, name) for name in cut if getattr(parsed, name) is not None}
    if parsed.noisy is not None:
        asked["noisy"] = os.path.abspath(os.path.expanduser(parsed.noisy))
    asked |= {**typed, **recipe.options}
    settings = json.loads(json.dumps(dataclasses.asdict(Settings(**info["settings"]))))  # the later ones, too
    begun = {**info["data"]["load_options"], **settings, **info["options"], "model": info["model"]}
    if recipe.model is not None:
        asked["model"] = recipe.model
    if parsed.source is not None:
        asked["data"] = unversioned(
            parsed.source if parsed.source in _names(info) else os.path.abspath(parsed.source)
        )
        begun["data"] = unversioned(info["data"]["source"])
    for name, value in asked.items():
        value = json.loads(json.dumps(value))  # as run.json holds it: lists for tuples
        if begun.get(name) != value:
            fix = f"leave {name} out, or train anew with another -o or with --overwrite"
            if name == "epochs" and info["status"] == "finished":
                fix = f"train on from its weights: {_longer(parsed, info, value)}"
            elif name == "epochs" and parsed.quick and parsed.epochs is None:
                fix = "leave --quick out"
            raise OptionError(
                "a resumed run goes on as it was begun",
                got=f"{name}={value!r}",
                expected=f"{name}={begun.get(name)!r}, or nothing",
                fix=fix,
            )


def _check_no_other_start(parsed):
    """Raises OptionError where a run is to be resumed and begun at once."""
    for name in ("start_from", "overwrite"):
        if getattr(parsed, name):
            raise OptionError(
                "a run is resumed or begun, not both",
                got=f"--resume and --{name.replace('_', '-')}",
                expected="one of the two",
                fix=f"leave --resume out, or leave {name} out",
            )


def _longer(parsed, info, epochs):
    """Returns the command that trains a finished run's model for more epochs, in another folder."""
    from aezoo.models import describe

    # What the data decide is decided again.
    usual = {**describe(info["model"]).options(), **dict.fromkeys(_OF_DATA)}
    options = {name: value for name, value in info["options"].items() if name not in _OF_DATA}
    # So are the options that would be chosen: whatever they were, they are said.
    said = {name for name, value in options.items() if name in MAY_BE_CHOSEN or usual.get(name) != value}
    changed = [f"{name}={value}" for name, value in options.items() if name in said]
    # In quotes, always: so `spoken` takes none of them for an option of the command.
    typed = ["-O '" + text.replace("'", "'\"'\"'") + "'" for text in changed]
    source, folder = shlex.quote(info["data"]["source"]), str(parsed.output).rstrip("/")
    loaded = info["data"]["load_options"]
    typed += [f"--{name} {loaded[name]}" for name in ("window", "stride") if loaded.get(name)]
    typed += [f"--noisy {shlex.quote(loaded['noisy'])}"] if loaded.get("noisy") else []
    for name, option in _CLASSES.items():
        typed += [f"{option} {shlex.quote(parsing.joined(loaded[name]))}"] if loaded.get(name) else []
    words = ["aezoo train", info["model"], f"--data {source}", *typed, f"--epochs {epochs}"]
    return " ".join([*words, f"--start-from {shlex.quote(folder)}", f"-o {shlex.quote(folder + '-longer')}"])


def _names(info):
    """Returns what the source of a run may be called, if it is no path."""
    source = info["data"]["source"]
    return () if os.path.isabs(source) else (source, unversioned(source))
