"""Small options for every registered model, so that a test of all of them is a matter of seconds each."""

import aezoo

# One of each make: what holds of these and of each layer holds of the others, which `exhaustive` tests try.
MAKES = ("conv", "conv1d", "dense", "lstm", "masked", "vae", "vq_vae")
FEW = ("conv", "lstm", "vq_vae")  # of these for what costs more: images, a recurrent model, codes

# Small bodies and odd sides: most of a check is tracing, which every layer costs.
BODY = {"latent_dim": 5, "image_shape": (9, 11, 1), "body_options": {"units": (12,)}}
SMALL = {
    # 1,000 times an MMD that is estimated from 32 examples would be noise above all.
    "info_vae": {**BODY, "lambda_": 10.0},
    "conv": {"latent_dim": 5, "image_shape": (11, 9, 2), "filters": (4, 6)},
    "conv1d": {"latent_dim": 5, "sequence_shape": (17, 3), "filters": (4, 6)},
    "dense": {"latent_dim": 5, "image_shape": (9, 11, 1), "units": (12,)},
    "fsq": {"image_shape": (11, 9, 2), "levels": (4, 3, 5), "filters": (4, 6), "residual_blocks": 1},
    "lstm": {"latent_dim": 5, "sequence_shape": (9, 2), "units": 8},
    "masked": {
        "latent_dim": 5,
        "image_shape": (9, 11, 1),
        "width": 8,
        "depth": 1,
        "heads": 2,
        "decoder_width": 8,
    },
    "vq_vae": {
        "latent_dim": 4,
        "image_shape": (11, 9, 2),
        "filters": (4, 6),
        "residual_blocks": 1,
        "codebook_size": 16,
    },
}
CONV_BODY = {"image_shape": (11, 9, 2), "body": "conv", "body_options": {"filters": (4, 6)}}


def small(name):
    """Returns small options of a model: its own, or those of a family with a body."""
    known = aezoo.describe(name).options()
    if name in SMALL:
        return SMALL[name]
    if known.get("body") == "conv":
        return with_conv(name)
    return {option: value for option, value in BODY.items() if option in known}


def with_conv(name):
    known = aezoo.describe(name).options()
    return {"latent_dim": 5, **{option: value for option, value in CONV_BODY.items() if option in known}}


CASES = [(name, small(name)) for name in aezoo.list_models()]
CASES += [("vae", with_conv("vae"))]
CASES += [(name, {"latent_dim": 4, "features": 6}) for name in ("dense", "denoising", "vae")]
