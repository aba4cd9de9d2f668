"""Vector-quantised autoencoder on handwritten digits: 7 x 7 codes of a codebook of 128.

Source:   van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937; see aezoo/models/vq_vae.py for what
          differs.
Settings: 16-32 filters and two residual blocks each way, codes of 16 values, commitment weight 0.25,
          codebook by moving averages of decay 0.99. Adam at 0.002 with a cosine schedule, batches of 128,
          mean squared error; 6 epochs on `mnist`, 15 on the embedded `mnist_mini`. 5 % of train chooses
          the epoch. An image is 49 codes, 343 bits.
Expected: on `mnist` test mse 0.0031 ± 0.0003 at 343 bits an image, beside JPEG's 0.0115 at 328 bits (its
          headers not counted); all 128 codes used, perplexity 94. 6 epochs of about 60 seconds on two cores
          shared with other work.

    python recipes/vq_vae_mnist.py                                 # the embedded digits
    python recipes/vq_vae_mnist.py --data mnist --data-dir DIR     # all of MNIST, as TFDS prepared it
    python recipes/vq_vae_mnist.py --quick                         # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="vq_vae",
    options={"latent_dim": 16, "codebook_size": 128},
    validation_fraction=0.05,
    settings=Settings(epochs=15),
    elsewhere={"mnist": Settings(epochs=6)},
    evaluation={"full": True},
    expected={"mnist": {"mse": (0.0031, 0.0003)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
