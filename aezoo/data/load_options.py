"""The options of `load` by which a source is read and cut into parts, checked, and as a run records them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from aezoo.core.errors import OptionError
from aezoo.core.options import KINDS, check_choice, check_image_shape, check_positive, check_share
from aezoo.data.pixels import Scale
from aezoo.data.sources.table_options import Said, TableOptions
from aezoo.data.windows import Windows

_USUAL = {"image_shape": None, "kind": None, "validation_fraction": 0.1, "test_fraction": 0.1, "seed": 0}
CLASSES = ("only_classes", "exclude_classes")
RECORDED = ("data_dir", "value_range", *_USUAL, *Said.__annotations__, "window", "stride", *CLASSES, "noisy")


@dataclasses.dataclass(frozen=True)
class Cut:
    """The options by which a source is read and cut, checked: those that `Dataset.load_options` keeps."""

    image_shape: tuple[int, ...] | None
    kind: str | None
    scale: Scale
    validation_fraction: float
    test_fraction: float
    seed: int
    table: TableOptions
    feature_names: tuple[str, ...] | None
    windows: Windows | None = None
    only_classes: tuple[str, ...] | None = None
    exclude_classes: tuple[str, ...] | None = None

    @classmethod
    def checked(
        cls,
        image_shape: Sequence[int] | None,
        kind: str | None,
        scale: Scale,
        validation_fraction: float,
        test_fraction: float,
        seed: int,
        table: TableOptions,
        feature_names: Sequence[str] | None,
        window: int | None = None,
        stride: int | None = None,
        only_classes: Sequence[str | int] | None = None,
        exclude_classes: Sequence[str | int] | None = None,
    ) -> "Cut":
        if kind is not None:
            check_choice("kind", kind, KINDS)
        cut = cls(
            None if image_shape is None else check_image_shape(image_shape, least=1),
            kind,
            scale,
            check_share("validation_fraction", validation_fraction),
            check_share("test_fraction", test_fraction),
            check_positive("seed", seed, least=0),
            table,
            None if feature_names is None else tuple(feature_names),
            Windows.checked(window, stride, kind),
            _class_names("only_classes", only_classes),
            _class_names("exclude_classes", exclude_classes),
        )
        if cut.validation_fraction + cut.test_fraction >= 1.0:
            raise OptionError(
                "nothing would be left to train on",
                got=f"validation_fraction={cut.validation_fraction}, test_fraction={cut.test_fraction}",
                expected="two shares whose sum is below 1",
                fix="pass validation_fraction=0.1, test_fraction=0.1",
            )
        return cut

    @property
    def fractions(self) -> dict[str, float]:
        return {"validation_fraction": self.validation_fraction, "test_fraction": self.test_fraction}

    def load_options(
        self, data_dir: str | None = None, value_range: tuple[float, float] | None = None
    ) -> dict[str, Any]:
        """Returns keyword arguments of `load`, fit for JSON."""
        shape = None if self.image_shape is None else list(self.image_shape)
        return {
            "data_dir": data_dir,
            "image_shape": shape,
            "kind": self.kind,
            "value_range": None if value_range is None else list(value_range),
            **self.fractions,
            "seed": self.seed,
            **self.table.given(),
            **({} if self.windows is None else dataclasses.asdict(self.windows)),
        }


def _class_names(option, classes):
    """Returns names of classes as texts, or None."""
    if classes is None:
        return None
    if not isinstance(classes, (list, tuple)) or not classes:
        raise OptionError(
            "classes are a list of names or labels",
            got=f"{option}={classes!r}",
            expected="one class or more",
            fix=f"pass {option}=['0', '3']",
        )
    for each in classes:
        if isinstance(each, bool) or not isinstance(each, (str, int)):
            raise OptionError(
                "a class is a name or a label",
                got=f"{each!r} in {option}",
                expected="a text or a whole number",
                fix=f"pass {option}=['0', '3']",
            )
    return tuple(str(each) for each in classes)


def check_recorded(options: Mapping[str, Any]) -> None:
    """Raises OptionError where what a run or a bundle recorded are no options of `load`."""
    unknown = [name for name in options if name not in RECORDED]
    odd = [name for name in ("data_dir", "noisy") if not isinstance(options.get(name), str | None)]
    if unknown or odd:
        raise OptionError(
            "data are not loaded with this option",
            got=ascii(unknown[0])[:80] if unknown else f"{odd[0]}={ascii(options[odd[0]])[:80]}",
            expected=f"among {', '.join(RECORDED)}" if unknown else "the path of a folder, or null",
            fix="bring the file back as it was",
        )
    said = {name: options[name] for name in Said.__annotations__ if name in options}
    Cut.checked(
        **{name: options.get(name, usual) for name, usual in _USUAL.items()},
        scale=Scale.checked(options.get("value_range")),
        table=TableOptions.checked(**said),
        feature_names=None,
        window=options.get("window"),
        stride=options.get("stride"),
        only_classes=options.get("only_classes"),
        exclude_classes=options.get("exclude_classes"),
    )
