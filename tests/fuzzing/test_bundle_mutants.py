"""Mutants of a bundle in `load` and every call: a BundleError, or the answers of the bundle."""

import collections
import os
import pathlib
import warnings

import numpy as np
import pytest
from bundle_mutants import copied, mutants

from aezoo import runtime
from aezoo.core.errors import AezooError, BundleError, ParityError


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    """A small bundle in ONNX with everything that a bundle can hold."""
    from aezoo.export import ExportOptions, export_bundle
    from aezoo.testing import smooth_examples

    folder = tmp_path_factory.mktemp("mutants") / "bundle"
    examples = smooth_examples(trained[0].example_shape, 120)
    return export_bundle(trained[0], folder, ExportOptions(formats=["onnx"]), examples=examples)


def answers(folder):
    """Returns what every call of a loaded bundle answers: arrays, or the class of the error it raises."""
    bundle = runtime.load(folder, intra_op_threads=1)
    x = np.random.Generator(np.random.Philox(0)).random((3, *bundle.example_shape), dtype="float32")
    latents = np.zeros((2, *bundle.latent_shape), "float32")
    calls = {
        "encode": lambda: [bundle.encode(x)],
        "in batches": lambda: [bundle.encode(x, batch_size=2)],
        "decode": lambda: [bundle.decode(latents)],
        "reconstruct": lambda: [bundle.reconstruct(x)],
        "error": lambda: [bundle.reconstruction_error(x)],
        "score": lambda: list(bundle.score(x).values()),
        "score at": lambda: list(bundle.score(x, threshold=0.5).values()),
        "sample": lambda: [bundle.sample(2, seed=1)],
        "interpolate": lambda: [bundle.interpolate(x[0], x[1], 3)],
        "posterior": lambda: list(bundle.posterior(x)),
        "codes": lambda: [bundle.code_indices(x)],
    }
    found = {}
    for name, call in calls.items():
        try:
            found[name] = call()
        except AezooError as error:
            found[name] = type(error).__name__
    return found


def equal(first, second):
    return all(
        first[name] == second[name]
        if isinstance(first[name], str) or isinstance(second[name], str)
        else len(first[name]) == len(second[name])
        and all(np.array_equal(*pair, equal_nan=True) for pair in zip(first[name], second[name], strict=True))
        for name in first
    )


MANY = int(os.environ.get("AEZOO_MUTANTS", 500))  # 10,000 take some minutes


@pytest.mark.parametrize("count", [100, pytest.param(MANY, marks=pytest.mark.exhaustive)])
def test_a_mutant_is_refused_or_answers_as_the_bundle(count, bundle, tmp_path, capsys):
    """What an attacker has sealed anew may answer otherwise, within the contract; nothing else may."""
    right, figures = answers(bundle), collections.Counter()
    assert equal(right, answers(bundle))
    for _, mutant in zip(range(count), mutants(bundle, seed=count), strict=False):
        folder = copied(bundle, tmp_path / "mutant")
        mutant.mutate(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numbers that overflow
                found = answers(folder)
        except BundleError:
            figures["refused"] += 1
            continue
        except Exception as error:
            raise AssertionError(f"{mutant.name}: {type(error).__name__}: {error}") from error
        same = equal(right, found)
        figures["accepted, equal" if same else "accepted, other answers"] += 1
        assert same or mutant.sealed, mutant.name
    with capsys.disabled():
        print(f"\n{count} mutants of {pathlib.Path(bundle).name}: {dict(figures)}")
    assert figures["refused"] > count / 3
    assert figures["accepted, equal"] > 0  # of what `load` does not open


PROVEN = int(os.environ.get("AEZOO_PROVEN_MUTANTS", 200))


@pytest.fixture(scope="module")
def with_code(trained, tmp_path_factory):
    """A bundle with formats that would run code, beside ONNX."""
    from aezoo.export import ExportOptions, export_bundle
    from aezoo.testing import smooth_examples

    folder = tmp_path_factory.mktemp("mutants") / "with_code"
    options = ExportOptions(formats=["onnx", "c", "saved_model"])
    return export_bundle(trained[0], folder, options, examples=smooth_examples(trained[0].example_shape, 120))


@pytest.mark.parametrize("count", [15, pytest.param(PROVEN, marks=pytest.mark.exhaustive)])
def test_verify_refuses_a_mutant_or_proves_it(count, with_code, tmp_path, capsys):
    """Without `trust`: what would run code is skipped; what is proven, not sealed anew, is the bundle."""
    from aezoo.export.proof import parity

    right, figures = answers(with_code), collections.Counter()
    assert {type(row).__name__ for row in parity.verify(with_code).values()} == {"Parity", "Skipped"}
    for _, mutant in zip(range(count), mutants(with_code, seed=count), strict=False):
        folder = copied(with_code, tmp_path / "mutant")
        mutant.mutate(folder)
        try:
            rows = parity.verify(folder)
        except (BundleError, ParityError) as error:
            figures[type(error).__name__] += 1
            continue
        except Exception as error:
            raise AssertionError(f"{mutant.name}: {type(error).__name__}: {error}") from error
        figures["proven"] += 1
        code = {name for name in rows if name.startswith(("c/", "saved_model/"))}
        assert all(isinstance(rows[name], parity.Skipped) for name in code), mutant.name
        assert mutant.sealed or equal(right, answers(folder)), mutant.name
    with capsys.disabled():
        print(f"\n{count} mutants through verify: {dict(figures)}")
    assert figures["BundleError"] > count / 3
    assert figures["proven"] > 0
