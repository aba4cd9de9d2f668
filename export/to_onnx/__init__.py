"""Writes an encoder, a decoder or both in one as an ONNX file.

Two routes lead there. The direct one writes each layer of the table in `emitters/` and its
neighbours as the ONNX nodes that fit it; its files are small, readable by many runtimes, and the
same byte for byte wherever they are written, for the same weights and metadata. What the table does
not know goes through tf2onnx.
"""

import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import aezoo
from aezoo.core.errors import ExportError, OptionError
from aezoo.core.files import replacing
from aezoo.core.imports import import_keras, need
from aezoo.core.options import check_choice
from aezoo.export.formats import OPSETS, check_opset

keras = import_keras()
need("onnx", extra="train")

import onnx  # noqa: E402

from aezoo.export.to_onnx import direct_route  # noqa: E402 (after the two frameworks were met quietly)
from aezoo.export.to_onnx.graph import NotEmittable, Tensor  # noqa: E402
from aezoo.export.to_onnx.table import FACTOR, INTEGERS, MAP, ORDER, emits  # noqa: E402

__all__ = [
    "FACTOR",
    "INTEGERS",
    "MAP",
    "OPSETS",
    "ORDER",
    "ROUTES",
    "NotEmittable",
    "Tensor",
    "emits",
    "write",
]

ROUTES = ("auto", "direct", "tf2onnx")
INPUT_DTYPES = ("float32", "uint8")

# A protobuf holds less than 2 GiB; the nodes and names beside the weights take a little of it.
LARGEST_FILE = 2**31 - 2**24


def write(
    part: Any,
    path: pathlib.Path | str,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int = 18,
    input_dtype: str = "float32",
    scale_input: bool = True,
    metadata: Mapping[str, str] | None = None,
    route: str = "auto",
    batch: int | None = None,
    channels_first: Collection[str] = (),
    change: Callable[[onnx.ModelProto], onnx.ModelProto] | None = None,
) -> None:
    """Writes a Keras model as one ONNX file, checked before it takes its place.

    Args:
        part: functional Keras model; nested models are written out flat.
        path: file to write. Weights lie inside it, up to the 2 GiB that a protobuf can hold; above
            that in a second file with ".data" after its name.
        inputs: names for the graph's inputs, for example ("images",).
        outputs: names for the graph's outputs, for example ("latents",).
        opset: 17 to 24.
        input_dtype: "float32" as in Keras, or "uint8" for bytes 0 to 255; of the first input, if
            that is one of floats. The others, and integers, stay what they are in Keras.
        scale_input: bytes stand for 0 to 1, so divide them by 255; the division is folded into
            the weights of the first convolution or Dense.
        metadata: texts to keep in the file, a dict of str.
        route: "direct", "tf2onnx", or "auto" for the first wherever it knows every layer.
        batch: examples in a batch; None leaves it open, under the name "batch".
        channels_first: names of the inputs and outputs (B, H, W, C) that are (B, C, H, W) in the file.
        change: function of the float32 `onnx.ModelProto` that returns the one to be written.

    Raises:
        OptionError: an argument cannot be used.
        ExportError: the model cannot be written by the route asked for.
    """
    path = pathlib.Path(path)
    _check(part, inputs, outputs, opset, input_dtype, metadata, route)
    options = {
        "inputs": tuple(inputs),
        "outputs": tuple(outputs),
        "opset": opset,
        "input_dtype": input_dtype,
        "scale_input": scale_input,
        "channels_first": frozenset(channels_first),
    }
    proto = _build(part, route, options)
    proto.graph.name = part.name
    proto.producer_name, proto.producer_version = "aezoo", aezoo.__version__
    proto.ir_version = onnx.helper.find_min_ir_version_for(proto.opset_import)
    onnx.helper.set_model_props(proto, dict(sorted((metadata or {}).items())))
    if change is not None:
        proto = change(proto)
    if batch is not None:
        _fix_batch(proto.graph, batch)
    _save(proto, path)


def _build(part, route, options):
    if route != "tf2onnx":
        try:
            return direct_route.build(part, **options)
        except NotEmittable:
            if route == "direct":
                raise
    from aezoo.export.to_onnx import tf2onnx_route

    return tf2onnx_route.build(part, **options)


def _fix_batch(graph, batch):
    """Writes a number wherever the batch is open."""
    for tensor in [*graph.input, *graph.output, *graph.value_info]:
        for dimension in tensor.type.tensor_type.shape.dim:
            if dimension.dim_param == "batch":
                dimension.dim_value = batch


def _check(part, inputs, outputs, opset, input_dtype, metadata, route):
    check_choice("route", route, ROUTES)
    check_choice("input_dtype", input_dtype, INPUT_DTYPES)
    check_opset(opset)
    if not isinstance(part, keras.Model) or not getattr(part, "inputs", None):
        raise OptionError(
            "this is no model that can be written as ONNX",
            got=f"{type(part).__name__}",
            expected="a functional Keras model, as keras.Model(inputs, outputs) makes it",
            fix="pass model.encoder or model.decoder",
        )
    counts = len(part.inputs), len(part.outputs)
    names = (*inputs, *outputs)
    if isinstance(inputs, str) or isinstance(outputs, str) or (len(inputs), len(outputs)) != counts:
        problem = "each input and each output of the model needs one name"
    elif len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        problem = "the names of inputs and outputs must be texts that differ"
    else:
        problem = None
    if problem:
        raise OptionError(
            problem,
            got=f"inputs={inputs!r}, outputs={outputs!r}",
            expected=f"{counts[0]} and {counts[1]} different names for {part.name!r}",
            fix="pass for example inputs=('images',), outputs=('latents',)",
        )
    for key, value in (metadata or {}).items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise OptionError(
                "metadata of an ONNX file are texts",
                got=f"{key!r}: {value!r}",
                expected="a dict of str to str",
                fix=f"pass metadata={{{str(key)!r}: {str(value)!r}}}",
            )


def _save(proto, path):
    """Checks the model and writes it whole or not at all, with what it keeps beside itself."""
    weights = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    external = weights > LARGEST_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as whole:
        data = whole.with_name(path.name + ".data")
        try:
            if external:
                onnx.save_model(proto, whole, save_as_external_data=True, location=data.name)
                onnx.checker.check_model(str(whole), full_check=True)
            else:
                onnx.checker.check_model(proto, full_check=True)
                whole.write_bytes(proto.SerializeToString(deterministic=True))
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ExportError(
                f"the graph of {proto.graph.name!r} breaks the rules of ONNX",
                got=" ".join(str(error).split())[:300],
                expected="a graph that onnx.checker accepts",
                fix="pass another opset or route, and report the model if neither helps",
            ) from error
