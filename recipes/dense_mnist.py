"""Dense autoencoder on handwritten digits, 16 latents."""

import sys

from aezoo.recipe import Recipe, main
from aezoo.settings import Settings

RECIPE = Recipe(
    model="dense",
    options={"latent_dim": 16},
    settings=Settings(epochs=60, learning_rate=1e-3),
    elsewhere={"mnist": Settings(epochs=20, learning_rate=1e-3)},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
