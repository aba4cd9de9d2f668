"""Images as patches, and transformers over them: what models of tokens (B, N, D) are built of."""

import math
import numbers
from typing import Any

import numpy as np

from aezoo.core.errors import OptionError
from aezoo.nn.layers import Tensor, activation_layer, keras, layers, ops

_MOST_PLACES = 2**16


@keras.saving.register_keras_serializable("aezoo")
class Positions(layers.Layer):
    """Adds to tokens (B, N, D) what tells their places in a grid: sines and cosines, never trained.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5; one half of D is for the row, the other
    for the column.

    Args:
        grid: (rows, columns), whose product is N; D is a multiple of 4.

    Raises:
        OptionError: more places than attention over them could be computed of.
    """

    def __init__(self, grid: tuple[int, int], **base: Any) -> None:
        super().__init__(**base)
        self.grid = tuple(int(size) for size in grid)
        if math.prod(self.grid) > _MOST_PLACES:
            raise OptionError(
                "an image has too many patches",
                got=f"{' x '.join(map(str, self.grid))} patches",
                expected=f"at most {_MOST_PLACES:,}",
                fix="pass a larger patch_size, or smaller images",
            )

    def table(self, width: int) -> np.ndarray:
        """Returns what is added, float32 (N, D)."""
        rates = 10000.0 ** -np.linspace(0, 1, width // 4, endpoint=False)
        angles = [np.outer(place, rates) for place in np.indices(self.grid).reshape(2, -1)]
        waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        return np.concatenate(waves, axis=1).astype("float32")

    def call(self, tokens: Tensor) -> Tensor:
        return tokens + ops.cast(self.table(tokens.shape[-1]), tokens.dtype)

    def compute_output_shape(self, input_shape: Any) -> Tensor:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "grid": list(self.grid)}


@keras.saving.register_keras_serializable("aezoo")
class MaskToken(layers.Layer):
    """Puts visible tokens (B, K, D) back in their places, and one learned vector in all the others.

    Source: He et al. 2022, arXiv:2111.06377, section 3.

    Args:
        width: D.
        seed: int, of the vector's first values.
    """

    def __init__(self, width: int, seed: int = 0, **base: Any) -> None:
        super().__init__(**base)
        self.width, self.seed = int(width), int(seed)
        start = keras.initializers.RandomNormal(stddev=0.02, seed=self.seed)
        self.token = self.add_weight(name="token", shape=(self.width,), initializer=start)

    def build(self, *shapes: Any) -> None:
        super().build(shapes)

    def call(self, visible: Tensor, places: Tensor) -> Tensor:
        """Returns tokens (B, N, D).

        Args:
            visible: (B, K, D).
            places: (B, N) int32; where each of the N is among the visible ones, from K on among the others.
        """
        others = (ops.shape(visible)[0], places.shape[1] - visible.shape[1], self.width)
        others = ops.broadcast_to(ops.cast(self.token, visible.dtype), others)
        return ops.take_along_axis(ops.concatenate([visible, others], axis=1), places[:, :, None], axis=1)

    def compute_output_shape(self, visible_shape: Any, places_shape: Any) -> Tensor:
        return (*places_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "seed": self.seed}


def grid_of(image_shape: tuple[int, ...], patch_size: int) -> tuple[int, int]:
    """Returns (rows, columns) of the patches that cover an image; the last ones may lie over its edge.

    >>> grid_of((9, 11, 3), 4)
    (3, 3)
    """
    rows, columns = (-(-side // patch_size) for side in image_shape[:2])
    return rows, columns


def check_grid(image_shape: tuple[int, ...], patch_size: int) -> tuple[int, int]:
    """Returns `grid_of`, or raises OptionError where one patch is the whole image."""
    grid = grid_of(image_shape, patch_size)
    if grid == (1, 1):
        raise OptionError(
            "one patch is the whole image",
            got=f"patch_size={patch_size}, image_shape={tuple(image_shape)}",
            expected=f"patch_size of at most {max(image_shape[:2]) - 1}",
            fix="pass patch_size=4",
        )
    return grid


def check_widths(heads: int, **widths: int) -> None:
    """Raises OptionError unless each width is a multiple of 4, for `Positions`, and of the heads."""
    for option, width in widths.items():
        step = math.lcm(4, heads)
        if not isinstance(width, numbers.Integral) or width < 1 or width % step:
            raise OptionError(
                f"{option} is shared out among the heads, and among four kinds of waves",
                got=f"{option}={width!r}, heads={heads}",
                expected=f"a multiple of {step}",
                fix=f"pass {option}={16 * step}",
            )


def to_tokens(image_shape: tuple[int, ...], patch_size: int, width: int) -> Tensor:
    """Returns the model images (B, H, W, C) -> tokens (B, N, width), their places added.

    Padding below and on the right fills the last patches up with zeros.
    """
    rows, columns = grid_of(image_shape, patch_size)
    below, right = rows * patch_size - image_shape[0], columns * patch_size - image_shape[1]
    x = images = keras.Input(image_shape, name="images")
    if below or right:
        x = layers.ZeroPadding2D(((0, below), (0, right)), name="pad")(x)
    x = layers.Conv2D(width, patch_size, strides=patch_size, name="embed")(x)
    x = layers.Reshape((rows * columns, width), name="flatten")(x)
    return keras.Model(images, Positions((rows, columns), name="positions")(x), name="tokens")


def blocks(tokens: Tensor, depth: int, heads: int, name: str) -> Tensor:
    """Returns tokens after a transformer of `depth` blocks, each normalised first, and a last normalisation.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929, equations 2 to 4.

    Args:
        tokens: (B, N, width), symbolic; N may be open.
        depth: number of blocks.
        heads: of the attention, each of width / heads.
        name: what the names of the layers begin with.
    """
    width, x = tokens.shape[-1], tokens
    for number in range(1, depth + 1):
        block = f"{name}_{number}"
        y = layers.LayerNormalization(epsilon=1e-6, name=f"{block}_attention_norm")(x)
        y = layers.MultiHeadAttention(heads, width // heads, name=f"{block}_attention")(y, y)
        x = layers.Add(name=f"{block}_attended")([x, y])
        y = layers.LayerNormalization(epsilon=1e-6, name=f"{block}_mlp_norm")(x)
        y = layers.Dense(4 * width, activation="gelu", name=f"{block}_hidden")(y)
        y = layers.Dense(width, name=f"{block}_mlp")(y)
        x = layers.Add(name=f"{block}_added")([x, y])
    return layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(x)


def to_images(
    tokens: Tensor, image_shape: tuple[int, ...], patch_size: int, output_activation: str
) -> Tensor:
    """Returns images (B, H, W, C) of tokens (B, N, width), symbolic: a patch of each, the edge cut off."""
    rows, columns = grid_of(image_shape, patch_size)
    x = layers.Reshape((rows, columns, tokens.shape[-1]), name="unflatten")(tokens)
    x = layers.Conv2DTranspose(image_shape[-1], patch_size, strides=patch_size, name="patches")(x)
    below, right = rows * patch_size - image_shape[0], columns * patch_size - image_shape[1]
    if below or right:
        x = layers.Cropping2D(((0, below), (0, right)), name="crop")(x)
    return activation_layer(output_activation, name="reconstructions")(x)


def patch_encoder(
    latent_dim: int, image_shape: tuple[int, ...], patch_size: int, width: int, depth: int, heads: int
) -> Any:
    """Returns an encoder: images (B, H, W, C) to latents (B, N, D), by the models "tokens" and "transformer".

    Args:
        latent_dim: D, latents of each patch.
        image_shape: (H, W, C).
        patch_size: side of a patch in pixels.
        width, depth, heads: of the blocks.
    """
    tokens = keras.Input((None, width), name="tokens")  # of any number: fewer in training
    x = blocks(tokens, depth, heads, "block")
    transformer = keras.Model(tokens, layers.Dense(latent_dim, name="bottleneck")(x), name="transformer")
    images = keras.Input(image_shape, name="images")
    latents = transformer(to_tokens(image_shape, patch_size, width)(images))
    return keras.Model(images, latents, name="encoder")


def patch_decoder(
    latent_dim: int,
    image_shape: tuple[int, ...],
    patch_size: int,
    width: int,
    depth: int,
    heads: int,
    output_activation: str,
) -> Any:
    """Returns a decoder: latents (B, N, D) to images (B, H, W, C), by "widen" and the model "pixels".

    Args:
        latent_dim, image_shape, patch_size, width, depth, heads: as for `patch_encoder`.
        output_activation: Keras name, on the reconstructions.
    """
    rows, columns = grid_of(image_shape, patch_size)
    tokens = keras.Input((rows * columns, width), name="tokens")
    x = Positions((rows, columns), name="positions")(tokens)
    x = blocks(x, depth, heads, "block")
    pixels = keras.Model(tokens, to_images(x, image_shape, patch_size, output_activation), name="pixels")
    latents = keras.Input((rows * columns, latent_dim), name="latents")
    reconstructions = pixels(layers.Dense(width, name="widen")(latents))
    return keras.Model(latents, reconstructions, name="decoder")
