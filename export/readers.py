"""How an artifact of each format is opened and run, by the program that reads such files: no Keras.

A function of this module takes the path and the part's name, and returns (run, found): `run` takes
{input: array} and returns {output: array}; `found` is {"inputs": {name: dtype}, "outputs": {name: dtype}},
as the file itself says.
"""

import os
import pathlib

from aezoo.errors import need
from aezoo.export.formats import FORMATS


def open_artifact(folder, artifact):
    """Opens an artifact of a bundle, given its row of the manifest; returns (run, found)."""
    opener = globals()[FORMATS[artifact["format"]].opener]
    return opener(pathlib.Path(folder) / artifact["file"], artifact["part"])


def open_onnx(path, part):
    """Opens an ONNX file with onnxruntime."""
    onnxruntime = need("onnxruntime", extra="train")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dtypes = {"tensor(float)": "float32"}
    found = {
        end: {t.name: dtypes.get(t.type, t.type[len("tensor(") : -1]) for t in tensors}
        for end, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs()))
    }
    names = list(found["outputs"])
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True)), found


def open_saved_model(path, part):
    """Opens a SavedModel with TensorFlow."""
    from aezoo.quiet import silent_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_stderr():
        tf = need("tensorflow", extra="train")
        loaded = tf.saved_model.load(str(path))
    endpoint = loaded.signatures[part]
    found = {
        "inputs": {name: spec.dtype.name for name, spec in endpoint.structured_input_signature[1].items()},
        "outputs": {name: spec.dtype.name for name, spec in endpoint.structured_outputs.items()},
    }

    # The archive must outlive the endpoint, which does not hold its variables itself.
    def run(inputs, keep=loaded):
        return endpoint(**{name: tf.constant(array) for name, array in inputs.items()})

    return run, found
