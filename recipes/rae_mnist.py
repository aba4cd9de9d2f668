"""Regularised autoencoder on handwritten digits, 16 latents; beside `vae` and `wae` of the same size.

Source:   Ghosh et al. 2020, arXiv:1903.12436; see aezoo/models/rae.py for what differs.
Settings: a convolutional body of 16-32 filters of 4 x 4, gelu, batch normalisation; latents weigh 0.1,
          the decoder's kernels 0.0001 ("l2"), Adam at 0.003 with a cosine schedule, batches of 128;
          8 epochs on `mnist`, 30 on the embedded `mnist_mini`. 5 % of train chooses the epoch. Samples
          are of a mixture of ten Gaussians, fitted to latents of the training part at the end.
Expected: on `mnist` test mse 0.0077 ± 0.0004, and a Fréchet distance in the features of the digit
          classifier of 9.2 ± 2 between 10,000 samples and the test images (training images: 0.76). 355
          seconds of training on two cores shared with other work.

    python recipes/rae_mnist.py                                   # the embedded digits
    python recipes/rae_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/rae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="rae",
    options={
        "latent_dim": 16,
        "latent_weight": 0.1,
        "regularizer": "l2",
        "weight": 1e-4,
        "body": "conv",
        "body_options": {"filters": (16, 32), "kernel_size": 4, "normalization": "batch"},
    },
    validation_fraction=0.05,
    settings=Settings(epochs=30, learning_rate=3e-3),
    elsewhere={"mnist": Settings(epochs=8, learning_rate=3e-3)},
    evaluation={"full": True},
    expected={"mnist": {"mse": (0.0077, 0.0004), "generation.frechet_digit_distance": (9.2, 2.0)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
