"""InfoVAE on handwritten digits, 10 latents, alpha = 0.5, lambda = 1000.

Source:   Zhao et al. 2019, arXiv:1706.02262; see aezoo/models/info_vae.py for what differs.
Settings: two layers of 512 units, gelu, Bernoulli likelihood of grey pixels, Adam at 0.002 with a cosine
          schedule, batches of 128; 15 epochs on `mnist`, 15 on the embedded `mnist_mini`. 5 % of train
          chooses the epoch.
Expected: on all of `mnist`, 15 epochs, test mse 0.0164 ± 0.001 (PCA of 10 components 0.0341), 7 of 10 units
          active, KL 18.0 nats. 358 seconds of training on two cores shared with other work. On the embedded
          `mnist_mini`, 15 epochs, 0.0272 ± 0.003.

    python recipes/info_vae_mnist.py                                   # the embedded digits
    python recipes/info_vae_mnist.py --data mnist --data-dir DIR       # all of MNIST, as TFDS prepared it
    python recipes/info_vae_mnist.py --quick                           # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="info_vae",
    options={"latent_dim": 10, "alpha": 0.5, "lambda_": 1000.0, "body_options": {"units": (512, 512)}},
    validation_fraction=0.05,
    settings=Settings(epochs=15),
    elsewhere={"mnist": Settings(epochs=15)},
    expected={"mnist": {"mse": (0.0164, 0.001)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
