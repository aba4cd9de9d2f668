"""Recurrent autoencoder of sequences: Italy's power demand, 24 hours a day, 4 latents.

Source:   Srivastava, Mansimov & Salakhutdinov 2015, arXiv:1502.04681; see aezoo/models/lstm.py for what
          differs. The set is ItalyPowerDemand of the UCR archive (Dau et al. 2019,
          doi:10.1109/jas.2019.1911747) as sktime ships it, 67 training and 1,029 test days:
          pip install "aezoo[sequences]".
Settings: one LSTM of 64 units each way, features standardised inside the model, Adam at 0.01 with a cosine
          schedule over 300 epochs, batches of 16, mean squared error. A tenth of train, 7 days, chooses
          the epoch.
Expected: test mse 0.039 ± 0.005, in squared standard deviations. PCA with 4 components has 0.0305: days lie
          near a plane, and of 60 of them 35,531 weights learn some by heart (train: 0.014). 284 seconds
          of training on two shared cores while other work ran.

    python recipes/lstm_italy_power.py
    python recipes/lstm_italy_power.py --data days.npz             # an array called sequences, (N, T, F)
    python recipes/lstm_italy_power.py --quick                     # one epoch
"""

import sys

from aezoo.cli.train import main
from aezoo.training.recipe import Recipe
from aezoo.training.settings import Settings

RECIPE = Recipe(
    model="lstm",
    data="sktime:ItalyPowerDemand",
    options={"latent_dim": 4},
    settings=Settings(epochs=300, batch_size=16, learning_rate=1e-2),
    expected={"sktime:ItalyPowerDemand": {"mse": (0.039, 0.005)}},
)

if __name__ == "__main__":
    sys.exit(main(RECIPE, __doc__))
