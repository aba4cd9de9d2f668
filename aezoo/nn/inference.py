"""What a Keras model answers, as NumPy: encode, decode, reconstruct, corrupt, and errors."""

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.examples import as_inputs, as_labels
from aezoo.core.latent_space import LatentSpace
from aezoo.core.priors import GaussianMixture
from aezoo.nn.layers import ops


class Predicting(LatentSpace):
    """The methods of an `Autoencoder` that are called with arrays and answer with arrays."""

    def encode(self, examples, batch_size=256, labels=None):
        """Returns the latents (B, D) of examples (B, ...), as NumPy.

        Args:
            examples: (B, ...) in the model's range.
            batch_size: examples at a time.
            labels: (B,) class numbers, for a conditional model alone.

        Raises:
            DataError: wrong shape, dtype or range.
        """
        return self.outputs(examples, batch_size, labels)[0]

    def outputs(self, examples, batch_size=256, labels=None):
        """Returns all outputs of the encoder, a list of NumPy arrays in the order of `encoder_outputs`."""
        given = self._with_labels(self._as_inputs(examples), labels)
        outputs = self.encoder.predict(given, batch_size=batch_size, verbose=0)
        return outputs if isinstance(outputs, (list, tuple)) else [outputs]

    def decode(self, latents, batch_size=256, labels=None):
        """Returns the reconstructions (B, ...) of latents (B, D), as NumPy."""
        latents = as_inputs(latents, self.latent_shape, unit_range=False, source="latents")
        return self.decoder.predict(self._with_labels(latents, labels), batch_size=batch_size, verbose=0)

    def reconstruct(self, examples, batch_size=256, labels=None):
        """Returns decoder(encoder(examples)), as NumPy."""
        return self.decode(self.encode(examples, batch_size, labels), batch_size, labels)

    def reconstruction_error(self, examples, batch_size=256, labels=None):
        """Returns each example's anomaly score (B,): its mean squared error.

        For rows and sequences the error of a column is in its standard deviations, as in training.
        """
        examples = self._as_inputs(examples)
        difference = (self.reconstruct(examples, batch_size, labels) - examples) / self.error_scale
        return np.square(difference).reshape(len(examples), -1).mean(axis=1)

    def fit_prior(self, examples, components=10, seed=0):
        """Fits a density to the latents of examples, from which `sample` then draws.

        A plain autoencoder leaves its latent space as it falls; this shows what can be drawn from it.

        Args:
            examples: (N, ...), of the training part.
            components: Gaussians in the mixture, at most.
            seed: of the fit.
        """
        self.prior = GaussianMixture.fit(self.encode(examples), components, seed)

    def _with_labels(self, given, labels):
        labels = as_labels(labels, len(given), self.classes if self.takes_labels else None)
        return given if labels is None else [given, labels]

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
                "this model corrupts nothing",
                got=f"model {self.model_name!r}",
                expected="a model with a corruption",
                fix="aezoo.build('denoising', corruption='gaussian', level=0.4)",
            )
        examples = self._as_inputs(examples)
        if self._standardize is None:
            return self.corruption.corrupt(examples, level, seed)
        mean, scale = ops.convert_to_numpy(self._standardize.mean), self.error_scale
        return self.corruption.corrupt((examples - mean) / scale, level, seed) * scale + mean

    def _as_inputs(self, examples):
        return as_inputs(examples, self.example_shape, unit_range=self.kind == "images")
