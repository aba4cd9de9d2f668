"""Conditional variational autoencoder on handwritten digits: 16 latents, and the digit as a label.

Source:   Sohn, Lee & Yan 2015, NeurIPS; see aezoo/models/conditional_vae.py for what differs.
Settings: a dense body of 512-512, gelu; bernoulli likelihood of the grey values, Adam at 0.002 with a
          cosine schedule, batches of 128; 15 epochs on `mnist`, 15 on the embedded `mnist_mini`. 5 % of
          train chooses the epoch.
Expected: on all of `mnist`, 15 epochs, test mse 0.0089 ± 0.0006 (PCA of 16 components 0.0269, which is
          given no labels), 12 of 16 units active, KL 17.6 nats. 432 seconds of training on two cores shared
          with other work.

    python recipes/conditional_vae_mnist.py                               # the embedded digits
    python recipes/conditional_vae_mnist.py --data mnist --data-dir DIR   # all of MNIST, as TFDS prepared it
    python recipes/conditional_vae_mnist.py --quick                       # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="conditional_vae",
    options={"latent_dim": 16, "classes": 10, "body": "dense", "body_options": {"units": (512, 512)}},
    validation_fraction=0.05,
    settings=Settings(epochs=15, learning_rate=2e-3),
    elsewhere={"mnist": Settings(epochs=15, learning_rate=2e-3)},
    expected={"mnist": {"mse": (0.0089, 0.0006)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
