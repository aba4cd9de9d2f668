"""A few of Keras's layers in every format; `python tests/export/every_layer.py` tries them all."""

import every_layer
import pytest

# Each was once a traceback, or refused for a reason that was not the true one.
SOME = [("Resizing", format) for format in every_layer.FORMATS]
SOME += [("Masking", "onnx"), ("RandomRotation", "onnx"), ("RandomCrop", "c"), ("Discretization", "onnx")]


def test_the_table_makes_every_layer():
    """A layer that a new Keras has is found here, and needs a line in the table."""
    for name in every_layer.names():
        assert every_layer.made(name)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")  # a Flatten behind a Masking
@pytest.mark.parametrize(("name", "format"), SOME)
def test_proven_or_refused_in_words(name, format, tmp_path):
    told = every_layer.outcome(name, [format], tmp_path / "bundle")
    assert (told == "proven") or " | got:" in told
    assert (told == "proven") == (
        name not in ("RandomCrop", "Discretization") and (name, format) != ("Resizing", "c")
    )
