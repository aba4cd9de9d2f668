"""What the files of a bundle cost on this machine: time, memory, error. Stands on `export` and `runtime`."""
