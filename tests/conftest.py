"""Settings of all tests: warnings are errors, and fixtures that several files use."""

import dataclasses
import os
import pathlib
import re

import numpy as np
import pytest

# The processes that run the tests are told before they start to warn of texts without an encoding, see
# pyproject.toml; what they start themselves is not, or warnings of other packages would be in its output.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("PYTHONWARNDEFAULTENCODING", None)
else:
    os.environ["PYTHONWARNDEFAULTENCODING"] = "1"

# As aezoo does, which some tests import behind onnxruntime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

ROOT = pathlib.Path(__file__).parents[1]
MNIST_DIR = ROOT.parent / "shared" / "tfds"


@pytest.fixture(scope="session")
def mini():
    """The embedded digits."""
    from aezoo import data

    return data.load("mnist_mini")


@pytest.fixture(scope="session")
def trained():
    """A small convolutional model that has seen some blobs, and held-out examples of them."""
    import aezoo
    from aezoo.nn.autoencoder import keras
    from aezoo.testing import smooth_examples

    keras.utils.set_random_seed(0)
    model = aezoo.build("conv", latent_dim=4, image_shape=(16, 12, 1), filters=(8, 16))
    examples = smooth_examples(model.example_shape)
    model.fit(examples, epochs=2, verbose=0)
    model.fit_prior(examples, components=2)
    return model, smooth_examples(model.example_shape, 64, seed=1)


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    """A proven bundle of `trained`; copy it before you change it."""
    from aezoo.export import export_bundle

    model, examples = trained
    return export_bundle(model, tmp_path_factory.mktemp("exported") / "bundle", examples=examples)


def reseal(folder):
    """Writes bundle.sha256 anew, as whoever edits a manifest on purpose would."""
    from aezoo.runtime import manifest as contract

    digest = contract.digest_of(folder)
    (folder / contract.SIDECAR).write_text(f"{digest}  {contract.MANIFEST}\n", encoding="utf-8")


def rehash(folder):
    """Makes a manifest agree with altered files: what is left to find them is the comparison."""
    from aezoo.runtime import manifest as contract

    manifest = contract.read_manifest(folder)
    artifacts = tuple(contract.rehashed(folder, artifact) for artifact in manifest.artifacts)
    golden = dataclasses.replace(manifest.golden, files=contract.hash_files(folder, contract.GOLDEN))
    contract.write_manifest(folder, dataclasses.replace(manifest, artifacts=artifacts, golden=golden))


@pytest.fixture(scope="session", autouse=True)
def fresh_prover():
    """Lets one process a format prove every bundle of the session, and gives the `Prover` it stands for.

    A process of its own for each would import its runtime anew, TensorFlow for seconds.
    """
    from aezoo.export.proof import parity

    kept, fresh = {}, parity.Prover

    class KeptProver(fresh):
        waiting = False

        def _answer(self):
            self.waiting = True
            answer = super()._answer()
            self.waiting = False
            return answer

        def stop(self):
            if self.waiting:  # its answer would be taken for the next bundle's
                super().stop()

    def keep(form):
        if form not in kept or kept[form].process.poll() is not None:
            kept[form] = KeptProver(form)
        return kept[form]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "Prover", keep)
        yield fresh
    for prover in kept.values():
        fresh.stop(prover)


def run_command(*arguments):
    """Runs the command `aezoo` in this process; returns its exit status."""
    from aezoo.cli.main import main

    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stopped:  # argparse
        return stopped.code


def without_logs(text):
    """Returns a text without log lines of C++ libraries, which depend on what ran before in the process."""
    logged = re.compile(r"[IWEF]\d{4} \d\d:\d\d:")
    return "".join(line for line in text.splitlines(keepends=True) if not logged.match(line))


def mostly_exhaustive(cases, chosen):
    """Returns cases for `parametrize`: all but those of which `chosen(case)` holds are exhaustive."""
    return [
        case
        if chosen(case)
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.exhaustive)
        for case in cases
    ]


def four_lines(error, *words):
    """Asserts that an error's text has the four lines, and names what it must."""
    lines = str(getattr(error, "value", error)).splitlines()
    heads = [line.split(":")[0].strip() for line in lines[1:]]
    assert heads == ["got", "expected", "fix"], lines
    for word in words:
        assert str(word) in "\n".join(lines), (word, lines)


# Set by `-v`, and by JAX and tf2onnx at their import: processes that later tests start would inherit them.
_OF_LOGS = ("AEZOO_VERBOSE", "TF_CPP_MIN_LOG_LEVEL", "GRPC_VERBOSITY")
_AT_START = {name: os.environ[name] for name in _OF_LOGS if name in os.environ}


@pytest.fixture(autouse=True)
def _alike():
    """The same seed and the same silence for every test, whatever ran before it in this process."""
    np.random.seed(0)
    for name in _OF_LOGS:
        os.environ.pop(name, None)
    os.environ.update(_AT_START)
