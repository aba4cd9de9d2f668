"""What models are made of, in Keras: the `Autoencoder`, layers, losses, and a class for each kind of family.
Stands on `core`; knows nothing of data, runs or bundles."""

from aezoo.core.imports import import_keras

import_keras()  # without the frameworks' log lines; the files of this room then import it as usual
