"""How the figures call a model, whether it is an `Autoencoder` or a loaded bundle.

The two differ in small ways: a bundle may take bytes, a Keras model has a batch size, a conditional
model wants labels. All of that is met here, and nowhere else in the figures.
"""

import inspect

import numpy as np

PREDICTED = 1024  # examples at a time; larger batches hide what each call of a Keras model costs


def takes_labels(model):
    """Whether a model is conditional: whether `encode` and `decode` want `labels`."""
    return bool(getattr(model, "takes_labels", False))


def labels_of(model, part, limit=None):
    """Returns the class numbers (N,) int32 of a part's first examples; None for a model that takes none."""
    return part.class_numbers[:limit] if takes_labels(model) else None


def encode(model, examples, labels=None):
    """Returns the latents (B, ...) of examples (B, ...) that are images in [0, 1] or raw rows."""
    return _call(model, "encode", as_taken(model, examples), labels)


def decode(model, latents, labels=None, batch=PREDICTED):
    """Returns the reconstructions (B, ...) of latents (B, ...), `batch` at a time where that can be said."""
    return _call(model, "decode", latents, labels, batch)


def reconstruct(model, examples, labels=None):
    """Returns the reconstructions (B, ...) of examples (B, ...)."""
    return _call(model, "reconstruct", as_taken(model, examples), labels)


def posterior(model, examples, labels=None):
    """Returns (posterior_mean, posterior_log_var) of examples, float64 (B, D) each."""
    both = _call(model, "posterior", as_taken(model, examples), labels)
    return tuple(np.asarray(values, "float64").reshape(len(values), -1) for values in both)


def code_indices(model, examples):
    """Returns the codes of examples, int32 (B, h, w)."""
    return np.asarray(_call(model, "code_indices", as_taken(model, examples), None))


def as_taken(model, examples):
    """Returns the examples as a bundle that was exported for bytes takes them."""
    if getattr(model, "input_dtype", "float32") == "uint8":
        return np.rint(np.asarray(examples) * 255).astype("uint8")
    return examples


def _call(model, name, given, labels, batch=PREDICTED):
    method = getattr(model, name)
    options = {} if labels is None else {"labels": np.asarray(labels, "int32")}
    if "batch_size" in inspect.signature(method).parameters:
        options["batch_size"] = batch
    return method(given, **options)
