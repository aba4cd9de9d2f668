"""A few of Keras's layers in every format; `python tests/export/every_layer.py` tries them all."""

import every_layer
import pytest

# Each was once a traceback, or refused for a reason that was not the true one.
SOME = ("Resizing", "RandomRotation", "Masking", "RandomCrop", "Discretization")


def test_the_table_makes_every_layer():
    """A layer that a new Keras has is found here, and needs a line in the table."""
    for name in every_layer.names():
        assert every_layer.made(name)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning")  # a Flatten behind a Masking
@pytest.mark.parametrize("format", every_layer.FORMATS)
@pytest.mark.parametrize("name", SOME)
def test_proven_or_refused_in_words(name, format, tmp_path):
    told = every_layer.outcome(name, [format], tmp_path / "bundle")
    assert (told == "proven") or " | got:" in told
    if name in ("RandomCrop", "Discretization") and format in ("onnx", "c"):
        assert told != "proven"
