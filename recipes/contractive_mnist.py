"""Contractive autoencoder on handwritten digits, 512 latents of one layer.

Source:   Rifai et al. 2011, ICML; see aezoo/models/contractive.py for what differs.
Settings: one layer each way, sigmoid latents, the exact norm of the Jacobian at weight 0.1 beside the squared
          error, both summed over an example; Adam at 0.002 with a cosine schedule, batches of 128; 20 epochs
          on `mnist`, 40 on the embedded `mnist_mini`. 5 % of train chooses the epoch.
Expected: on `mnist` a linear-probe accuracy of 0.925 ± 0.01 (PCA of as many components 0.855, `conv` with as
          many latents and 16-32 filters 0.942 after 5 epochs), test mse 0.0034 ± 0.0004 (that `conv` 0.0012).
          1007 seconds of training on two cores shared with other work.

    python recipes/contractive_mnist.py                             # the embedded digits
    python recipes/contractive_mnist.py --data mnist --data-dir DIR # all of MNIST, as TFDS prepared it
    python recipes/contractive_mnist.py --quick                     # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="contractive",
    options={"latent_dim": 512, "weight": 0.1},
    validation_fraction=0.05,
    settings=Settings(epochs=40),
    elsewhere={"mnist": Settings(epochs=20)},
    evaluation={"full": True},
    expected={"mnist": {"latents.linear_probe_accuracy": (0.925, 0.01), "mse": (0.0034, 0.0004)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
