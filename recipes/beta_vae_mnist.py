"""Beta-VAE on handwritten digits, 10 latents, beta = 4.

Source:   Higgins et al. 2017, ICLR; see aezoo/models/beta_vae.py for what differs.
Settings: two layers of 512 units, gelu, Bernoulli likelihood of grey pixels, Adam at 0.002 with a cosine
          schedule, batches of 128; 18 epochs on `mnist`, 60 on the embedded `mnist_mini`. 5 % of train
          chooses the epoch.
Expected: on all of `mnist`, 18 epochs, test mse 0.0202 ± 0.001 (PCA of 10 components 0.0341), 6 of 10 units
          active, KL 8.5 nats. 264 seconds of training on two cores shared with other work. On the embedded
          `mnist_mini`, 60 epochs, 0.0237 ± 0.002, 6 units active, KL 8.0 nats.

    python recipes/beta_vae_mnist.py                                   # the embedded digits
    python recipes/beta_vae_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/beta_vae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="beta_vae",
    options={"latent_dim": 10, "beta": 4.0, "body_options": {"units": (512, 512)}},
    validation_fraction=0.05,
    settings=Settings(epochs=60),
    elsewhere={"mnist": Settings(epochs=18)},
    expected={"mnist": {"mse": (0.0202, 0.001)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
