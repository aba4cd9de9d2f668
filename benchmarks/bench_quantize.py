"""int8 beside float32: size, latency and what is lost, of `conv` at 64x64x3, in one run.

    python benchmarks/bench_quantize.py [--activation gelu] [--kernel-size 3]     # one JSON line a row

The model is trained for a few epochs on smooth synthetic images: enough for activations to have the ranges
of a trained one. Files take turns in rounds on one thread, so that a slow moment of the machine hits all of
them; a figure is the median over all calls. Below 1, `latency_ratio` means that int8 is faster.

With `LD_PRELOAD` of a compiled tests/export/to_onnx/without_vnni.c onnxruntime takes its kernels for
processors with AVX2 and without VNNI: their times on this processor, not those of an older one.
"""

import argparse
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
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.budget import cosine
from aezoo.nn.autoencoder import keras
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

ROUNDS, SECONDS = 30, 0.05  # of each file and batch size in a round
BATCHES = (1, 64)
SHAPE = (64, 64, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--activation", default="gelu")
    parser.add_argument("--kernel-size", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parsed = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = aezoo.build(
        "conv",
        latent_dim=64,
        image_shape=SHAPE,
        normalization="batch",
        activation=parsed.activation,
        kernel_size=parsed.kernel_size,
    )
    model.fit(smooth_examples(SHAPE, 1024), epochs=parsed.epochs, verbose=0)
    held_out = smooth_examples(SHAPE, 256, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder) / "bundle"
        export_bundle(
            model,
            folder,
            ExportOptions(
                formats=["onnx"],
                precisions=["float32", "int8"],
                parts=["encoder", "decoder", "reconstructor"],
            ),
            examples=held_out,
        )
        for row in measure(folder, held_out):
            print(json.dumps({"activation": parsed.activation, "kernel_size": parsed.kernel_size, **row}))


def measure(folder, examples):
    """Yields a row for each part and batch size."""
    manifest = contract.read_manifest(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions, artifacts = {}, {}
    for artifact in manifest.artifacts:
        key = artifact.part, artifact.precision
        artifacts[key] = artifact
        sessions[key] = onnxruntime.InferenceSession(folder / artifact.file, options)
    latents = sessions["encoder", "float32"].run(None, {"images": examples})[0]
    inputs = {
        "encoder": {"images": examples},
        "decoder": {"latents": latents},
        "reconstructor": {"images": examples},
    }
    cases = {(*key, size): [] for key in sessions for size in BATCHES}
    batches = {
        (part, size): {name: np.resize(array, (size, *array.shape[1:])) for name, array in given.items()}
        for part, given in inputs.items()
        for size in BATCHES
    }
    turns = list(cases.items())
    for number in range(ROUNDS + 1):
        random.shuffle(turns)
        for (part, precision, size), taken in turns:
            run, batch = sessions[part, precision].run, batches[part, size]
            until = time.perf_counter() + SECONDS
            while True:
                begun = time.perf_counter()
                run(None, batch)
                ended = time.perf_counter()
                if number:  # the first round warms up
                    taken.append(ended - begun)
                if ended > until:
                    break
    for part, given in inputs.items():
        answers = {p: sessions[part, p].run(None, given)[0] for p in ("float32", "int8")}
        size_bytes = {p: artifacts[part, p].size_bytes for p in answers}
        figures = {"cosine": cosine(answers["float32"], answers["int8"])}
        if part != "encoder":
            for precision, answer in answers.items():
                figures[f"mse_{precision}"] = float(np.square(answer - examples).mean())
        for size in BATCHES:
            middle = {p: float(np.median(cases[part, p, size])) for p in answers}
            yield {
                "part": part,
                "batch": size,
                "float_layers": artifacts[part, "int8"].float_layers,
                "size_ratio": round(size_bytes["int8"] / size_bytes["float32"], 3),
                "latency_ms_float32": round(1000 * middle["float32"], 3),
                "latency_ms_int8": round(1000 * middle["int8"], 3),
                "latency_ratio": round(middle["int8"] / middle["float32"], 3),
                **figures,
            }


if __name__ == "__main__":
    main()
