"""Finite scalar quantisation on handwritten digits: 7 x 7 codes of 1000, none of them learned.

Source:   Mentzer, Minnen, Agustsson & Tschannen 2024, arXiv:2309.15505; see aezoo/models/fsq.py for what
          differs.
Settings: levels (8, 5, 5, 5), which the paper suggests for about 2^10 codes; 16-32 filters and two residual
          blocks each way. Adam at 0.002 with a cosine schedule, batches of 128, mean squared error; 6
          epochs on `mnist`, 15 on the embedded `mnist_mini`. 5 % of train chooses the epoch. An image is 49
          codes, 488 bits.
Expected: on all of `mnist`, 6 epochs, test mse 0.0031 ± 0.0004 at 488 bits an image, beside JPEG's 0.0065
          at 476 bits (its headers not counted; `vq_vae` 0.0031 at 343 bits); 969 of 1,000 codes used,
          perplexity 464. 223 seconds of training on two cores shared with other work. On the embedded
          `mnist_mini`, 15 epochs, 0.0059 ± 0.0006 (JPEG 0.0066 at 480 bits).

    python recipes/fsq_mnist.py                                    # the embedded digits
    python recipes/fsq_mnist.py --data mnist --data-dir DIR        # all of MNIST, as TFDS prepared it
    python recipes/fsq_mnist.py --quick                            # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="fsq",
    options={"levels": (8, 5, 5, 5)},
    validation_fraction=0.05,
    settings=Settings(epochs=15),
    elsewhere={"mnist": Settings(epochs=6)},
    evaluation={"full": True},
    expected={"mnist": {"mse": (0.0031, 0.0004)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
