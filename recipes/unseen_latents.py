"""What decoders make of latents that no training image has: plain, variational and regularised, 8 latents.

Source:   none; the models are those of Hinton & Salakhutdinov 2006 (`dense`), Kingma & Welling 2014 (`vae`)
          and Ghosh et al. 2020 (`rae`), see aezoo/models/.
Settings: one dense body (512, 256; gelu) for all three, Adam at 0.002 with a cosine schedule, batches of 128;
          10 epochs on `mnist`, 20 on the embedded `mnist_mini`. Latents are drawn evenly from the box that
          holds 99 % of the training latents on every axis, and kept where the nearest training latent is
          further away than it is for 99 of 100 test images. Of 1,000 such latents each answer is compared
          with the nearest of 10,000 training images, by Euclidean distance in the features of the digit
          classifier (aezoo/evaluation/generation.py).
Expected: on `mnist` a mean distance of 8 ± 0.5 for the plain model, 7.7 ± 0.5 for `rae` and 6.5 ± 0.5 for
          `vae`; test images are at 5.1 ± 0.1, and reconstructions of them at 4.6 for all three. So the prior
          makes the difference; small latents and a smooth decoder made little of one here. 16 minutes on two
          shared cores, of which it computed for eight.

    python recipes/unseen_latents.py                                   # the embedded digits
    python recipes/unseen_latents.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/unseen_latents.py --quick                           # one epoch

Leaves the three runs, metrics.json and unseen_latents.png in its folder.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from aezoo import data
from aezoo.cli.parsing import add_common_arguments, add_data_dir
from aezoo.cli.shell import guarded
from aezoo.core.files import write_json
from aezoo.core.imports import print_anything
from aezoo.core.json_text import json_text
from aezoo.plots import style
from aezoo.training.recipe import build_for, unversioned
from aezoo.training.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aezoo.nn.autoencoder import Autoencoder


LATENTS, BODY = 8, {"units": (512, 256)}
MODELS: dict[str, dict[str, Any]] = {
    "dense": BODY,
    "vae": {"body_options": BODY},
    "rae": {"latent_weight": 0.1, "regularizer": "l2", "weight": 1e-4, "body": "dense", "body_options": BODY},
}
EXPECTED = {
    "mnist": {
        "dense.unseen_distance": (8.0, 0.5),
        "vae.unseen_distance": (6.5, 0.5),
        "rae.unseen_distance": (7.7, 0.5),
        "test_images.distance": (5.1, 0.1),
    }
}
DRAWN, SEEN, TESTED, SIDE = 1000, 10_000, 2000, 7


def nearest(points: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Returns the Euclidean distance of each point (N, D) to the nearest of others (M, D), (N,)."""
    points, others = np.asarray(points, "float64"), np.asarray(others, "float64")
    lengths = np.square(others).sum(axis=1)
    found = []
    for start in range(0, len(points), 512):
        some = points[start : start + 512]
        squared = np.square(some).sum(axis=1)[:, None] + lengths - 2 * some @ others.T
        found.append(np.sqrt(np.maximum(squared.min(axis=1), 0)))
    return np.concatenate(found)


def unseen(model: "Autoencoder", dataset: data.Dataset, count: int = DRAWN, seed: int = 0) -> np.ndarray:
    """Returns latents (count, D) where no training image lies; fewer where the box has no such place.

    Args:
        model: with `encode`.
        dataset: that it was trained on.
        count: how many.
        seed: of the draw.
    """
    known = model.encode(dataset.train.array(SEEN))
    scale = np.maximum(known.std(axis=0), 1e-6)  # an axis that a prior has switched off must not decide
    far = np.quantile(nearest(model.encode(dataset.test.array(TESTED)) / scale, known / scale), 0.99)
    low, high = np.quantile(known, [0.005, 0.995], axis=0)
    drawn = np.random.Generator(np.random.Philox(seed)).uniform(low, high, (20 * count, len(low)))
    return drawn[nearest(drawn / scale, known / scale) > far][:count].astype("float32")


def figures(
    models: Mapping[str, "Autoencoder"], dataset: data.Dataset, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, np.ndarray]]:
    """Returns ({name: figures}, {name: decoded images}) of trained models.

    Args:
        models: {name: `Autoencoder`}.
        dataset: digits.
        seed: of the latents.
    """
    from aezoo.evaluation.generation import features

    known, test = features(dataset.train.array(SEEN)), dataset.test.array(TESTED)
    found = {"test_images": {"distance": float(nearest(features(test), known).mean())}}
    images = {}
    for name, model in models.items():
        images[name] = model.decode(unseen(model, dataset, seed=seed))
        found[name] = {
            "unseen_distance": float(nearest(features(images[name]), known).mean()),
            "reconstruction_distance": float(nearest(features(model.reconstruct(test)), known).mean()),
            "mse": float(np.square(model.reconstruct(test) - test).mean()),
            "latents": len(images[name]),
        }
    return found, images


def picture(found: Mapping[str, Mapping[str, float]], images: Mapping[str, np.ndarray]) -> "Figure":
    """Returns a figure with a grid of decoded images for each model."""
    figure, panels = style.subplots(1, len(images), figsize=(7, 2.95), layout="constrained")
    titles = {"dense": "plain", "vae": "vae", "rae": "rae"}
    for axes, (name, decoded) in zip(panels, images.items(), strict=True):
        shown = np.ones((SIDE * SIDE, *decoded.shape[1:]))
        shown[: len(decoded)] = decoded[: SIDE * SIDE]
        style.show(axes, style.montage(shown, SIDE))
        axes.set_title(titles[name])
        axes.set_xlabel(f"{found[name]['unseen_distance']:.1f} to the nearest real image", fontsize=9)
    real = found["test_images"]["distance"]
    figure.supxlabel(
        "decoded from latents that no training image has; distance in a classifier's features, "
        f"{real:.1f} for test images",
        fontsize=8,
    )
    return figure


def follow(parsed: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Trains the three models, measures and draws what they make of unseen latents; returns the figures."""
    from aezoo import training

    source = parsed.data
    epochs = 1 if parsed.quick else 10 if unversioned(source) == "mnist" else 20
    dataset = data.load(source, data_dir=parsed.data_dir, validation_fraction=0.05)
    settings, folder, models = Settings(epochs=epochs), pathlib.Path(parsed.output), {}
    for name, options in MODELS.items():
        print(f"{name}:")
        training.seed_everything(settings)
        model = build_for(name, {"latent_dim": LATENTS, **options}, dataset)
        run = training.train(model, dataset, settings, folder / name, overwrite=True)
        models[name] = run.model
    found, images = figures(models, dataset)
    write_json(folder / "metrics.json", {"data": dataset.name, **found})
    with style.style():
        style.save(folder / "unseen_latents.png", picture(found, images))
    print(json_text(found, indent=1))
    for metric, (value, tolerance) in {} if parsed.quick else EXPECTED.get(dataset.name, {}).items():
        name, key = metric.split(".")
        verdict = "as expected" if abs(found[name][key] - value) <= tolerance else "NOT as expected"
        print(f"{metric}: {found[name][key]:.4g}, {verdict} ({value:g} ± {tolerance:g})")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the recipe; returns the exit status."""
    plain = argparse.RawDescriptionHelpFormatter
    print_anything()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument(
        "--data", default="mnist_mini", metavar="SOURCE", help="of digits, default mnist_mini"
    )
    add_data_dir(parser)
    parser.add_argument("--quick", action="store_true", help="one epoch, to see that it works")
    parser.add_argument("-o", "--output", default="runs/unseen_latents", metavar="DIR")
    add_common_arguments(parser)
    parsed = parser.parse_args(arguments)
    return guarded(lambda: follow(parsed), parsed)


if __name__ == "__main__":
    sys.exit(main())
