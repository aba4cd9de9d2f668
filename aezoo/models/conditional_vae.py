"""Conditional variational autoencoder: encoder and decoder are told the class, so latents hold what is left.

Source: Sohn, Lee & Yan 2015, "Learning Structured Output Representation using Deep Conditional
Generative Models", NeurIPS; Kingma et al. 2014, arXiv:1406.5298 (M2, with every label given).
Differs: the image is what is generated and the label what is given; the prior is N(0, I) for every
label, as in M2, not a network of the label. To the encoder a label is one more channel, a learned
picture; to the decoder a learned vector beside the latents.

    encoder: images (B, H, W, C), labels (B,) int32 -> posterior_mean (B, D), posterior_log_var (B, D)
    latents = posterior_mean + exp(posterior_log_var / 2) * noise      in training only
    decoder: latents (B, D), labels (B,) int32 -> probabilities or means (B, H, W, C)
"""

from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import check_image_shape, check_positive
from aezoo.models._bodies import build_body, with_heads
from aezoo.nn.layers import keras, layers
from aezoo.nn.variational import Variational

_LABEL_DIM = 16  # of the vector that stands for a label; fewer where there are fewer classes


@keras.saving.register_keras_serializable("aezoo")
class ConditionalVAE(Variational):
    """A `Variational` whose encoder and decoder take `labels` as their second input.

    `fit({"images": images, "labels": labels})` trains it; `encode`, `decode`, `reconstruct` and `sample`
    take `labels=`.

    Args:
        encoder: images and labels to posterior_mean and posterior_log_var.
        decoder: latents and labels to probabilities or means.
        classes: K; labels go from 0 to K - 1.
        **base: as for `Variational`.
    """

    def __init__(self, encoder: Any, decoder: Any, *, classes: int = 10, **base: Any) -> None:
        super().__init__(encoder, decoder, **base)
        self.classes = check_positive("classes", classes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes}


def build(
    latent_dim: int = 16,
    image_shape: tuple[int, ...] = (28, 28, 1),
    *,
    classes: int = 10,
    body: str = "dense",
    likelihood: str = "bernoulli",
    scale: float = 0.1,
    binarize: bool = False,
    seed: int = 0,
    body_options: dict[str, Any] | None = None,
) -> ConditionalVAE:
    """Builds the compiled conditional variational autoencoder.

    Args:
        latent_dim: D, size of the latent space.
        image_shape: (H, W, C) of the images; at most 3 channels.
        classes: K, the number of classes.
        body: "dense" or "conv".
        likelihood: "bernoulli" or "gaussian".
        scale: standard deviation of the gaussian likelihood.
        binarize: whether each pixel is drawn as 0 or 1 with the image as its probability.
        seed: of the noise in training.
        body_options: further options of the body, for example {"units": (512, 512)}.

    Returns:
        A compiled `ConditionalVAE`.

    Raises:
        OptionError: an option that cannot be used.
    """
    check_positive("latent_dim", latent_dim)
    check_positive("classes", classes)
    height, width, channels = check_image_shape(image_shape)
    if channels > 3:
        raise OptionError(
            "the label is a channel beside those of the image, and bodies take 4 at most",
            got=f"image_shape={image_shape!r}",
            expected="1 to 3 channels",
            fix=f"pass image_shape=({height}, {width}, 3), and drop the channel of opacity",
        )
    shape = (height, width, channels)
    model = ConditionalVAE(
        _encoder(body, latent_dim, shape, classes, body_options),
        _decoder(body, latent_dim, shape, classes, body_options),
        classes=classes,
        likelihood=likelihood,
        scale=scale,
        binarize=binarize,
        seed=seed,
    )
    model.compile()
    return model


def _encoder(body, latent_dim, image_shape, classes, options):
    height, width, channels = image_shape
    wider = build_body(body, latent_dim, (height, width, channels + 1), options=options).encoder
    heads = with_heads(wider, posterior_mean=latent_dim, posterior_log_var=latent_dim)
    images = keras.Input(image_shape, name="images")
    labels = keras.Input((), dtype="int32", name="labels")
    picture = layers.Embedding(classes, height * width, name="label_picture")(labels)
    picture = layers.Reshape((height, width, 1), name="label_channel")(picture)
    posterior = heads(layers.Concatenate(name="labelled_images")([images, picture]))
    return keras.Model([images, labels], posterior, name="encoder")


def _decoder(body, latent_dim, image_shape, classes, options):
    label_dim = min(classes, _LABEL_DIM)
    longer = build_body(body, latent_dim + label_dim, image_shape, options=options).decoder
    latents = keras.Input((latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    vector = layers.Embedding(classes, label_dim, name="label_vector")(labels)
    reconstructions = longer(layers.Concatenate(name="labelled_latents")([latents, vector]))
    return keras.Model([latents, labels], reconstructions, name="decoder")
