"""Mutants of a run folder and of the `.keras` file in it, and what becomes of each.

    python tests/fuzzing/run_mutants.py --count 1000

A mutant is refused in four lines, or its model computes what the original's does; nothing else may happen.
A figure that was edited within its bounds, in metrics.json say, is what the file says. A weight that was
changed on purpose, with its checksums, is another model: a lone `.keras` file cannot tell, a run knows the
sha256 of its own.
"""

import argparse
import collections
import io
import json
import pathlib
import random
import resource
import shutil
import tempfile
import zipfile

import numpy as np

from aezoo.core.errors import AezooError
from aezoo.nn.saving import load_model
from aezoo.training.run import Run

FILES = ("run.json", "metrics.json", "history.csv", "held_out.npz", "model.keras")
ODD = (
    None,
    True,
    -1,
    0,
    2**70,
    1e400,
    "",
    "\x1b[31m",
    "x" * 5000,
    [],
    {},
    [[]],
    {"a": {}},
    "../x",
    [None] * 50,
)


def answers(folder, images):
    """Reads all of a run; returns what its model computes, and which epoch it is of."""
    run = Run(folder)
    for each in (run.metrics, run.held_out):
        assert each
    return [run.info["best_epoch"], len(run.history), run.model.encode(images).tobytes()]


def answers_of_file(path, images):
    """Returns what a lone .keras file computes."""
    return [load_model(path).encode(images).tobytes()]


def spoil(folder, generator):
    """Changes one file of a run; returns what was done, a text."""
    path = folder / generator.choice(FILES)
    ways = [_bytes, _cut, _gone, _folder]
    ways += (
        [_json] * 8 if path.suffix == ".json" else [_cells] * 6 if path.suffix == ".csv" else [_member] * 4
    )
    way = generator.choice(ways)
    way(path, generator)
    return f"{path.name}: {way.__name__}"


def spoil_file(path, generator):
    """Changes a lone .keras file; returns what was done, a text."""
    way = generator.choice([_bytes, _cut, _config, _config, _config, _config, _member])
    way(path, generator)
    return way.__name__


def _bytes(path, generator):
    content = bytearray(path.read_bytes())
    for _ in range(generator.choice((1, 1, 8, 200))):
        content[generator.randrange(len(content))] = generator.randrange(256)
    path.write_bytes(content)


def _cut(path, generator):
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content))])


def _gone(path, generator):
    path.unlink()


def _folder(path, generator):
    path.unlink()
    path.mkdir()


def _json(path, generator):
    content = json.loads(path.read_text("utf-8"))
    _change(content, generator)
    path.write_text(json.dumps(content), encoding="utf-8")


def _change(content, generator):
    """Changes, removes or adds one entry, at any depth."""
    while True:
        inner = [
            value
            for value in (content.values() if isinstance(content, dict) else content)
            if isinstance(value, (dict, list)) and value
        ]
        if not inner or generator.random() < 0.35:
            break
        content = generator.choice(inner)
    places = list(content) if isinstance(content, dict) else list(range(len(content)))
    place, what = generator.choice(places), generator.random()
    if what < 0.2:
        del content[place]
    elif what < 0.3 and isinstance(content, dict):
        content[generator.choice(["more", "class_name", "module", "registered_name"])] = generator.choice(ODD)
    elif what < 0.5 and isinstance(content[place], (int, float)) and not isinstance(content[place], bool):
        content[place] *= generator.choice((-1, 0, 10**6, 1.5))
    else:
        content[place] = generator.choice(ODD)


def _cells(path, generator):
    rows = [line.split(",") for line in path.read_text("utf-8").splitlines()]
    row = generator.choice(rows)
    row[generator.randrange(len(row))] = generator.choice(("", "nan", "1e999", "-1", "7", "x", "0.5,0.5"))
    if generator.random() < 0.3:
        rows.remove(row)
    path.write_text("\n".join(map(",".join, rows)), encoding="utf-8")


def _member(path, generator):
    _rewrite(path, generator, lambda name, content: _spoiled(content, generator))


def _config(path, generator):
    def edited(name, content):
        if name != "config.json":
            return content
        config = json.loads(content)
        _change(config, generator)
        return json.dumps(config).encode()

    _rewrite(path, generator, edited)


def _spoiled(content, generator):
    content = bytearray(content)
    if content and generator.random() < 0.5:
        content[generator.randrange(min(len(content), 4000))] = generator.randrange(256)
    return bytes(content)


def _rewrite(path, generator, edit):
    """Writes a zip again, with right checksums: compressed at times, with members more or fewer."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    packing = generator.choice((zipfile.ZIP_STORED,) * 5 + (zipfile.ZIP_DEFLATED,))
    if generator.random() < 0.1:
        parts.pop(generator.randrange(len(parts)))
    if generator.random() < 0.1:
        parts.append((generator.choice(("../evil", "assets/x", "more.npy")), b"0" * 1000))
    new = io.BytesIO()
    with zipfile.ZipFile(new, "w", packing) as archive:
        for name, content in parts:
            archive.writestr(name, edit(name, content))
    path.write_bytes(new.getvalue())


def count(original, images, number, seed=0):
    """Returns {"refused", "equal", "other", "foreign": how many}, and the texts of what must not be."""
    original, generator = pathlib.Path(original), random.Random(seed)
    whole, alone = answers(original, images), answers_of_file(original / "model.keras", images)
    counts, faults = collections.Counter(), []
    for mutant in range(number):
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(original, pathlib.Path(folder) / "run")
            lone = mutant % 2
            done = spoil_file(copy / "model.keras", generator) if lone else spoil(copy, generator)
            try:
                found = answers_of_file(copy / "model.keras", images) if lone else answers(copy, images)
            except AezooError as error:
                lines = [line.split(":")[0].strip() for line in str(error).splitlines()[1:]]
                verdict = "refused" if lines == ["got", "expected", "fix"] else "foreign"
                told = str(error)
            except Exception as error:
                verdict, told = "foreign", f"{type(error).__name__}: {error}"
            else:
                verdict, told = ("equal", "") if found == (alone if lone else whole) else ("other", "")
            counts[verdict] += 1
            # Changed weights or options with right checksums are another model; only a run can know.
            if verdict == "foreign" or (verdict == "other" and not lone):
                faults.append(f"{mutant}, {done}: {told[:300]}")
    return counts, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, images = make_run(pathlib.Path(folder))
        counts, faults = count(run, images, options.count, options.seed)
    print(dict(counts), f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    print("\n".join(faults))


def make_run(folder):
    """Trains something small; returns (folder of the run, images)."""
    import aezoo
    from aezoo import data
    from aezoo.testing import smooth_examples
    from aezoo.training import loop
    from aezoo.training.settings import Settings

    images = smooth_examples((9, 8, 1), 300)
    np.save(folder / "images.npy", images)
    model = aezoo.build("dense", latent_dim=2, image_shape=(9, 8, 1), units=(4,))
    dataset = data.load(folder / "images.npy")
    loop.train(model, dataset, Settings(epochs=2), folder / "run", progress=False)
    return folder / "run", images[:8]


if __name__ == "__main__":
    main()
