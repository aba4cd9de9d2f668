"""Commands that make pictures: `film` and `plot`."""

import json
import pathlib

from aezoo import commands


def add_film(add):
    """Adds `aezoo film` to the command, given the helper of `cli`."""
    command = add(
        "film",
        film,
        "film two latents in training, side by side for several activations: MP4, GIF and a poster",
        "aezoo film --data mnist --classes 0,1,3,7 --latent-activation tanh,leaky_relu,vae -o film",
        output="film",
    )
    command.add_argument(
        "--data", metavar="SOURCE", default="mnist_mini", help="of images or rows, default mnist_mini"
    )
    command.add_argument("--data-dir", metavar="DIR", help="where TensorFlow Datasets lie prepared")
    command.add_argument("--download", action="store_true", help="let TensorFlow Datasets download the data")
    command.add_argument("--classes", metavar="C,C", help="names or labels of the classes, default all")
    command.add_argument(
        "--latent-activation",
        metavar="A,A",
        default="tanh,leaky_relu,vae",
        help="Keras activations of the latents, a panel each; `vae` is one with a prior; "
        "default tanh,leaky_relu,vae",
    )
    command.add_argument("--epochs", type=int, default=10, metavar="N", help="of each training, default 10")
    command.add_argument(
        "--frames", type=int, default=120, metavar="N", help="default 120, most of them at the beginning"
    )
    command.add_argument("--every", type=int, metavar="N", help="a frame every N steps instead")
    command.add_argument("--fps", type=int, default=20, metavar="N", help="frames a second, default 20")
    command.add_argument("--size", type=int, default=960, metavar="PIXELS", help="width, default 960")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same film; default 0")
    command.add_argument(
        "--formats", default="mp4,gif,png", metavar="F,F", help="among mp4, gif, png; default all"
    )
    command.add_argument("--font", metavar="NAME", help="of texts, default DejaVu Sans")


def film(parsed):
    """Films the latents of trainings."""
    from aezoo import data, drawing, inputs
    from aezoo.seeing import frames

    formats = frames.check_formats(commands.words(parsed.formats))
    frames.check_numbers(parsed.size, parsed.fps)
    for form in formats:
        inputs.check_file(f"{parsed.output}.{form}", sources=[parsed.data])
    classes = None if parsed.classes is None else commands.words(parsed.classes)
    with drawing.style(parsed.font):  # a font that is not there is told before minutes of training
        dataset = data.load(parsed.data, data_dir=parsed.data_dir, download=parsed.download)
        from aezoo.bars import progress_bar
        from aezoo.data.choosing import class_names
        from aezoo.seeing import films

        drawing.check_texts(classes or class_names(dataset) or ())
        made = films.make_film(
            dataset,
            commands.words(parsed.latent_activation),
            classes=classes,
            epochs=parsed.epochs,
            frames=parsed.frames,
            every=parsed.every,
            seed=parsed.seed,
            progress=not parsed.json,
        )
        with progress_bar(enabled=not parsed.json) as bar:
            task = bar.add_task("drawing", total=None)
            paths = frames.save_film(
                made,
                parsed.output,
                formats,
                width=parsed.size,
                fps=parsed.fps,
                tell=lambda done, of: bar.update(task, completed=done, total=of),
            )
    rows = [
        {
            "panel": panel.name,
            "test_mse": round(panel.mse, 6),
            "largest_latent": round(float(abs(panel.latents[-1]).max()), 4),
            "standard_deviations": [round(float(value), 4) for value in panel.latents[-1].std(axis=0)],
        }
        for panel in made.panels
    ]
    if parsed.json:
        print(json.dumps({"files": list(map(str, paths)), "steps": int(made.steps[-1]), "panels": rows}))
        return
    table = [
        (row["panel"], f"{row['test_mse']:.4f}", f"{row['largest_latent']:.3g}")
        + (", ".join(f"{value:.3g}" for value in row["standard_deviations"]),)
        for row in rows
    ]
    columns = ("panel", "test mse", "largest latent", "standard deviations")
    commands.print_table(f"after {made.steps[-1]:,} steps", columns, table)
    for path in paths:
        print(f"{path}: {path.stat().st_size / 1000:,.0f} kB")


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
    from aezoo import drawing, inputs
    from aezoo.errors import check_choice
    from aezoo.options import check_seed
    from aezoo.seeing import maps
    from aezoo.seeing.shown import open_shown

    suffixes = commands.words(parsed.format)
    for suffix in suffixes or [""]:
        check_choice("--format", suffix, drawing.SUFFIXES)
    asked = None if parsed.maps is None else commands.words(parsed.maps)
    for name in asked or ():
        check_choice("--maps", name, tuple(maps.MAPS))
    check_seed(parsed.seed)
    folder = pathlib.Path(parsed.output).expanduser()
    sources = [source for source in (parsed.path, parsed.data) if source is not None]
    inputs.check_folder(folder, sources=sources, what="the maps")
    with drawing.style(parsed.font):
        model, shown = open_shown(parsed.path, data_source=parsed.data, data_dir=parsed.data_dir)
        drawing.check_texts([*(shown.names or ()), *(shown.feature_names or ())])
        obstacles = {name: maps.obstacle(name, model, shown) for name in asked or maps.MAPS}
        for name, obstacle in obstacles.items():
            if asked and obstacle:
                raise maps.refusal(name, obstacle, model)
        inputs.clear_folder(folder, [f"{n}.{s}" for n, why in obstacles.items() if not why for s in suffixes])
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
    from aezoo import drawing
    from aezoo.bars import progress_bar
    from aezoo.seeing import maps

    wanted, files = [name for name, obstacle in obstacles.items() if not obstacle], []
    with progress_bar(enabled=not parsed.json) as bar:
        task = bar.add_task("", total=len(wanted))
        for name in wanted:
            bar.update(task, description=f"drawing {name}")
            figure = maps.draw(name, model, shown, seed=parsed.seed)
            for suffix in suffixes:
                drawing.save(folder / f"{name}.{suffix}", figure)
                files.append(str(folder / f"{name}.{suffix}"))
            bar.advance(task)
    return files
