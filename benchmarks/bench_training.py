"""Training: a step of `conv` through `aezoo.training` against a bare Keras `fit` of the same layers.

    python benchmarks/bench_training.py            # one JSON line a row, and a Markdown table at the end

All ways take turns at random over the same images in one process; the figure is the median of the
rounds, each a `fit` of a few steps.
"""

import json
import random
import time

import numpy as np

import aezoo
from aezoo import data
from aezoo.nn.autoencoder import keras
from aezoo.training.callbacks import _set_precision

ROUNDS, EPOCH, BATCH = 24, 6, 128  # short turns: a machine that is throttled hits all ways alike


def bare_model():
    """Returns the very layers of `conv` in a plain functional model."""
    built = aezoo.build("conv", latent_dim=16)
    images = keras.Input(built.example_shape)
    return keras.Model(images, built.decoder(built.encoder(images)))


def main():
    dataset = data.load("mnist_mini")
    images = dataset.train.array()[: EPOCH * BATCH]
    stream = dataset.train.batches(BATCH, shuffle_seed=0, epochs=None)

    def of_zoo(**compile_options):
        model = aezoo.build("conv", latent_dim=16)
        model.compile(**compile_options)
        return lambda: model.fit(stream, steps_per_epoch=EPOCH, verbose=0, shuffle=False)

    def of_zoo_in_bfloat16():
        model = aezoo.build("conv", latent_dim=16)
        _set_precision(model, "mixed_bfloat16")
        model.compile()
        return lambda: model.fit(stream, steps_per_epoch=EPOCH, verbose=0, shuffle=False)

    def bare():
        model = bare_model()
        model.compile("adam", "mse", jit_compile=False)
        pairs = stream.map(lambda batch: (batch, batch))
        return lambda: model.fit(pairs, steps_per_epoch=EPOCH, verbose=0, shuffle=False)

    ways = {
        "bare Keras fit": bare(),
        "aezoo": of_zoo(),
        "aezoo, XLA": of_zoo(jit_compile=True),
        "aezoo, mixed_bfloat16": of_zoo_in_bfloat16(),
    }
    seconds = {way: [] for way in ways}
    for call in ways.values():
        call()
    turns = list(ways.items())
    for _ in range(ROUNDS):
        random.shuffle(turns)
        for way, call in turns:
            begun = time.perf_counter()
            call()
            seconds[way].append((time.perf_counter() - begun) / EPOCH)
    first = np.median(seconds["bare Keras fit"])
    rows = [
        {
            "way": way,
            "step_ms": 1000 * float(np.median(taken)),
            "ratio": float(np.median(taken) / first),
        }
        for way, taken in seconds.items()
    ]
    for row in rows:
        print(json.dumps(row))
    print(f"\n| training step of `conv`, {len(images[0])}x{len(images[0])}x1, batch {BATCH} | ms | ratio |")
    print("|---|---:|---:|")
    for row in rows:
        print(f"| {row['way']} | {row['step_ms']:.1f} | {row['ratio']:.2f} |")


if __name__ == "__main__":
    main()
