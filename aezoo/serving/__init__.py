"""Lays a bundle's files out for servers, and holds the runtime that MLServer loads. Stands on `runtime`."""
