"""Films of a latent space during training. Stands on `training` and `plots`."""
