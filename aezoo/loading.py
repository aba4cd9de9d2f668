"""`aezoo.load`: opens whatever aezoo wrote to disk."""

import pathlib
from typing import Any

from aezoo.core.errors import RunError


def load(path: Any) -> Any:
    """Loads a bundle, a run or a .keras file.

    Args:
        path: text or a `pathlib.Path`. A bundle's folder gives an `aezoo.runtime.Bundle` (onnxruntime,
            no Keras); a run's folder or a .keras file gives the `Autoencoder`.

    Raises:
        RunError: nothing that aezoo wrote lies there, or a class of the model cannot be found.
        BundleError: the bundle is damaged.
    """
    try:
        path = pathlib.Path(path)
        there = path.exists()
    except (TypeError, ValueError):  # no path at all
        there = False
    if not there:  # said before Keras is imported
        raise RunError(
            "nothing that aezoo wrote lies there",
            got=f"{path} (does not exist)" if isinstance(path, pathlib.Path) else repr(path),
            expected="the folder of a bundle or of a run, or a .keras file",
            fix="check the path; `aezoo train` makes a run, and `aezoo export` a bundle of it",
        )
    if (path / "manifest.json").is_file():
        from aezoo.runtime.session import load as load_bundle

        return load_bundle(path)
    if path.suffix == ".keras":
        from aezoo.nn.saving import load_model  # here: it imports Keras

        return load_model(path)
    if path.is_file():
        raise RunError(
            "this file is no model",
            got=f"{path}, a file",
            expected="the folder of a bundle or of a run, or a .keras file",
            fix="pass the folder; aezoo.data.load reads files of examples",
        )
    from aezoo.training.run import Run

    return Run.load(path).model


def golden_examples(bundle: Any) -> Any:
    """Returns the examples that a loaded bundle was proven on, `aezoo.data.examples.Examples`.

    Raises:
        BundleError: their file is not the one that was exported, or does not hold what the manifest says.
    """
    from aezoo.data.examples import Examples, Numbers
    from aezoo.export.proof.golden_file import read_golden

    arrays = read_golden(bundle.folder, bundle.manifest)
    examples, labels = arrays["examples"], None
    if bundle.classes is not None:
        labels = arrays["labels"].astype("int64")
    run = bundle.manifest.run
    return Examples(
        examples,
        Numbers(len(examples)),
        labels,
        None if labels is None else [str(number) for number in range(bundle.classes)],
        run and run["data"].get("feature_names"),
        f"golden examples ({bundle.manifest.golden.source})",
    )
