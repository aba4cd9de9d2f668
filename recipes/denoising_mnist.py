"""TODO."""

import sys

from aezoo.recipe import Recipe, main
from aezoo.settings import Settings

RECIPE = Recipe(model="denoising", options={"latent_dim": 16}, settings=Settings(epochs=40), elsewhere={"mnist": Settings()})

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
