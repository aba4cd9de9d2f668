"""Export: turns a trained model into a bundle that is proven equal to it, or into nothing at all.

`export_bundle` is the way in; `proof` runs where TensorFlow is not installed.
"""


def export_bundle(model, folder, **options):
    """Exports a model as a bundle; see `aezoo.export.bundling.export_bundle` for the options."""
    from aezoo.export.bundling import export_bundle as export

    return export(model, folder, **options)


__all__ = ["export_bundle"]
