"""Time to quality: seconds of `fit` until MNIST's test mse at 16 latents is at most 0.0089.

    python benchmarks/bench_time_to_quality.py --data-dir DIR      # MNIST as TensorFlow Datasets prepared it

The reference is the network of a widely used zoo for torch: four convolutions of 4 x 4 with 128, 256, 512 and
1024 filters and stride 2, batch normalisation, relu, 16 latents, mirrored; batches of 100, Adam at 0.001. It
needs 2 epochs. The seconds of 60 of its steps are measured, and the rest is extrapolated from them.

Ours is trained from its beginning with more and more steps, until one training is good enough: its rate falls
to the end, so the number of steps must be known. Tracing is part of the seconds, of ours alone.
"""

import argparse
import json
import time

import numpy as np

import aezoo
from aezoo import data
from aezoo.nn.autoencoder import keras
from aezoo.nn.layers import layers

WANTED = 0.0089
STEPS = (1200, 1400, 1600, 2000, 2500)
BATCH, RATE, OPTIONS = 64, 1e-2, {"filters": (16, 32), "kernel_size": 4, "normalization": "batch"}
REFERENCE = {"filters": (128, 256, 512, 1024), "batch": 100, "epochs": 2, "measured": 60}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="of TensorFlow Datasets")
    parsed = parser.parse_args()
    mnist = data.load("mnist", data_dir=parsed.data_dir)
    train = np.concatenate([mnist.train.array(), mnist.validation.array()])
    test = mnist.test.array()
    for steps in STEPS:
        seconds, mse = ours(train, test, steps)
        print(json.dumps({"what": "aezoo conv", "steps": steps, "seconds": seconds, "mse": mse}), flush=True)
        if mse <= WANTED:
            break
    step = reference(train)
    steps = REFERENCE["epochs"] * -(-len(train) // REFERENCE["batch"])
    row = {"what": "reference", "step_ms": 1000 * step, "steps": steps, "seconds, extrapolated": step * steps}
    print(json.dumps(row))
    reached = "reached" if mse <= WANTED else "not reached"
    print(f"\n{reached}: {seconds:.1f} s beside {step * steps:.0f} s, 1/{step * steps / seconds:.0f}")


def ours(train, test, steps):
    """Returns (seconds of fit, mse on the test part)."""
    keras.utils.set_random_seed(0)
    model = aezoo.build("conv", latent_dim=16, **OPTIONS)
    rate = keras.optimizers.schedules.CosineDecay(
        RATE / 10, steps - steps // 20, alpha=0.01, warmup_target=RATE, warmup_steps=steps // 20
    )
    model.compile(keras.optimizers.Adam(rate))
    order = np.concatenate([np.random.default_rng(epoch).permutation(len(train)) for epoch in range(4)])
    given = train[order[: steps * BATCH]]
    begun = time.perf_counter()
    model.fit(given, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
    seconds = time.perf_counter() - begun
    return seconds, float(np.mean((model.reconstruct(test) - test) ** 2))


def reference(train):
    """Returns the median seconds of a step of the reference network."""
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.ZeroPadding2D(2)])
    filters = REFERENCE["filters"]

    def normalised(layer):
        for each in (layer, layers.BatchNormalization(), layers.ReLU()):
            model.add(each)

    for depth in filters:
        normalised(layers.Conv2D(depth, 4, 2, padding="same"))
    shape = model.output_shape[1:]
    model.add(layers.Flatten())
    model.add(layers.Dense(16))
    model.add(layers.Dense(int(np.prod(shape))))
    model.add(layers.Reshape(shape))
    for depth in filters[-2::-1]:
        normalised(layers.Conv2DTranspose(depth, 4, 2, padding="same"))
    model.add(layers.Conv2DTranspose(1, 4, 2, padding="same", activation="sigmoid"))
    model.add(layers.Cropping2D(2))
    model.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=False)
    seconds = []
    for step in range(REFERENCE["measured"] + 3):
        batch = train[step * REFERENCE["batch"] : (step + 1) * REFERENCE["batch"]]
        begun = time.perf_counter()
        model.train_on_batch(batch, batch)
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds[3:]))


if __name__ == "__main__":
    main()
