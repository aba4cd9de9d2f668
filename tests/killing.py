"""Commands that are killed at random moments, and what is found afterwards.

    python tests/killing.py --times 20     # figures of training, export and reconstruct

TensorFlow is imported once, in a server that every command is a fork of.
"""

import argparse
import io
import json
import multiprocessing
import pathlib
import random
import shutil
import tempfile
import time
import zipfile

import numpy as np

from aezoo import runtime
from aezoo.core.files import DRAFT
from aezoo.runtime import manifest as contract
from aezoo.testing import smooth_examples

SHAPE = (8, 8, 1)
TRAIN = [
    "train",
    "dense",
    "--data",
    "images.npy",
    "-O",
    "linear_path=False",  # or the best model is the PCA, which no epoch changes
    "--learning-rate",
    "0.02",
    "--epochs",
    "6",
    "--batch-size",
    "16",
    "--seed",
    "3",
]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["aezoo.cli.main", "aezoo.training.loop", "aezoo.export.bundling"])


def _command(folder, arguments):
    import os

    from aezoo.cli.main import main

    os.chdir(folder)
    with open("said.txt", "w", encoding="utf-8") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit:  # of argparse
        status = 2
    os._exit(status)


def command(folder, *arguments, killed_after=None):
    """Runs a command in a folder to its end, or kills it; returns (exit status, -9 if killed; seconds)."""
    process = _SERVER.Process(target=_command, args=(folder, arguments))
    begun = time.monotonic()
    process.start()
    process.join(killed_after)
    process.kill()
    process.join()
    return process.exitcode, time.monotonic() - begun


def done(folder, *arguments):
    """Runs a command that must succeed; returns its seconds."""
    status, seconds = command(folder, *arguments)
    assert status == 0, (pathlib.Path(folder) / "said.txt").read_text("utf-8")
    return seconds


def fractions(times, seed=0):
    """Returns moments within the whole duration of a command, spread over all of it."""
    generator = random.Random(seed)
    return [(number + generator.random()) / times for number in range(times)]


def drafts(folder):
    """Returns the drafts that lie in a folder, at any depth."""
    return list(pathlib.Path(folder).rglob(f"{DRAFT}*"))


def weights(run):
    """Returns {name: array} of a run's model, without Keras."""
    import h5py

    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(run / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(keep)
    return found


def same_training(first, second):
    """Whether two runs ended at the same weights, losses and figures, bit for bit."""
    columns = [
        [line.split(",")[:4] for line in (run / "history.csv").read_text("utf-8").splitlines()]
        for run in (first, second)
    ]
    one, other = weights(first), weights(second)
    return (
        columns[0] == columns[1]
        and one.keys() == other.keys()
        and all(np.array_equal(array, other[name]) for name, array in one.items())
        and (first / "metrics.json").read_bytes() == (second / "metrics.json").read_bytes()
    )


def training(folder, times, seed=0):
    """Kills trainings that overwrite an earlier run, each once, and resumes them; returns counts."""
    folder = pathlib.Path(folder)
    np.save(folder / "images.npy", smooth_examples(SHAPE, 400))
    done(folder, *TRAIN, "--latent-dim", 2, "-o", "earlier")
    whole = done(folder, *TRAIN, "--latent-dim", 3, "-o", "whole")
    counts = dict.fromkeys(
        ("killed", "earlier run whole", "resumed", "same bits", "damaged", "drafts left"), 0
    )
    for number, fraction in enumerate(fractions(times, seed)):
        run = folder / f"run{number}"
        shutil.copytree(folder / "earlier", run)
        again = [*TRAIN, "--latent-dim", 3, "-o", run.name, "--overwrite"]
        status, _ = command(folder, *again, killed_after=fraction * whole)
        counts["killed"] += status == -9
        info = json.loads((run / "run.json").read_text("utf-8"))
        if info["options"]["latent_dim"] == 2:
            counts["earlier run whole"] += same_training(folder / "earlier", run)
            done(folder, *again)
        elif info["status"] == "training":
            counts["resumed"] += 1
            done(folder, "train", "--resume", "-o", run.name)
        counts["same bits"] += same_training(folder / "whole", run)
        counts["drafts left"] += len(drafts(run))
        shutil.rmtree(run)
    counts["damaged"] = times - counts["same bits"]
    return counts


def exporting(folder, times, seed=0):
    """Kills exports over an earlier bundle; returns counts of what is there afterwards."""
    folder = pathlib.Path(folder)
    images = smooth_examples(SHAPE, 400)
    np.save(folder / "images.npy", images)
    latents = {}
    for name, seed_of_model in (("earlier", 1), ("new", 2)):
        done(folder, *TRAIN[:-1], seed_of_model, "--latent-dim", 2, "-o", name)
        whole = done(folder, "export", name, "--formats", "onnx,saved_model", "-o", f"{name}_bundle")
        latents[name] = runtime.load(folder / f"{name}_bundle").encode(images)
    assert not np.array_equal(latents["earlier"], latents["new"])
    counts = {"killed": 0, "earlier whole": 0, "new whole": 0, "damaged": 0, "drafts left": 0}
    for fraction in fractions(times, seed):
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        shutil.copytree(folder / "earlier_bundle", folder / "bundle")
        again = ["export", "new", "--formats", "onnx,saved_model", "-o", "bundle"]
        status, _ = command(folder, *again, killed_after=fraction * whole)
        counts["killed"] += status == -9
        found = _bundle_of(folder / "bundle", images, latents)
        counts[f"{found} whole" if found else "damaged"] += 1
    done(folder, *again)
    assert _bundle_of(folder / "bundle", images, latents) == "new"
    counts["drafts left"] = len(drafts(folder))
    return counts


def _bundle_of(folder, images, latents):
    """Returns whose bundle lies there, all its files as the manifest hashes them; None of a damaged one."""
    try:
        manifest = contract.read_manifest(folder)
        for held in contract.files_of(manifest):
            contract.check_files(folder, held)
        encoded = runtime.load(folder).encode(images)
    except Exception:  # whatever it is, it is what this looks for
        return None
    return next((name for name, array in latents.items() if np.array_equal(array, encoded)), None)


def reconstructing(folder, bundle, times, seed=0, count=20_000):
    """Kills `reconstruct` over an earlier result; returns counts of what is there afterwards."""
    folder = pathlib.Path(folder)
    images = smooth_examples(runtime.load(bundle).example_shape, 256)
    np.save(folder / "images.npy", np.resize(images, (count, *images.shape[1:])))
    again = ["reconstruct", bundle, "images.npy", "-o", "results.npy"]
    whole = done(folder, *again)
    new, earlier = np.load(folder / "results.npy"), np.full((count, 3), 7.0)
    counts = {"killed": 0, "earlier whole": 0, "new whole": 0, "damaged": 0, "drafts left": 0}
    for fraction in fractions(times, seed):
        np.save(folder / "results.npy", earlier)
        status, _ = command(folder, *again, killed_after=fraction * whole)
        counts["killed"] += status == -9
        found = np.load(folder / "results.npy")
        name = next((n for n, a in (("earlier", earlier), ("new", new)) if np.array_equal(a, found)), None)
        counts[f"{name} whole" if name else "damaged"] += 1
    done(folder, *again)
    counts["drafts left"] = len(drafts(folder))
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", choices=("training", "exporting", "reconstructing"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if options.only in (None, "training"):
            (folder / "training").mkdir()
            print("training:", json.dumps(training(folder / "training", options.times)), flush=True)
        if options.only in (None, "exporting", "reconstructing"):
            (folder / "exporting").mkdir()
            times = options.times if options.only != "reconstructing" else 1
            print("export:", json.dumps(exporting(folder / "exporting", times)), flush=True)
            bundle = folder / "exporting" / "bundle"
            print("reconstruct:", json.dumps(reconstructing(folder, bundle, options.times)), flush=True)


if __name__ == "__main__":
    main()
