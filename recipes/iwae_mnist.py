"""Importance-weighted autoencoder on binarised handwritten digits, 40 latents, k = 50.

Source:   Burda et al. 2016, arXiv:1509.00519; see aezoo/models/iwae.py for what differs.
Settings: two layers of 512 units, gelu, Bernoulli likelihood, pixels drawn as 0 or 1 anew in every step. The
          decoder runs 50 times an example, so it begins with the weights of the VAE of
          recipes/vae_mnist.py (a VAE is k = 1) and trains on: 1 epoch on `mnist`, Adam at 0.0007 with a
          cosine schedule, batches of 64. Without --start-from more epochs are needed: 40 on `mnist_mini`.
          5 % of train chooses the epoch.
Expected: on `mnist` a negative log-likelihood of 87.1 ± 0.5 nats, importance-sampled with 200 draws for
          each of the 10,000 test images (standard error 0.24); the VAE that it begins with has 87.5, and
          87.1 is published. 2084 seconds for the epoch on two cores shared with other work (8 minutes of
          processor time).

    python recipes/iwae_mnist.py                                   # the embedded digits
    python recipes/vae_mnist.py --data mnist --data-dir DIR        # first the VAE, on all of MNIST
    python recipes/iwae_mnist.py --data mnist --data-dir DIR --start-from runs/vae_mnist
    python recipes/iwae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="iwae",
    options={
        "latent_dim": 40,
        "importance_samples": 50,
        "binarize": True,
        "body_options": {"units": (512, 512)},
    },
    validation_fraction=0.05,
    settings=Settings(epochs=40, batch_size=64, learning_rate=1.5e-3),
    elsewhere={"mnist": Settings(epochs=1, batch_size=64, learning_rate=7e-4)},
    evaluation={"full": True, "likelihood_samples": 200, "likelihood_examples": 10_000},
    expected={"mnist": {"likelihood.nll_nats": (87.1, 0.5)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
