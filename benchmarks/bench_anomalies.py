"""ROC areas of `--score memory_distance` with its defaults on other people's data, beside what is usual.

    python benchmarks/bench_anomalies.py --shared ../shared/data --data-dir ../shared/tfds \
        -o docs/results/anomalies.csv

Trained on normals only: half of the normal rows of a table, 2,000 at most (adbench/*.npz, seed 0); train/good
but a tenth for validation (magnetic_tiles, 64 x 64); a digit against the others (MNIST, the whole test part).
The score looks at what training saw and not at the network, so none is trained here. Baselines are
scikit-learn's, on the same examples, rows in standard deviations. Folders that are not there are left out.
"""

import argparse
import csv
import pathlib
import sys

import numpy as np

COLUMNS = ("data", "kind", "remembered", "memory_distance", "pca", "isolation_forest", "lof", "knn_5")
MOST = 2000  # normal rows to train on
DIGITS = 10_000  # of the test part


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--data-dir", help="of TensorFlow Datasets, for MNIST")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("anomalies.csv"))
    parsed = parser.parse_args()
    rows = []
    for name, kind, train, test, is_anomaly in sources(parsed):
        rows.append(dict(zip(COLUMNS, (name, kind, *areas(train, test, is_anomaly)), strict=True)))
        print(*rows[-1].values(), flush=True)
    with open(parsed.output, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def sources(parsed):
    """Yields (name, kind, normal training examples, test examples, which of those are anomalies)."""
    for path in sorted((parsed.shared / "adbench").glob("*.npz")):
        with np.load(path) as file:
            rows, is_anomaly = file["X"].astype("float32"), file["y"].ravel() == 1
        normal = np.random.default_rng(0).permutation(np.flatnonzero(~is_anomaly))
        few = min(len(normal) // 2, MOST)
        test = np.concatenate([normal[few:], np.flatnonzero(is_anomaly)])
        yield path.stem, "rows", rows[normal[:few]], rows[test], is_anomaly[test]
    if (parsed.shared / "magnetic_tiles").is_dir():
        from aezoo import data
        from aezoo.data.held_out import seen_classes

        tiles = data.load(parsed.shared / "magnetic_tiles", image_shape=(64, 64, 1), validation_fraction=0.1)
        yield "magnetic_tiles", "images", tiles.train.array(), tiles.test.array(), ~seen_classes(tiles)
    if parsed.data_dir:
        from aezoo import data

        mnist = data.load("mnist", data_dir=parsed.data_dir)
        train, test = mnist.train.array(), mnist.test.array(DIGITS)
        for digit in range(10):
            of_digit = train[mnist.train.class_numbers == digit]
            yield f"mnist:{digit}", "images", of_digit, test, mnist.test.class_numbers[:DIGITS] != digit


def areas(train, test, is_anomaly):
    """Returns (number of reference examples, ROC areas of the score and of the baselines)."""
    import aezoo
    from aezoo.core.calibration import roc_area
    from aezoo.export import scoring
    from aezoo.training.kept_examples import most_reference

    drawn = np.random.default_rng(0).permutation(len(train))[: most_reference(train.shape[1:])]
    reference, shape = train[np.sort(drawn)], train.shape[1:]
    options = {"features": shape[0]} if len(shape) == 1 else {"image_shape": shape}
    model = aezoo.build("dense", latent_dim=2, units=(4,), **options)
    model.adapt(train)
    fitted = scoring.fit("memory_distance", model, reference)
    scores = scoring.score_examples(model, test, {}, fitted, batch_size=64)
    return len(reference), *(
        round(roc_area(each, is_anomaly), 4) for each in (scores, *baselines(train, test).values())
    )


def baselines(train, test):
    """Returns {name: scores} of scikit-learn's on flat examples, rows in standard deviations."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

    flat, others = (each.reshape(len(each), -1).astype("float64") for each in (train, test))
    if train.ndim == 2:
        mean, scale = flat.mean(axis=0), flat.std(axis=0)
        flat, others = ((each - mean) / np.where(scale > 0, scale, 1) for each in (flat, others))
    width = min(16, max(1, flat.shape[1] // 2)) if train.ndim == 2 else 32
    pca = PCA(width, random_state=0).fit(flat)
    few = flat[np.random.default_rng(0).permutation(len(flat))[:MOST]]
    return {
        "pca": np.square(others - pca.inverse_transform(pca.transform(others))).sum(axis=1),
        "isolation_forest": -IsolationForest(random_state=0).fit(flat).score_samples(others),
        "lof": -LocalOutlierFactor(20, novelty=True).fit(few).score_samples(others),
        "knn_5": NearestNeighbors(n_neighbors=5).fit(few).kneighbors(others)[0][:, -1],
    }


if __name__ == "__main__":
    sys.exit(main())
