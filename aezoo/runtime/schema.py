"""What manifest.json says: the dataclasses that it is written from and strictly read into.

`aezoo.core.strict_json` refuses whatever is missing, unknown, of another type or not finite; what no type can
say, a rule beside it does, and what several fields say together, `__post_init__`.
"""

import dataclasses
import math
import re
from typing import Annotated, Any, Literal

from aezoo.core.scores import Score
from aezoo.core.strict_json import NOT_EMPTY, Damaged, Rule, at_least, between
from aezoo.runtime.naming import (
    CALIBRATION,
    CARD,
    FILES,
    GOLDEN,
    PRIOR,
    TRACE,
    Format,
    Part,
    Precision,
    artifact_files,
    is_inside,
)
from aezoo.runtime.parts import check_parts

SCHEMA_VERSION = 8

# -- what a value may be -------------------------------------------------------------------------

Layout = Literal["nhwc", "nchw"]
Kind = Literal["images", "sequences", "rows"]
NormalSource = Literal["held-out examples", "validation examples", "examples that were given"]
_Dtype = Literal["float32", "float16", "uint8", "int8", "int32", "int64", "bool"]


_Path = Annotated[str, Rule(is_inside, "a relative path inside the bundle, without '..'")]
_Sha256 = Annotated[str, Rule(lambda text: bool(re.fullmatch("[0-9a-f]{64}", text)), "a sha256")]
_Name = Annotated[str, Rule(lambda text: text.isprintable() and 0 < len(text) <= 200, "a name")]
# Of a tensor or an array: what every language and every server's configuration takes as it is.
_Identifier = Annotated[
    str,
    Rule(lambda text: bool(re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,99}", text)), "letters, digits and '_'"),
]
_Size = Annotated[int, at_least(1)]
_Count = Annotated[int, at_least(0)]
_Share = Annotated[float, between(0, 1)]
# What is computed with is float32, where 1e-40 is 0 and 1e40 is infinite.
_Float32 = Annotated[float, between(-1e38, 1e38)]
_Positive = Annotated[float, between(1e-30, 1e30)]
_Files = Annotated[dict[_Path, _Sha256], NOT_EMPTY]
_Shape = Annotated[tuple[_Size, ...], Rule(lambda shape: 1 <= len(shape) <= 3, "one to three sizes")]
# What is drawn, filled or counted without a file that could disagree stays far below what a machine has.
_Labels = Annotated[int, between(1, 2**20)]
_MOST_VALUES = 2**26  # of an example, or of its latents


# -- the manifest ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of an artifact.

    Attributes:
        name: in the file.
        dtype: NumPy's name.
        shape: with the batch: a number where it is fixed, else "batch".
        range: (lowest, highest) of what an input takes, or None.
        golden: name of the array of golden.npz that it is held to.
        layout: "nchw" where the file has channels first.
    """

    name: _Identifier
    dtype: _Dtype
    shape: Annotated[tuple[_Size | Literal["batch"], ...], NOT_EMPTY]
    range: tuple[_Float32, _Float32] | None
    golden: _Identifier
    layout: Layout = "nhwc"

    def __post_init__(self) -> None:
        if "batch" in self.shape[1:]:
            raise Damaged("shape", "is open in more than its batch", "whole numbers behind the first")
        if self.layout == "nchw" and len(self.shape) != 4:
            raise Damaged("layout", f"is 'nchw' of {len(self.shape)} axes", "images, of four axes")

    @property
    def example_shape(self) -> tuple[Any, ...]:
        """Shape without the batch, with channels last whatever the file has."""
        shape = self.shape[1:]
        return (*shape[1:], shape[0]) if self.layout == "nchw" else shape


@dataclasses.dataclass(frozen=True)
class Parity:
    """How near an artifact comes to Keras, as its proof has found.

    Attributes:
        output: the one that comes nearest to its limit, or "the ROC area".
        max_difference, allowed: of its values; of an artifact with a budget shares that are lost.
        output_range: largest minus smallest value; None with a budget.
        tolerance: share of the range that is allowed; None with a budget.
        reason: of the tolerance.
        batches: sizes that were tried.
        examples: number of golden examples.
    """

    output: _Name
    max_difference: float
    allowed: Annotated[float, at_least(0)]
    output_range: Annotated[float, at_least(0)] | None
    tolerance: Annotated[float, at_least(0)] | None
    reason: str
    batches: Annotated[tuple[_Size, ...], NOT_EMPTY]
    examples: _Size


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One exported file, or the folder of a SavedModel.

    Attributes:
        part, format, precision: which it is.
        file: its path in the bundle.
        files: {path in the bundle: sha256} of all that belongs to it.
        size_bytes: of all of them.
        opset: of an ONNX file, else None.
        inputs, outputs: rows of `Tensor`, in order.
        parity: None before its proof.
        budget: share that a lower precision may lose; None: it is held to a tolerance.
        float_layers: layers of an int8 file that kept float32.
        arena_bytes, weights_bytes: working memory and constants of a C header, else None.
    """

    part: Part
    format: Format
    precision: Precision
    file: _Path
    files: _Files
    size_bytes: _Count
    opset: Annotated[int, between(1, 99)] | None
    inputs: Annotated[tuple[Tensor, ...], NOT_EMPTY]
    outputs: Annotated[tuple[Tensor, ...], NOT_EMPTY]
    parity: Parity | None = None
    budget: _Share | None = None
    float_layers: tuple[_Name, ...] = ()
    arena_bytes: _Count | None = None
    weights_bytes: _Count | None = None

    def __post_init__(self) -> None:
        row = FILES[self.format]
        if self.precision not in row.precisions:
            raise Damaged("precision", f"is {self.precision!r}", f"one that {self.format} is written in")
        wanted = artifact_files(self.part, self.format, self.precision)
        if self.file != wanted[0]:
            raise Damaged("file", f"is {self.file!a}", f"{wanted[0]!r}, of this part, format and precision")
        if self.precision == "int8" and self.budget is None:
            raise Damaged("budget", "is null", "the share that an int8 file may lose")
        for name in self.files:
            if not (name.startswith(f"{self.file}/") if row.folder else name in wanted):
                raise Damaged("files", f"holds {name!a}", f"{self.file}, and what belongs to it")
        if not row.folder and self.file not in self.files:
            raise Damaged("files", f"does not hold {self.file!a}", "the sha256 of the file itself")
        for end in ("inputs", "outputs"):
            names = [tensor.name for tensor in getattr(self, end)]
            if len(set(names)) < len(names):
                raise Damaged(end, "has a name twice", "every name once")


@dataclasses.dataclass(frozen=True)
class GoldenRow:
    """golden.npz: where its examples are from, how many they are, and {file: sha256}."""

    source: Literal["held-out examples", "seeded noise"]
    examples: _Size
    files: _Files

    def __post_init__(self) -> None:
        _check_file(self.files, GOLDEN)


@dataclasses.dataclass(frozen=True)
class PriorRow:
    """What latents are drawn from: a kind of `aezoo.core.priors`, and {file: sha256} where it has arrays."""

    kind: Literal["standard_normal", "gaussian_mixture", "categorical"]
    files: dict[_Path, _Sha256]

    def __post_init__(self) -> None:
        if self.kind != "standard_normal":
            _check_file(self.files, PRIOR)
        elif self.files:
            raise Damaged("files", "is not empty", "no file, for N(0, I)")


@dataclasses.dataclass(frozen=True)
class TraceRow:
    """trace.npz, {file: sha256}."""

    files: _Files

    def __post_init__(self) -> None:
        _check_file(self.files, TRACE)


@dataclasses.dataclass(frozen=True)
class CardRow:
    """README.md, the model card, {file: sha256}."""

    files: _Files

    def __post_init__(self) -> None:
        _check_file(self.files, CARD)


@dataclasses.dataclass(frozen=True)
class CalibrationRow:
    """What the scorer's verdict goes by; the table of scores is an `aezoo.core.calibration.Calibration`.

    Attributes:
        threshold: of the float32 scorer.
        false_positive_rate: share of normal examples that may pass it.
        false_positive_rate_interval: (low, high) with a confidence of 95 %, or None where it is not known.
        examples: number of normal examples.
        thresholds: {precision: threshold} of ONNX scorers.
        score: what it is a threshold of.
        source: of the normal examples.
        training_examples: whether some of those were trained on.
        files: {file: sha256} of calibration.npz.
    """

    threshold: _Float32
    false_positive_rate: _Share
    false_positive_rate_interval: tuple[_Share, _Share] | None
    examples: _Size
    thresholds: dict[Precision, _Float32]
    score: Score
    source: NormalSource
    training_examples: Literal["none found", "unknown"]
    files: _Files

    def __post_init__(self) -> None:
        _check_file(self.files, CALIBRATION)


@dataclasses.dataclass(frozen=True)
class Anomalies:
    """How well the float32 scorer finds known anomalies: their number, that of normals, the ROC area."""

    examples: _Size
    normals: _Size
    roc_area: _Share


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """How an example of a variational model is distributed given its reconstruction."""

    kind: Literal["bernoulli", "gaussian"]
    scale: _Positive
    binarize: bool


_AXES = {"images": 3, "sequences": 2, "rows": 1}
# What is read of the run by whoever shows a bundle; the rest of it is not looked at.
_RUN = {
    "status": str,
    "options": dict,
    "settings": dict,
    "data": dict,
    "epochs": int,
    "seconds": (int, float),
}
_DATA = {"name": str, "content_hash": str, "load_options": dict, "train": int}
_DATA_TOO = {"source": str, "kind": str, "shape": (list, tuple), "feature_names": (list, tuple)}  # or null


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    Attributes:
        schema_version: `SCHEMA_VERSION`.
        aezoo_version: that wrote it.
        model: registered name, or None; options: of the model.
        kind, example_shape, latent_shape, input_dtype: of the model and its encoder's input.
        ragged: whether that takes series of different lengths, with NaN behind their ends.
        error_scale: what differences are divided by, by column; None for images.
        prior, likelihood, calibration, anomalies: None where the model or the bundle has none.
        classes: labels of a conditional model, or None; codebook_size: of a quantised one, or None.
        parameters: number of them.
        licence: of the weights, a text.
        versions: {package: version} of the export.
        run, metrics: content of the run's run.json and metrics.json, without paths, or None.
        golden, trace: what the proof needs.
        card: the model card, which is made from all else; None before it is written.
        artifacts: the files.
    """

    schema_version: Annotated[int, between(SCHEMA_VERSION, SCHEMA_VERSION)]
    aezoo_version: _Name
    model: _Name | None
    options: dict[str, Any]
    kind: Kind
    example_shape: _Shape
    latent_shape: _Shape
    input_dtype: Literal["float32", "uint8"]
    ragged: bool
    error_scale: Annotated[tuple[_Positive, ...], NOT_EMPTY] | None
    prior: PriorRow | None
    calibration: CalibrationRow | None
    anomalies: Anomalies | None
    likelihood: Likelihood | None
    classes: _Labels | None
    codebook_size: _Labels | None
    parameters: _Count
    licence: str
    versions: dict[_Name, str]
    run: dict[str, Any] | None
    metrics: dict[str, Any] | None
    golden: GoldenRow
    trace: TraceRow | None
    card: CardRow | None
    artifacts: Annotated[tuple[Artifact, ...], NOT_EMPTY]

    def __post_init__(self) -> None:
        if len(self.example_shape) != _AXES[self.kind]:
            raise Damaged("example_shape", f"has {len(self.example_shape)} axes", f"{_AXES[self.kind]}")
        for name in ("example_shape", "latent_shape"):
            if math.prod(getattr(self, name)) > _MOST_VALUES:
                raise Damaged(name, f"has {math.prod(getattr(self, name)):,} values", f"{_MOST_VALUES:,}")
        if self.input_dtype == "uint8" and self.kind != "images":
            raise Damaged("input_dtype", "is 'uint8'", f"'float32', for {self.kind}")
        if self.ragged and self.kind != "sequences":
            raise Damaged("ragged", "is true", f"false, for {self.kind}")
        if self.error_scale is not None and len(self.error_scale) not in (1, self.example_shape[-1]):
            raise Damaged("error_scale", f"has {len(self.error_scale)} entries", "one, or one a column")
        if self.run is not None:
            _check_keys("run", self.run, _RUN)
            _check_data(self.run["data"])
        seen: dict[str, int] = {}
        for number, artifact in enumerate(self.artifacts):
            if artifact.file in seen:
                raise Damaged(f"artifacts[{number}]", f"is artifacts[{seen[artifact.file]}] again", "others")
            seen[artifact.file] = number
            if artifact.part == "scorer" and self.calibration is None:
                raise Damaged("calibration", "is null", "what the scorers go by")
        check_parts(self)


def _check_file(files: dict[str, str], name: str) -> None:
    """Raises Damaged unless these are the hashes of this one file, which is what will be read."""
    if list(files) != [name]:
        raise Damaged("files", f"holds {', '.join(map(ascii, files))[:60] or 'nothing'}", name)


def _check_keys(where: str, said: dict[str, Any], kinds: dict[str, Any]) -> None:
    for key, kind in kinds.items():
        if not isinstance(said.get(key), kind) or isinstance(said[key], bool):
            found = f"is {type(said[key]).__name__}" if key in said else "is missing"
            raise Damaged(f"{where}.{key}", found, "what `aezoo train` writes")


def _check_data(data: dict[str, Any]) -> None:
    _check_keys("run.data", data, _DATA)
    _check_keys("run.data", data, {key: kind for key, kind in _DATA_TOO.items() if data.get(key) is not None})
    for key, kind in (("shape", int), ("feature_names", str)):
        for number, value in enumerate(data.get(key) or ()):
            if not isinstance(value, kind) or isinstance(value, bool):
                found = f"is {type(value).__name__}"
                raise Damaged(f"run.data.{key}[{number}]", found, "what `aezoo train` writes")
