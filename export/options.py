"""What an export can be told, for Python and for `aezoo export` alike."""

import dataclasses
import typing
from collections.abc import Sequence

from aezoo.core.calibration import check_rate
from aezoo.core.errors import OptionError
from aezoo.core.options import check_between, check_choice, check_names, check_positive
from aezoo.core.scores import SCORES
from aezoo.export.formats import FORMATS, LAYOUTS, PRECISIONS, check_layout, check_opset, pairs
from aezoo.runtime.schema import Part


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What a bundle holds, and how its files are made; the examples that prove it are given beside.

    Attributes:
        formats: of `formats.FORMATS`.
        precisions: of `formats.PRECISIONS`; each is written in every format that has it.
        parts: names of the parts to be written, "encoder" for example; none names all of them.
        budget: what int8 may lose, a share: of the latents' cosine, of the mean squared error, and with
            known anomalies of the scorer's ROC area.
        opset: of the ONNX files, 17 to 24.
        input_dtype: "float32", or "uint8" for encoder and reconstructor that take bytes 0..255.
        batch: examples in a batch of every file, as accelerators want it; None leaves it open.
        layout: "nchw" for images of ONNX and OpenVINO files with channels first, else "nhwc".
        score: what the scorer's verdict goes by, of `scoring.SCORES`.
        false_positive_rate: share of normal examples that may count as anomalies; None is 0.01, or the
            smallest that so few examples allow.
        licence: terms of the exported weights, a text; None says that they are not stated.

    Raises:
        OptionError: a value that cannot be used, whatever the model is.

    >>> ExportOptions(formats=["onnx"], precisions=["float32", "int8"]).precisions
    ('float32', 'int8')
    """

    formats: Sequence[str] = ("saved_model", "onnx")
    precisions: Sequence[str] = ("float32",)
    parts: Sequence[str] = ()
    budget: float = 0.01
    opset: int = 18
    input_dtype: str = "float32"
    batch: int | None = None
    layout: str = "nhwc"
    score: str = "reconstruction_error"
    false_positive_rate: float | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        choices = {"formats": tuple(FORMATS), "precisions": PRECISIONS, "parts": typing.get_args(Part)}
        for name, known in choices.items():
            object.__setattr__(self, name, check_names(name, getattr(self, name), known))
        check_layout(dict.fromkeys(format for format, _ in self.pairs), self.layout)
        for part in self.parts:
            check_choice("parts", part, typing.get_args(Part))
        check_between("budget", self.budget, 0.0, 1.0, 0.01)
        check_opset(self.opset)
        check_choice("input_dtype", self.input_dtype, ("float32", "uint8"))
        if self.batch is not None:
            check_positive("batch", self.batch)
        check_choice("layout", self.layout, LAYOUTS)
        check_choice("score", self.score, SCORES)
        if self.score == "mahalanobis_distance" and "int8" in self.precisions and self.wants("scorer"):
            raise OptionError(
                "latents of 8 bits end at the range of normal examples, and hide what lies far outside",
                got="score='mahalanobis_distance' with precisions=(..., 'int8')",
                expected="float32 or float16 for this score",
                fix="leave int8 out, or pass another score",
            )
        if self.false_positive_rate is not None:
            check_rate(self.false_positive_rate)
        if not isinstance(self.licence, str | None):
            raise OptionError(
                "a licence is a text",
                got=f"licence={self.licence!r}",
                expected="the terms of the weights, or None where they are not stated",
                fix="pass licence='CC0-1.0'",
            )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs (format, precision) to be written, in order."""
        return pairs(self.formats, self.precisions)

    def wants(self, part: str) -> bool:
        """Whether a part is to be written, where the model has it."""
        return not self.parts or part in self.parts
