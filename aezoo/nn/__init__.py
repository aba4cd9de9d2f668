"""What models are made of, in Keras: the `Autoencoder`, layers, losses, and a class for each kind of family.
Stands on `core`; knows nothing of data, runs or bundles."""
