"""One latent is enough to overfit: 300 digits on a line, remembered almost exactly, and nothing learned.

Source:   none; the model is `dense` (Hinton & Salakhutdinov 2006) with one latent. That autoencoders remember
          is studied by Radhakrishnan, Belkin & Uhler 2020, arXiv:1909.12362.
Settings: 784 -> 768 -> 512 (tanh) -> 1 -> 512 -> 768 (tanh) -> 784; 300 training images, 1.0 million decoder
          weights. First both parts are trained, 30 epochs of Adam at 0.001 in batches of 32, and the encoder
          lays the images out on a line. Then it holds still, and the decoder begins anew: the steps of its
          first layer lie between neighbouring latents, and the weights of its second are 20 times as large
          as usual, so that neighbours get features of their own. It goes on alone, 1,000 steps of all images,
          Adam at 0.005 with a cosine schedule. Trained together as they are, both stop near a train mse of
          0.04 to 0.06, with and without normalisation: latents that move are no addresses.
Expected: on `mnist` train mse 0.0052 ± 0.002 and held-out mse 0.107 ± 0.01: worse than the mean image, which
          has 0.065 on the training images and was at 0.069 on held-out ones. On its way from one training
          latent to the next a reconstruction turns by 183 ± 30 degrees (median; a straight blend by 0). 7
          minutes on two shared cores, of which it computed for two.

    python recipes/one_latent.py                                   # the embedded digits
    python recipes/one_latent.py --data mnist --data-dir DIR       # the first of MNIST, as TFDS prepared it
    python recipes/one_latent.py --quick                           # a tenth of the training

Leaves model.keras, metrics.json and one_latent.png in its folder.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aezoo import data
from aezoo.cli.parsing import add_common_arguments, add_data_dir
from aezoo.cli.shell import guarded
from aezoo.core.files import replacing, write_json
from aezoo.core.imports import print_anything
from aezoo.core.json_text import json_text
from aezoo.plots import style
from aezoo.training.recipe import build_for
from aezoo.training.settings import Settings

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from aezoo.nn.autoencoder import Autoencoder


IMAGES, HELD_OUT, UNITS = 300, 1000, (768, 512)
TOGETHER, ALONE = 30, 1000  # epochs, and steps
EXPECTED = {
    "mnist": {"train_mse": (0.0052, 0.002), "held_out_mse": (0.107, 0.01), "turning_degrees": (183, 30)}
}
BETWEEN = 16  # parts of the way from one training latent to the next
ACROSS, DOWN = 30, 3  # pictures along the line


def turning(model: "Autoencoder", latents: np.ndarray) -> np.ndarray:
    """Returns how far the reconstruction turns between neighbouring latents, degrees (N - 1,).

    The way from one latent to the next is decoded in 16 steps; the angles between the directions of two
    steps are added up. A reconstruction that blends straight from one image to the other turns by 0.

    Args:
        model: with `decode`.
        latents: (N,), ascending.
    """
    share = np.linspace(0, 1, BETWEEN + 1)
    ways = latents[:-1, None] * (1 - share) + latents[1:, None] * share
    decoded = model.decode(ways.reshape(-1, 1).astype("float32")).reshape(*ways.shape, -1)
    steps = np.diff(decoded.astype("float64"), axis=1)
    lengths = np.linalg.norm(steps, axis=-1)
    cosines = (steps[:, 1:] * steps[:, :-1]).sum(-1) / np.maximum(lengths[:, 1:] * lengths[:, :-1], 1e-12)
    moves = np.minimum(lengths[:, 1:], lengths[:, :-1]) > 1e-4  # what stands still has no direction
    return np.degrees(np.where(moves, np.arccos(np.clip(cosines, -1, 1)), 0)).sum(axis=1)


def begin_anew(decoder: "keras.Model", latents: np.ndarray, seed: int = 0) -> None:
    """Gives a decoder a beginning from which it can tell neighbouring latents (N,), ascending, apart.

    The steps of its first layer are put into the middles between neighbours, in turn; the second layer's
    large weights make features of them that change from each latent to the next.
    """
    layer, second = [layer for layer in decoder.layers if layer.weights][:2]
    kernel, bias = layer.get_weights()
    gap = np.arange(bias.size) % (len(latents) - 1)
    middle, wide = (latents[gap] + latents[gap + 1]) / 2, latents[gap + 1] - latents[gap]
    sign = np.random.Generator(np.random.Philox(seed)).choice([-1.0, 1.0], bias.size)
    steep = sign * 2 / np.maximum(wide, 1e-4 * latents.std())  # latents closer than this stay one
    layer.set_weights([steep.reshape(kernel.shape), -steep * middle])
    kernel, bias = second.get_weights()
    deviation = 20 * np.sqrt(2 / sum(kernel.shape))
    drawn = np.random.Generator(np.random.Philox(seed + 1)).normal(0, deviation, kernel.shape)
    second.set_weights([drawn, np.zeros_like(bias)])


def train(
    dataset: data.Dataset, quick: bool = False, seed: int = 0
) -> tuple["Autoencoder", list[tuple[int, float, float]]]:
    """Returns (model, history): [(step, train mse, held-out mse)] of the whole training."""
    from aezoo import training
    from aezoo.nn.autoencoder import keras

    training.seed_everything(Settings(seed=seed))
    images, held_out = dataset.train.array(IMAGES), dataset.test.array(HELD_OUT)
    model = build_for("dense", {"latent_dim": 1, "units": UNITS, "activation": "tanh"}, dataset)
    model.compile(keras.optimizers.Adam(1e-3))
    history, steps, least = [], 0, 10 if quick else 1

    def look():
        errors = (float(model.reconstruction_error(each).mean()) for each in (images, held_out))
        history.append((steps, *errors))
        print("step {:>5}  train mse {:.5f}  held-out mse {:.5f}".format(*history[-1]), flush=True)

    look()
    for _ in range(10 // least):
        model.fit(images, epochs=TOGETHER // 10, batch_size=32, verbose=0)
        steps += TOGETHER // 10 * -(-IMAGES // 32)
        look()
    latents = model.encode(images)
    begin_anew(model.decoder, np.sort(latents[:, 0].astype("float64")), seed)
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, ALONE // least, 0.01)
    model.decoder.compile(keras.optimizers.Adam(schedule), "mse", jit_compile=False)
    for _ in range(20 // least):
        model.decoder.fit(latents, images, epochs=ALONE // 20, batch_size=IMAGES, verbose=0, shuffle=False)
        steps += ALONE // 20
        look()
    return model, history


def picture(
    model: "Autoencoder",
    dataset: data.Dataset,
    history: Sequence[tuple[int, float, float]],
    turned: np.ndarray,
) -> "Figure":
    """Returns a figure: images along the line, both errors over the steps, and how far each gap turns."""
    latents = np.sort(model.encode(dataset.train.array(IMAGES))[:, 0])
    figure = style.subplots(figsize=(8, 4.1))[0]
    figure.clear()
    # Along the line by rank: the same number of training latents between every two pictures.
    line = np.interp(np.linspace(0, IMAGES - 1, ACROSS * DOWN), np.arange(IMAGES), latents)
    decoded = model.decode(line[:, None].astype("float32"))
    above = figure.add_axes((0.03, 0.64, 0.94, 0.3))
    style.show(above, style.montage(decoded, ACROSS))
    above.set_title(f"along the one latent, from {latents[0]:.3g} to {latents[-1]:.3g}, line by line")
    left, right = figure.add_axes((0.08, 0.12, 0.4, 0.42)), figure.add_axes((0.58, 0.12, 0.39, 0.42))
    steps, train_mse, held_out = np.array(history).T
    left.plot(steps, held_out, label="held-out images", color="C2")
    left.plot(steps, train_mse, label=f"{IMAGES} training images", color="C0", linestyle="--")
    left.set(yscale="log", xlabel="step", ylabel="mse")
    left.set_title("remembered, not learned")
    left.legend(loc="lower left")
    right.hist(turned, 30, color="C4", edgecolor="white", linewidth=0.4)
    right.axvline(np.median(turned), color="black", linestyle="--", linewidth=1)
    right.set(xlabel="degrees between neighbouring training latents", ylabel="gaps")
    right.set_title(f"images turn by {np.median(turned):.0f}° on the way")
    return figure


def follow(parsed: argparse.Namespace) -> dict[str, Any]:
    """Trains, measures and draws; returns the figures."""
    dataset = data.load(parsed.data, data_dir=parsed.data_dir)
    model, history = train(dataset, parsed.quick)
    latents = np.sort(model.encode(dataset.train.array(IMAGES))[:, 0].astype("float64"))
    turned = turning(model, latents)
    found: dict[str, Any] = {
        "data": dataset.name,
        "train_mse": history[-1][1],
        "held_out_mse": history[-1][2],
        "mean_image_mse": float(dataset.train.array(IMAGES).var(axis=0).mean()),
        "turning_degrees": float(np.median(turned)),
        "training_images": IMAGES,
        "decoder_weights": int(model.decoder.count_params()),
    }
    folder = pathlib.Path(parsed.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "metrics.json", found)
    with replacing(folder / "model.keras") as path:  # `aezoo plot` and `aezoo.load` take it
        model.save(path)
    with style.style():
        style.save(folder / "one_latent.png", picture(model, dataset, history, turned))
    print(json_text(found, indent=1))
    for metric, (value, tolerance) in {} if parsed.quick else EXPECTED.get(dataset.name, {}).items():
        verdict = "as expected" if abs(found[metric] - value) <= tolerance else "NOT as expected"
        print(f"{metric}: {found[metric]:.4g}, {verdict} ({value:g} ± {tolerance:g})")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the recipe; returns the exit status."""
    plain = argparse.RawDescriptionHelpFormatter
    print_anything()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--data", default="mnist_mini", metavar="SOURCE", help="images, default mnist_mini")
    add_data_dir(parser)
    parser.add_argument("--quick", action="store_true", help="a tenth of the training, to see that it works")
    parser.add_argument("-o", "--output", default="runs/one_latent", metavar="DIR")
    add_common_arguments(parser)
    parsed = parser.parse_args(arguments)
    return guarded(lambda: follow(parsed), parsed)


if __name__ == "__main__":
    sys.exit(main())
