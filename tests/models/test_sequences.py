"""The models of sequences: any length, raw units at both ends, the order of time."""

import numpy as np
import pytest
from conftest import four_lines

import aezoo
from aezoo.core.errors import DataError, OptionError
from aezoo.data.sources.generated import quasi_periodic
from aezoo.models import conv1d, lstm
from aezoo.nn.autoencoder import keras
from aezoo.nn.layers import Standardize
from aezoo.nn.saving import load_model

MODELS = {
    "conv1d": lambda *given, **options: conv1d.build(*given, **{"filters": (4, 6, 8), **options}),
    "lstm": lambda *given, **options: lstm.build(*given, **{"units": (6,), **options}),
}


def computed(part, examples):
    return keras.ops.convert_to_numpy(part(examples))


@pytest.mark.parametrize("shape", [(17, 1), (33, 3)])
@pytest.mark.parametrize("name", MODELS)
def test_any_length(name, shape):
    model = MODELS[name](3, shape)
    sequences = quasi_periodic(5, shape)
    model.adapt(sequences)
    assert (model.kind, model.example_shape, model.latent_shape) == ("sequences", shape, (3,))
    latents = computed(model.encoder, sequences)
    reconstructions = computed(model.decoder, latents)
    assert (latents.shape, reconstructions.shape) == ((5, 3), (5, *shape))
    # every step of every feature is read, and each differs with the latents
    for step, feature in ((0, 0), (shape[0] - 1, shape[1] - 1)):
        touched = sequences.copy()
        touched[:, step, feature] += sequences[..., feature].std()
        assert (np.abs(computed(model.encoder, touched) - latents) > 1e-7).any(axis=1).all()
    assert (np.ptp(reconstructions, axis=0) > 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_raw_units_at_both_ends(name):
    """A unit, and where it begins, change nothing: in units of the features all is the same."""
    sequences = quasi_periodic(6, (16, 2))
    unit, rest = np.float32([8.0, 0.5]), np.float32([3.0, -40.0])
    small, large = (MODELS[name](3, (16, 2)) for _ in range(2))
    large.set_weights(small.get_weights())
    small.adapt(sequences)
    large.adapt(sequences * unit + rest)
    assert np.allclose(small._standardize.mean, sequences.mean(axis=(0, 1)), rtol=1e-4)
    ours = computed(small, sequences) * unit + rest
    assert np.allclose(computed(large, sequences * unit + rest), ours, atol=1e-3)
    again = computed(small, sequences)
    error = (np.square((again - sequences) / sequences.std(axis=(0, 1)))).mean(axis=(1, 2))
    assert np.allclose(small.reconstruction_error(sequences), error, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_learns_saves_and_loads(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = MODELS[name](4, (17, 2), **{"conv1d": {"filters": (16, 16)}, "lstm": {"units": 16}}[name])
    sequences = quasi_periodic(128, (17, 2))
    losses = model.fit(sequences, epochs=3, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.97 * losses[0]
    assert losses[0] < 2  # in standard deviations: the units are 0.1 and 1, the means 0.5 and 10
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert np.array_equal(computed(again, sequences[:5]), computed(model, sequences[:5]))
    with pytest.raises(DataError) as error:
        model.reconstruct(sequences[:, :16])
    four_lines(error, "wrong shape", "(batch, 17, 2)")


def test_lengths_are_rounded_up_and_cut_off():
    model = conv1d.build(2, (33, 3), filters=(4, 6, 8), normalization="batch", kernel_size=4)
    assert conv1d.lengths_going_down(33, (4, 6, 8)) == [33, 17, 9, 5]
    assert [model.encoder.get_layer(f"down_{n}").output.shape[1] for n in (1, 2, 3)] == [17, 9, 5]
    cut = [layer.cropping for layer in model.decoder.layers if isinstance(layer, keras.layers.Cropping1D)]
    assert cut == [(0, 1), (0, 1), (0, 1)]


def test_lstm_reads_backwards_and_writes_forwards():
    """The encoder is an LSTM on the reversed sequence; step t of the output is the decoder's step t."""
    model = lstm.build(3, (9, 2), units=(5, 4))
    sequences = quasi_periodic(4, (9, 2))
    x = computed(model.encoder.get_layer("standardize"), sequences)[:, ::-1].copy()
    for number, size in ((1, 5), (2, 4)):
        reader = keras.layers.LSTM(size, return_sequences=True)
        reader.build(x.shape)
        reader.set_weights(model.encoder.get_layer(f"read_{number}").get_weights())
        x = computed(reader, x)
    latents = computed(model.encoder.get_layer("bottleneck"), x[:, -1])
    assert np.allclose(computed(model.encoder, sequences), latents, atol=1e-6)
    # The first written step needs no other: a decoder of one step gives the same.
    short = lstm.build(3, (2, 2), units=(5, 4))
    short.decoder.set_weights(model.decoder.get_weights())
    written = computed(model.decoder, latents)
    assert np.allclose(computed(short.decoder, latents), written[:, :2], atol=1e-6)
    assert not np.allclose(written[:, -2:], written[:, :2], atol=1e-3)


def test_statistics_hold_all_steps():
    model = MODELS["conv1d"](3, (8, 2))
    model.adapt(quasi_periodic(6, (8, 2)))
    layer = next(layer for layer in model.encoder.layers if isinstance(layer, Standardize))
    assert layer.mean.shape == (2,)
    assert int(layer.adapted) == 1


@pytest.mark.parametrize(
    ("builder", "options", "words"),
    [
        ("conv1d", {"sequence_shape": (7, 1)}, ["too short for 3 halvings", "7 steps", "filters=(4, 6)"]),
        ("conv1d", {"filters": ()}, ["at least one halving"]),
        ("conv1d", {"kernel_size": 0}, ["kernel_size=0"]),
        ("conv1d", {"normalization": "bach"}, ["did you mean 'batch'?"]),
        ("conv1d", {"latent_activation": "tanhh"}, ["latent_activation='tanhh'"]),
        ("lstm", {"sequence_shape": (28, 28, 1)}, ["(steps, features)", "(28, 28, 1)"]),
        ("lstm", {"sequence_shape": (1, 1)}, ["at least 2 steps"]),
        ("lstm", {"sequence_shape": "8x2"}, ["(steps, features)", "'8x2'"]),
        ("lstm", {"sequence_shape": (8.0, 2)}, ["(steps, features)", "8.0"]),
        ("lstm", {"units": ()}, ["at least one LSTM"]),
        ("lstm", {"units": 0}, ["units=0"]),
        ("lstm", {"latent_dim": -1}, ["latent_dim=-1"]),
    ],
)
def test_refused_options(builder, options, words):
    with pytest.raises(OptionError) as error:
        MODELS[builder](**options)
    four_lines(error, *words)


@pytest.mark.parametrize("name", MODELS)
def test_built_by_name(name):
    model = aezoo.build(name, latent_dim=2, sequence_shape=[9, 2])
    assert model.model_options["sequence_shape"] == [9, 2]
    assert aezoo.describe(name).kinds == {"sequences"}
