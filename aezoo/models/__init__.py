"""One paper, one file, one `build()`; the names are in `aezoo/registry.py`."""
