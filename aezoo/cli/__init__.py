"""The command `aezoo`: a file for each family of commands. Uses every room; only recipes use it."""
