"""A short run from the shell: training, export, and the same training with bare Keras.

    python benchmarks/bench_short_run.py           # one JSON line a row, and a Markdown table at the end

Whole processes that take turns, each with its own peak memory as the system reports it; medians of the rounds
after a warm-up. Bare Keras trains layers of the same sizes for as many epochs as `aezoo` did, in the same
batches, validates after each, measures the test part and saves the model: no checkpoint, no PCA, no picture.
"""

import contextlib
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve()
ROUNDS = 5
EXPORT = "export conv"
EPOCHS = {"table": 30, "digits": 2}


def main():
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_table("table.csv")
        train = ["-m", "aezoo", "train", "--overwrite", "-o"]
        digits = [*train, "digits", "conv", "--data", "mnist_mini", "--epochs", EPOCHS["digits"]]
        cases = {
            "train dense, 800 x 20": [
                *train,
                "table",
                "dense",
                "--data",
                "table.csv",
                "--epochs",
                EPOCHS["table"],
            ],
            "bare Keras, 800 x 20": [str(HERE), "table"],
            "train conv, mnist_mini, 2 epochs": digits,
            "bare Keras, mnist_mini, 2 epochs": [str(HERE), "digits"],
            EXPORT: ["-m", "aezoo", "export", "digits", "-o", "bundle"],
        }
        taken = {case: [] for case in cases}
        for arguments in cases.values():  # bare Keras reads how many epochs there were
            process(arguments)
        for _ in range(ROUNDS):
            for case in random.sample(list(cases), len(cases)):
                taken[case].append((*process(cases[case]), in_epochs(case)))
    rows = []
    for case, figures in taken.items():
        seconds, peak_mb, epochs = (statistics.median(column) for column in zip(*figures, strict=True))
        rows.append(
            {"what": case, "seconds": seconds, "peak_mb": peak_mb, "outside_epochs": seconds - epochs}
        )
        print(json.dumps(rows[-1]))
    print("\n| | seconds | outside the epochs | peak MB |\n|---|---:|---:|---:|")
    for row in rows:
        outside = "" if row["what"] == EXPORT else f"{row['outside_epochs']:.1f}"
        print(f"| {row['what']} | {row['seconds']:.1f} | {outside} | {row['peak_mb']:.0f} |")


def write_table(path):
    """Writes 800 rows of 20 columns, made from 4 factors and noise."""
    draw = np.random.default_rng(0)
    rows = np.tanh(draw.normal(size=(800, 4)) @ draw.normal(size=(4, 20))) + 0.05 * draw.normal(
        size=(800, 20)
    )
    names = ",".join(f"column_{number}" for number in range(20))
    np.savetxt(path, rows, delimiter=",", header=names, comments="")


def process(arguments):
    """Runs Python in a fresh process; returns (seconds, peak memory in MB)."""
    log = pathlib.Path("output.txt")
    with log.open("w", encoding="utf-8") as output:
        begun = time.perf_counter()
        child = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
    assert os.waitstatus_to_exitcode(status) == 0, log.read_text(encoding="utf-8")
    return seconds, usage.ru_maxrss / 1024


def in_epochs(case):
    """Returns the seconds that the last run of a case spent in epochs."""
    if case == EXPORT:
        return 0.0
    name = "table" if "800" in case else "digits"
    file = f"bare_{name}.json" if case.startswith("bare") else f"{name}/run.json"
    return json.loads(pathlib.Path(file).read_text(encoding="utf-8"))["seconds"]


def bare(name):
    """Trains as somebody would who has Keras alone."""
    import keras
    from keras import layers

    of_zoo = json.loads(pathlib.Path(name, "run.json").read_text(encoding="utf-8"))
    keras.utils.set_random_seed(0)
    if name == "table":
        rows = np.loadtxt("table.csv", delimiter=",", skiprows=1, dtype="float32")
        model = keras.Sequential([keras.Input((20,))])
        for units in (512, 256):
            model.add(layers.Dense(units, "gelu"))
        model.add(layers.Dense(of_zoo["options"]["latent_dim"]))
        for units in (256, 512):
            model.add(layers.Dense(units, "gelu"))
        model.add(layers.Dense(20))
    else:
        import aezoo.data  # for the bytes of the images alone

        images = aezoo.data.load("mnist_mini")
        rows = np.concatenate([images.train.array(), images.validation.array(), images.test.array()])
        model = bare_conv(keras, layers)
    counts = of_zoo["data"]["train"], of_zoo["data"]["validation"]
    train, validation, test = np.split(rows, np.cumsum(counts))
    if name == "table":
        mean, scale = train.mean(axis=0), train.std(axis=0)
        train, validation, test = ((part - mean) / scale for part in (train, validation, test))
    model.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=False)
    begun = time.perf_counter()
    model.fit(
        train,
        train,
        batch_size=of_zoo["settings"]["batch_size"],
        epochs=of_zoo["epochs"],
        verbose=0,
        validation_data=(validation, validation),
    )
    figures = {"seconds": time.perf_counter() - begun}
    figures["mse"] = float(np.mean((model.predict(test, verbose=0) - test) ** 2))
    pathlib.Path(f"bare_{name}.json").write_text(json.dumps(figures), encoding="utf-8")
    model.save(f"bare_{name}.keras")


def bare_conv(keras, layers):
    """Returns the layers of `conv`: 32, 64, 128 filters of 4 x 4 with batch normalisation."""

    def activated(layer):
        for each in (layer, layers.BatchNormalization(), layers.Activation("gelu")):
            model.add(each)

    model = keras.Sequential([keras.Input((28, 28, 1))])
    for filters in (32, 64, 128):
        activated(layers.Conv2D(filters, 4, 2, padding="same"))
    model.add(layers.Flatten())
    model.add(layers.Dense(16))
    model.add(layers.Dense(4 * 4 * 128, "gelu"))
    model.add(layers.Reshape((4, 4, 128)))
    activated(layers.Conv2DTranspose(64, 4, 2, padding="same"))
    model.add(layers.Cropping2D(((0, 1), (0, 1))))
    activated(layers.Conv2DTranspose(32, 4, 2, padding="same"))
    model.add(layers.Conv2DTranspose(1, 4, 2, padding="same", activation="sigmoid"))
    return model


if __name__ == "__main__":
    bare(sys.argv[1]) if len(sys.argv) > 1 else main()
