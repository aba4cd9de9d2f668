"""Whatever form examples have: refused in four lines, or answered as the plain array of the same values."""

import collections
import itertools
import warnings

import numpy as np
import pytest
import tensorflow as tf
from array_mutants import mutants
from conftest import four_lines

import aezoo
from aezoo import runtime
from aezoo.core.errors import AezooError
from aezoo.export import ExportOptions, export_bundle
from aezoo.nn.autoencoder import keras
from aezoo.testing import smooth_examples


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """(model, bundle) of rows."""
    keras.utils.set_random_seed(0)
    model = aezoo.build("dense", latent_dim=2, features=6, units=(8,))
    examples = smooth_examples((6,), 128)
    model.adapt(examples)
    model.fit_prior(examples, components=2)
    folder = tmp_path_factory.mktemp("rows") / "bundle"
    export_bundle(model, folder, ExportOptions(formats=["onnx"]), examples=examples)
    return model, runtime.load(folder)


@pytest.fixture(scope="module")
def images(trained, exported):
    """(model, bundle) of images; the model is a copy, for it is compiled anew."""
    model = type(trained[0]).from_config(trained[0].get_config())
    model.set_weights(trained[0].get_weights())
    return model, runtime.load(exported)


class Batches(keras.utils.PyDataset):
    """Batches of three of an array-like."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return -(-len(self.x) // 3)

    def __getitem__(self, index):
        return self.x[3 * index : 3 * index + 3]


def as_dataset(x):
    if type(x) is not np.ndarray or x.dtype.kind in "OUMVc" or not x.ndim:
        raise NotImplementedError
    native = x.astype(x.dtype.newbyteorder("=")) if x.dtype != np.longdouble else x.astype("f8")
    return tf.data.Dataset.from_tensor_slices(native).batch(3)


def as_sequence(x):
    if type(x) is not np.ndarray or not x.ndim or not len(x):
        raise NotImplementedError
    return Batches(x)


# name -> what a model or bundle answers
CALLS = {
    "encode": lambda side, x: side.encode(x),
    "reconstruct": lambda side, x: side.reconstruct(x),
    "reconstruction_error": lambda side, x: side.reconstruction_error(x),
    "score": lambda side, x: side.score(x)["reconstruction_error"],
}
OF_KERAS = {
    "evaluate": lambda model, x: model.evaluate(x, verbose=0),
    "evaluate a dataset": lambda model, x: model.evaluate(as_dataset(x), verbose=0),
    "evaluate a sequence": lambda model, x: model.evaluate(as_sequence(x), verbose=0),
    "fit": lambda model, x: model.fit(x, batch_size=3, shuffle=False, verbose=0).history["loss"],
    "fit a dataset": lambda model, x: model.fit(as_dataset(x), verbose=0).history["loss"],
    "predict": lambda model, x: model.predict(x, verbose=0),
}


def outcome(call, side, mutant):
    """Returns "refused", "equal", or what went wrong."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of pandas and NumPy, about what a mutant is made of
        try:
            answer = call(side, mutant.given)
        except AezooError as error:
            four_lines(error)
            return "refused"
        except NotImplementedError:
            return "no such container"
        except Exception as error:
            return f"other exception: {mutant.name}: {type(error).__name__}: {str(error)[:200]}"
        if mutant.plain is None:
            return f"other answer: {mutant.name}, where there is no array of these values"
        try:
            expected = call(side, mutant.plain)
        except AezooError as error:
            return f"other answer: {mutant.name}, where a plain array is refused: {error}"
    close = np.array_equal if call in CALLS.values() else np.allclose  # Keras sums a loss batch by batch
    return "equal" if close(answer, expected, equal_nan=True) else f"other answer: {mutant.name}"


FEW = {**CALLS, "evaluate": OF_KERAS["evaluate"]}


@pytest.mark.parametrize(
    ("count", "calls"), [(25, FEW), pytest.param(40, {**CALLS, **OF_KERAS}, marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize("kind", ["rows", "images"])
def test_every_form_is_refused_or_answered_alike(kind, count, calls, request):
    model, bundle = request.getfixturevalue(kind)
    model.compile(keras.optimizers.SGD(0.0))  # fitted, and yet the same model, but where 0 meets infinity
    found, weights = collections.Counter(), model.get_weights()
    for mutant in itertools.islice(mutants(model.example_shape, seed=count), count):
        model.set_weights(weights)
        for name, call in calls.items():
            sides = [model] * (name != "score") + [bundle] * (name in CALLS)
            found.update(outcome(call, side, mutant) for side in sides)
    good = {name: found.pop(name, 0) for name in ("refused", "equal", "no such container")}
    print(f"{kind}: {good}, wrong: {len(found)}")
    assert not found, "\n".join(itertools.islice(found, 20))
    assert min(good["refused"], good["equal"]) > count
