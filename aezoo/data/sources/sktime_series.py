"""The labelled series that sktime ships: "sktime:GunPoint" and others, no network needed.

They are sets of the UCR and UEA archives (Dau et al. 2019, doi:10.1109/jas.2019.1911747; Bagnall et
al. 2018, arXiv:1811.00075). Only the files of the package are read; it is never imported.
"""

import importlib.util
import pathlib

from aezoo.core.errors import DataError
from aezoo.core.imports import need
from aezoo.core.options import check_choice
from aezoo.data.contents import Contents
from aezoo.data.sources.ts_files import read_ts

PREFIX = "sktime:"


def read_sktime(source: str) -> Contents:
    """Returns the `Contents` of one of sktime's sets: sequences, with its own train and test part.

    Args:
        source: "sktime:" and a name, for example "GunPoint", "BasicMotions" or "OSULeaf".

    Raises:
        MissingExtraError: sktime is not installed.
        OptionError: it ships no set of this name; the nearest is given.
        DataError: the set's series differ in length, or values are missing.
    """
    spec = importlib.util.find_spec("sktime")
    if spec is None:
        need("sktime", extra="sequences")
    assert spec is not None  # or `need` has raised
    assert spec.submodule_search_locations is not None  # it is a package
    folder = pathlib.Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    names = sorted(
        path.parent.name
        for path in folder.glob("*/*_TRAIN.ts")
        if path.stem.removesuffix("_TRAIN") == path.parent.name
    )
    if not names:
        raise DataError(
            "the installed sktime ships no series",
            got=f"no file *_TRAIN.ts in {folder}",
            expected="the sets that sktime 1.2 ships",
            fix='pip install --force-reinstall "aezoo[sequences]"',
        )
    check_choice("source", source, tuple(PREFIX + name for name in names))
    name = source.removeprefix(PREFIX)
    return read_ts(folder / name / f"{name}_TRAIN.ts")
