"""The page of `aezoo explore`: Python that lays it out, and the page itself. On `runtime` and `data`."""
