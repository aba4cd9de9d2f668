"""Denoising autoencoder on handwritten digits, 16 latents."""

import sys

from aezoo.recipe import Recipe, main
from aezoo.settings import Settings

RECIPE = Recipe(
    model="denoising",
    options={
        "latent_dim": 16,
        "corruption": "gaussian",
        "level": 0.4,
        "body_options": {"kernel_size": 4, "normalization": "batch"},
    },
    validation_fraction=0.05,
    settings=Settings(epochs=30, learning_rate=3e-3),
    elsewhere={"mnist": Settings(epochs=10, learning_rate=3e-3)},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
