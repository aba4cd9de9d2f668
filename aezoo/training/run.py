"""The run: the folder that a training leaves, and the only place that knows its file names.

run/
  run.json             model, options, settings, seed, versions, data and its hash, parameters, seconds
  model.keras          the model at the epoch with the lowest validation loss
  history.csv          one row an epoch
  metrics.json         the test figures, PCA of the same latent size beside them
  held_out.npz         a few normal examples that were not trained on, by which an export is proven
  reference.npz        training examples, which some scores compare with
  reconstructions.png  latents.png  loss.png
  checkpoint.keras     only while training is unfinished: everything that `resume` needs
"""

import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aezoo.core.errors import RunError
from aezoo.core.files import DRAFT, replacing
from aezoo.core.json_text import json_text
from aezoo.runtime.manifest import is_bundle
from aezoo.training import records

if TYPE_CHECKING:  # a run is looked into without Keras
    import numpy as np

    from aezoo.nn.autoencoder import Autoencoder


class Run:
    """A training's folder.

    Args:
        folder: path of the folder.

    Attributes:
        folder: `pathlib.Path`.
        info_file, model_file, history_file, metrics_file, held_out_file, reference_file,
            reconstructions_file, latents_file, samples_file, loss_file, checkpoint_file: paths, whether the
            files are there or not; no other module spells their names.
        files: all of them, a tuple.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(folder)
        self.info_file = self.folder / "run.json"
        self.model_file = self.folder / "model.keras"
        self.history_file = self.folder / "history.csv"
        self.metrics_file = self.folder / "metrics.json"
        self.held_out_file = self.folder / "held_out.npz"
        self.reference_file = self.folder / "reference.npz"
        self.reconstructions_file = self.folder / "reconstructions.png"
        self.latents_file = self.folder / "latents.png"
        self.samples_file = self.folder / "samples.png"
        self.loss_file = self.folder / "loss.png"
        self.checkpoint_file = self.folder / "checkpoint.keras"
        self.files = tuple(path for path in vars(self).values() if path != self.folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Run":
        """Opens the folder of a training that has ended.

        Raises:
            RunError: no such folder, no run in it, or its training has not ended.
        """
        run = cls(folder)
        if not run.exists():
            run._refuse_missing()
        if run.info["status"] != "finished":
            done, epochs = records.epochs_done(run.history), run.info["settings"]["epochs"]
            raise RunError(
                "the training of this run has not ended",
                got=f"{folder}: {done} of {epochs} epochs",
                expected="a finished run",
                fix=f"aezoo train --resume -o {folder}",
            )
        return run

    def _refuse_missing(self):
        """Raises RunError: there is no run, and what is there instead."""
        problem, got = "there is no run in this folder", str(self.folder)
        fix = "check the path; a run is made by `aezoo train` in a folder of its own"
        if not self.folder.exists():
            got += " (does not exist)"
            fix = f"aezoo train conv --data mnist_mini -o {self.folder}"
        elif self.folder.is_file():
            problem, got = "this is a file, not the folder of a run", f"{got}, a file"
        elif is_bundle(self.folder):
            problem, got = "this is a bundle already, not a run", f"{got}, a bundle"
            fix = "pass the folder of the run that it was exported from"
        raise RunError(
            problem,
            got=got,
            expected="a folder with run.json, written by `aezoo train` or a recipe",
            fix=fix,
        )

    def exists(self) -> bool:
        """Whether the folder holds a run, finished or not."""
        return self.info_file.is_file()

    def check_free(self, *, overwrite: bool = False) -> None:
        """Raises RunError where the folder cannot take a new run; call it before long work.

        Args:
            overwrite: whether a run that lies there may give way. Anything else never does.
        """
        foreign = []
        if self.folder.is_dir():
            foreign = [path.name for path in self.folder.iterdir() if not self._is_ours(path)]
        elif self.folder.exists():
            foreign = [self.folder.name]
        if foreign:
            raise RunError(
                "this folder holds something else than a run",
                got=f"{self.folder}: {', '.join(sorted(foreign)[:3])}",
                expected="a new folder, an empty one, or a run",
                fix="pass another folder",
            )
        if not self.exists() or overwrite:
            return
        unfinished = self.info["status"] != "finished"
        raise RunError(
            "a run lies in this folder already",
            got=f"{self.folder}, {self.info['status']}",
            expected="a new folder",
            fix=f"aezoo train --resume -o {self.folder}"
            if unfinished
            else "pass another folder, or overwrite=True",
        )

    def begin(self, info: Mapping[str, Any], save: Callable[[pathlib.Path], object]) -> None:
        """Writes what a run begins with; one that lies there gives way once this one can be resumed.

        Args:
            info: content of run.json.
            save: writes the checkpoint before the first epoch to a path.
        """
        with replacing(self.info_file) as new, replacing(self.checkpoint_file) as checkpoint:
            save(checkpoint)
            new.write_text(json_text(info, indent=2) + "\n", encoding="utf-8")
            if self.exists() and not self._is_finished():
                self.info_file.unlink()  # it would take the new checkpoint for its own

    def clear(self) -> None:
        """Deletes what an earlier run left behind, which is all that `begin` does not write."""
        for path in self.files:
            if path not in (self.info_file, self.checkpoint_file):
                path.unlink(missing_ok=True)

    def _is_finished(self):
        try:
            return self.info["status"] == "finished"
        except RunError:  # damaged, and about to give way
            return False

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _is_ours(self, path):
        return path in self.files or path.name.startswith(DRAFT)

    @property
    def info(self) -> dict[str, Any]:
        """The content of run.json, a dict; see `records.Training` and `records.Finished`."""
        return records.read_info(self.info_file)

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json, a dict."""
        return records.read_metrics(self.metrics_file)

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dict an epoch: epoch, loss, val_loss, learning_rate, seconds."""
        rows = records.read_history(self.history_file)
        if not self.exists():  # as while a run begins in a folder
            return rows
        info = self.info
        if info["status"] == "finished":
            best = records.best_epoch(rows, info.get("least_gain", 0.0)) if rows else 0
            ours = (records.epochs_done(rows), best)
            if ours != (info["epochs"], info["best_epoch"]):
                raise RunError(
                    "history.csv is not that of this run",
                    got=f"{self.history_file}: {ours[0]} epochs, the best of which is {ours[1]}",
                    expected=f"{info['epochs']} epochs, the best of which is {info['best_epoch']}",
                    fix="bring history.csv back as it was, or train again into another folder",
                )
        return rows

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes history.csv anew, whole or not at all."""
        with replacing(self.history_file) as path:
            path.write_text(records.history_text(rows), encoding="utf-8", newline="")

    @property
    def model(self) -> "Autoencoder":
        """The best model, an `Autoencoder` loaded anew.

        Raises:
            RunError: model.keras cannot be loaded, or is not the file that the training wrote.
        """
        info = self.info
        model = self.load_model(info["model_sha256"])
        self.check_is_of(model, info)
        return model

    def check_is_of(self, model: "Autoencoder", info: Mapping[str, Any]) -> None:
        """Raises RunError unless run.json, whose content is `info`, describes this model."""
        data, settings = info["data"], ("model", "options", "latent_shape", "parameters", "shape")
        said = [*(info[name] for name in settings[:4]), data["shape"]]
        shapes = [list(model.latent_shape), model.count_params(), list(model.example_shape)]
        for name, one, other in zip(
            settings, said, [model.model_name, model.model_options, *shapes], strict=True
        ):
            if one != other:
                raise RunError(
                    "run.json describes another model than the one beside it",
                    got=f"{self.info_file}: {name} is {str(one)[:80]!a}",
                    expected=f"{str(other)[:80]!a}",
                    fix="bring run.json back as it was, or train again into another folder",
                )

    def load_model(self, *known: str | None) -> "Autoencoder":
        """Loads model.keras, whose sha256 must be among those that are known; see `model`."""
        from aezoo.nn import saving

        file = saving.read(self.model_file)
        sha256 = hashlib.sha256(file.content).hexdigest()
        if sha256 not in known:
            raise RunError(
                "model.keras is not the file that this training wrote",
                got=f"{self.model_file}: sha256 {sha256[:16]}...",
                expected=" or ".join(f"sha256 {one[:16]}..." for one in known if one) or "no file yet",
                fix=f"bring it back as it was, or pass {self.model_file.name} itself where no run is needed",
            )
        return saving.from_file(file, self.model_file)

    @property
    def held_out(self) -> dict[str, Any]:
        """A few examples that were not trained on, as `export_bundle` takes them, a dict.

        "examples": float32 (N, ...), of classes that training has; "source": "held-out examples" of the test
        part, or "validation examples"; "labels": (N,) int32, of a conditional model; "anomalies": (M, ...),
        of the test part's other classes, where it has at least 20; "trained_on": uint64 (2, K), a sketch of
        the training examples, see `fingerprints.sketch`.
        """
        from aezoo.training import kept_examples

        return kept_examples.read_held_out(self.held_out_file, self.info["data"]["shape"])

    @property
    def reference(self) -> "np.ndarray | None":
        """Examples of the training part, float32 (N, ...), for scores that compare with them.

        None of a run of an earlier version, which keeps none.
        """
        if not self.reference_file.exists():
            return None
        from aezoo.training import kept_examples

        return kept_examples.read_reference(self.reference_file, self.info["data"]["shape"])
