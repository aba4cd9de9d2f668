"""Which formats there are, what writes each, what opens it, and how far it may be from Keras: THE table.

Names are strings: the proof reads this table where no framework is installed. To add a format: a row
here, a module with its `write_artifact`, a function in `readers.py`, an extra where it needs a package.
"""

import dataclasses
import importlib
import importlib.util
import os
import pathlib
import shutil
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from aezoo.core.errors import ExportError, MissingExtraError, OptionError
from aezoo.core.options import check_choice
from aezoo.runtime.batching import channels_first
from aezoo.runtime.schema import Layout, Precision, Tensor

PRECISIONS: tuple[str, ...] = typing.get_args(Precision)
LAYOUTS: tuple[str, ...] = typing.get_args(Layout)
OPSETS = range(17, 25)  # of ONNX

C_COMPILER = "a C compiler"
WOULD_RUN = "would run its code"  # of a file that is not opened, since nobody vouches for its bundle


@dataclasses.dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes:
        runtime: the package that runs such a file, or `C_COMPILER`; extra: the extra that brings it.
        writer: module whose `write_artifact(job, path)` writes one.
        opener: function of `readers.py`.
        layouts: of images in its files, of `LAYOUTS`.
        tolerances: {precision: (share of the output's range that a value may differ by, the reason)}.
            An artifact whose row of the manifest has a "budget" is held to that instead, see
            `budget.lost`; a share of None: all of them have one.
        without: pairs (part, precision) that are not written.
        parts: the parts that are written in this format, where a model has them; None is all of them.
        threads: whether its runtime can be told a number of threads; then its opener takes `threads`.
        executes: whether a file can make its runtime do more than arithmetic: write files, or run any code.
            Nobody opens such a file of a bundle that its caller does not vouch for.
    """

    runtime: str
    extra: str
    writer: str
    opener: str
    tolerances: Mapping[str, tuple[float | None, str]]
    layouts: tuple[str, ...] = ("nhwc",)
    parts: tuple[str, ...] | None = None
    without: tuple[tuple[str, str], ...] = ()
    threads: bool = False
    executes: bool = False

    def has(self, part: str, precision: str) -> bool:
        """Whether a part is written in this format and precision."""
        return (self.parts is None or part in self.parts) and (part, precision) not in self.without


FORMATS: dict[str, Format] = {
    "saved_model": Format(
        runtime="tensorflow",
        extra="train",
        writer="aezoo.export.to_saved_model",
        opener="open_saved_model",
        threads=True,
        executes=True,  # a graph reads and writes files, and calls what its process has loaded
        tolerances={"float32": (1e-5, "the same kernels, but batches are divided otherwise")},
    ),
    "onnx": Format(
        runtime="onnxruntime",
        extra="train",
        writer="aezoo.export.to_onnx.artifact",
        opener="open_onnx",
        threads=True,
        tolerances={
            "float32": (1e-5, "float32 sums in another order: about 100 roundings of 1.2e-7"),
            "float16": (
                5e-3,
                "ten roundings of 2^-11: weights and values are rounded in every layer; 3.3e-3 was seen",
            ),
            "int8": (None, "8 bits lose what their budget allows, measured on held-out examples"),
        },
        layouts=("nhwc", "nchw"),
    ),
    "litert": Format(
        runtime="ai_edge_litert",
        extra="litert",
        writer="aezoo.export.to_litert",
        opener="open_litert",
        threads=True,
        tolerances={
            "float32": (1e-5, "float32 sums in another order, by XNNPACK"),
            "float16": (5e-3, "weights rounded to 11 bits, 4.9e-4 each, and summed in float32"),
            "int8": (None, "8 bits lose what their budget allows, on held-out examples"),
        },
        # LiteRT computes all of an int8 file in 8 bits, which no error and no p-value survives.
        without=(("scorer", "int8"),),
    ),
    "openvino": Format(
        runtime="openvino",
        extra="openvino",
        writer="aezoo.export.to_openvino",
        opener="open_openvino",
        threads=True,
        tolerances={
            "float32": (1e-5, "float32 sums in another order, by oneDNN"),
            "float16": (5e-3, "weights rounded to 11 bits, 4.9e-4 each, and summed in float32"),
        },
        layouts=("nhwc", "nchw"),
    ),
    "c": Format(
        runtime=C_COMPILER,
        extra="train",
        writer="aezoo.export.to_c",
        opener="open_c",
        executes=True,
        tolerances={
            "float32": (1e-5, "float32 sums in another order, and an erf that is off by at most 3e-7"),
            "int8": (None, "weights and activations of 8 bits"),
        },
        # A reconstructor would hold the weights of both a second time.
        parts=("encoder", "decoder", "code_decoder"),
    ),
}


# {(format, precision): why it does not take NaN behind the ends of series}
_WITHOUT_ENDS = {
    ("c", "float32"): "a C header has no operation for NaN",
    ("c", "int8"): "a C header has no operation for NaN",
    ("litert", "int8"): "its input becomes 8 bits, of which none say NaN",
}


@dataclasses.dataclass(frozen=True)
class Job:
    """One artifact that is to be written.

    Attributes:
        part: its name, "encoder".
        model: the functional Keras model of the part.
        inputs, outputs: rows of the manifest, a tuple each.
        precision: of `PRECISIONS`.
        opset: of ONNX.
        properties: texts that a file may keep, a dict.
        calibration: {golden: array}, real inputs and what Keras makes of them, for whoever must know
            ranges of values; rows of inputs and outputs say by "golden" which array is theirs.
        golden: {golden: array}, the arrays that the proof holds the artifact to.
        budget: what a precision may lose, a share.
        decode: function of latents (and labels, where the model has some) to reconstructions, by Keras:
            an encoder is judged by what its latents become.
        batch: examples in a batch; None leaves it open.
        labelled: {name: array} of `budget.LABELLED`, or empty where no anomalies are known.
    """

    part: str
    model: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    precision: str
    opset: int
    properties: Mapping[str, str]
    calibration: Mapping[str, np.ndarray]
    golden: Mapping[str, np.ndarray]
    budget: float
    decode: Callable[..., np.ndarray]
    batch: int | None = None
    labelled: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, a tuple."""
        return tuple(row.name for row in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, a tuple."""
        return tuple(row.name for row in self.outputs)

    @property
    def channels_first(self) -> set[str]:
        """Names of the inputs and outputs that are (N, C, H, W) in the file, a set."""
        return channels_first([*self.inputs, *self.outputs])

    def calibrated_inputs(self) -> dict[str, np.ndarray]:
        """Returns {name of an input: array (N, ...)}, real inputs of this part, laid out as in the file."""
        given = {row.name: self.calibration[row.golden] for row in self.inputs}
        first = self.channels_first
        return {name: np.moveaxis(array, -1, 1) if name in first else array for name, array in given.items()}


def write(job: Job, format: str, path: pathlib.Path) -> dict[str, Any]:
    """Writes an artifact; returns what its row of the manifest says beyond the usual, a dict."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return importlib.import_module(FORMATS[format].writer).write_artifact(job, path) or {}


def check_layout(formats: Iterable[str], layout: str) -> None:
    """Raises OptionError unless a layout of `LAYOUTS` can be had in every format."""
    check_choice("layout", layout, LAYOUTS)
    able = [format for format, row in FORMATS.items() if layout in row.layouts]
    if unable := [format for format in formats if format not in able]:
        raise OptionError(
            f"{' and '.join(unable)} files have channels last",
            got=f"layout={layout!r}, formats={tuple(formats)!r}",
            expected=f"layout='nchw' with formats among {', '.join(able)}",
            fix=f"pass formats={tuple(able)!r}",
        )


def check_ragged(pairs: Iterable[tuple[str, str]]) -> None:
    """Raises OptionError unless files of each (format, precision) see where a series ends."""
    for format, precision in pairs:
        if (format, precision) in _WITHOUT_ENDS:
            raise OptionError(
                "these files do not see where a series ends",
                got=f"{format} in {precision} for series of different lengths: "
                f"{_WITHOUT_ENDS[format, precision]}",
                expected="formats that take NaN behind the ends: onnx, saved_model, openvino, litert",
                fix=f"leave {format} in {precision} out, or train on series of one length",
            )


def check_opset(opset: int) -> None:
    """Raises OptionError unless ONNX files are written for an opset."""
    if opset not in OPSETS:
        raise OptionError(
            "no file can be written for this opset",
            got=f"opset={opset!r}",
            expected=f"{OPSETS[0]} to {OPSETS[-1]}",
            fix="pass opset=18, which the most runtimes read",
        )


def is_installed(format: str) -> bool:
    """Whether the runtime of a format is installed here."""
    if FORMATS[format].runtime == C_COMPILER:
        return c_compiler() is not None
    return importlib.util.find_spec(FORMATS[format].runtime) is not None


def why_skipped(format: str, trusted: bool) -> str | None:
    """Returns why a bundle's files of a format are not opened here, or None where they are.

    Args:
        format: of `FORMATS`.
        trusted: whether the caller vouches for the bundle.
    """
    if FORMATS[format].executes and not trusted:
        return WOULD_RUN
    return None if is_installed(format) else f"{FORMATS[format].runtime} is not installed"


def c_compiler() -> str | None:
    """Returns the path of the system's C compiler, $CC before all others, or None."""
    return next(
        filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))), None
    )


def _check_compiler(format):
    if not is_installed(format):
        raise ExportError(
            f"the {format} files are proven by compiling them, and there is no C compiler",
            got=f"no cc, gcc or clang on the path; CC={os.environ.get('CC')!r}",
            expected=C_COMPILER,
            fix="install gcc or clang, or set CC to the compiler's path",
        )


def pairs(formats: Iterable[str], precisions: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the pairs (format, precision) to be written, in order.

    A precision is written in every format that has it.

    Raises:
        OptionError: an unknown name, no format, or a precision that no format asked for has.
    """
    formats, precisions = tuple(dict.fromkeys(formats)), tuple(dict.fromkeys(precisions))
    for option, given, known in (("format", formats, FORMATS), ("precision", precisions, PRECISIONS)):
        if not given:
            raise OptionError(
                f"an export needs a {option}",
                got=f"{option}s=()",
                expected=f"among {', '.join(known)}",
                fix=f"pass {option}s=({next(iter(known))!r},)",
            )
        for choice in given:
            check_choice(f"{option}s", choice, tuple(known))
    found = [(f, p) for f in formats for p in precisions if p in FORMATS[f].tolerances]
    for precision in precisions:
        if precision not in {p for _, p in found}:
            able = [format for format, row in FORMATS.items() if precision in row.tolerances]
            raise OptionError(
                f"none of these formats is written in {precision}",
                got=f"formats={formats!r}, precisions={precisions!r}",
                expected=f"{precision} with a format among {', '.join(able) or 'none yet'}",
                fix=f"pass formats=({able[0]!r},)" if able else "leave the precision out",
            )
    return found


def check_installed(formats: Iterable[str]) -> None:
    """Checks that what proves each of the formats is here.

    Raises:
        MissingExtraError: the runtime of one is not installed.
        ExportError: the proof of one needs a C compiler, and there is none.
    """
    for format in formats:
        row = FORMATS[format]
        if row.runtime == C_COMPILER:
            _check_compiler(format)
        elif not is_installed(format):
            raise MissingExtraError(
                f"files of the format {format} are proven by a package that is not installed",
                got=f"no module named {row.runtime!r}",
                expected=f"the extra {row.extra!r} of aezoo",
                fix=f'pip install "aezoo[{row.extra}]"',
            )
