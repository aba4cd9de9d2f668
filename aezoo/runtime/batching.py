"""Between arrays of any batch, channels last, and a file that wants a fixed batch or channels first."""

import numpy as np


def fixed_batch(row):
    """Returns the batch that a tensor's row of the manifest is fixed to, or None where it is open.

    >>> fixed_batch({"shape": [4, 28, 28, 1]}), fixed_batch({"shape": ["batch", 5]})
    (4, None)
    """
    size = row["shape"][0]
    return None if isinstance(size, str) else size


def channels_first(rows):
    """Returns the names of the tensors (N, C, H, W) among rows of the manifest, a set."""
    return {row["name"] for row in rows if row.get("layout") == "nchw"}


def fitted(run, artifact):
    """Returns `run` for arrays of any batch with channels last; itself where its file takes those.

    Args:
        run: function of names of outputs (a list) and {input: array}, which returns a list of arrays.
        artifact: the file's row of the manifest. Where its batch is fixed, examples are divided, and the last
            batch filled with its last example.
    """
    batch = fixed_batch(artifact["inputs"][0])
    first = channels_first([*artifact["inputs"], *artifact["outputs"]])
    if batch is None and not first:
        return run

    def fitting(wanted, inputs):
        inputs = {
            name: np.ascontiguousarray(np.moveaxis(array, -1, 1)) if name in first else array
            for name, array in inputs.items()
        }
        answers = run(wanted, inputs) if batch is None else _in_batches(run, wanted, inputs, batch)
        return [
            np.moveaxis(answer, 1, -1) if name in first else answer
            for name, answer in zip(wanted, answers, strict=True)
        ]

    return fitting


def _in_batches(run, wanted, inputs, batch):
    count = len(next(iter(inputs.values())))
    pieces = []
    for start in range(0, count, batch):
        piece = {name: _filled(array[start : start + batch], batch) for name, array in inputs.items()}
        pieces.append(run(wanted, piece))
    return [np.concatenate(answers)[:count] for answers in zip(*pieces, strict=True)]


def _filled(array, batch):
    missing = batch - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array
