"""The optimiser of a run: Keras's own, with what Keras forgets when it saves one said in the class."""

import re
from typing import Any

from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.keras_internals import averages
from aezoo.nn.layers import keras, leaves
from aezoo.training.settings import Settings


class _Decaying:
    """Leaves biases and scales out of weight decay, and codes, which mean places; also after it is loaded."""

    def build(self: Any, variables: Any) -> None:
        """As Keras's; every optimiser is built before its first step."""
        if not self.built:
            spared = [each for each in variables if len(each.shape) < 2 or "codebook" in each.path]
            self.exclude_from_weight_decay(var_list=spared)
        super().build(variables)  # type: ignore[misc]  # of the optimiser that this is mixed into


@keras.saving.register_keras_serializable("aezoo")
class Adam(_Decaying, keras.optimizers.Adam):
    """Adam of Kingma & Ba 2015, arXiv:1412.6980, with decoupled weight decay as Keras has it."""


@keras.saving.register_keras_serializable("aezoo")
class AdamW(_Decaying, keras.optimizers.AdamW):
    """AdamW of Loshchilov & Hutter 2019, arXiv:1711.05101."""


@keras.saving.register_keras_serializable("aezoo")
class Muon(_Decaying, keras.optimizers.Muon):
    """Muon of Jordan 2024 for matrices between hidden layers, AdamW for all else; see arXiv:2502.16982."""


def optimizer_for(settings: Settings, model: Autoencoder, steps_an_epoch: int) -> Any:
    """Returns the optimiser that settings name, not yet built.

    Args:
        settings: of the run.
        model: that is trained.
        steps_an_epoch: from which the schedule is made.
    """
    rate = _schedule(settings, steps_an_epoch)
    averaging: dict[str, Any] = {}
    if settings.ema is not None:
        averaging = {"use_ema": True, "ema_momentum": settings.ema}
    decay = {} if settings.weight_decay is None else {"weight_decay": settings.weight_decay}
    if settings.optimizer == "adamw":
        return AdamW(rate, beta_1=model.beta_1, **decay, **averaging)
    if settings.optimizer == "muon":
        decay |= {f"adam_{name}": value for name, value in decay.items()}
        return Muon(rate, adam_beta_1=model.beta_1, exclude_layers=_not_by_muon(model), **decay, **averaging)
    kind = Adam if decay else keras.optimizers.Adam
    return kind(rate, beta_1=model.beta_1, **decay, **averaging)


def _not_by_muon(model):
    """Returns patterns of paths: all that is no kernel, and the last layer, as Muon's author advises."""
    last = [layer for layer in leaves(model.decoder) if layer.trainable_weights][-1:]
    return ["(?<!kernel)$", *(f"(^|/){re.escape(layer.name)}/" for layer in last)]


def _schedule(settings, steps_an_epoch):
    steps = settings.epochs * steps_an_epoch
    if settings.schedule == "constant":
        return settings.learning_rate
    warmup = max(1, steps // 50)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=settings.learning_rate / 10,
        decay_steps=max(1, steps - warmup),
        alpha=0.01,
        warmup_target=settings.learning_rate,
        warmup_steps=warmup,
    )


def swap_averages(model: Autoencoder) -> None:
    """Exchanges a model's weights with their averages, bit for bit; called again, it brings them back.

    Nothing happens where none are taken, or before the first step, from which they are.
    """
    pairs = averages(model.optimizer)
    if not pairs or not int(keras.ops.convert_to_numpy(model.optimizer.iterations)):
        return
    for weight, average in pairs:  # Keras's SwapEMAWeights adds and subtracts, which rounds
        held = keras.ops.convert_to_numpy(weight).copy()
        weight.assign(average)
        average.assign(held)
