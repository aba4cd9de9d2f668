"""Signals made by a generator: "quasi_periodic", with faults to be found in the test part."""

from collections.abc import Sequence

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.core.options import check_choice, check_positive
from aezoo.data.contents import Contents

FAULTS = ("spike", "dropout", "frequency_shift")
PERIOD = 24  # steps, on average
_NOISE = 0.05  # standard deviation, where the first harmonic has amplitude 1


def quasi_periodic(
    count: int, sequence_shape: Sequence[int] = (128, 2), *, fault: str | None = None, seed: int = 0
) -> np.ndarray:
    """Returns quasi-periodic signals, such as a machine's: sequences float32 (count, T, F).

    All channels share a phase whose period drifts around `PERIOD` steps; each has two harmonics,
    an amplitude that breathes, noise, and a unit of its own. A fault hits one channel, or with
    "frequency_shift" all of them.

    Args:
        count: N.
        sequence_shape: (T, F).
        fault: None, "spike" (one to three steps, 3 to 6 amplitudes off), "dropout" (a quarter to
            half a sequence stays at one value) or "frequency_shift" (from some step on the period
            is 0.5 to 0.7 of what it was).
        seed: int; the same seed gives the same sequences, and those without a fault are what those
            with one would have been.

    Raises:
        OptionError: an option that cannot be used.
    """
    count = check_positive("count", count, least=1)
    steps, features = _sequence_shape(sequence_shape)
    if fault is not None:
        check_choice("fault", fault, FAULTS)
    draw, hurt = map(np.random.Generator, map(np.random.Philox, np.random.SeedSequence(seed).spawn(2)))
    drift = 1 + 0.1 * draw.standard_normal((count, 1)) + 0.05 * _smooth(draw, count, steps)
    begin = 2 * np.pi * draw.random((count, 1))
    lag, breath = draw.standard_normal((2, count, features)) * [[[0.1]], [[0.15]]]
    noise = _NOISE * draw.standard_normal((count, steps, features))
    slow = _smooth(draw, count, steps)
    if fault == "frequency_shift":
        start = hurt.integers(steps // 4, steps // 2 + 1, (count, 1))
        drift = np.where(np.arange(steps) < start, drift, drift * hurt.uniform(0.5, 0.7, (count, 1)))
    phase = begin + np.cumsum(2 * np.pi / (PERIOD * np.clip(drift, 0.3, 2)), axis=1)
    channel = np.arange(features)
    first = phase[..., None] + channel + lag[:, None]
    second = 0.5 * np.sin(2 * first + 0.7 * channel)
    level = (1 + breath[:, None]) * (1 + 0.1 * slow[..., None])
    signals = level * (np.sin(first) + second) + noise
    if fault in ("spike", "dropout"):
        _HURT[fault](signals, hurt)
    unit, rest = 10.0 ** (channel % 4 - 1), 5.0 * (channel + 1)
    return ((signals + rest) * unit).astype(np.float32)


def _spike(signals, draw):
    _, steps, features = signals.shape
    for signal in signals:
        length = draw.integers(1, min(3, steps) + 1)
        start = draw.integers(steps - length + 1)
        height = draw.choice((-1, 1)) * draw.uniform(3, 6)
        signal[start : start + length, draw.integers(features)] += height


def _dropout(signals, draw):
    _, steps, features = signals.shape
    for signal in signals:
        length = draw.integers(max(2, steps // 4), max(2, steps // 2) + 1)
        start = draw.integers(steps - length + 1)
        channel = draw.integers(features)
        signal[start : start + length, channel] = signal[start, channel]


_HURT = {"spike": _spike, "dropout": _dropout}


def _smooth(draw, count, steps):
    """Returns (count, steps) slow random curves of about unit size: three low frequencies."""
    time = np.arange(steps) / PERIOD
    curves = np.zeros((count, steps))
    for periods in (3, 5, 8):
        begin, size = draw.random((count, 1)), draw.standard_normal((count, 1))
        curves += size * np.sin(2 * np.pi * (time / periods + begin))
    return curves / np.sqrt(1.5)


def _sequence_shape(sequence_shape):
    try:
        steps, features = (check_positive("sequence_shape", size, least=1) for size in sequence_shape)
    except (TypeError, ValueError):
        steps, features = 0, 0
    if steps < 4:
        raise OptionError(
            "sequences are (steps, features)",
            got=f"sequence_shape={sequence_shape!r}",
            expected="at least 4 steps, at least 1 feature",
            fix="pass sequence_shape=(128, 2)",
        )
    return steps, features


def _quasi_periodic(seed):
    seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(2 + len(FAULTS))]
    train = quasi_periodic(1000, seed=seeds.pop())
    test = [quasi_periodic(200, seed=seeds.pop())]
    test += [quasi_periodic(60, fault=fault, seed=seeds.pop()) for fault in FAULTS]
    labels = np.repeat(np.arange(1 + len(FAULTS)), [len(sequences) for sequences in test])
    parts = {"train": (train, np.zeros(len(train), np.int64)), "test": (np.concatenate(test), labels)}
    return Contents(parts, ("normal", *FAULTS))


GENERATORS = {"quasi_periodic": _quasi_periodic}


def generate(name: str, seed: int) -> Contents:
    """Returns the `Contents` of a generated source: train without faults, test with 200 + 3 x 60.

    Args:
        name: "quasi_periodic": sequences (N, 128, 2); labels 0 normal, 1 spike, 2 dropout (a flat
            line), 3 frequency_shift.
        seed: int; the same seed, the same bytes.
    """
    return GENERATORS[name](seed)
