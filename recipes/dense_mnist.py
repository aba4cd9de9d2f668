"""Dense autoencoder on handwritten digits, 16 latents.

Source:   Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647; see aezoo/models/dense.py for the rest.
Settings: 512-256 units, gelu, Adam at 0.001 with a cosine schedule, batches of 128, mean squared error;
          20 epochs on `mnist`, 60 on the embedded `mnist_mini`.
Expected: test mse 0.0080 ± 0.0004 on `mnist` (PCA with 16 components: 0.0269), 280 seconds of training on
          two shared cores.

    python recipes/dense_mnist.py                                  # the embedded digits
    python recipes/dense_mnist.py --data mnist --data-dir DIR      # all of MNIST, as TFDS prepared it
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="dense",
    options={"latent_dim": 16},
    settings=Settings(epochs=60, learning_rate=1e-3),
    elsewhere={"mnist": Settings(epochs=20, learning_rate=1e-3)},
    expected={"mnist": {"mse": (0.0080, 0.0004)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
