"""Writes a part as a SavedModel: one endpoint, with named input and output."""

from aezoo.errors import ExportError, message
from aezoo.quiet import import_keras, silent_stderr


def write(part, path, *, input_name, output_name, endpoint, input_dtype="float32"):
    """Writes a Keras model as a TensorFlow SavedModel.

    Args:
        part: built Keras model of one input and one output.
        path: folder to write.
        input_name, output_name: names in the signature.
        endpoint: name of the signature; "serving_default" is another name of it.
        input_dtype: "float32", or "uint8" for bytes 0..255, which are divided by 255.

    Raises:
        ExportError: Keras does not run on TensorFlow in this process.
    """
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            message(
                "a SavedModel is written by Keras's TensorFlow backend",
                got=f"KERAS_BACKEND={keras.backend.backend()}",
                expected="KERAS_BACKEND=tensorflow",
                fix="export in a process with KERAS_BACKEND=tensorflow, or with --formats onnx",
            )
        )
    import tensorflow as tf

    def serve(inputs):
        if input_dtype == "uint8":
            inputs = tf.cast(inputs, "float32") / 255.0
        return {output_name: part(inputs, training=False)}

    spec = tf.TensorSpec((None, *part.input_shape[1:]), input_dtype, name=input_name)
    archive = keras.export.ExportArchive()
    archive.track(part)
    archive.add_endpoint(name=endpoint, fn=serve, input_signature=[spec])
    with silent_stderr():  # TensorFlow's C++ reports each SavedModel on descriptor 2
        archive.write_out(str(path), verbose=False)
