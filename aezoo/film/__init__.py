"""Films of a latent space while a model is trained. Stands on `training` and `plots`."""
