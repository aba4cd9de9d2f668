"""What regularised families share: a squared error and a penalty, each summed over an example.

A family is a subclass that overrides `penalty`.
"""

from typing import Any

from aezoo.core.errors import OptionError
from aezoo.nn.autoencoder import Autoencoder, keras, ops
from aezoo.nn.layers import Tensor
from aezoo.nn.losses import squared_error


@keras.saving.register_keras_serializable("aezoo")
class Regularized(Autoencoder):
    """An `Autoencoder` with one latent vector for each example and a penalty beside its error.

    What is minimised is the mean over the batch of squared_error + penalty, where the squared error
    is summed over the values of an example (rows and sequences in standard deviations).

    Args:
        encoder, decoder: as for `Autoencoder`.
        seed: of what the penalty draws in training.
        **base: as for `Autoencoder`.
    """

    own_objective = True

    def __init__(self, encoder: Any, decoder: Any, *, seed: int = 0, **base: Any) -> None:
        super().__init__(encoder, decoder, **base)
        self.seed = int(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Returns the reconstructions, and adds the objective."""
        examples, labels = self.taken_apart(inputs)
        latents = self.through_encoder(examples, labels, training)
        reconstructions = self.through_decoder(latents, labels, training)
        error = squared_error(self.in_units(examples), self.in_units(reconstructions))
        penalty = ops.convert_to_tensor(self.penalty(examples, latents, reconstructions, training))
        self.add_loss(error + penalty if len(penalty.shape) else [error, penalty])
        return reconstructions

    def penalty(self, examples: Tensor, latents: Tensor, reconstructions: Tensor, training: bool) -> Tensor:
        """Returns what is added to the squared error of each example: (B,), or one number for the batch."""
        raise NotImplementedError

    def noise_seed(self, training: bool) -> Tensor:
        """Returns the generator of training's noise, or the fixed seed of a repeatable objective."""
        return self.seed_generator if training else 1

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def check_float32(part: Any) -> None:
    """Raises OptionError where a part that is differentiated by differences computes in lower precision."""
    if any(layer.compute_dtype != "float32" for layer in part.layers):
        raise OptionError(
            "differences of this size are lost in bfloat16",
            got=f"mixed precision in the {part.name}",
            expected="float32",
            fix="pass precision='float32'",
        )
