"""`aezoo film`: two latents while they are trained."""

import argparse
from typing import Any

from aezoo.cli import output, parsing


def add_film(commands: Any) -> None:
    """Adds `aezoo film`."""
    command = parsing.add_command(
        commands,
        "film",
        film,
        "film two latents during training, one panel per activation: MP4, GIF and a poster",
        "aezoo film --data mnist --classes 0,1,3,7 --latent-activation tanh,leaky_relu,vae -o film",
    )
    text = "images or rows to train on, as for `aezoo train`; default mnist_mini"
    parsing.add_source(command, "--data", text, default="mnist_mini")
    command.add_argument("--download", action="store_true", help="let TensorFlow Datasets download the data")
    command.add_argument(
        "--classes", metavar="C,C", help="which classes to train on, by name or label; default all"
    )
    command.add_argument(
        "--latent-activation",
        dest="activations",
        metavar="A,A",
        default="tanh,leaky_relu,vae",
        help="Keras activations of the latents, one panel each; vae is a variational model; "
        "default tanh,leaky_relu,vae",
    )
    command.add_argument("--epochs", type=int, default=10, metavar="N", help="of each training, default 10")
    command.add_argument(
        "--frames", type=int, default=120, metavar="N", help="default 120, most of them at the start"
    )
    command.add_argument("--every", type=int, metavar="N", help="one frame every N steps instead")
    command.add_argument("--fps", type=int, default=20, metavar="N", help="frames per second, default 20")
    command.add_argument("--size", type=int, default=960, metavar="PIXELS", help="width, default 960")
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed gives the same film; default 0"
    )
    command.add_argument(
        "--formats", default="mp4,gif,png", metavar="F,F", help="mp4, gif or png; default all three"
    )
    command.add_argument("--font", metavar="NAME", help="font for all text, default DejaVu Sans")
    parsing.add_output(command, "film")


def film(parsed: argparse.Namespace) -> None:
    """Films the latents of trainings."""
    from aezoo import data
    from aezoo.core import outputs
    from aezoo.film import frames
    from aezoo.plots import style

    formats = frames.check_formats(parsing.words(parsed.formats))
    frames.check_numbers(parsed.size, parsed.fps)
    for form in formats:
        outputs.check_file(f"{parsed.output}.{form}", sources=[parsed.source])
    classes = None if parsed.classes is None else parsing.words(parsed.classes)
    with style.style(parsed.font):  # a font that is not there is told before minutes of training
        dataset = data.load(
            parsed.source, data_dir=parsed.data_dir, download=parsed.download, value_range=parsed.value_range
        )
        output.say_notes(dataset.notes)
        from aezoo.core.progress import progress_bar
        from aezoo.data.classes import class_names
        from aezoo.film import recording

        style.check_texts(classes or class_names(dataset) or ())
        made = recording.make_film(
            dataset,
            parsing.words(parsed.activations),
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
    _tell(made, paths, parsed.json)


def _tell(made, paths, as_json):
    rows = [
        {
            "panel": panel.name,
            "test_mse": round(panel.mse, 6),
            "largest_latent": round(float(abs(panel.latents[-1]).max()), 4),
            "standard_deviations": [round(float(value), 4) for value in panel.latents[-1].std(axis=0)],
        }
        for panel in made.panels
    ]
    if as_json:
        output.say_json({"files": list(map(str, paths)), "steps": int(made.steps[-1]), "panels": rows})
        return
    table = [
        (row["panel"], f"{row['test_mse']:.4f}", f"{row['largest_latent']:.3g}")
        + (", ".join(f"{value:.3g}" for value in row["standard_deviations"]),)
        for row in rows
    ]
    columns = ("panel", "test mse", "largest latent", "standard deviations")
    output.print_table(f"after {made.steps[-1]:,} steps", columns, table)
    for path in paths:
        output.say(f"{path}: {path.stat().st_size / 1000:,.0f} kB")
