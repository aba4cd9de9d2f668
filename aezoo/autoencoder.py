"""The one class of all models: an encoder, a decoder, and what may lie in front of them.

images (B, H, W, C) float32 in [0, 1]  --encoder-->  latents (B, D)  --decoder-->  reconstructions
rows   (B, F) float32, raw units       --encoder-->  latents (B, D)  --decoder-->  reconstructions
"""

import numpy as np

from aezoo.checks import as_inputs
from aezoo.errors import DataError, OptionError, message
from aezoo.layers import Standardize, Unstandardize
from aezoo.quiet import import_keras

keras = import_keras()
ops = keras.ops


def jit_by_default():
    """Whether training is compiled by XLA: not on CPUs, where it gains little and starts slowly."""
    if keras.backend.backend() != "tensorflow":
        return "auto"
    import tensorflow as tf

    return "auto" if tf.config.list_physical_devices("GPU") else False


@keras.saving.register_keras_serializable("aezoo")
class Autoencoder(keras.Model):
    """An encoder and a decoder, trained as one to reproduce what they are given.

    `fit(images)` needs no targets. `fit(corrupted, clean)` trains on given pairs.

    Args:
        encoder: functional Keras model, examples to latents.
        decoder: functional Keras model, latents to reconstructions.
        corruption: a `Corruption` that acts before the encoder in training only, or None.
        model_name: the name in the registry, written into runs and bundles.
        model_options: the options it was built with, JSON values.

    Raises:
        OptionError: the decoder does not return the shape that the encoder takes.
    """

    def __init__(
        self, encoder, decoder, *, corruption=None, model_name=None, model_options=None, name="autoencoder"
    ):
        super().__init__(name=name)
        if tuple(decoder.output_shape[1:]) != tuple(encoder.input_shape[1:]):
            raise OptionError(
                message(
                    "the decoder does not return what the encoder takes",
                    got=f"decoder output {decoder.output_shape}, encoder input {encoder.input_shape}",
                    expected="the same shape at both ends",
                    fix="give the decoder's last layer the encoder's input shape",
                )
            )
        self.encoder = encoder
        self.decoder = decoder
        self.corruption = corruption
        self.model_name = model_name
        self.model_options = dict(model_options or {})
        for part in (encoder, decoder):
            part.jit_compile = jit_by_default()
        self._standardize = _only(encoder, Standardize)
        self._unstandardize = _only(decoder, Unstandardize)
        self.build((None, *self.example_shape))

    def build(self, input_shape):
        """Nothing to make: the parts come built."""
        if self.corruption is not None and not self.corruption.built:
            self.corruption.build(input_shape)
        self.built = True

    # -- shapes ---------------------------------------------------------------------------------

    @property
    def example_shape(self):
        """Shape of one example without the batch axis: (H, W, C) or (F,)."""
        return tuple(self.encoder.input_shape[1:])

    @property
    def latent_shape(self):
        """Shape of one example's latents without the batch axis: (D,)."""
        return tuple(self.encoder.output_shape[1:])

    @property
    def kind(self):
        """What the model takes: "images" or "rows"."""
        return "rows" if len(self.example_shape) == 1 else "images"

    # -- the model ------------------------------------------------------------------------------

    def call(self, examples, training=False):
        """Returns the reconstructions of the examples; in training, of the corrupted examples."""
        if training and self.corruption is not None:
            if self._standardize is None:
                examples = self.corruption(examples, training=True)
            else:  # a level means the same for every column only in standard deviations
                examples = self._unstandardize(self.corruption(self._standardize(examples), training=True))
        return self.decoder(self.encoder(examples, training=training), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Compares with the targets, or with the examples where there are none.

        Rows are compared in standard deviations of their columns: in raw units one column of
        large numbers would be all that is learned.
        """
        y, y_pred = self._comparable(x, y, y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """As `compute_loss`, for the metrics."""
        y, y_pred = self._comparable(x, y, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _comparable(self, x, y, y_pred):
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
            raise DataError(
                message(
                    "a model takes float examples",
                    got=f"{keras.backend.standardize_dtype(x.dtype)}",
                    expected="float32" + (" in [0, 1]" if self.kind == "images" else ""),
                    fix="images / 255, or dataset.map(lambda images: tf.cast(images, 'float32') / 255)",
                )
            )
        y = x if y is None else y
        if len(y.shape) != len(y_pred.shape) or tuple(y.shape[1:]) != tuple(y_pred.shape[1:]):
            raise DataError(
                message(
                    "targets of an autoencoder have the shape of its examples; these look like labels",
                    got=f"targets {tuple(y.shape)}, reconstructions {tuple(y_pred.shape)}",
                    expected="no targets, or clean examples for corrupted ones",
                    fix="fit(images), or dataset.map(lambda images, labels: images)",
                )
            )
        if self._standardize is not None:
            y, y_pred = self._standardize(y), self._standardize(y_pred)
        return y, y_pred

    def compile(self, optimizer="adam", loss="mse", *, jit_compile=None, **options):
        """As Keras, with mean squared error, Adam, and XLA only where it helps."""
        jit_compile = jit_by_default() if jit_compile is None else jit_compile
        super().compile(optimizer=optimizer, loss=loss, jit_compile=jit_compile, **options)

    def compile_from_config(self, config):
        """Compiles as saved; Keras asks for this of every model with a `compile` of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, **options):
        """As `keras.Model.fit`, with no targets needed.

        NumPy examples are checked for shape, range and NaN first. A model of rows takes their
        statistics on the first call. With targets, given or as pairs in a tf.data.Dataset, the
        model's own corruption rests.

        Raises:
            DataError: the examples break the contract of shape and range.
        """
        x, y = self._checked(x, "examples"), self._checked(y, "targets")
        if self._standardize is not None and not int(ops.convert_to_numpy(self._standardize.adapted)):
            self.adapt(x)
        pairs = y is not None or (
            isinstance(getattr(x, "element_spec", None), tuple) and len(x.element_spec) > 1
        )
        if self.corruption is None or not pairs:
            return super().fit(x, y, batch_size=batch_size, epochs=epochs, **options)
        self.corruption.active.assign(0.0)
        try:
            return super().fit(x, y, batch_size=batch_size, epochs=epochs, **options)
        finally:
            self.corruption.active.assign(1.0)

    def _checked(self, examples, source):
        if not isinstance(examples, np.ndarray):
            return examples
        return as_inputs(examples, self.example_shape, unit_range=self.kind == "images", source=source)

    def adapt(self, rows):
        """Takes the mean and standard deviation of each column; a model of images ignores it.

        Args:
            rows: (N, F) array, or a tf.data.Dataset of batches.
        """
        if self._standardize is None:
            return
        if not isinstance(rows, np.ndarray) and hasattr(rows, "element_spec"):
            rows = np.concatenate([_first(batch) for batch in rows.as_numpy_iterator()])
        rows = np.asarray(ops.convert_to_numpy(rows), "float64")
        scale = rows.std(axis=0)
        # A column that never varies is exactly reproduced by its mean: any scale but 0 will do.
        scale[scale <= 1e-12 * np.maximum(1.0, np.abs(rows).max(axis=0))] = 1.0
        for layer in (self._standardize, self._unstandardize):
            layer.assign(rows.mean(axis=0).astype("float32"), scale.astype("float32"))

    # -- use ------------------------------------------------------------------------------------

    def encode(self, examples, batch_size=256):
        """Returns the latents (B, D) of examples (B, ...), as NumPy.

        Raises:
            DataError: wrong shape, dtype or range.
        """
        return self.encoder.predict(self._as_inputs(examples), batch_size=batch_size, verbose=0)

    def decode(self, latents, batch_size=256):
        """Returns the reconstructions (B, ...) of latents (B, D), as NumPy."""
        latents = as_inputs(latents, self.latent_shape, unit_range=False, source="latents")
        return self.decoder.predict(latents, batch_size=batch_size, verbose=0)

    def reconstruct(self, examples, batch_size=256):
        """Returns decoder(encoder(examples)), as NumPy."""
        return self.decode(self.encode(examples, batch_size), batch_size)

    def reconstruction_error(self, examples, batch_size=256):
        """Returns each example's anomaly score (B,): its mean squared error.

        For rows the error of a column is in its standard deviations, as in training.
        """
        examples = self._as_inputs(examples)
        difference = (self.reconstruct(examples, batch_size) - examples) / self.error_scale
        return np.square(difference).reshape(len(examples), -1).mean(axis=1)

    @property
    def error_scale(self):
        """What differences are divided by before they are squared: (F,) for rows, 1 for images."""
        if self._standardize is None:
            return np.float32(1.0)
        return ops.convert_to_numpy(self._standardize.scale)

    def corrupt(self, examples, level=None, seed=0):
        """Returns the examples as this model's corruption leaves them, as NumPy; the same for a seed.

        Args:
            examples: (B, ...) in the model's range.
            level: None is the model's own level.
            seed: int.

        Raises:
            OptionError: the model has no corruption.
        """
        if self.corruption is None:
            raise OptionError(
                message(
                    "this model corrupts nothing",
                    got=f"model {self.model_name!r}",
                    expected="a model with a corruption",
                    fix="aezoo.build('denoising', corruption='gaussian', level=0.4)",
                )
            )
        examples = self._as_inputs(examples)
        if self._standardize is None:
            return self.corruption.corrupt(examples, level, seed)
        mean, scale = ops.convert_to_numpy(self._standardize.mean), self.error_scale
        return self.corruption.corrupt((examples - mean) / scale, level, seed) * scale + mean

    def _as_inputs(self, examples):
        return as_inputs(examples, self.example_shape, unit_range=self.kind == "images")

    # -- saving ---------------------------------------------------------------------------------

    def save_own_variables(self, store):
        """Saves the state of every random generator, which Keras leaves out.

        Without it a resumed training would draw the noise of its first epoch again.
        """
        for number, state in enumerate(self._random_states()):
            store[f"random_state_{number}"] = ops.convert_to_numpy(state.value)

    def load_own_variables(self, store):
        """Restores what `save_own_variables` saved; the weights are those of the parts."""
        for number, state in enumerate(self._random_states()):
            if f"random_state_{number}" in store:
                state.assign(store[f"random_state_{number}"])

    def _random_states(self):
        return [variable for variable in self.variables if variable.path.endswith("seed_generator_state")]

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "corruption": self.corruption and serialize(self.corruption),
            "model_name": self.model_name,
            "model_options": self.model_options,
        }

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        config = dict(config)
        for part in ("encoder", "decoder", "corruption"):
            config[part] = config.get(part) and deserialize(config[part])
        return cls(**config)


def _only(part, layer_class):
    """Returns the one layer of a class in a model, or None."""
    found = [layer for layer in part.layers if isinstance(layer, layer_class)]
    return found[0] if found else None


def _first(batch):
    return batch[0] if isinstance(batch, tuple) else batch
