"""Layouts as arrays of indices, and the nests of loops that walk through them.

A view of values that lie flat in memory is an integer array of the view's shape: where each of its values
lies. Transposing, reshaping, slicing or repeating a view is then NumPy's own operation on that array, which
costs no code in the header, and whatever is left is walked through by the loops that `nest` finds.
"""

from collections.abc import Sequence

import numpy as np

from aezoo.core.errors import ExportError

# The index of each array's first value, and (size, step of each array) of the loops, the outermost first.
Nest = tuple[list[int], list[tuple[int, tuple[int, ...]]]]


def row_major(shape: Sequence[int]) -> np.ndarray:
    """Returns the indices of values that lie in the order of their shape.

    >>> row_major((2, 3))
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    return np.arange(int(np.prod(shape))).reshape(shape)


def channels_last(shape: Sequence[int]) -> np.ndarray:
    """Returns the indices of a view (1, C, ...) whose values lie as (..., C), as Keras has them.

    >>> channels_last((1, 2, 3)).tolist()
    [[[0, 2, 4], [1, 3, 5]]]
    """
    batch, channels, *sizes = shape
    return np.moveaxis(row_major((batch, *sizes, channels)), -1, 1)


def nest(*indices: np.ndarray | Sequence[int]) -> Nest:
    """Returns the shortest nest of loops that walks through several arrays of indices at once.

    Args:
        indices: integer arrays of one number of values, visited in their order.

    Returns:
        (bases, loops): the index of each array's first value, and [(size, step of each array)], the
        outermost loop first.

    Raises:
        ExportError: no nest of loops walks like this.

    >>> nest([0, 2, 4, 1, 3, 5], [0, 1, 2, 3, 4, 5])
    ([0, 0], [(2, (1, 3)), (3, (2, 1))])
    """
    table = np.stack([np.ravel(index) for index in indices]).astype(np.int64)
    bases, loops = table[:, 0].tolist(), []
    while table.shape[1] > 1:
        size = _run(table)
        loops.append((size, tuple((table[:, 1] - table[:, 0]).tolist())))
        table = table[:, ::size]
    return bases, loops[::-1]


def _run(table):
    """Returns the most values that an innermost loop can take, the same for every turn around it."""
    count = table.shape[1]
    steps = np.diff(table)
    uneven = np.flatnonzero((steps != steps[:, :1]).any(axis=0))
    longest = int(uneven[0]) + 1 if len(uneven) else count
    for size in range(longest, 1, -1):
        if count % size == 0:
            blocks = table.reshape(len(table), -1, size)
            if (blocks - blocks[:, :, :1] == blocks[:, :1] - blocks[:, :1, :1]).all():
                return size
    raise ExportError(
        "the format c cannot walk through values in such an order",
        got=f"{count} values, of which an even run ends after {longest}",
        expected="what transposing, reshaping, slicing and repeating make of an even order",
        fix="export this part with formats=('onnx',)",
    )
