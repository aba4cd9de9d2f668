"""What an encoder and a decoder must be to make one model: checked when they are joined, not later."""

from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.model import KINDS
from aezoo.nn.keras_internals import replays_graph
from aezoo.nn.layers import keras

_FUNCTIONAL = (
    "build it of its ends: keras.Model(inputs, outputs), or start a Sequential with keras.Input(shape)"
)


def check_ends(encoder: Any, decoder: Any, names: tuple[str, ...]) -> None:
    """Raises OptionError unless a decoder gives what an encoder takes, at sizes that are known.

    Args:
        encoder, decoder: anything.
        names: of the encoder's outputs.
    """
    for name, part in (("encoder", encoder), ("decoder", decoder)):
        _check_part(name, part)
    _check_numbers(encoder, decoder, names)
    _check_shapes(encoder, decoder)
    _check_floats("encoder", "takes", encoder.inputs[0])
    _check_floats("decoder", "returns", decoder.outputs[0])


def _check_floats(name: str, does: str, tensor: Any) -> None:
    if tensor.dtype != "float32":
        raise OptionError(
            f"the {name} {does} other numbers than float32",
            got=f"{tensor.name}: {tensor.dtype}",
            expected="float32, whatever the layers in between compute in",
            fix="leave the dtype of keras.Input out, and end the decoder with "
            "keras.layers.Activation('linear', dtype='float32')",
        )


def _check_part(name: str, part: Any) -> None:
    """Raises OptionError unless a part is a functional model of plain tensors, whose sizes are known."""
    functional = isinstance(part, keras.Model) and (replays_graph(part) or isinstance(part, keras.Sequential))
    if not functional or not (part.built and getattr(part, "inputs", None)):
        kind = type(part).__name__
        raise OptionError(
            f"the {name} is no model whose inputs and outputs are known",
            got=f"a Sequential without an Input, {part.name!r}" if kind == "Sequential" else f"a {kind}",
            expected="a functional keras.Model, or a Sequential that starts with keras.Input",
            fix=_FUNCTIONAL,
        )
    dicts = [] if isinstance(part, keras.Sequential) else [("inputs", part.input), ("outputs", part.output)]
    for end, given in dicts:
        if isinstance(given, dict):
            raise OptionError(
                f"the {end} of the {name} are a dict",
                got=f"a dict of {', '.join(map(str, given))}",
                expected="tensors, in order",
                fix="pass them to keras.Model as they are, or as a list",
            )
    for tensor in (*part.inputs, *part.outputs):
        batch, *sizes = tensor.shape
        if batch is not None or None in sizes:
            raise OptionError(
                f"the {name} has a size that is not known"
                if None in sizes
                else f"the {name} has a fixed batch",
                got=f"{tensor.name}: {tuple(tensor.shape)}",
                expected="every size a number, but for the first, the batch's",
                fix="resize, cut or pad the examples to one size, and pass that to keras.Input((28, 28, 1))"
                if None in sizes
                else "leave the batch size of keras.Input out",
            )


def _check_numbers(encoder: Any, decoder: Any, names: tuple[str, ...]) -> None:
    """Raises OptionError unless there are as many inputs and outputs as have names."""
    problem = None
    if len(encoder.inputs) > 2 or len(encoder.inputs) != len(decoder.inputs):
        problem = "encoder and decoder take one input each, or the labels beside it both"
        got = f"{len(encoder.inputs)} inputs of the encoder, {len(decoder.inputs)} of the decoder"
        expected = "examples and latents; for a conditional model each with labels"
        fix = "join what the encoder takes into one input, keras.layers.Concatenate, and slice it inside"
    elif len(encoder.outputs) != len(names):
        problem = "the encoder does not have the outputs of this class of models"
        got = f"{len(encoder.outputs)} outputs"
        expected = ", ".join(names)
        fix = "name the outputs in encoder_outputs of a subclass of Autoencoder"
    elif len(decoder.outputs) != 1:
        problem = "the decoder has one output"
        got = f"{len(decoder.outputs)} outputs"
        expected = "the reconstructions"
        fix = "join them into one, keras.layers.Concatenate, or leave the others out"
    if problem:
        raise OptionError(problem, got=got, expected=expected, fix=fix)


def _check_shapes(encoder: Any, decoder: Any) -> None:
    """Raises OptionError unless examples and latents have shapes of aezoo, the same at both ends."""
    problem, fix = None, "give the decoder's last layer the encoder's input shape"
    taken, given = tuple(encoder.inputs[0].shape[1:]), tuple(encoder.outputs[0].shape[1:])
    if len(taken) not in KINDS:
        problem = "examples are rows, sequences or images"
        got = f"examples of {taken}"
        expected = "(F,), (T, F) or (H, W, C)"
        fix = "reshape a volume (D, H, W, C) into an image (D * H, W, C), a number into a row of one"
        fix += "; keras.layers.Reshape brings the volume back inside the model"
    elif not 1 <= len(given) <= 3:
        problem = "latents are vectors or maps"
        got = f"latents of {given}"
        expected = "(D,), (T, D) or (h, w, D)"
        fix = "end the encoder with keras.layers.Flatten()"
    elif tuple(decoder.outputs[0].shape[1:]) != taken:
        problem = "the decoder does not return what the encoder takes"
        got = f"decoder output {decoder.outputs[0].shape}, encoder input {encoder.inputs[0].shape}"
        expected = "the same shape at both ends"
    elif tuple(decoder.inputs[0].shape[1:]) != given:
        problem = "the decoder does not take what the encoder returns"
        got = f"encoder output {encoder.outputs[0].shape}, decoder input {decoder.inputs[0].shape}"
        expected = "latents of one shape"
        fix = "give both the same latent_dim"
    if problem:
        raise OptionError(problem, got=got, expected=expected, fix=fix)
