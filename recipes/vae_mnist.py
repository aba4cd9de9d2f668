"""Variational autoencoder on binarised handwritten digits, 40 latents.

Source:   Kingma & Welling 2014, arXiv:1312.6114; see aezoo/models/vae.py for what differs.
Settings: two layers of 512 units, gelu, Bernoulli likelihood. Pixels are drawn as 0 or 1 anew in every step,
          as Burda et al. 2016 (arXiv:1509.00519) do. Adam at 0.002 with a cosine schedule, batches of
          128; 50 epochs on `mnist`, 100 on the embedded `mnist_mini`. 5 % of train chooses the epoch.
Expected: on `mnist` a negative log-likelihood of 87.5 ± 0.5 nats, importance-sampled with 200 draws for
          each of the 10,000 test images (standard error 0.23). Rezende & Mohamed 2015 report 89.9. About
          570 seconds of training on two cores at the pace of its quickest epochs, 1344 beside other work.
          A convolutional body (32-64 filters of 4 x 4, batch normalisation, a third of the weights) reached
          89.4 after 12 epochs, on the first 1,000 test images (standard error 0.7).

    python recipes/vae_mnist.py                                   # the embedded digits
    python recipes/vae_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/vae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="vae",
    options={"latent_dim": 40, "binarize": True, "body_options": {"units": (512, 512)}},
    validation_fraction=0.05,
    settings=Settings(epochs=100),
    elsewhere={"mnist": Settings(epochs=50)},
    evaluation={"full": True, "likelihood_samples": 200, "likelihood_examples": 10_000},
    expected={"mnist": {"likelihood.nll_nats": (87.5, 0.5)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
