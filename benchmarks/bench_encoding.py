"""Encoding: the runtime against every other way to run the same encoder, in one process and one run.

    python benchmarks/bench_encoding.py            # one JSON line a row, and a Markdown table at the end

Ways take turns in rounds, so that a slow moment of the machine hits all of them; the figure is the
median over all calls. onnxruntime and TensorFlow use one thread inside an operator each.
"""

import json
import os
import pathlib
import random
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime

import aezoo
from aezoo import runtime
from aezoo.core.imports import silent_stderr
from aezoo.export import export_bundle
from aezoo.nn.autoencoder import keras
from aezoo.testing import smooth_examples

ROUNDS, SECONDS = 40, 0.06  # of each way in a round
BATCHES = (1, 256)


def main():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # relu: of the default gelu keras.Model.export writes a file that onnxruntime refuses (an Erfc op)
    model = aezoo.build("conv", latent_dim=16, activation="relu")
    model.fit(smooth_examples(model.example_shape), verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        export_bundle(model, folder / "bundle")
        with silent_stderr():
            model.encoder.export(folder / "plain.onnx", format="onnx", verbose=False)
        rows = measure(model, folder)
    for row in rows:
        print(json.dumps(row))
    print(table(rows))


def measure(model, folder):
    import tensorflow as tf

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bundle = runtime.load(folder / "bundle", intra_op_threads=1)
    bare = onnxruntime.InferenceSession(folder / "bundle" / "encoder.onnx", options)
    plain = onnxruntime.InferenceSession(folder / "plain.onnx", options)
    plain_input = plain.get_inputs()[0].name
    archive = tf.saved_model.load(str(folder / "bundle" / "saved_model" / "encoder"))
    served = archive.signatures["encoder"]
    ways = {
        "aezoo.runtime": bundle.encode,
        "bare onnxruntime, same file": lambda x: bare.run(["latents"], {"images": x}),
        "onnxruntime, keras.Model.export": lambda x: plain.run(None, {plain_input: x}),
        "SavedModel": lambda x: served(images=tf.constant(x))["latents"].numpy(),
        "model(x)": lambda x: keras.ops.convert_to_numpy(model.encoder(x)),
        "model.predict": lambda x: model.encoder.predict(x, verbose=0, batch_size=len(x)),
    }
    batches = {size: smooth_examples(model.example_shape, size) for size in BATCHES}
    seconds = {(way, size): [] for way in ways for size in BATCHES}
    for call in ways.values():
        for size in BATCHES:
            call(batches[size])
            call(batches[size])
    turns = list(seconds.items())
    for _ in range(ROUNDS):
        random.shuffle(turns)  # whoever follows predict finds its threads still awake
        for (way, size), taken in turns:
            until = time.perf_counter() + SECONDS
            while True:
                begun = time.perf_counter()
                ways[way](batches[size])
                ended = time.perf_counter()
                taken.append(ended - begun)
                if ended > until:
                    break
    first = next(iter(ways))
    return [
        {
            "way": way,
            "batch": size,
            "latency_ms": 1000 * float(np.median(taken)),
            "ratio": float(np.median(taken) / np.median(seconds[first, size])),
        }
        for (way, size), taken in seconds.items()
    ]


def table(rows):
    lines = [
        "",
        "| encoder of `conv` with relu, 28x28x1 | " + " | ".join(f"batch {size}" for size in BATCHES) + " |",
    ]
    lines.append("|---|" + "---:|" * len(BATCHES))
    for way in dict.fromkeys(row["way"] for row in rows):
        cells = [f"{r['latency_ms']:.3g} ms ({r['ratio']:.2f}x)" for r in rows if r["way"] == way]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
