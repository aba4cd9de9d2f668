"""The one class of all models: an encoder, a decoder, and what may lie in front of them.

images (B, H, W, C) float32 in [0, 1]  --encoder-->  latents (B, D)  --decoder-->  reconstructions
rows   (B, F) float32, raw units       --encoder-->  latents (B, D)  --decoder-->  reconstructions
sequences (B, T, F) likewise
"""

from typing import Any, Self

import keras
import numpy as np
from keras import ops

from aezoo.core import priors
from aezoo.core.errors import OptionError
from aezoo.nn.ends import check_ends
from aezoo.nn.fitting import Fitting
from aezoo.nn.inference import Predicting
from aezoo.nn.keras_internals import has_compiled_metrics, random_states
from aezoo.nn.layers import Standardize, Tensor, Unstandardize, first
from aezoo.nn.linear_path import LinearPath
from aezoo.nn.masking import check_compiled, real_steps


def jit_by_default() -> str | bool:
    """Whether training is compiled by XLA: not on CPUs, where it gains little and starts slowly."""
    if keras.backend.backend() != "tensorflow":
        return "auto"
    import tensorflow as tf

    return "auto" if tf.config.list_physical_devices("GPU") else False


@keras.saving.register_keras_serializable("aezoo")
class Autoencoder(Predicting, Fitting):
    """An encoder and a decoder, trained as one to reproduce what they are given.

    `fit(images)` needs no targets. `fit(corrupted, clean)` trains on given pairs. A model of a
    paper with an objective of its own is a subclass that sets `own_objective` and adds it by
    `add_loss` in `call`, one number for each example, (B,).

    Args:
        encoder: functional Keras model, examples to latents; the first of several outputs is the latents,
            and a second input is called `labels`.
        decoder: functional Keras model, latents (and labels) to reconstructions.
        corruption: a `Corruption` that acts before the encoder in training only, or None.
        model_name: the name in the registry, written into runs and bundles.
        model_options: the options it was built with, JSON values.

    Attributes:
        encoder_outputs: what the encoder's outputs are called; the first is what `encode` returns.
        beta_1: of Adam in a run; adversarial families want less than the usual 0.9.
        own_objective: whether `call` adds the whole objective, so that no loss is compiled.
        couples_examples: whether an example's loss looks at the others of its batch, so that no example can
            be weighted; a number of the whole batch that `call` adds is seen without it.
        prior: what `sample` draws latents from, of `aezoo.core.priors`, or None.
        likelihood: how an example is distributed given its reconstruction, or None; see `Variational`.
        classes: number of labels of a conditional model, or None.

    Raises:
        OptionError: the parts do not fit each other, or are no models whose inputs and outputs are known; see
            `ends.check_ends`.
    """

    encoder_outputs: tuple[str, ...] = ("latents",)
    own_objective = False
    couples_examples = False
    beta_1 = 0.9

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        *,
        corruption: str | None = None,
        model_name: str | None = None,
        model_options: dict[str, Any] | None = None,
        name: str = "autoencoder",
    ) -> None:
        super().__init__(name=name)
        check_ends(encoder, decoder, self.encoder_outputs)
        self.encoder = encoder
        self.decoder = decoder
        self.corruption = corruption
        self.model_name = model_name
        self.model_options = dict(model_options or {})
        self.prior = None
        for part in (encoder, decoder):
            part.jit_compile = jit_by_default()
        self._standardize = _only(encoder, Standardize)
        self.ragged = self._standardize is not None and self._standardize.ragged
        self._unstandardize = _only(decoder, Unstandardize)
        self._linear_path = LinearPath.of(encoder, decoder)

    def build(self, input_shape: Any) -> None:
        """Nothing to make: the parts come built. Subclasses add their state in the constructor."""
        if self.corruption is not None and not self.corruption.built:
            self.corruption.build((None, *self.example_shape))
        self.built = True

    # -- parts ----------------------------------------------------------------------------------

    @property
    def needs_float32(self) -> bool:
        """Whether the objective cannot be computed in a lower precision."""
        return False

    @property
    def codebook(self) -> np.ndarray | None:
        """The codes of a quantised model, (K, D) float32, or None."""
        return None

    @property
    def codebook_size(self) -> int | None:
        """K, the number of codes of a quantised model, or None."""
        return None if self.codebook is None else len(self.codebook)

    @property
    def held_parts(self) -> tuple[str, ...]:
        """Names of the parts that answer here: all but a scorer."""
        return (*super().held_parts, *("code_decoder",) * (self.codebook is not None))

    def parts(self) -> dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]]:
        """Returns what an export writes: {part: (Keras model, names of inputs, names of outputs)}."""
        labels = ("labels",) * self.takes_labels
        taken = (self.input_name, *labels)
        inputs = [
            keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
            for tensor, name in zip(self.encoder.inputs, taken, strict=True)
        ]
        latents = first(self.through_encoder(*inputs))
        whole = keras.Model(inputs, self.through_decoder(latents, *inputs[1:]), name="reconstructor")
        return {
            "encoder": (self.encoder, taken, self.encoder_outputs),
            "decoder": (self.decoder, ("latents", *labels), ("reconstructions",)),
            "reconstructor": (whole, taken, ("reconstructions",)),
        }

    # -- the model ------------------------------------------------------------------------------

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Returns the reconstructions of the examples; in training, of the corrupted examples.

        Args:
            inputs: examples (B, ...), or {"images": ..., "labels": ...} for a conditional model.
            training: bool.
        """
        examples, labels = self.taken_apart(inputs)
        if training and self.corruption is not None:
            if self._standardize is None:
                examples = self.corruption(examples, training=True)
            else:  # a level means the same for every column only in standard deviations
                examples = self._unstandardize(self.corruption(self._standardize(examples), training=True))
        return self.through_decoder(first(self.through_encoder(examples, labels, training)), labels, training)

    def taken_apart(self, inputs: Tensor) -> Tensor:
        """Returns (examples, labels or None) of what `call` is given."""
        if isinstance(inputs, dict):
            return inputs[self.input_name], inputs.get("labels")
        return inputs, None

    def through_encoder(self, examples: Tensor, labels: Tensor = None, training: bool = False) -> Tensor:
        """Returns the encoder's output or outputs, as tensors."""
        return self.encoder(examples if labels is None else [examples, labels], training=training)

    def through_decoder(self, latents: Tensor, labels: Tensor = None, training: bool = False) -> Tensor:
        """Returns the decoder's reconstructions, as a tensor."""
        return self.decoder(latents if labels is None else [latents, labels], training=training)

    def in_units(self, examples: Tensor) -> Tensor:
        """Returns examples in the units that they are compared in: standard deviations of their
        columns for rows and sequences, where in raw units one column of large numbers would be all
        that is learned; images as they are.
        """
        return examples if self._standardize is None else self._standardize.in_units(examples)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Compares with the targets, or with the examples where there are none; see `in_units`.

        Of a model with an objective of its own: the mean of what `call` added for each example, (B,), and as
        they are the numbers that it added for the batch. Weights multiply what is of an example.

        Raises:
            OptionError: weights for a loss with a number of the whole batch, where they would be dropped.
        """
        if sample_weight is not None:
            self._check_weighs_examples()
        if not self.own_objective:
            y, y_pred = self._comparable(x, y, y_pred)
            if sample_weight is not None:  # one for each example, where Keras wants one for each loss in it
                rank = len(_losses(self.loss, y, y_pred).shape)
                sample_weight = ops.reshape(sample_weight, (-1,) + (1,) * (rank - 1))
            if self.ragged:
                rank = len(_losses(self.loss, y, y_pred).shape)
                y, y_pred, of_steps = real_steps(y, y_pred, rank)
                sample_weight = of_steps if sample_weight is None else of_steps * sample_weight
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        weight = 1.0 if sample_weight is None else ops.cast(sample_weight, "float32")
        losses = [ops.mean(loss * weight) if len(loss.shape) else loss for loss in self.losses]
        return sum(losses[1:], losses[0])

    def _check_weighs_examples(self):
        """Raises OptionError where a loss is a number of the whole batch; those of kernels never weigh."""
        of_kernels = sum(
            getattr(weight, "regularizer", None) is not None for weight in self.trainable_weights
        )
        numbers = sum(len(loss.shape) == 0 for loss in self.losses)
        if self.couples_examples or numbers > of_kernels:
            raise OptionError(
                "this model's loss has a term of the whole batch, in which examples cannot be weighted",
                got=f"sample_weight for {self.model_name or type(self).__name__!r}",
                expected="no sample_weight",
                fix="numpy.repeat(images, times, axis=0), where times (N,) says how often each counts",
            )

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> Tensor:
        """As `compute_loss`, for the metrics."""
        if has_compiled_metrics(self):  # JAX keeps the statistics of rows from metrics
            y, y_pred = self._comparable(x, y, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _comparable(self, x, y, y_pred):
        y = self.taken_apart(x)[0] if y is None else y
        return self.in_units(y), self.in_units(y_pred)

    def compile(
        self, optimizer: Any = "adam", loss: Any = "mse", *, jit_compile: Any = None, **options: Any
    ) -> None:
        """As Keras, with mean squared error or the model's own objective, Adam, and XLA where it helps.

        Raises:
            OptionError: another loss for a model that has an objective of its own, metrics of rows or
                sequences on JAX; metrics or an own objective of series of different lengths.
        """
        if self.ragged:
            check_compiled(self.own_objective, options.get("metrics"))
        if options.get("metrics") and self._standardize is not None and keras.backend.backend() == "jax":
            raise OptionError(
                "metrics of rows and sequences are in standard deviations, which Keras hides from "
                "metrics on JAX",
                got=f"metrics={options['metrics']!r}",
                expected="no metrics",
                fix="leave the metrics out: the loss is in standard deviations, too",
            )
        jit_compile = jit_by_default() if jit_compile is None else jit_compile
        if self.own_objective:
            if loss not in ("mse", None):
                raise OptionError(
                    "this model is trained on the objective of its paper",
                    got=f"loss={loss!r} for {self.model_name or type(self).__name__!r}",
                    expected="no loss",
                    fix="leave the loss out, and see the model's options for the terms",
                )
            loss = None
        if not self.built:
            self.build((None, *self.example_shape))
        super().compile(optimizer=optimizer, loss=loss, jit_compile=jit_compile, **options)
        # What is saved before the first step must load with its optimiser, too.
        self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as saved; Keras asks for this of every model with a `compile` of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    # -- saving ---------------------------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        """Saves the prior, and the state of every random generator, which Keras leaves out.

        Without it a resumed training would draw the noise of its first epoch again.
        """
        for number, state in enumerate(random_states(self)):
            store[f"random_state_{number}"] = ops.convert_to_numpy(state.value)
        prior = self.prior  # once: that of a VampPrior is computed when it is asked for
        if prior is not None:
            for name, array in prior.to_arrays().items():
                store[f"prior:{prior.kind}:{name}"] = array

    def load_own_variables(self, store: Any) -> None:
        """Restores what `save_own_variables` saved; the weights are those of the parts."""
        for number, state in enumerate(random_states(self)):
            if f"random_state_{number}" in store:
                state.assign(store[f"random_state_{number}"])
        saved = [name.split(":") for name in store.keys() if name.startswith("prior:")]  # noqa: SIM118 (no dict)
        if saved:
            kind = saved[0][1]
            arrays = {name: np.asarray(store[f"prior:{kind}:{name}"]) for _, _, name in saved}
            self.prior = priors.from_arrays(kind, arrays)

    def get_config(self) -> dict[str, Any]:
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
    def from_config(cls, config: dict[str, Any]) -> "Self":
        deserialize = keras.saving.deserialize_keras_object
        config = dict(config)
        for part in ("encoder", "decoder", "corruption"):
            config[part] = config.get(part) and deserialize(config[part])
        return cls(**config)


def _losses(loss, y, y_pred):
    """Returns a loss as it is before its mean is taken: (B,), (B, T) or (B, H, W)."""
    loss = keras.losses.get(loss)
    return loss.call(y, y_pred) if isinstance(loss, keras.losses.Loss) else loss(y, y_pred)


def _only(part, layer_class):
    """Returns the one layer of a class in a model, or None."""
    found = [layer for layer in part.layers if isinstance(layer, layer_class)]
    return found[0] if found else None
