"""What `verify` runs: every file of a bundle against its golden arrays, where Keras is not installed."""
