"""The bodies that families share: `dense` and `conv` by name, and new heads on their encoders."""

from collections.abc import Callable
from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import check_choice
from aezoo.models._registry import build as build_by_name
from aezoo.nn.layers import Tensor, keras, layers

BODIES = ("dense", "conv")
_PROBABILITIES = ("sigmoid", "hard_sigmoid")  # activations whose values are in [0, 1]


def build_body(
    name: str, latent_dim: int, image_shape: tuple[int, ...], features: int | None = None, options: Any = None
) -> Tensor:
    """Builds a plain model whose encoder and decoder a family takes for its own.

    Args:
        name: "dense" or "conv"; for rows the body is "dense".
        latent_dim: D.
        image_shape: (H, W, C).
        features: F, for a model of rows.
        options: further options of the body, for example {"filters": (32, 64)}, or None.

    Returns:
        A compiled `Autoencoder`.

    Raises:
        OptionError: there is no such body, or it has no such option.
    """
    check_choice("body", name, BODIES)
    if not isinstance(options or {}, dict):
        raise OptionError(
            "body_options are the options of the body",
            got=f"body_options={options!r}",
            expected="a dict, for example {'filters': (32, 64)}",
            fix=f"see `aezoo info {name}` for the options",
        )
    own = sorted({"latent_dim", "image_shape", "features"} & set(options or {}))
    if own:
        raise OptionError(
            "this is an option of the model itself, not of its body",
            got=f"body_options={options!r}",
            expected="body_options without latent_dim, image_shape and features",
            fix=f"pass {own[0]}={options[own[0]]!r} beside body_options",
        )
    options = {"latent_dim": latent_dim, **(options or {})}
    if features is None:
        options["image_shape"] = image_shape
    else:
        name, options["features"] = "dense", features
    return build_by_name(name, **options)


def with_heads(encoder: Any, **sizes: int) -> Tensor:
    """Returns an encoder with other outputs on its last hidden layer: a Dense layer each.

    Args:
        encoder: of a plain body, whose last layer is the bottleneck.
        **sizes: name of an output and its size, in order: posterior_mean=40, posterior_log_var=40.
    """
    if encoder.layers[-1].name != "bottleneck":
        raise OptionError(
            "a linear path leads to one output, and this encoder has several",
            got="body_options={'linear_path': True}",
            expected="a body without it",
            fix="leave linear_path out",
        )
    hidden = encoder.layers[-1].input
    outputs = [layers.Dense(size, name=name)(hidden) for name, size in sizes.items()]
    return keras.Model(encoder.inputs[0], outputs, name="encoder")


def build_variational(
    family: Callable[..., Any],
    name: str,
    latent_dim: int,
    image_shape: tuple[int, ...],
    features: int | None,
    options: dict[str, Any] | None,
    *,
    likelihood: str | None,
    **own: Any,
) -> Tensor:
    """Builds the compiled model of a variational family.

    Args:
        family: class of the model, `Variational` or a subclass.
        name, latent_dim, image_shape, features, options: as for `body`.
        likelihood: None is "bernoulli" for images and "gaussian" for rows.
        **own: further arguments of the class.
    """
    if likelihood is None:
        likelihood = "bernoulli" if features is None else "gaussian"
    plain = build_body(name, latent_dim, image_shape, features, options)
    activation = (options or {}).get("output_activation", "sigmoid")
    if likelihood == "bernoulli" and activation not in _PROBABILITIES:
        raise OptionError(
            "a bernoulli likelihood is of probabilities, and such outputs are none",
            got=f"output_activation={activation!r}",
            expected=f"one of {', '.join(map(repr, _PROBABILITIES))}",
            fix="leave out output_activation, or pass likelihood='gaussian'",
        )
    encoder = with_heads(plain.encoder, posterior_mean=latent_dim, posterior_log_var=latent_dim)
    model = family(encoder, plain.decoder, likelihood=likelihood, **own)
    model.compile()
    return model


def shallow(
    body: str, features: int | None, body_options: dict[str, Any] | None, **defaults: Any
) -> dict[str, Any] | None:
    """Returns options of a body with the defaults of a family whose dense body is one layer each way."""
    if not isinstance(body_options or {}, dict):
        return body_options  # `body` says what is wrong with it
    own = {"units": ()} if body == "dense" or features is not None else {}
    return {**own, **defaults, **(body_options or {})}
