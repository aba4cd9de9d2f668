"""Writes aezoo/data/sources/mnist_mini.npz, the images that are installed with aezoo.

    python tools/make_mnist_mini.py --data-dir <folder in which TensorFlow Datasets has prepared mnist>

6,000 images of MNIST's train part and 1,000 of its test part, 600 and 100 of each digit, chosen by a
fixed seed and kept in the order of the source. The same input gives the same file, byte for byte.
"""

import argparse
import io
import pathlib
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from aezoo.data.streams import import_tfds

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder


TARGET = pathlib.Path(__file__).parents[1] / "aezoo" / "data" / "sources" / "mnist_mini.npz"
PER_DIGIT = {"train": 600, "test": 100}
SEED = 20240229


def choose(labels: np.ndarray, per_digit: int, generator: np.random.Generator) -> np.ndarray:
    """Returns the rising indices of `per_digit` examples of each digit."""
    chosen = [generator.permutation(np.flatnonzero(labels == digit))[:per_digit] for digit in range(10)]
    return np.sort(np.concatenate(chosen))


def read(builder: "DatasetBuilder", split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns all images (N, 28, 28, 1) and labels (N,) of a split, uint8, in the order of the files."""
    stream = builder.as_dataset(split=split, shuffle_files=False, batch_size=1000).as_numpy_iterator()
    batches = list(stream)
    images = np.concatenate([batch["image"] for batch in batches])
    return images, np.concatenate([batch["label"] for batch in batches]).astype(np.uint8)


def write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz whose bytes depend on the arrays alone: no time of day, the strongest deflate."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content.getvalue(), compresslevel=9)


def main() -> None:
    """Reads MNIST, chooses, writes, and says what it wrote."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="folder of prepared TensorFlow Datasets sets")
    parser.add_argument("--output", type=pathlib.Path, default=TARGET)
    options = parser.parse_args()

    builder = import_tfds().builder("mnist", data_dir=options.data_dir, try_gcs=False)
    generator = np.random.default_rng(SEED)
    arrays = {}
    for split, per_digit in PER_DIGIT.items():
        images, labels = read(builder, split)
        chosen = choose(labels, per_digit, generator)
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images[chosen], labels[chosen]
    write(options.output, arrays)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
