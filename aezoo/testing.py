"""The conformance suite: the rules that every registered model keeps, third parties' included.

aezoo.register("mine", build)
aezoo.testing.check_model("mine")
"""

import pathlib
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from aezoo.core.errors import AezooError
from aezoo.models import build
from aezoo.nn.autoencoder import Autoencoder, keras
from aezoo.nn.layers import first, leaves
from aezoo.nn.saving import load_model


class ConformanceError(AezooError, AssertionError):
    """A model breaks a rule of the zoo."""


def check_model(name: str, *, checks: Iterable[str] | None = None, **options: Any) -> None:
    """Builds a registered model and checks every rule on it, one after the other; some seconds a model.

    Args:
        name: in the registry.
        checks: names among `CHECKS`; None is all of them.
        **options: of the model.

    Raises:
        ConformanceError: a rule is broken; the text says which.
    """
    keras.utils.set_random_seed(0)
    model = build(name, **options)
    for check in checks or CHECKS:
        CHECKS[check](model)


def smooth_examples(shape: tuple[int, ...], count: int = 256, seed: int = 0) -> np.ndarray:
    """Returns examples that can be learned: images of two blobs, correlated columns, or waves.

    Args:
        shape: (H, W, C), (T, F) or (F,).
        count: N.
        seed: same seed, same examples.

    Returns:
        float32 (N, *shape); images in [0, 1], rows and sequences in units that differ by column.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    if len(shape) == 2:
        length, features = shape
        time = np.arange(length)[None, :, None] * 2 * np.pi / max(length, 2)
        phase, swing = draw.uniform(0, 2 * np.pi, (count, 1, 1)), draw.uniform(0.5, 2, (count, 1, features))
        waves = swing * np.sin(time * (1 + np.arange(features) % 3) + phase)
        return ((waves + 3) * 10.0 ** (np.arange(features) % 4 - 1)).astype("float32")
    if len(shape) == 1:
        factors = draw.standard_normal((count, 2)) @ draw.standard_normal((2, shape[0]))
        units = 10.0 ** (np.arange(shape[0]) % 5 - 2)
        return ((factors + 5) * units).astype("float32")
    height, width, channels = shape
    rows, columns = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    images: np.ndarray = np.zeros((count, *shape))
    for _ in range(2):
        y, x = draw.random((2, count, 1, 1, 1))
        tint = draw.random((count, 1, 1, channels))
        images = images + tint * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 0.05)
    return np.clip(images, 0, 1).astype("float32")


def _require(truth, problem, got, expected):
    if not truth:
        raise ConformanceError(problem, got=got, expected=expected, fix="see docs/jobs/own_model.md")


def _is_autoencoder(model):
    _require(isinstance(model, Autoencoder), "build returns an Autoencoder", type(model), "Autoencoder")
    _require(model.compiled, "build returns a compiled model", "compiled=False", "compiled=True")
    names = (model.encoder.name, model.decoder.name)
    _require(names == ("encoder", "decoder"), "the parts have these names", names, ("encoder", "decoder"))


def fit_on(model: Any, examples: np.ndarray, **options: Any) -> list[float]:
    """Fits a model, with labels where it takes them; returns the losses of the epochs."""
    labels = model.labels_in_turn(len(examples))
    given = {model.input_name: examples, **labels} if labels else examples
    return model.fit(given, verbose=0, batch_size=32, **options).history["loss"]


def _shapes(model):
    for count in (1, 7):
        examples, labels = smooth_examples(model.example_shape, count), model.labels_in_turn(count)
        latents, again = model.encode(examples, **labels), model.reconstruct(examples, **labels)
        _require(
            latents.shape == (count, *model.latent_shape),
            "shape of latents",
            latents.shape,
            model.latent_shape,
        )
        _require(again.shape == examples.shape, "shape of reconstructions", again.shape, examples.shape)
        error = model.reconstruction_error(examples, **labels)
        _require(error.shape == (count,), "shape of reconstruction_error", error.shape, (count,))
        _require(np.isfinite(error).all(), "reconstruction_error is finite", error, "finite")


def _fit_lowers_the_loss(model):
    losses = fit_on(model, smooth_examples(model.example_shape), epochs=4)
    _require(losses[-1] < losses[0], "fit(images) without targets lowers the loss", losses, "falling")


def _is_decoder_of_encoder(model):
    examples = keras.ops.convert_to_tensor(smooth_examples(model.example_shape, 5))
    labels = model.labels_in_turn(5).get("labels")
    labels = None if labels is None else keras.ops.convert_to_tensor(labels)
    given = examples if labels is None else {model.input_name: examples, "labels": labels}
    whole = keras.ops.convert_to_numpy(model(given))
    parts = model.through_decoder(first(model.through_encoder(examples, labels)), labels)
    parts = keras.ops.convert_to_numpy(parts)
    _require(np.array_equal(whole, parts), "model(x) equals decoder(encoder(x))", np.ptp(whole - parts), 0)


def _repeats_itself(model):
    examples, labels = smooth_examples(model.example_shape, 5), model.labels_in_turn(5)
    pair = model.encode(examples, **labels), model.encode(examples, **labels)
    _require(np.array_equal(*pair), "nothing is random outside training", np.ptp(pair[0] - pair[1]), 0)


def _samples(model):
    examples = smooth_examples(model.example_shape, 64)
    fit_on(model, examples)
    if model.prior is None:
        model.fit_prior(examples, components=2)
    drawn, again, other = (model.sample(5, seed) for seed in (3, 3, 4))
    _require(drawn.shape == (5, *model.example_shape), "shape of samples", drawn.shape, model.example_shape)
    _require(np.array_equal(drawn, again), "a seed gives the same samples", np.ptp(drawn - again), 0)
    _require(not np.array_equal(drawn, other), "another seed gives other samples", "the same", "others")


def _saves_and_loads(model):
    examples = smooth_examples(model.example_shape, 64)
    labels = model.labels_in_turn(64)
    fit_on(model, examples)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        loaded = load_model(path)
    pair = model.reconstruct(examples, **labels), loaded.reconstruct(examples, **labels)
    _require(np.array_equal(*pair), "a loaded model computes the same", np.ptp(pair[0] - pair[1]), 0)
    same = (loaded.model_name, loaded.model_options) == (model.model_name, model.model_options)
    _require(same, "a loaded model knows its options", loaded.model_options, model.model_options)
    _require(loaded.likelihood == model.likelihood, "a loaded model", loaded.likelihood, model.likelihood)
    fit_on(loaded, examples)  # compiled as it was saved


def _layers_give_back_their_config(model):
    def own(config):
        parts = ("encoder", "decoder", "corruption")
        return {key: value for key, value in config.items() if key not in parts}

    config = model.get_config()
    again = type(model).from_config(config).get_config()
    _require(
        own(again) == own(config),
        "the model's get_config returns what the constructor takes",
        own(again),
        own(config),
    )
    for layer in leaves(model):
        config = layer.get_config()
        again = type(layer).from_config(config).get_config()
        _require(
            again == config, f"{layer.name}: get_config returns what the constructor takes", again, config
        )


def _exports(model):
    from aezoo import runtime
    from aezoo.export import export_bundle

    examples = smooth_examples(model.example_shape, 64)
    labels = model.labels_in_turn(64)
    fit_on(model, examples)
    if model.prior is None:
        model.fit_prior(examples, components=2)
    with tempfile.TemporaryDirectory() as folder:
        path = export_bundle(model, pathlib.Path(folder) / "bundle", examples=examples)
        bundle = runtime.load(path)
        verbs = dict.fromkeys(("encode", "reconstruct", "reconstruction_error"), (examples,))
        for verb, arguments in {**verbs, "sample": (9, 7)}.items():
            given = {} if verb == "sample" else labels
            ours, keras_s = (getattr(which, verb)(*arguments, **given) for which in (bundle, model))
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
    "samples": _samples,
    "saves_and_loads": _saves_and_loads,
    "layers_give_back_their_config": _layers_give_back_their_config,
    "exports": _exports,
}
