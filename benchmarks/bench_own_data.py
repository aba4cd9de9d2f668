"""Defaults only, on other people's data, beside PCA with as many components: mse on the test part.

    python benchmarks/bench_own_data.py --shared ../shared/data -o docs/results/own_data.csv
    python benchmarks/bench_own_data.py --only sklearn:wine sklearn:digits

A row is trained as `aezoo train MODEL --data SOURCE` trains it; rows that are in the file already are not
trained again. Folders under --shared that are not there are left out: magnetic_tiles/ as MVTec AD lays it
out, adbench/*.npz (X, y; half of the normal rows are for training).
"""

import argparse
import csv
import pathlib
import tempfile
import time

import numpy as np

COLUMNS = ("data", "model", "latents", "train", "mse", "pca", "ratio", "best_epoch", "epochs", "seconds")
NAMED = {
    "mnist_mini": "conv",
    "mnist": "conv",
    "sktime:GunPoint": "conv1d",
    "sktime:ItalyPowerDemand": "conv1d",
    "sklearn:breast_cancer": "dense",
    "sklearn:wine": "dense",
    "sklearn:digits": "dense",
    "made": "dense",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--data-dir", help="of TensorFlow Datasets, for mnist")
    parser.add_argument("--only", nargs="+", metavar="DATA", help="rows by their names")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("own_data.csv"))
    parsed = parser.parse_args()
    tables = sorted((parsed.shared / "adbench").glob("*.npz"))
    wanted = parsed.only or [
        *(["magnetic_tiles"] if (parsed.shared / "magnetic_tiles").is_dir() else []),
        *(f"adbench:{path.stem}" for path in tables),
        *(name for name in NAMED if name != "mnist" or parsed.data_dir),
    ]
    done = set()
    if parsed.output.exists():
        with open(parsed.output, encoding="utf-8", newline="") as file:
            done = {row["data"] for row in csv.DictReader(file)}
    for name in wanted:
        if name in done:
            continue
        row = trained(name, parsed)
        new = not parsed.output.exists()
        with open(parsed.output, "a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*row.values(), flush=True)


def trained(name, parsed):
    """Returns the row of one source."""
    from aezoo import training
    from aezoo.training.choosing import choose_options, choose_settings
    from aezoo.training.recipe import build_for

    with tempfile.TemporaryDirectory() as folder:
        dataset, model, options = loaded(name, parsed, pathlib.Path(folder))
        settings, _ = choose_settings(dataset)
        training.seed_everything(settings)
        options = {**options, **choose_options(model, dataset, options)}
        begun = time.monotonic()
        run = training.train(
            build_for(model, options, dataset),
            dataset,
            settings,
            pathlib.Path(folder, "run"),
            progress=False,
        )
        seconds, metrics, info = time.monotonic() - begun, run.metrics, run.info
    mse, pca = metrics["mse"], metrics["pca"]["mse"]
    figures = (len(dataset.train), mse, pca, round(mse / pca, 4) if pca > 1e-9 else 1.0)
    ended = (info["best_epoch"], info["epochs"], round(seconds, 1))
    return dict(zip(COLUMNS, (name, model, info["latent_shape"][-1], *figures, *ended), strict=True))


def loaded(name, parsed, folder):
    """Returns (dataset, name of the model, options that are given)."""
    from aezoo import data

    if name == "magnetic_tiles":
        return data.load(parsed.shared / name, image_shape=(64, 64, 1)), "conv", {"latent_dim": 32}
    if name.startswith("adbench:"):
        with np.load(parsed.shared / "adbench" / f"{name.partition(':')[2]}.npz") as file:
            rows, is_anomaly = file["X"].astype("float32"), file["y"].ravel()
        normal = rows[is_anomaly == 0][np.random.default_rng(0).permutation(int((is_anomaly == 0).sum()))]
        np.savez(folder / "table.npz", x_train=normal[: len(normal) // 2], x_test=normal[len(normal) // 2 :])
        return data.load(folder / "table.npz"), "dense", {}
    if name == "made":
        np.save(folder / "made.npy", made_rows(800))
        return data.load(folder / "made.npy"), "dense", {"latent_dim": 4}
    options = {"data_dir": parsed.data_dir} if name == "mnist" else {}
    return data.load(name, **options), NAMED[name], {}


def made_rows(count):
    """Returns rows of 20 columns from 4 factors, bent, and noise."""
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(count, 4))
    bent = np.tanh(factors @ generator.normal(size=(4, 20)) / 2)
    return (bent + 0.05 * generator.normal(size=bent.shape)).astype("float32")


if __name__ == "__main__":
    main()
