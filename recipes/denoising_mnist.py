"""Denoising autoencoder on handwritten digits, 16 latents, against gaussian noise of level 0.4.

Source:   Vincent et al. 2008, doi:10.1145/1390156.1390294; see aezoo/models/denoising.py for what differs.
Settings: the body and the training of conv_mnist.py; noise of standard deviation 0.4, clipped to [0, 1],
          drawn anew for every batch; 10 epochs on `mnist`, 30 on the embedded `mnist_mini`.
Expected: on `mnist`, against the clean test images: psnr_db 21.0 ± 0.4; the noisy images have 11.0, a 3 x 3
          median filter gives 15.6, the projection on 16 principal components 14.7. Measured on two shared
          cores: about 600 seconds of training at its quickest epochs, 980 while other work ran.

    python recipes/denoising_mnist.py                              # the embedded digits
    python recipes/denoising_mnist.py --data mnist --data-dir DIR  # all of MNIST, as TFDS prepared it
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

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
    expected={"mnist": {"denoising.model.psnr_db": (21.0, 0.4)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
