"""Recipes: one command each, and the number it reaches. Also `aezoo train` with other defaults."""
