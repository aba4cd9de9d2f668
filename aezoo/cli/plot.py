"""`aezoo plot`: maps of the latent space."""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from aezoo.cli import opening, output, parsing
from aezoo.core.errors import DataError


def add_plot(commands: Any) -> None:
    """Adds `aezoo plot`."""
    command = parsing.add_command(
        commands,
        "plot",
        plot,
        "draw maps of a run's or bundle's latent space, and what the model does to examples",
        "aezoo plot runs/conv -o plots\n  aezoo plot bundle --data mnist_mini --maps manifold,scores",
    )
    parsing.add_model(command)
    command.add_argument(
        "--maps",
        metavar="M,M",
        help="latents, manifold, traversals, interpolations, reconstructions, scores or activity; "
        "default: all that make sense for the model",
    )
    text = f"{parsing.SOURCE}; default: the run's own dataset, or the bundle's golden examples"
    parsing.add_source(command, "--data", text)
    command.add_argument("--format", default="png", metavar="F,F", help="png or svg; default png")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="for choosing examples, default 0")
    command.add_argument("--font", metavar="NAME", help="font for all text, default DejaVu Sans")
    parsing.add_output(command, "plots")


def plot(parsed: argparse.Namespace) -> None:
    """Draws maps of a run or a bundle."""
    from aezoo.core import outputs
    from aezoo.core.options import check_choice, check_seed
    from aezoo.plots import maps, style

    suffixes = parsing.words(parsed.format)
    for suffix in suffixes or [""]:
        check_choice("--format", suffix, style.SUFFIXES)
    asked = None if parsed.maps is None else parsing.words(parsed.maps)
    for name in asked or ():
        check_choice("--maps", name, tuple(maps.MAPS))
    check_seed(parsed.seed)
    folder = pathlib.Path(parsed.output).expanduser()
    sources = [source for source in (parsed.model, parsed.source) if source is not None]
    outputs.check_folder(folder, sources=sources, what="the maps")
    with style.style(parsed.font):
        model, shown = open_shown(
            parsed.model, data_source=parsed.source, data_dir=parsed.data_dir, value_range=parsed.value_range
        )
        style.check_texts([*(shown.names or ()), *(shown.feature_names or ())])
        obstacles = {name: maps.obstacle(name, model, shown) for name in asked or maps.MAPS}
        for name, obstacle in obstacles.items():
            if asked and obstacle:
                raise maps.refusal(name, obstacle, model)
        with outputs.filling(folder) as draft:
            files = _draw(model, shown, obstacles, draft, suffixes, parsed)
    files = [str(folder / file) for file in files]
    skipped = {name: obstacle for name, obstacle in obstacles.items() if obstacle}
    if parsed.json:
        output.say_json({"files": files, "skipped": skipped, "examples": shown.source})
        return
    for file in files:
        output.say(file)
    for name, obstacle in skipped.items():
        output.say(f"{name}: skipped, {obstacle}")
    output.say(f"examples: {shown.source}")


def open_shown(
    path: str | pathlib.Path,
    *,
    data_source: str | None = None,
    data_dir: str | None = None,
    value_range: Sequence[float] | None = None,
) -> tuple[Any, Any]:
    """Opens a run or a bundle, and the examples that its maps show.

    Args:
        path: of the run or bundle.
        data_source: a source, see `reading`; None is a run's own data (its held-out examples, where those
            are not there any more), of a bundle the golden examples.
        data_dir: where TensorFlow Datasets lie prepared.
        value_range: of images, in the place of that of the training.

    Returns:
        (model, `Shown`).

    Raises:
        RunError, BundleError: there is none.
        DataError: the data cannot be loaded, or have another shape than the model takes.
    """
    from aezoo.data.reading import load_for, read_for, split_part
    from aezoo.loading import golden_examples
    from aezoo.plots.shown import Shown
    from aezoo.runtime.manifest import is_bundle

    model, run = opening.open_model(str(path))
    options: dict[str, Any] = {"data_dir": data_dir, "value_range": value_range}
    held_out = {} if run is None or is_bundle(path) else _held_out(path)
    if data_source is None and is_bundle(path):
        golden = golden_examples(model)
        told = f"the {len(golden.array)} golden examples of the bundle"
        told += "" if golden.labels is not None else ", which have no labels; --data names others"
        return model, dataclasses.replace(_shown(golden), source=told)
    if data_source is None and run is not None:
        try:
            return model, Shown.of(load_for(model, run=run, **options))
        except DataError:
            return model, _own(held_out, run)
    source = "mnist_mini" if data_source is None else data_source  # None: of a .keras file
    if pathlib.Path(source).expanduser().exists():
        found = read_for(model, source, run=run, **options)
        output.say_notes(found.notes)
        return model, _shown(found, held_out)
    name, part = split_part(source)
    return model, Shown.of(load_for(model, name, run=run, **options), part)


def _held_out(path):
    from aezoo.training.run import Run

    return Run(path).held_out


def _shown(found, held_out=None):
    """Returns what is shown of `Examples`: all, or some of many; held-out examples of a run calibrate."""
    import numpy as np

    from aezoo.plots.shown import MOST, Shown

    count = len(found.array)
    chosen = np.unique(np.linspace(0, count - 1, MOST).astype(int))  # files often lie in order
    examples = found.array[chosen]
    held_out = held_out or {}
    share = f"{len(chosen):,} of {count:,}" if len(chosen) < count else f"{count:,}"
    return Shown(
        examples / np.float32(255) if examples.dtype == np.uint8 else examples,
        None if found.labels is None else found.labels[chosen],
        found.class_names,
        found.feature_names and tuple(found.feature_names),
        f"{share} examples of {found.source}",
        held_out.get("examples"),
        held_out.get("labels"),
    )


def _own(held_out, run):
    """Returns what is shown of a run whose data are not there any more."""
    from aezoo.plots.shown import Shown

    features = run["data"].get("feature_names")
    return Shown(
        held_out["examples"],
        held_out.get("labels"),
        feature_names=features and tuple(features),
        source=f"{len(held_out['examples'])} held-out examples, since {run['data']['name']} is not there",
    )


def _draw(model, shown, obstacles, draft, suffixes, parsed):
    from aezoo.core.progress import progress_bar
    from aezoo.plots import maps, style

    wanted, files = [name for name, obstacle in obstacles.items() if not obstacle], []
    with progress_bar(enabled=not parsed.json) as bar:
        task = bar.add_task("", total=len(wanted))
        for name in wanted:
            bar.update(task, description=f"drawing {name}")
            figure = maps.draw(name, model, shown, seed=parsed.seed)
            for suffix in suffixes:
                style.save(draft / f"{name}.{suffix}", figure)
                files.append(f"{name}.{suffix}")
            bar.advance(task)
    return files
