"""Denoising autoencoder on handwritten digits, 16 latents, against gaussian noise of level 0.4.

Source:   Vincent et al. 2008, doi:10.1145/1390156.1390294; see aezoo/models/denoising.py for what differs.
Settings: the body and the training of conv_mnist.py; noise of standard deviation 0.4, clipped to [0, 1],
          drawn anew for every batch; 10 epochs on `mnist`, 30 on the embedded `mnist_mini`.
Expected: TODO seconds cores

    python recipes/denoising_mnist.py                              # the embedded digits
    python recipes/denoising_mnist.py --data mnist --data-dir DIR  # all of MNIST, as TFDS prepared it
"""

import sys

from aezoo.recipe import Recipe, main
from aezoo.settings import Settings

RECIPE = Recipe(
    model="denoising",
    options={
        "latent_dim": 16,
        "corruption": "gaussian",
        "level": 0.4,
        "body_options": {"kernel_size": 4, "normalization": "batch"},
    },
    validation_fraction=0.05,
    settings=Settings(epochs=30, learning_rate=3e-3),
    elsewhere={"mnist": Settings(epochs=10, learning_rate=3e-3)},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
