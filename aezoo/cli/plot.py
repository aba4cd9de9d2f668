"""`aezoo plot`."""

import json
import pathlib

from aezoo.cli import parsing


def add_plot(add):
    """Adds `aezoo plot` to the command, given the helper of `cli`."""
    command = add(
        "plot",
        plot,
        "draw maps of the latent space of a run or a bundle, and of what it does to examples",
        "aezoo plot runs/conv -o plots\n  aezoo plot bundle --data mnist_mini --maps manifold,scores",
        output="plots",
    )
    command.add_argument("path", metavar="RUN_OR_BUNDLE")
    command.add_argument(
        "--maps",
        metavar="M,M",
        help="among latents, manifold, traversals, interpolations, reconstructions, scores, activity; "
        "default all that make sense",
    )
    command.add_argument(
        "--data",
        metavar="SOURCE",
        help="whose test part is shown; default a run's own, of a bundle its golden examples",
    )
    command.add_argument("--data-dir", metavar="DIR", help="where TensorFlow Datasets lie prepared")
    command.add_argument("--format", default="png", metavar="F,F", help="among png, svg; default png")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the choice of examples")
    command.add_argument("--font", metavar="NAME", help="of texts, default DejaVu Sans")


def plot(parsed):
    """Draws maps of a run or a bundle."""
    from aezoo.cli.shown import open_shown
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
    sources = [source for source in (parsed.path, parsed.data) if source is not None]
    outputs.check_folder(folder, sources=sources, what="the maps")
    with style.style(parsed.font):
        model, shown = open_shown(parsed.path, data_source=parsed.data, data_dir=parsed.data_dir)
        style.check_texts([*(shown.names or ()), *(shown.feature_names or ())])
        obstacles = {name: maps.obstacle(name, model, shown) for name in asked or maps.MAPS}
        for name, obstacle in obstacles.items():
            if asked and obstacle:
                raise maps.refusal(name, obstacle, model)
        outputs.clear_folder(
            folder, [f"{n}.{s}" for n, why in obstacles.items() if not why for s in suffixes]
        )
        files = _draw(model, shown, obstacles, folder, suffixes, parsed)
    skipped = {name: obstacle for name, obstacle in obstacles.items() if obstacle}
    if parsed.json:
        print(json.dumps({"files": files, "skipped": skipped, "examples": shown.source}))
        return
    for file in files:
        print(file)
    for name, obstacle in skipped.items():
        print(f"{name}: skipped, {obstacle}")
    print(f"examples: {shown.source}")


def _draw(model, shown, obstacles, folder, suffixes, parsed):
    from aezoo.core.progress import progress_bar
    from aezoo.plots import maps, style

    wanted, files = [name for name, obstacle in obstacles.items() if not obstacle], []
    with progress_bar(enabled=not parsed.json) as bar:
        task = bar.add_task("", total=len(wanted))
        for name in wanted:
            bar.update(task, description=f"drawing {name}")
            figure = maps.draw(name, model, shown, seed=parsed.seed)
            for suffix in suffixes:
                style.save(folder / f"{name}.{suffix}", figure)
                files.append(str(folder / f"{name}.{suffix}"))
            bar.advance(task)
    return files
