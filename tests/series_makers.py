"""Series of different lengths."""

import numpy as np

STEPS, FEATURES = 16, 2


def series(count=60, seed=0):
    """Returns waves (n, 2) of 2 to 16 steps and of different heights, float32; the first has 16."""
    draw = np.random.default_rng(seed)
    found = []
    for length in (STEPS, *draw.integers(2, STEPS + 1, count - 1)):
        steps = np.arange(length)
        waves = [np.sin(steps / 2 + draw.uniform(0, 6)), 100 + 20 * np.cos(steps / 3 + draw.uniform(0, 6))]
        found.append((np.stack(waves, axis=1) * draw.uniform(0.5, 2)).astype("float32"))
    return found
