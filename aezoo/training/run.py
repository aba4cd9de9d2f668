"""The run: the folder that a training leaves, and the only place that knows its file names.

run/
  run.json             model, options, settings, seed, versions, data and its hash, parameters, seconds
  model.keras          the model at the epoch with the lowest validation loss
  history.csv          one row an epoch
  metrics.json         the test figures, PCA of the same latent size beside them
  held_out.npz         a few test examples, from which an export is proven
  reconstructions.png  latents.png  loss.png
  checkpoint.keras     only while training is unfinished: everything that `resume` needs
"""

import csv
import json
import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aezoo.core.errors import RunError
from aezoo.core.files import DRAFT, read_json, replacing
from aezoo.runtime.manifest import is_bundle

if TYPE_CHECKING:  # a run is looked into without Keras
    import numpy as np

    from aezoo.nn.autoencoder import Autoencoder


class Run:
    """A training's folder.

    Args:
        folder: path of the folder.

    Attributes:
        folder: `pathlib.Path`.
        info_file, model_file, history_file, metrics_file, held_out_file, reconstructions_file, latents_file,
            samples_file, loss_file, checkpoint_file: paths, whether the files are there or not; no other
            module spells their names.
        files: all of them, a tuple.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(folder)
        self.info_file = self.folder / "run.json"
        self.model_file = self.folder / "model.keras"
        self.history_file = self.folder / "history.csv"
        self.metrics_file = self.folder / "metrics.json"
        self.held_out_file = self.folder / "held_out.npz"
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
            raise RunError(
                "the training of this run has not ended",
                got=f"{folder}: {len(run.history)} of {run.info['settings']['epochs']} epochs",
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
            new.write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
            if self.exists() and self.info["status"] != "finished":
                self.info_file.unlink()  # it would take the new checkpoint for its own

    def clear(self) -> None:
        """Deletes what an earlier run left behind, which is all that `begin` does not write."""
        for path in self.files:
            if path not in (self.info_file, self.checkpoint_file):
                path.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _is_ours(self, path):
        return path in self.files or path.name.startswith(DRAFT)

    @property
    def info(self) -> dict[str, Any]:
        """The content of run.json, a dict."""
        info = read_json(self.info_file)
        if not isinstance(info, dict) or not {"status", "model", "options", "settings", "data"} <= set(info):
            raise RunError(
                "run.json does not describe a run",
                got=f"{self.info_file}: {str(info)[:80]}",
                expected="status, model, options, settings, data and more",
                fix="train again into another folder",
            )
        return info

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json, a dict."""
        return read_json(self.metrics_file)

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dict an epoch: epoch, loss, val_loss, learning_rate, seconds."""
        if not self.history_file.is_file():
            return []
        with open(self.history_file, encoding="utf-8", newline="") as file:
            return [
                {key: int(value) if key == "epoch" else float(value) for key, value in row.items()}
                for row in csv.DictReader(file)
            ]

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes history.csv anew, whole or not at all."""
        with replacing(self.history_file) as path, open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["epoch"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    @property
    def model(self) -> "Autoencoder":
        """The best model, an `Autoencoder` loaded anew."""
        from aezoo.nn.saving import load_model

        return load_model(self.model_file)

    @property
    def held_out(self) -> dict[str, "np.ndarray"]:
        """A few test examples: {"examples": float32 (N, ...), "trained_on": uint64, a sketch of the
        training examples, see `calibration.sketch`}; for a conditional model also {"labels": (N,) int32}.
        """
        import numpy as np

        try:
            # np.load itself leaves a broken archive open
            with open(self.held_out_file, "rb") as file, np.load(file) as arrays:
                return {**arrays, "examples": arrays["examples"]}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RunError(
                "the held-out examples of the run cannot be read",
                got=f"{self.held_out_file}: {error}",
                expected="the examples that the training kept for the proof of an export",
                fix="train again into another folder",
            ) from error
