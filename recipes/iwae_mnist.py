"""Importance-weighted autoencoder on binarised handwritten digits, 40 latents, k = 50.

Source:   Burda et al. 2016, arXiv:1509.00519; see aezoo/models/iwae.py for what differs.
Settings: two layers of 256 units, since the decoder runs 50 times an example; gelu, Bernoulli likelihood.
          Pixels are drawn as 0 or 1 anew in every step. Adam at 0.0015 with a cosine schedule, batches
          of 64; 15 epochs on `mnist`, 40 on the embedded `mnist_mini`. 5 % of train chooses the epoch.
Expected: not measured yet.

    python recipes/iwae_mnist.py                                   # the embedded digits
    python recipes/iwae_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/iwae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.recipe import Recipe, main
from aezoo.settings import Settings

RECIPE = Recipe(
    model="iwae",
    options={
        "latent_dim": 40,
        "importance_samples": 50,
        "binarize": True,
        "body_options": {"units": (256, 256)},
    },
    validation_fraction=0.05,
    settings=Settings(epochs=40, batch_size=64, learning_rate=1.5e-3),
    elsewhere={"mnist": Settings(epochs=15, batch_size=64, learning_rate=1.5e-3)},
    evaluation={"full": True, "likelihood_samples": 200, "likelihood_examples": 10_000},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
