"""Wasserstein autoencoder on handwritten digits, 16 latents; beside `vae` and `rae` of the same size.

Source:   Tolstikhin et al. 2018, arXiv:1711.01558; see aezoo/models/wae.py for what differs.
Settings: a convolutional body of 16-32 filters of 4 x 4, gelu, batch normalisation; weight 50 of the
          discrepancy (kernels of seven scales), Adam at 0.003 with a cosine schedule, batches of 128;
          8 epochs on `mnist`, 30 on the embedded `mnist_mini`. 5 % of train chooses the epoch.
Expected: on `mnist` test mse 0.0088 ± 0.0005, and a Fréchet distance in the features of the digit
          classifier of 65 ± 10 between 10,000 samples of N(0, I) and the test images (training images:
          0.76; `rae` with its fitted mixture: 9.2). 1088 seconds of training on two cores shared with other
          work.

    python recipes/wae_mnist.py                                   # the embedded digits
    python recipes/wae_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/wae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="wae",
    options={
        "latent_dim": 16,
        "weight": 50.0,
        "body": "conv",
        "body_options": {"filters": (16, 32), "kernel_size": 4, "normalization": "batch"},
    },
    validation_fraction=0.05,
    settings=Settings(epochs=30, learning_rate=3e-3),
    elsewhere={"mnist": Settings(epochs=8, learning_rate=3e-3)},
    evaluation={"full": True},
    expected={"mnist": {"mse": (0.0088, 0.0005), "generation.frechet_digit_distance": (65.0, 10.0)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
