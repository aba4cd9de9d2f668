"""Runs a bundle with NumPy and onnxruntime, and nothing else.

bundle = aezoo.runtime.load("bundle/")
latents = bundle.encode(images)             # images (B, H, W, C) float32 in [0, 1]
error = bundle.reconstruction_error(images)  # (B,)
verdict = bundle.score(images)["is_anomaly"]  # (B,) bool
digits = bundle.sample(64, seed=7)          # (64, H, W, C), the same as the Keras model's
"""

import os
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from aezoo.core import priors
from aezoo.core.errors import OptionError
from aezoo.core.model import Model
from aezoo.core.options import check_positive
from aezoo.core.strict_json import Damaged, to_json
from aezoo.runtime import manifest as contract
from aezoo.runtime import onnx_files
from aezoo.runtime.batching import fitted
from aezoo.runtime.kept import read_arrays

Providers = Sequence[str | tuple[str, dict[str, Any]]]


def load(
    folder: str | os.PathLike[str],
    *,
    precision: str = "float32",
    providers: Providers | None = None,
    intra_op_threads: int | None = None,
    inter_op_threads: int | None = None,
    digest: str | None = None,
) -> "Bundle":
    """Opens a bundle; every ONNX file's sha256 is checked first.

    Args:
        folder: of the bundle.
        precision: of the files to run: "float32", or what else the bundle was exported with.
        providers: onnxruntime's execution providers, in order; None is the CPU.
        intra_op_threads: threads inside an operator; None is one a core.
        inter_op_threads: threads across operators; None is onnxruntime's choice.
        digest: sha256 that the bundle must have, as the export printed it; None accepts any.

    Returns:
        A `Bundle`.

    Raises:
        BundleError: no bundle there, none of this precision or of another digest, or a file of it is missing,
            altered or damaged.
        OptionError: a provider is not available here, a number of threads is none, or the digest no sha256.
    """
    return Bundle(folder, precision, providers, intra_op_threads, inter_op_threads, digest)


class Bundle(Model):
    """An exported model, as `load` opens it: a `Model`. Safe to use from several threads.

    Attributes:
        folder: where it lies.
        manifest: the content of manifest.json, a `runtime.schema.Manifest`.
        precision: of the files that run here: "float32", "float16" or "int8".
        example_shape, latent_shape, ...: as for `aezoo.core.model.Model`.
    """

    example_shape: tuple[int, ...] = ()
    latent_shape: tuple[int, ...] = ()
    error_scale: np.ndarray | np.float32 = np.float32(1.0)
    codebook_size: int | None = None
    held_parts: tuple[str, ...] = ()

    def __init__(
        self,
        folder: str | os.PathLike[str],
        precision: str = "float32",
        providers: Providers | None = None,
        intra_op_threads: int | None = None,
        inter_op_threads: int | None = None,
        digest: str | None = None,
    ) -> None:
        self.folder = pathlib.Path(folder)
        manifest = self.manifest = contract.read_manifest(self.folder, digest)
        self.precision = contract.check_precision(manifest, precision)
        self.model_name = manifest.model
        self.example_shape = manifest.example_shape
        self.latent_shape = manifest.latent_shape
        self.example_dtype = manifest.input_dtype
        self.ragged = manifest.ragged
        if manifest.error_scale is not None:
            self.error_scale = np.asarray(manifest.error_scale, "float32")
        self.likelihood = to_json(manifest.likelihood)
        self.classes = manifest.classes
        self.codebook_size = manifest.codebook_size
        self.prior = read_prior(self.folder, manifest)
        names = manifest.run and manifest.run["data"].get("feature_names")
        self.feature_names = tuple(names) if names else None
        if manifest.calibration is not None:
            self.score_name = manifest.calibration.score
            self.threshold = manifest.calibration.threshold
            self.false_positive_rate = manifest.calibration.false_positive_rate
        self._providers = _check_providers(providers)
        self._options = onnx_files.sealed(onnxruntime.SessionOptions())
        self._options.log_severity_level = 3  # errors only; they are raised as well
        if intra_op_threads is not None:
            self._options.intra_op_num_threads = _check_threads("intra_op_threads", intra_op_threads)
        if inter_op_threads is not None:
            self._options.inter_op_num_threads = _check_threads("inter_op_threads", inter_op_threads)
        self._sessions: dict[str, tuple[Callable[..., list[np.ndarray]], list[str], list[str]]] = {}
        self._lock = threading.Lock()
        for artifact in manifest.artifacts:
            if (artifact.format, artifact.precision) == ("onnx", precision):
                contract.check_files(self.folder, artifact.files)
                self.held_parts += (artifact.part,)

    def __repr__(self) -> str:
        return f"Bundle({str(self.folder)!r}, model={self.model_name!r})"

    # -- what `Model` asks for ------------------------------------------------------------------------

    def _encode(
        self, examples: np.ndarray, labels: np.ndarray | None, batch_size: int, wanted: Sequence[int]
    ) -> list[np.ndarray]:
        return self._run("encoder", examples, labels, batch_size, wanted)

    def _decode(self, latents: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        return self._run("decoder", latents, labels, batch_size)[0]

    def _decode_codes(self, codes: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        return self._run("code_decoder", codes, labels, batch_size)[0]

    def _reconstruct(self, examples: np.ndarray, labels: np.ndarray | None, batch_size: int) -> np.ndarray:
        return self._run("reconstructor", examples, labels, batch_size)[0]

    def _score(
        self, examples: np.ndarray, labels: np.ndarray | None, batch_size: int, threshold: float | None
    ) -> dict[str, np.ndarray]:
        names = self._open("scorer")[2]
        fixed = {} if threshold is None else {"threshold": np.asarray([threshold], "float32")}
        results = self._run("scorer", examples, labels, batch_size, range(len(names)), fixed)
        return dict(zip(names, results, strict=True))

    # -- sessions -------------------------------------------------------------------------------------

    def _run(
        self,
        part: str,
        inputs: np.ndarray,
        labels: np.ndarray | None,
        batch_size: int,
        wanted: Sequence[int] = (0,),
        fixed: dict[str, np.ndarray] | None = None,
    ) -> list[np.ndarray]:
        """Returns the wanted outputs of a part, of which at most `batch_size` examples are run at a time."""
        entry = self._sessions.get(part)
        run, names, outputs = entry if entry is not None else self._open(part)
        called = [outputs[number] for number in wanted]
        given = (inputs,) if labels is None else (inputs, labels)
        if len(inputs) <= batch_size:
            return run(called, {**dict(zip(names, given, strict=True)), **(fixed or {})})
        whole: list[np.ndarray] = []
        for start in range(0, len(inputs), batch_size):
            taken = (array[start : start + batch_size] for array in given)
            answers = run(called, {**dict(zip(names, taken, strict=True)), **(fixed or {})})
            whole = whole or [np.empty((len(inputs), *each.shape[1:]), each.dtype) for each in answers]
            for array, answer in zip(whole, answers, strict=True):
                array[start : start + len(answer)] = answer
        return whole

    def _open(self, part: str) -> tuple[Callable[..., list[np.ndarray]], list[str], list[str]]:
        with self._lock:  # two threads must not both load the file
            if part not in self._sessions:
                artifact = contract.find(self.manifest, part, precision=self.precision)
                session = onnx_files.open_session(self.folder, artifact, self._options, self._providers)
                self._sessions[part] = (
                    fitted(onnx_files.guarded(session.run, artifact), artifact),
                    [row.name for row in artifact.inputs],
                    [row.name for row in artifact.outputs],
                )
            return self._sessions[part]


def read_prior(folder: contract.Folder, manifest: contract.Manifest) -> priors.Prior | None:
    """Returns what a bundle's latents are drawn from, or None.

    Raises:
        BundleError: its file is missing or altered, or holds no prior of these latents.
    """
    row, shape = manifest.prior, manifest.latent_shape
    if row is None:
        return None
    arrays: Mapping[str, Any] = {"latent_shape": shape}
    for name, sha256 in row.files.items():
        likes = priors.likes(row.kind, shape)
        arrays = read_arrays(folder, name, sha256, priors.LARGEST, likes, others=None)
    try:
        prior = priors.from_arrays(row.kind, arrays)
        if prior.latent_shape != shape:
            raise Damaged("latent_shape", f"is {prior.latent_shape}", f"{shape}, as in the manifest")
    except Damaged as error:
        raise contract.damaged(folder, contract.PRIOR, error) from error
    return prior


def _check_threads(option, threads):
    """Returns a number of threads, or raises OptionError; for 0 onnxruntime chooses."""
    if check_positive(option, threads, least=0) >= 2**31:
        raise OptionError(
            "there are no machines of so many threads",
            got=f"{option}={threads!r}",
            expected="a whole number, as many as cores at most",
            fix=f"leave {option} out",
        )
    return int(threads)


def _check_providers(providers):
    available = onnxruntime.get_available_providers()
    if providers is None:
        return ["CPUExecutionProvider"]
    for provider in providers:
        name = provider[0] if isinstance(provider, tuple) else provider
        if name not in available:
            raise OptionError(
                "this onnxruntime has no such execution provider",
                got=f"providers={list(providers)!r}",
                expected=f"among {', '.join(available)}",
                fix="install the onnxruntime build of your device, for example onnxruntime-gpu",
            )
    return list(providers)
