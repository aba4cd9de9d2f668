"""Convolutional autoencoder of sequences: how a hand draws a gun or points, 150 steps, 4 latents.

Source:   Masci et al. 2011, doi:10.1007/978-3-642-21735-7_7, over time in place of the plane; the set is
          GunPoint of the UCR archive (Dau et al. 2019, doi:10.1109/jas.2019.1911747) as sktime ships it,
          50 training and 150 test sequences: pip install "aezoo[sequences]".
Settings: 32-64-128 filters of 5 steps, gelu, features standardised inside the model, Adam at 0.002 with a
          cosine schedule over 100 epochs, batches of 8, mean squared error. A tenth of train, 5 sequences,
          chooses the epoch.
Expected: test mse 0.0104 ± 0.002, in squared standard deviations (PCA with 4 components: 0.0285); 75 seconds
          of training on two shared cores while other work ran.

    python recipes/conv1d_gunpoint.py
    python recipes/conv1d_gunpoint.py --data sktime:OSULeaf        # or a .ts file, or an .npz of sequences
    python recipes/conv1d_gunpoint.py --quick                      # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="conv1d",
    data="sktime:GunPoint",
    options={"latent_dim": 4},
    settings=Settings(epochs=100, batch_size=8, learning_rate=2e-3),
    expected={"sktime:GunPoint": {"mse": (0.0104, 0.002)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
