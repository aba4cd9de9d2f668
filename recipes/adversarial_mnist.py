"""Adversarial autoencoder on handwritten digits, 8 latents that a discriminator holds to N(0, I).

Source:   Makhzani et al. 2016, arXiv:1511.05644; see aezoo/models/adversarial.py for what differs.
Settings: a dense body of 512-256, gelu, a discriminator of 256-256; weight 1 of the game, Adam at 0.001
          with a cosine schedule, batches of 128; 20 epochs on `mnist`, 40 on the embedded `mnist_mini`.
          5 % of train chooses the epoch.
Expected: on all of `mnist`, 20 epochs, test mse 0.0157 ± 0.001 (PCA of 8 components 0.0374); 262 seconds of
          training on two cores shared with other work. On the embedded `mnist_mini`, 40 epochs, 0.0225 ±
          0.003.

    python recipes/adversarial_mnist.py                                   # the embedded digits
    python recipes/adversarial_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/adversarial_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="adversarial",
    options={"latent_dim": 8, "weight": 1.0, "body": "dense", "body_options": {"units": (512, 256)}},
    validation_fraction=0.05,
    settings=Settings(epochs=40, learning_rate=1e-3),
    elsewhere={"mnist": Settings(epochs=20, learning_rate=1e-3)},
    expected={"mnist": {"mse": (0.0157, 0.001)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
