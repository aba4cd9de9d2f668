"""Between arrays of any batch, channels last, and a file that wants a fixed batch or channels first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from aezoo.runtime.schema import Tensor

Run = Callable[[Sequence[str], Mapping[str, np.ndarray]], list[np.ndarray]]


class Ends(Protocol):
    """What has inputs and outputs: a row of the manifest, or a file that is still to be written."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """Its inputs, in order."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """Its outputs, in order."""


def fixed_batch(tensor: Tensor) -> int | None:
    """Returns the batch that a tensor of the manifest is fixed to, or None where it is open."""
    size = tensor.shape[0]
    return size if isinstance(size, int) else None


def channels_first(tensors: Iterable[Tensor]) -> set[str]:
    """Returns the names of those tensors that are (N, C, H, W)."""
    return {tensor.name for tensor in tensors if tensor.layout == "nchw"}


def fitted(run: Any, ends: Ends) -> Run:
    """Returns `run` for arrays of any batch with channels last; itself where its file takes those.

    Args:
        run: function of names of outputs (a list) and {input: array}, which returns a list of arrays.
        ends: inputs and outputs of the file. Where its batch is fixed, examples are divided, and the last
            batch filled with its last example.
    """
    batch = fixed_batch(ends.inputs[0])
    first = channels_first([*ends.inputs, *ends.outputs])
    examples = {tensor.name for tensor in ends.inputs}  # a scorer's threshold is none
    if batch is None and not first:
        return run

    def fitting(wanted: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        inputs = {
            name: np.ascontiguousarray(np.moveaxis(array, -1, 1)) if name in first else array
            for name, array in inputs.items()
        }
        answers = run(wanted, inputs) if batch is None else _in_batches(run, wanted, inputs, batch, examples)
        return [
            np.moveaxis(answer, 1, -1) if name in first else answer
            for name, answer in zip(wanted, answers, strict=True)
        ]

    return fitting


def _in_batches(run, wanted, inputs, batch, examples):
    count = len(next(iter(inputs.values())))
    pieces = []
    for start in range(0, count, batch):
        piece = {
            name: _filled(array[start : start + batch], batch) if name in examples else array
            for name, array in inputs.items()
        }
        pieces.append(run(wanted, piece))
    return [np.concatenate(answers)[:count] for answers in zip(*pieces, strict=True)]


def _filled(array, batch):
    missing = batch - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array
