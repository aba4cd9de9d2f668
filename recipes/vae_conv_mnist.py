"""Variational autoencoder with a convolutional body on digits, 16 latents; beside `wae` and `rae`.

Source:   Kingma & Welling 2014, arXiv:1312.6114; see aezoo/models/vae.py for what differs.
Settings: a convolutional body of 16-32 filters of 4 x 4, gelu, batch normalisation; Bernoulli likelihood of
          the grey images as they are, Adam at 0.003 with a cosine schedule, batches of 128; 8 epochs on
          `mnist`, 30 on the embedded `mnist_mini`. 5 % of train chooses the epoch.
Expected: on `mnist` test mse 0.0088 ± 0.0006, and a Fréchet distance in the features of the digit
          classifier of 58 ± 10 between 10,000 samples of N(0, I) and the test images, after 8 epochs (`wae`
          0.0088 and 65, `rae` 0.0077 and 9.2 after as many). 328 seconds of training on two cores shared
          with other work.

    python recipes/vae_conv_mnist.py                              # the embedded digits
    python recipes/vae_conv_mnist.py --data mnist --data-dir DIR  # all of MNIST, as TFDS prepared it
    python recipes/vae_conv_mnist.py --quick                      # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="vae",
    options={
        "latent_dim": 16,
        "body": "conv",
        "body_options": {"filters": (16, 32), "kernel_size": 4, "normalization": "batch"},
    },
    validation_fraction=0.05,
    settings=Settings(epochs=30, learning_rate=3e-3),
    elsewhere={"mnist": Settings(epochs=8, learning_rate=3e-3)},
    evaluation={"full": True},
    expected={"mnist": {"mse": (0.0088, 0.0006), "generation.frechet_digit_distance": (58.0, 10.0)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
