"""Pictures of figures and of latent spaces, in one style. Stands on `evaluation`, `data` and `core`."""
