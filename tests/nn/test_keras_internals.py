"""What Keras keeps private and this package uses: each by name, so that a new release says what it broke."""

import re

import pytest
from conftest import ROOT

from aezoo.nn import keras_internals


@pytest.mark.parametrize("name", keras_internals.INTERNALS)
def test_this_keras_still_has(name):
    message = keras_internals.broken(name)
    assert message is None, message


def test_what_is_gone_is_named(monkeypatch):
    import keras

    name = "Functional._run_through_graph"
    monkeypatch.setattr(keras_internals, "run_through_graph", lambda *_: keras.no_such_name)
    message = keras_internals.broken(name)
    assert message.startswith(f"Keras {keras.__version__} changed {name} (AttributeError: ")
    assert message.endswith("needed by the direct route to ONNX")
    monkeypatch.setattr(keras_internals, "run_through_graph", lambda *_: [])
    assert "it answers otherwise" in keras_internals.broken(name)


def test_nothing_else_uses_them():
    names = r"keras\.src|_run_through_graph|_compile_metrics|seed_generator_state|_moving_average"
    private = re.compile(names)
    files = [path for room in ("aezoo", "export", "recipes") for path in (ROOT / room).rglob("*.py")]
    assert [path.name for path in files if private.search(path.read_text("utf-8"))] == ["keras_internals.py"]
