"""Beta-TCVAE on handwritten digits, 10 latents, beta = 6.

Source:   Chen et al. 2018, arXiv:1802.04942; see aezoo/models/beta_tcvae.py for what differs.
Settings: two layers of 512 units, gelu, Bernoulli likelihood of grey pixels, Adam at 0.002 with a cosine
          schedule, batches of 128; 16 epochs on `mnist`, 15 on the embedded `mnist_mini`. 5 % of train
          chooses the epoch.
Expected: on all of `mnist`, 16 epochs, test mse 0.0205 ± 0.001 (PCA of 10 components 0.0341), 6 of 10 units
          active, KL 8.8 nats. 353 seconds of training on two cores shared with other work. On the embedded
          `mnist_mini`, 15 epochs, 0.0297 ± 0.003.

    python recipes/beta_tcvae_mnist.py                                   # the embedded digits
    python recipes/beta_tcvae_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/beta_tcvae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="beta_tcvae",
    options={"latent_dim": 10, "beta": 6.0, "body_options": {"units": (512, 512)}},
    validation_fraction=0.05,
    settings=Settings(epochs=15),
    elsewhere={"mnist": Settings(epochs=16)},
    expected={"mnist": {"mse": (0.0205, 0.001)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
