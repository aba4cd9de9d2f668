"""What a training refuses before its first step."""

from aezoo.core.errors import DataError, OptionError
from aezoo.data import Dataset
from aezoo.nn.autoencoder import Autoencoder
from aezoo.nn.keras_internals import may_compile_by_xla
from aezoo.training.settings import Settings


def check_fits(model: Autoencoder, dataset: Dataset, settings: Settings) -> None:
    """Raises where a model, data and settings do not go together.

    Raises:
        DataError: the dataset's shape is not the model's.
        OptionError: more classes than the model has, pairs for what is no denoiser, augmentation of something
            else than images, or a precision that the model cannot use.
    """
    if tuple(dataset.shape) != model.example_shape:
        option = f"image_shape={tuple(dataset.shape)}"
        if len(dataset.shape) == 1:
            option = f"features={dataset.shape[0]}"
        raise DataError(
            "the data do not have the shape that the model takes",
            got=f"{dataset.name}: examples of {tuple(dataset.shape)}",
            expected=f"{model.example_shape}",
            fix=f"build the model with {option}",
        )
    if model.takes_labels and (dataset.class_count or 0) > (model.classes or 0):
        raise OptionError(
            "the data have more classes than the model",
            got=f"{dataset.name}: {dataset.class_count} classes, classes={model.classes}",
            expected=f"classes of at least {dataset.class_count}",
            fix=f"build the model with classes={dataset.class_count}, or leave the option out",
        )
    if dataset.ragged and not model.ragged:
        raise DataError(
            "these are series of different lengths, and the model takes one length",
            got=f"{dataset.name}: NaN behind the ends of series",
            expected="a model that was built with ragged=True",
            fix="build 'conv1d' or 'lstm' with ragged=True, or leave the option to the data",
        )
    _check_pairs(model, dataset, settings)
    if settings.augment and len(dataset.shape) != 3:
        raise OptionError(
            "only images are augmented",
            got=f"augment={settings.augment!r} for {dataset.kind} of shape {tuple(dataset.shape)}",
            expected="no augmentation",
            fix="leave augment out",
        )
    if settings.xla == "on" and not may_compile_by_xla(model):
        raise OptionError(
            "a layer of this model cannot be compiled by XLA",
            got=f"xla='on' for {model.model_name!r}",
            expected="layers with supports_jit",
            fix="leave xla out",
        )
    if model.needs_float32 and settings.precision != "float32":
        raise OptionError(
            "this model takes differences that are lost in lower precision",
            got=f"precision={settings.precision!r}",
            expected="precision='float32'",
            fix="leave out precision",
        )


def _check_pairs(model, dataset, settings):
    if dataset.noisy is None:
        return
    if model.corruption is None:
        raise OptionError(
            "only a denoiser is trained on pairs of noisy and clean examples",
            got=f"noisy={dataset.noisy.source!r} for the model {model.model_name!r}",
            expected="the model 'denoising'",
            fix="train 'denoising', or leave noisy out",
        )
    if settings.augment:
        raise OptionError(
            "pairs of noisy and clean images are not augmented: noise that is flipped is other noise",
            got=f"augment={settings.augment!r} with noisy={dataset.noisy.source!r}",
            expected="no augmentation",
            fix="leave augment out",
        )
