"""Training on Keras's JAX backend."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT
from small_models import small

import aezoo


@pytest.mark.exhaustive
def test_every_model_trains_on_jax(tmp_path):
    """The same files train on Keras's JAX backend, as quietly; one process, since its start is seconds.

    One model of each class is saved and loaded, too: each of them is compiled twice more for it.
    """
    pytest.importorskip("jax")
    cases = [(name, small(name)) for name in aezoo.list_models()]
    cases.append(("dense", {"features": 3, "latent_dim": 2, "units": (8,)}))  # rows, with statistics
    code = f"""
import numpy as np, aezoo
from aezoo.testing import fit_on, smooth_examples
saved = set()
for name, options in {cases!r}:
    aezoo.nn.autoencoder.keras.utils.set_random_seed(0)
    model = aezoo.build(name, **options)
    examples = smooth_examples(model.example_shape, 128)
    losses = fit_on(model, examples, epochs=4)
    assert losses[-1] < losses[0], (name, losses)
    if type(model) in saved:
        continue
    saved.add(type(model))
    model.save("model.keras")
    loaded, labels = aezoo.load("model.keras"), model.labels_in_turn(128)
    assert np.array_equal(loaded.reconstruct(examples, **labels), model.reconstruct(examples, **labels)), name
    assert aezoo.nn.autoencoder.keras.backend.backend() == "jax"
try:
    aezoo.build("dense", features=3).compile(metrics=["mae"])
except aezoo.core.errors.OptionError as error:
    assert "metrics of rows and sequences" in str(error)
else:
    raise AssertionError("metrics of rows on JAX were not refused")
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    env["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # most of the time is spent compiling
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
