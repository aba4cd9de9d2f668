"""Pictures of latent spaces: films of how they are trained, and maps of how they came out."""
