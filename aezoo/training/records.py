"""What the files of a run say, read strictly: a failing disk or an editor may have left anything in them.

A run is its owner's: what is checked is that every value can be used, and that the files agree with each
other. What a file says beyond that is kept, for a later aezoo may say more. No framework is imported here.
"""

import csv
import dataclasses
import hashlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from aezoo.core import strict_json
from aezoo.core.errors import AezooError, OptionError, RunError
from aezoo.core.files import read_regular
from aezoo.core.strict_json import Damaged, Rule, at_least
from aezoo.training.settings import LATER, Settings

if TYPE_CHECKING:  # a run is looked into where nothing else needs NumPy
    pass

T = TypeVar("T")

_Sha256 = Annotated[str, Rule(lambda text: bool(re.fullmatch("[0-9a-f]{64}", text)), "a sha256")]
_Count = Annotated[int, at_least(1)]
_Share = Annotated[float, Rule(lambda share: 0 <= share <= 1, "from 0 to 1")]
_Seconds = Annotated[float, at_least(0)]
_Shape = Annotated[tuple[_Count, ...], Rule(lambda shape: 1 <= len(shape) <= 3, "one to three sizes")]
_AXES = {"images": 3, "sequences": 2, "rows": 1}
_COLUMNS = ("epoch", "loss", "val_loss", "learning_rate", "seconds")
_MEANT = ("model", "options", "latent_shape", "parameters", "settings", "data", "evaluation")


@dataclasses.dataclass(frozen=True)
class Data:
    """What a run was trained on, as `aezoo.data.Dataset` has it."""

    name: str
    source: str | None
    load_options: dict[str, Any]
    kind: Literal["images", "rows", "sequences"]
    shape: _Shape
    feature_names: tuple[str, ...] | None
    content_hash: _Sha256
    train: _Count
    validation: _Count
    test: _Count

    def __post_init__(self) -> None:
        if len(self.shape) != _AXES[self.kind]:
            raise Damaged("shape", f"has {len(self.shape)} axes", f"{_AXES[self.kind]}, for {self.kind}")
        if self.feature_names is not None and len(self.feature_names) != self.shape[-1]:
            raise Damaged("feature_names", f"has {len(self.feature_names)} entries", f"{self.shape[-1]}")
        self._check_options()

    def _check_options(self) -> None:
        from aezoo.data.load_options import check_recorded  # here: it reads what sources there are

        _inside("load_options", lambda: check_recorded(self.load_options))


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What was measured of XLA at the beginning, see `xla.compile_quicker`."""

    chosen: bool
    step_ms: _Seconds | None
    step_ms_without: _Seconds


@dataclasses.dataclass(frozen=True)
class Training:
    """What run.json says of a run that has begun."""

    status: Literal["training", "finished"]
    model: str | None
    options: dict[str, Any]
    latent_shape: _Shape
    parameters: Annotated[int, at_least(0)]
    settings: dict[str, Any]
    seed: int
    data: dict[str, Any]
    versions: dict[str, str]
    begun: str
    evaluation: dict[Literal["full", "likelihood_samples", "likelihood_examples"], bool | _Count]
    model_sha256: _Sha256 | None
    least_gain: _Share  # on the model before the training, see `best_epoch`
    xla: Compiled | None  # what was measured, where it was

    def __post_init__(self) -> None:
        _known(Data, self.data, "data")
        earlier = {name: getattr(Settings, name) for name in LATER if name not in self.settings}
        settings = _inside("settings", lambda: strict_json.read(Settings, {**self.settings, **earlier}))
        if settings.seed != self.seed:
            raise Damaged("seed", f"is {self.seed}", f"{settings.seed}, that of the settings")


@dataclasses.dataclass(frozen=True)
class Finished(Training):
    """What it says once the run has ended."""

    epochs: _Count
    best_epoch: Annotated[int, at_least(0)]
    seconds: _Seconds
    seconds_of_last_session: _Seconds

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.best_epoch <= self.epochs <= self.settings["epochs"]:
            raise Damaged(
                "epochs", f"is {self.epochs}, the best {self.best_epoch}", "as the settings say, or fewer"
            )


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a checkpoint says of the files beside it; it is written with it, in one step.

    Attributes:
        run: `meaning` of run.json.
        epoch: rows of the history that it was written after; 0 before the first.
        history: `digest` of the history up to there.
        model: sha256 of model.keras, or None before the first epoch.
    """

    run: _Sha256
    epoch: Annotated[int, at_least(0)]
    history: _Sha256
    model: _Sha256 | None


# -- run.json and metrics.json -------------------------------------------------------------------


def read_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the content of run.json.

    Raises:
        RunError: it is missing, or something in it cannot be used; the error names the place.
    """

    def read(content: bytes) -> dict[str, Any]:
        info = _object(content)
        kind = Finished if info.get("status") == "finished" else Training
        _known(kind, {"least_gain": 0.0, "xla": None, **info})  # earlier runs have none
        return info

    return read_or_refuse(path, read, "run.json does not describe a run")


def meaning(info: Mapping[str, Any]) -> str:
    """Returns the sha256, in hexadecimal, of what run.json says of how a run goes on."""
    said = {name: info[name] for name in _MEANT} | {name: info[name] for name in ("xla",) if name in info}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_metrics(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the content of metrics.json; raises RunError as `read_info`."""

    def read(content: bytes) -> dict[str, Any]:
        metrics = _object(content)
        _check_figures(metrics, "")
        for name, kind in (("data", str), ("test_examples", int), ("mse", (int, float)), ("pca", dict)):
            if not isinstance(metrics.get(name), kind):
                raise Damaged(name, "is missing or null", "what `aezoo evaluate` writes")
        if not isinstance(metrics["pca"].get("components"), int):
            raise Damaged("pca.components", "is missing or null", "their number")
        return metrics

    return read_or_refuse(path, read, "the figures of a run cannot be read")


_TEXTS = ("data", "kind")
_SECTIONS = {
    "": ("pca", "denoising", "likelihood", "codebook", "latents", "sparsity", "generation", "unseen_classes"),
    "denoising": ("corrupted", "median_filter", "pca", "model"),
    "codebook": ("jpeg",),
    "latents": ("pca",),
}


def _check_figures(figures: Mapping[str, Any], section: str) -> None:
    """Raises Damaged unless sections are objects, names are texts, and all else is what a table can show."""
    for name, value in figures.items():
        where = f"{section}.{name}".lstrip(".")
        if name in _SECTIONS.get(section, ()):
            if not isinstance(value, dict):
                raise Damaged(where, f"is {type(value).__name__}", "an object, {...}")
            _check_figures(value, where)
        elif name in _TEXTS:
            if not isinstance(value, str):
                raise Damaged(where, f"is {type(value).__name__}", "a text")
        elif isinstance(value, (str, dict)):
            raise Damaged(where, f"is {type(value).__name__}", "a number")


def _object(content: bytes) -> dict[str, Any]:
    return strict_json.read(dict[str, Any], strict_json.parse(content))


def _known(kind: type[T], said: Mapping[str, Any], where: str = "") -> T:
    """Reads what a dataclass knows of an object."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return _inside(
        where, lambda: strict_json.read(kind, {name: said[name] for name in names if name in said})
    )


def _inside(where: str, read: Callable[[], T]) -> T:
    """Returns what a function makes of a file's content; raises RunError with the problem where it fails."""
    try:
        return read()
    except Damaged as error:
        raise Damaged(f"{where}.{error.where}".strip("."), error.found, error.expected) from None
    except OptionError as error:
        raise Damaged(where, f"is wrong, {error.got}: {error.problem}", error.expected) from None


# -- history.csv ---------------------------------------------------------------------------------


def read_history(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Returns one dict an epoch, from the first on; [] where there is no file.

    Raises:
        RunError: another file than `write_history` writes.
    """
    return read_or_refuse(path, _rows, "the history of a run cannot be read") if os.path.lexists(path) else []


def history_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the rows as history.csv."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the sha256 of a history, in hexadecimal."""
    return hashlib.sha256(history_text(rows).encode()).hexdigest()


def epochs_done(rows: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many epochs a history has; that before the first is none."""
    return rows[-1]["epoch"] if rows else 0


def best_epoch(rows: Sequence[Mapping[str, Any]], least_gain: float = 0.0) -> int:
    """Returns the number of the epoch with the lowest validation loss, the first of equals.

    Args:
        rows: of a history, one at least.
        least_gain: by what share of its loss the model before the training is to be beaten, or that is best.
    """
    best = min(rows, key=lambda row: row["val_loss"])
    first = rows[0]
    beaten = first["epoch"] > 0 or best["val_loss"] < (1 - least_gain) * first["val_loss"]
    return best["epoch"] if beaten else first["epoch"]


def _rows(content: bytes) -> list[dict[str, Any]]:
    lines = list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    if not lines or tuple(lines[0]) != _COLUMNS:
        raise Damaged(
            "the first line", f"is {','.join(lines[0] if lines else [])[:60]!a}", ",".join(_COLUMNS)
        )
    rows = []
    first = 0 if len(lines) > 1 and lines[1][:1] == ["0"] else 1  # 0: the model before its training
    for number, cells in enumerate(lines[1:], first):
        if len(cells) != len(_COLUMNS) or cells[0] != str(number):
            raise Damaged(
                f"line {number + 2 - first}", f"is {','.join(cells)[:60]!a}", f"the figures of epoch {number}"
            )
        values = [float(cell) for cell in cells[1:]]
        if not all(map(math.isfinite, values)):
            raise Damaged(f"line {number + 2 - first}", f"is {','.join(cells)[:60]!a}", "finite numbers")
        rows.append({"epoch": number, **dict(zip(_COLUMNS[1:], values, strict=True))})
    return rows


# -- the checkpoint's mark -----------------------------------------------------------------------


def write_mark(path: str | os.PathLike[str], mark: Mark) -> None:
    """Writes a mark into a checkpoint: as the comment of the zip, which Keras does not look at."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = json.dumps(strict_json.to_json(mark)).encode()


def read_mark(path: str | os.PathLike[str], content: bytes) -> Mark:
    """Returns the mark of a checkpoint's content.

    Raises:
        RunError: it has none.
    """

    def read(content: bytes) -> Mark:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return strict_json.read(Mark, strict_json.parse(archive.comment))

    return read_or_refuse(path, read, "this is no checkpoint of a run", content)


# -- errors --------------------------------------------------------------------------------------


def read_or_refuse(
    path: str | os.PathLike[str], read: Callable[[bytes], T], problem: str, content: bytes | None = None
) -> T:
    """Returns what a function makes of a file's content; raises RunError with the problem where it fails."""
    try:
        return read(read_regular(path) if content is None else content)
    except AezooError:
        raise
    except Exception as error:  # zipfile, csv and NumPy each raise their own
        told = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise RunError(
            problem,
            got=f"{path}: {told}",
            expected=error.expected if isinstance(error, Damaged) else "a file as the training wrote it",
            fix="bring the file back as it was, or train again into another folder",
        ) from error
