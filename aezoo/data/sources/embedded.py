"""The embedded images: "mnist_mini", 6,000 + 1,000 digits of MNIST, a file of this package.

`tools/make_mnist_mini.py` writes the file; NOTICE names its authors and its licence.
"""

import pathlib

from aezoo.core.errors import DataError
from aezoo.data.contents import Contents
from aezoo.data.sources.numpy_files import read_numpy

FILES = {"mnist_mini": pathlib.Path(__file__).with_name("mnist_mini.npz")}


def read_embedded(name: str) -> Contents:
    """Returns the `Contents` of an embedded set: its own train and test part.

    Raises:
        DataError: the installation is incomplete.
    """
    path = FILES[name]
    if not path.is_file():
        raise DataError(
            f"the embedded images {name} are not there",
            got=f"no file {path}",
            expected="the file that is installed with aezoo",
            fix='pip install --force-reinstall "aezoo[train]"',
        )
    contents = read_numpy(path)
    contents.label_names = tuple("0123456789")
    return contents
