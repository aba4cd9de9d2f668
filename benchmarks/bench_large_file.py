"""A .npy file larger than memory should hold: `aezoo encode` against bare onnxruntime on the same batches.

    python benchmarks/bench_large_file.py                    # 3.1 GB; --gigabytes 0.5 for a quick look
    python benchmarks/bench_large_file.py --body conv

Each way is a process of its own; they take turns in rounds. Figures are medians: CPU seconds of user and
system, and the most memory beside the mapped file at any moment (RssAnon of Linux, read every 10 ms).
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

SHAPE = (28, 28, 1)
EXAMPLES_BYTES = 4 * int(np.prod(SHAPE))
# What each process does; {0} is the bundle, {1} the examples, {2} where latents go.
BARE = """
import numpy as np, onnxruntime
run = onnxruntime.InferenceSession("{0}/encoder.onnx").run
images = np.load("{1}", mmap_mode="r").view(np.ndarray)
starts = range(0, len(images), 256)
latents = [run(["latents"], {{"images": images[start : start + 256]}})[0] for start in starts]
np.save("{2}", np.concatenate(latents))
"""
CALL = """
import numpy as np
from aezoo import runtime
np.save("{2}", runtime.load("{0}").encode(np.load("{1}", mmap_mode="r")))
"""
COMMAND = "import sys; from aezoo.cli.main import main; sys.exit(main(['encode', '{0}', '{1}', '-o', '{2}']))"
WAYS = {"bare onnxruntime": BARE, "bundle.encode(memmap)": CALL, "aezoo encode": COMMAND}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=3.1)
    parser.add_argument("--body", choices=("dense", "conv"), default="dense")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bundle = make_bundle(folder / "bundle", options.body)
        images = make_images(folder / "images.npy", round(options.gigabytes * 1e9 / EXAMPLES_BYTES))
        found = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, code in WAYS.items():
                found[way].append(measured(code.format(bundle, images, folder / f"{len(way)}.npy")))
        results = [np.load(folder / f"{len(way)}.npy") for way in WAYS]
        assert all(np.array_equal(results[0], other) for other in results[1:])
    print(f"{options.body}, {options.gigabytes:g} GB, {options.rounds} rounds")
    print("| way | CPU s | of bare | beside the file, MB |\n|---|---:|---:|---:|")
    bare = statistics.median(cpu for cpu, _ in found["bare onnxruntime"])
    for way, rows in found.items():
        cpu, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {way} | {cpu:.1f} | {cpu / bare:.2f} | {memory / 1e6:.0f} |")


def make_bundle(folder, body):
    import aezoo
    from aezoo.export import ExportOptions, export_bundle
    from aezoo.testing import smooth_examples

    sizes = {"units": (128,)} if body == "dense" else {"filters": (16, 32)}
    model = aezoo.build(body, latent_dim=16, image_shape=SHAPE, **sizes)
    examples = smooth_examples(SHAPE, 256)
    return export_bundle(model, folder, ExportOptions(formats=["onnx"]), examples=examples)


def make_images(path, count):
    """Writes images block by block, each of the same noise."""
    block = np.random.default_rng(0).random((4096, *SHAPE), "float32")
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, *SHAPE)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, len(block)):
            file.write(block[: count - start].data)
    return path


def measured(code):
    """Runs a process; returns (CPU seconds, most bytes of memory that are no file's)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text("utf-8")
        except OSError:
            continue
        held = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
        most = max([most, *held])
        time.sleep(0.01)
    assert process.returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, 1024 * most


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
