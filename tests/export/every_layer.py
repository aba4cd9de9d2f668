"""Every layer that Keras has, in an encoder of its own, exported in every format: proven or refused in words.

    python tests/export/every_layer.py                        # all of them, and what became of each
    python tests/export/every_layer.py --formats onnx litert

What a layer needs to be made is below; one that Keras adds is found by itself, and says so if it needs more.
"""

import argparse
import collections
import pathlib
import shutil
import tempfile
import warnings

import keras
import numpy as np

import aezoo
from aezoo.core.errors import AezooError
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.formats import FORMATS

SHAPES = ((8, 8, 3), (8, 4), (12,))  # of an image, a sequence, a row: a layer is tried on the first it takes
# What layers need to be made.
OPTIONS = {
    "Activation": {"activation": "gelu"},
    "ActivityRegularization": {"l2": 0.01},
    "AdaptiveAveragePooling1D": {"output_size": 2},
    "AdaptiveAveragePooling2D": {"output_size": 2},
    "AdaptiveMaxPooling1D": {"output_size": 2},
    "AdaptiveMaxPooling2D": {"output_size": 2},
    "AveragePooling1D": {"pool_size": 2},
    "AveragePooling2D": {"pool_size": 2},
    "CenterCrop": {"height": 4, "width": 4},
    "Dense": {"units": 3},
    "Dropout": {"rate": 0.2},
    "AlphaDropout": {"rate": 0.2},
    "GaussianDropout": {"rate": 0.2},
    "GaussianNoise": {"stddev": 0.2},
    "SpatialDropout1D": {"rate": 0.2},
    "SpatialDropout2D": {"rate": 0.2},
    "Discretization": {"bin_boundaries": [0.25, 0.5]},
    "EinsumDense": {"equation": "abcd,cde->abe", "output_shape": (8, 3)},
    "GroupNormalization": {"groups": 1},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "Normalization": {"mean": 0.5, "variance": 0.25},
    "Permute": {"dims": (2, 1)},
    "RandomBrightness": {"factor": 0.1, "value_range": (0, 1)},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomContrast": {"factor": 0.1, "value_range": (0, 1)},
    "RandomCrop": {"height": 4, "width": 4},
    "RandomHue": {"factor": 0.1},
    "RandomSaturation": {"factor": 0.1},
    "RandomSharpness": {"factor": 0.1},
    "RandomRotation": {"factor": 0.1},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomZoom": {"height_factor": 0.1},
    "RepeatVector": {"n": 2},
    "Rescaling": {"scale": 2.0, "offset": -1.0},
    "Reshape": {"target_shape": (-1, 1)},
    "Resizing": {"height": 4, "width": 4},
    "Solarization": {"value_range": (0, 1)},
    "RandomPosterization": {"factor": 4, "value_range": (0, 1)},
}
_SIZED = {"filters": 2, "kernel_size": 3}
_NO_LAYERS_ALONE = {
    *("Layer", "InputLayer", "Input", "Wrapper", "RNN", "StackedRNNCells", "AbstractRNNCell", "Lambda"),
    *("JaxLayer", "FlaxLayer", "TFSMLayer", "TorchModuleWrapper", "Pipeline", "Bidirectional"),
    *("TimeDistributed", "SpectralNormalization", "GRUCell", "LSTMCell", "SimpleRNNCell", "ConvLSTM1D"),
    *("ConvLSTM2D", "ConvLSTM3D", "Embedding", "ReversibleEmbedding", "Hashing", "HashedCrossing"),
    *("StringLookup", "IntegerLookup", "TextVectorization", "CategoryEncoding", "FeatureSpace"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
    *("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"),
    *("STFTSpectrogram", "MelSpectrogram", "Equalization"),
}


def names():
    """Returns the names of Keras's layers that stand between one input and one output, each once."""
    found = {}
    for name in sorted(dir(keras.layers)):
        layer = getattr(keras.layers, name)
        one = isinstance(layer, type) and issubclass(layer, keras.Layer) and name not in _NO_LAYERS_ALONE
        if one and "3D" not in name:  # no model here takes volumes
            found.setdefault(layer, name)
    return list(found.values())


def made(name):
    """Returns (layer, shape of an example), the first of the kinds that the layer takes."""
    layer = getattr(keras.layers, name)
    options = OPTIONS.get(name, {})
    if "Conv" in name:
        options = _SIZED if name.startswith(("Conv", "Separable")) else {"kernel_size": 3}
    elif name in ("GRU", "LSTM", "SimpleRNN"):
        options = {"units": 3}
    wrong = None
    for shape in SHAPES[1:] if "1D" in name else SHAPES:
        try:
            keras.Sequential([keras.Input(shape), layer(**options)])
        except Exception as error:  # of another rank, as Keras says in many ways
            wrong = error
            continue
        return layer(**options), shape
    raise ValueError(f"{name} takes none of {SHAPES}: {wrong}")


def outcome(name, formats, folder):
    """Exports an encoder with the layer; returns "proven", or the first line of what refuses it."""
    layer, shape = made(name)
    inputs, latents = keras.Input(shape), keras.Input((3,))
    between = keras.layers.Flatten()(layer(inputs))
    encoder = keras.Model(inputs, keras.layers.Dense(3)(between))
    decoded = keras.layers.Reshape(shape)(keras.layers.Dense(int(np.prod(shape)))(latents))
    model = aezoo.Autoencoder(encoder, keras.Model(latents, decoded))
    examples = np.random.default_rng(0).random((40, *shape), "float32")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        export_bundle(model, folder, ExportOptions(formats, parts=["encoder"]), examples=examples)
    except AezooError as error:
        text = str(error).splitlines()
    else:
        return "proven"
    assert [line.split(":")[0].strip() for line in text[1:]] == ["got", "expected", "fix"], text
    return " | ".join(line.strip() for line in text[:2])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--layers", nargs="+", default=names(), metavar="NAME")
    parsed = parser.parse_args()
    warnings.simplefilter("ignore")
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in parsed.layers:
            for format in parsed.formats:
                try:
                    told = outcome(name, [format], pathlib.Path(folder, "bundle"))
                except Exception as error:
                    told = f"FAILED: {type(error).__name__}: {str(error)[:300]}"
                counts[
                    format, told.split(" ")[0] if told.startswith(("proven", "FAILED")) else "refused"
                ] += 1
                if told != "proven":
                    print(f"{name} {format}: {told}", flush=True)
    for key, count in sorted(counts.items()):
        print(*key, count)


if __name__ == "__main__":
    main()
