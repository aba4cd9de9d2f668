"""Layouts in which servers find the files of a bundle, and what MLServer runs. Stands on `runtime`."""
