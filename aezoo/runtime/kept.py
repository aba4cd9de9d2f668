"""Reads the arrays that a bundle keeps. NumPy, which whoever only reads a manifest does not pay for."""

from collections.abc import Mapping

import numpy as np

from aezoo.core.arrays import ANY, Like, read_npz
from aezoo.core.strict_json import Damaged
from aezoo.runtime.checked import Folder, damaged, read_file


def read_arrays(
    folder: Folder,
    name: str,
    sha256: str,
    largest: int,
    expected: Mapping[str, Like] | None = None,
    others: Like | None = ANY,
) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file of a bundle, {name: array}; see `aezoo.core.arrays.read_npz`.

    Raises:
        BundleError: as for `read_file`, or it does not hold what is expected.
    """
    try:
        return read_npz(read_file(folder, name, sha256), largest, expected, others)
    except Damaged as error:
        raise damaged(folder, name, error) from error
