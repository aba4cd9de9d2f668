"""The conformance suite: what every model of the zoo keeps, a third party's registered one too.

aezoo.register("mine", build)
aezoo.testing.check_model("mine")
"""

import pathlib
import tempfile

import numpy as np

from aezoo import registry
from aezoo.autoencoder import Autoencoder, keras
from aezoo.errors import AezooError, message
from aezoo.loading import load_model


class ConformanceError(AezooError, AssertionError):
    """A model breaks a rule of the zoo."""


def check_model(name, *, checks=None, **options):
    """Builds a registered model and checks every rule; some seconds a model.

    Args:
        name: in the registry.
        checks: names among `CHECKS`; None is all of them.
        **options: of the model.

    Raises:
        ConformanceError: a rule is broken; the text says which.
    """
    for check in checks or CHECKS:
        keras.utils.set_random_seed(0)
        CHECKS[check](registry.build(name, **options))


def smooth_examples(shape, count=256, seed=0):
    """Returns examples that can be learned: images of two blobs, or rows of correlated columns.

    Args:
        shape: (H, W, C) or (F,).
        count: N.
        seed: same seed, same examples.

    Returns:
        float32 (N, *shape); images in [0, 1], rows in units that differ by column.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    if len(shape) == 1:
        factors = draw.standard_normal((count, 2)) @ draw.standard_normal((2, shape[0]))
        units = 10.0 ** (np.arange(shape[0]) % 5 - 2)
        return ((factors + 5) * units).astype("float32")
    height, width, channels = shape
    rows, columns = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    images = np.zeros((count, *shape))
    for _ in range(2):
        y, x = draw.random((2, count, 1, 1, 1))
        tint = draw.random((count, 1, 1, channels))
        images += tint * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 0.05)
    return np.clip(images, 0, 1).astype("float32")


def _require(truth, problem, got, expected):
    if not truth:
        raise ConformanceError(
            message(problem, got=got, expected=expected, fix="see 'A model' in CONTRIBUTING.md")
        )


def _is_autoencoder(model):
    _require(isinstance(model, Autoencoder), "build returns an Autoencoder", type(model), "Autoencoder")
    _require(model.compiled, "build returns a compiled model", "compiled=False", "compiled=True")
    names = (model.encoder.name, model.decoder.name)
    _require(names == ("encoder", "decoder"), "the parts have these names", names, ("encoder", "decoder"))


def _shapes(model):
    for count in (1, 7):
        examples = smooth_examples(model.example_shape, count)
        latents, again = model.encode(examples), model.reconstruct(examples)
        _require(
            latents.shape == (count, *model.latent_shape),
            "shape of latents",
            latents.shape,
            model.latent_shape,
        )
        _require(again.shape == examples.shape, "shape of reconstructions", again.shape, examples.shape)
        error = model.reconstruction_error(examples)
        _require(error.shape == (count,), "shape of reconstruction_error", error.shape, (count,))
        _require(np.isfinite(error).all(), "reconstruction_error is finite", error, "finite")


def _fit_lowers_the_loss(model):
    examples = smooth_examples(model.example_shape)
    history = model.fit(examples, epochs=4, batch_size=32, verbose=0).history["loss"]
    _require(history[-1] < history[0], "fit(images) without targets lowers the loss", history, "falling")


def _is_decoder_of_encoder(model):
    examples = smooth_examples(model.example_shape, 5)
    whole = keras.ops.convert_to_numpy(model(examples))
    parts = keras.ops.convert_to_numpy(model.decoder(model.encoder(examples)))
    _require(np.array_equal(whole, parts), "model(x) equals decoder(encoder(x))", np.ptp(whole - parts), 0)


def _repeats_itself(model):
    examples = smooth_examples(model.example_shape, 5)
    first, second = model.encode(examples), model.encode(examples)
    _require(np.array_equal(first, second), "nothing is random outside training", np.ptp(first - second), 0)


def _saves_and_loads(model):
    examples = smooth_examples(model.example_shape, 64)
    model.fit(examples, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        loaded = load_model(path)
    first, second = model.reconstruct(examples), loaded.reconstruct(examples)
    _require(np.array_equal(first, second), "a loaded model computes the same", np.ptp(first - second), 0)
    same = (loaded.model_name, loaded.model_options) == (model.model_name, model.model_options)
    _require(same, "a loaded model knows its options", loaded.model_options, model.model_options)
    loaded.fit(examples, verbose=0)  # compiled as it was saved


def _layers_give_back_their_config(model):
    for part in (model.encoder, model.decoder, model.corruption):
        for layer in getattr(part, "layers", [part] if part is not None else []):
            config = layer.get_config()
            again = type(layer).from_config(config).get_config()
            _require(
                again == config, f"{layer.name}: get_config returns what the constructor takes", again, config
            )


def _exports(model):
    from aezoo import runtime
    from aezoo.export import export_bundle

    examples = smooth_examples(model.example_shape, 64)
    model.fit(examples, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = export_bundle(model, pathlib.Path(folder) / "bundle", examples=examples)
        bundle = runtime.load(path)
        for verb in ("encode", "reconstruct", "reconstruction_error"):
            ours, keras_s = getattr(bundle, verb)(examples), getattr(model, verb)(examples)
            worst = float(np.abs(ours - keras_s).max() / (np.ptp(keras_s) or 1.0))
            _require(
                worst <= 1e-4, f"the runtime's {verb} is the model's", worst, "at most 1e-4 of the range"
            )


CHECKS = {
    "is_autoencoder": _is_autoencoder,
    "shapes": _shapes,
    "fit_lowers_the_loss": _fit_lowers_the_loss,
    "is_decoder_of_encoder": _is_decoder_of_encoder,
    "repeats_itself": _repeats_itself,
    "saves_and_loads": _saves_and_loads,
    "layers_give_back_their_config": _layers_give_back_their_config,
    "exports": _exports,
}
