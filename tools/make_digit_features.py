"""Writes aezoo/evaluation/digit_features.onnx, in whose feature space generated digits are compared.

    python tools/make_digit_features.py --data-dir <folder in which TensorFlow Datasets has prepared mnist>

A small convolutional classifier of MNIST's ten digits, trained on the train part alone (a tenth of it
held back), and cut before its last layer: images (B, 28, 28, 1) become features (B, 64). Seeds and
TensorFlow's deterministic operations make two runs on one machine equal; another processor may round
otherwise, and then every Fréchet digit distance moves: a new file is a new measure.
"""

import argparse
import json
import pathlib
import tempfile
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from aezoo import data
from aezoo.core.imports import import_keras, import_tensorflow

if TYPE_CHECKING:
    import keras


TARGET = pathlib.Path(__file__).parents[1] / "aezoo" / "evaluation" / "digit_features.onnx"
FEATURES = 64
SEED = 20240711


def classifier(keras: ModuleType) -> "tuple[keras.Model, keras.Model]":
    """Returns the compiled classifier and the model of its features, which share their layers.

    Dropout lies behind the features: each of them has to count, and none is random when it is read.
    """
    layers = keras.layers
    x = images = keras.Input((28, 28, 1), name="images")
    for number, filters in enumerate((16, 32, 64), 1):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu", name=f"down_{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    features = layers.Dense(FEATURES, activation="relu", name="features")(x)
    logits = layers.Dense(10, name="logits")(layers.Dropout(0.3, seed=SEED, name="dropout")(features))
    model = keras.Model(images, logits, name="digit_classifier")
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model, keras.Model(images, features, name="digit_features")


def main() -> None:
    """Trains, says how often the classifier is right on the test part, and writes its features."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="folder of prepared TensorFlow Datasets sets")
    parser.add_argument("--output", type=pathlib.Path, default=TARGET)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()

    keras = import_keras()
    keras.utils.set_random_seed(SEED)
    import_tensorflow().config.experimental.enable_op_determinism()
    from aezoo.export import to_onnx

    dataset = data.load("mnist", data_dir=options.data_dir)
    model, features = classifier(keras)
    steps = -(-len(dataset.train) // 128) * options.epochs
    model.optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    held_back = (dataset.validation.array(), dataset.validation.labels)
    model.fit(
        dataset.train.array(),
        dataset.train.labels,
        batch_size=128,
        epochs=options.epochs,
        validation_data=held_back,
        verbose=2,
    )
    right = model.predict(dataset.test.array(), verbose=0).argmax(axis=1) == dataset.test.labels
    metadata = {
        "trained_on": "MNIST, train part",
        "train_examples": str(len(dataset.train)),
        "epochs": str(options.epochs),
        "seed": str(SEED),
        "test_accuracy": f"{np.mean(right):.4f}",
    }
    with tempfile.TemporaryDirectory(dir=options.output.parent) as folder:
        draft = pathlib.Path(folder) / options.output.name
        to_onnx.write(features, draft, inputs=("images",), outputs=("features",), metadata=metadata)
        draft.replace(options.output)
    print(json.dumps(metadata))
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
