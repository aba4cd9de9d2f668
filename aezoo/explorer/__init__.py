"""The page of `aezoo explore`, and the Python that lays it out. Stands on `runtime` and `data`."""
