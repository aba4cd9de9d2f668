"""Arguments that several commands take, and what their texts mean."""

import pathlib

from aezoo.core.errors import OptionError


def words(text):
    """Returns the words of a text with commas between them, a list."""
    return [word.strip() for word in text.split(",") if word.strip()]


def load_in(path, precision):
    """Loads a run or a bundle; of a bundle the files of a precision."""
    from aezoo.loading import load
    from aezoo.runtime.manifest import is_bundle

    if is_bundle(path):
        from aezoo import runtime

        return runtime.load(path, precision=precision)
    if precision != "float32":
        raise OptionError(
            "only the files of a bundle have a precision",
            got=f"--precision {precision} for {path}, which is no bundle",
            expected="the folder of a bundle",
            fix=f"aezoo export {path} --formats onnx --precision {precision} -o bundle",
        )
    return load(path)


def labels_of(text, count):
    """Returns {"labels": (count,)} of "3,1,4", of one number for all, or of a .npy file; {} of None."""
    import numpy as np

    if text is None:
        return {}
    if pathlib.Path(text).suffix == ".npy":
        from aezoo.data.reading import read_labels

        return {"labels": read_labels(text)}
    numbers = _numbers(text, int, "--labels")
    return {"labels": np.asarray(numbers * count if len(numbers) == 1 else numbers)}


def _numbers(text, kind, option):
    try:
        return [kind(number) for number in text.split(",")]
    except ValueError:
        raise OptionError(
            f"{option} are numbers with commas between",
            got=f"{option} {text}",
            expected="for example 3,1,4",
            fix=f"{option}=3,1,4",
        ) from None
