"""Dense autoencoder on a table: 30 measurements of breast tumours, 4 latents."""

import sys

from aezoo.recipe import Recipe, main
from aezoo.settings import Settings

RECIPE = Recipe(
    model="dense",
    data="sklearn:breast_cancer",
    options={"latent_dim": 4, "units": (64, 32)},
    settings=Settings(epochs=300, batch_size=32, learning_rate=2e-3, patience=60),
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
