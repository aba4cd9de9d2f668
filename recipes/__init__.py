"""Recipes: one command each, and the number that it reaches. Also `aezoo train` with other defaults."""
