"""The names of the scores that a verdict can go by; `aezoo.export.scoring` makes them."""

from typing import Literal, get_args

Score = Literal[
    "reconstruction_error", "largest_error", "negative_elbo", "mahalanobis_distance", "memory_distance"
]
SCORES: tuple[Score, ...] = get_args(Score)
COMPARING: tuple[Score, ...] = ("mahalanobis_distance", "memory_distance")  # with training examples
