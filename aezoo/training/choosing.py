"""What a training takes from the data where nobody says it: steps, batch, rate, and the body of the model.

The recipes' settings suit MNIST. A user brings 600 photographs or 800 rows, of which 12 epochs are 60 steps.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aezoo.core.imports import need
from aezoo.training.settings import Settings

if TYPE_CHECKING:
    from aezoo.data import Dataset

_STEPS = {"images": 1500, "sequences": 2000, "rows": 2000}  # gradient steps, where the data are few
_PASSES = 12  # over the data, at least; then they are not few
_LONGEST = 400  # epochs
_RATES = {"images": 1e-3, "sequences": 2e-3, "rows": 1e-3}
_BATCHES = 25  # an epoch, of 16 to 128 examples each
_LATENTS = 16
_MANY = 3000  # images, of which a network learns more than a linear path would give it
_MOSTLY = 0.9  # of the variance: what principal components explain so far, no network reaches soon
_LOOKED_AT = 2000  # images that tell it
_LARGEST_PATH = 2**24  # weights of a linear path, each way
# What gives a model principal components to begin with; see `aezoo.nn.linear_path`.
_LINEAR: dict[str, dict[str, Any]] = {
    "images": {"linear_path": True, "output_activation": "clip"},
    "sequences": {"linear_path": True},
    "rows": {"linear_path": True},
}
_BODY: dict[str, dict[str, Any]] = {
    "images": {"normalization": "batch", "kernel_size": 4},
    "sequences": {"normalization": "batch"},
    "rows": {},
}
_PLAIN_INSIDE = ("denoising",)  # families that leave the latents of their body as they are
# Options of models that `choose_options` may choose.
MAY_BE_CHOSEN = (
    "latent_dim",
    "linear_path",
    "output_activation",
    "normalization",
    "kernel_size",
    "ragged",
    "body_options",
)


def choose_settings(dataset: "Dataset", **given: Any) -> tuple[Settings, dict[str, Any]]:
    """Chooses the settings that are not given.

    - batch_size: a 25th of the training examples, as a power of 2 from 16 to 128.
    - epochs: as many as make 1,500 steps of images and 2,000 of rows and sequences; 12 at least, 400 at most.
    - learning_rate: 0.001, of sequences 0.002.
    - patience: a third of the epochs, 10 at least.
    - xla: "auto" for images, which is off where a training takes less than two minutes.

    Args:
        dataset: that is trained on.
        **given: settings that are given.

    Returns:
        (settings, {name: value} of those that were chosen).
    """
    count = len(dataset.train)
    batch_size = given.get("batch_size") or _power_of_two(count / _BATCHES)
    epochs = given.get("epochs") or max(
        _PASSES, min(_LONGEST, math.ceil(_STEPS[dataset.kind] * batch_size / count))
    )
    usual: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": _RATES[dataset.kind],
        "patience": max(10, math.ceil(epochs / 3)),
    }
    if dataset.kind == "images":  # steps of rows are so small that XLA is never quicker
        usual["xla"] = "auto"
    chosen = {name: value for name, value in usual.items() if name not in given}
    return Settings(**{**given, **chosen}), chosen


def choose_options(model: str, dataset: "Dataset", options: Mapping[str, Any]) -> dict[str, Any]:
    """Chooses the options of a model that are not given, where the model has them.

    - linear_path: principal components beside the network, with "clip" as the activation of images; not where
      the weights would be more than 16 million, nor beside other activations; and of 3,000 images or more
      only where the components explain 90 % of the variance.
    - normalization: "batch" for images and sequences; kernel_size: 4 for images, which strides of 2 divide.
    - ragged: True where the series are of different lengths.
    - body_options of `denoising`: those of its body.
    - latent_dim: 16, of rows and sequences half their values at most.

    Args:
        model: name in the registry.
        dataset: that it is trained on.
        options: that are given.

    Returns:
        {name: value} of those that were chosen.
    """
    from aezoo.models import describe

    known = describe(model).options()
    wanted: dict[str, Any] = {}
    if "latent_dim" in known and dataset.kind != "images":
        wanted["latent_dim"] = min(_LATENTS, max(1, math.prod(dataset.shape) // 2))
    if dataset.ragged:
        wanted["ragged"] = True
    if "linear_path" in known:  # the plain bodies
        wanted |= _BODY[dataset.kind]
        wanted |= _linear({**known, **wanted, **options}, options, dataset)
    chosen = {name: value for name, value in wanted.items() if name in known and name not in options}
    if model in _PLAIN_INSIDE:
        chosen |= _of_body({**known, **chosen, **options}, options, dataset)
    return chosen


def _of_body(options: Mapping[str, Any], given: Mapping[str, Any], dataset: "Dataset") -> dict[str, Any]:
    """Returns {"body_options": the given ones and the chosen ones}, or {} where none are chosen."""
    from aezoo.models._bodies import BODIES

    body = "dense" if dataset.kind == "rows" else options["body"]
    of_body = given.get("body_options") or {}
    if body not in BODIES or not isinstance(of_body, dict):
        return {}  # whoever builds the model says what is wrong
    added = choose_options(body, dataset, {"latent_dim": options["latent_dim"], **of_body})
    return {"body_options": {**of_body, **added}} if added else {}


def _linear(options: Mapping[str, Any], given: Mapping[str, Any], dataset: "Dataset") -> dict[str, Any]:
    """Returns the options of a linear path beside the others, or {} where there can be none."""
    latent_dim, wanted = options.get("latent_dim"), _LINEAR[dataset.kind]
    # What the caller says counts, whether it forbids the path or bends it.
    others = any(given.get(name, value) != value for name, value in wanted.items())
    if others or options.get("latent_activation") or not isinstance(latent_dim, int):
        return {}
    if latent_dim * math.prod(dataset.shape) > _LARGEST_PATH:
        return {}
    many = dataset.kind == "images" and len(dataset.train) >= _MANY
    return {} if many and _explained(dataset, latent_dim) < _MOSTLY else wanted


def _explained(dataset: "Dataset", latent_dim: int) -> float:
    """Returns the share of the variance that principal components explain, of some of the images."""
    flat = dataset.train.array(_LOOKED_AT).reshape(_LOOKED_AT, -1)
    decomposition = need("sklearn.decomposition", extra="train")
    pca = decomposition.PCA(min(latent_dim, *flat.shape), random_state=0).fit(flat)
    return float(pca.explained_variance_ratio_.sum())


def _power_of_two(number: float) -> int:
    return 2 ** min(7, max(4, round(math.log2(max(number, 1)))))
