"""Runs a bundle with NumPy and onnxruntime, and nothing else.

bundle = aezoo.runtime.load("bundle/")
latents = bundle.encode(images)             # images (B, H, W, C) float32 in [0, 1]
error = bundle.reconstruction_error(images)  # (B,)
verdict = bundle.score(images)["is_anomaly"]  # (B,) bool
digits = bundle.sample(64, seed=7)          # (64, H, W, C), the same as the Keras model's
"""

import math
import numbers
import pathlib
import threading

import numpy as np
import onnxruntime

from aezoo.core import priors
from aezoo.core.errors import BundleError, DataError, OptionError
from aezoo.core.examples import as_array, as_codes, as_inputs, as_labels, surely_inputs
from aezoo.core.latent_space import LatentSpace
from aezoo.core.strict_json import to_json
from aezoo.runtime import manifest as contract
from aezoo.runtime.batching import fitted

_BATCH = 256  # examples in one call of onnxruntime; larger batches only cost memory


def load(folder, *, precision="float32", providers=None, intra_op_threads=None, inter_op_threads=None):
    """Opens a bundle; every ONNX file's sha256 is checked first.

    Args:
        folder: of the bundle.
        precision: of the files to run: "float32", or what else the bundle was exported with.
        providers: onnxruntime's execution providers, in order; None is the CPU.
        intra_op_threads: threads inside an operator; None is one a core.
        inter_op_threads: threads across operators; None is onnxruntime's choice.

    Returns:
        A `Bundle`.

    Raises:
        BundleError: no bundle there, none of this precision, or a file of it is missing or altered.
        OptionError: a provider is not available here.
    """
    return Bundle(folder, precision, providers, intra_op_threads, inter_op_threads)


class Bundle(LatentSpace):
    """An exported model, as `load` opens it. Safe to use from several threads.

    Attributes:
        manifest: the content of manifest.json, a `runtime.schema.Manifest`.
        precision: of the files that run here: "float32", "float16" or "int8".
        kind: "images", "sequences" or "rows".
        example_shape: of one example, (H, W, C), (T, F) or (F,).
        latent_shape: of one example's latents, (D,), or (h, w, D) for maps.
        input_dtype: "float32" or "uint8", what the encoder takes.
        error_scale: what differences are divided by in `reconstruction_error`.
        prior: what `sample` draws latents from, of `aezoo.core.priors`, or None.
        likelihood: how an example is distributed given its reconstruction, or None.
        classes: number of labels of a conditional model, or None.
        codebook_size: K of a quantised model, or None.
    """

    def __init__(
        self, folder, precision="float32", providers=None, intra_op_threads=None, inter_op_threads=None
    ):
        self.folder = pathlib.Path(folder)
        self.manifest = contract.read_manifest(self.folder)
        self.precision = contract.check_precision(self.manifest, precision)
        self.kind = self.manifest.kind
        self.example_shape = self.manifest.example_shape
        self.latent_shape = self.manifest.latent_shape
        self.input_dtype = self.manifest.input_dtype
        self._dtype = np.dtype(self.input_dtype)
        scale = self.manifest.error_scale
        self.error_scale = np.float32(1.0) if scale is None else np.asarray(scale, "float32")
        self.likelihood = to_json(self.manifest.likelihood)
        self.classes = self.manifest.classes
        self.codebook_size = self.manifest.codebook_size
        self.takes_labels = self.classes is not None
        self.prior = _read_prior(self.folder, self.manifest, self.latent_shape)
        self._providers = _check_providers(providers)
        self._options = onnxruntime.SessionOptions()
        self._options.log_severity_level = 3  # errors only; they are raised as well
        if intra_op_threads is not None:
            self._options.intra_op_num_threads = intra_op_threads
        if inter_op_threads is not None:
            self._options.inter_op_num_threads = inter_op_threads
        self._sessions = {}
        self._lock = threading.Lock()
        for artifact in self.manifest.artifacts:
            if (artifact.format, artifact.precision) == ("onnx", precision):
                contract.check_files(self.folder, artifact.files)

    def __repr__(self):
        return f"Bundle({str(self.folder)!r}, model={self.manifest.model!r})"

    def encode(self, examples, labels=None):
        """Returns the latents (B, D), float32, of examples (B, ...); a batch of any size.

        Of a variational model these are the posterior means. `labels` (B,) are for conditional
        models alone, here and below.

        Raises:
            DataError: wrong shape, dtype, range, or NaN.
        """
        return self._run("encoder", self._as_inputs(examples), labels)

    def decode(self, latents, labels=None):
        """Returns the reconstructions (B, ...), float32, of latents (B, D).

        A quantised model takes code_indices as well, whole numbers without the last axis.
        """
        latents = as_array(latents, source="latents")
        if self.codebook_size is not None and latents.dtype.kind in "iu":
            codes = as_codes(latents, self.latent_shape[:-1], self.codebook_size)
            return self._run("code_decoder", codes, labels)
        latents = as_inputs(latents, self.latent_shape, unit_range=False, source="latents")
        return self._run("decoder", latents, labels)

    def reconstruct(self, examples, labels=None):
        """Returns the reconstructions (B, ...), float32, of examples (B, ...)."""
        return self._run("reconstructor", self._as_inputs(examples), labels)

    def reconstruction_error(self, examples, labels=None):
        """Returns each example's anomaly score (B,), float32: its mean squared error.

        In [0, 1] units for images, also for uint8 ones; in standard deviations of the columns for rows
        and sequences.
        """
        examples = self._as_inputs(examples)
        difference = self._run("reconstructor", examples, labels)
        difference -= examples / np.float32(255) if self.input_dtype == "uint8" else examples
        difference /= self.error_scale
        return np.square(difference, out=difference).reshape(len(examples), -1).mean(axis=1)

    def score(self, examples, threshold=None, labels=None):
        """Returns what the scorer says of examples (B, ...), a dict of arrays.

        `latents` (B, D), `reconstructions` (B, ...), `error_map`: (B, H, W) of images, (B, T) of sequences,
        (B, F) of rows; `reconstruction_error` (B,), for some variational models `negative_elbo` (B,) in
        nats; `p_value` (B,): the share of normal examples whose score is as high; `is_anomaly` (B,) bool.

        Args:
            examples: as for `encode`.
            threshold: of the score; None is the calibrated one.
            labels: (B,), for conditional models alone.

        Raises:
            BundleError: the bundle holds no scorer.
            OptionError: the threshold is no number.
        """
        optional = {}
        if threshold is not None:
            if not isinstance(threshold, numbers.Real) or not np.isfinite(threshold):
                raise OptionError(
                    "a threshold is a number in the units of the score",
                    got=f"threshold={threshold!r}",
                    expected=f"for example {self._calibrated_threshold():.6g}, the calibrated one",
                    fix="leave the threshold out",
                )
            optional["threshold"] = np.asarray([threshold], "float32")
        examples = self._as_inputs(examples)
        results = self._run("scorer", examples, labels, output=None, optional=optional)
        return dict(zip(self._open("scorer")[2], results, strict=True))

    def _calibrated_threshold(self):
        calibration = self.manifest.calibration
        return math.nan if calibration is None else calibration.threshold

    def posterior(self, examples, labels=None):
        """Returns (posterior_mean, posterior_log_var) of a variational model, (B, D) each, float32.

        Raises:
            OptionError: the model has no posterior.
        """
        if self.likelihood is None:
            raise _without(self, "posterior", "a variational model")
        examples = self._as_inputs(examples)
        return tuple(self._run("encoder", examples, labels, output=number) for number in (0, 1))

    def code_indices(self, examples):
        """Returns the codes of a quantised model, int32 (B, h, w).

        Raises:
            OptionError: the model has no codebook.
        """
        if self.codebook_size is None:
            raise _without(self, "codebook", "a quantised model")
        return self._run("encoder", self._as_inputs(examples), output=1)

    def encode_batches(self, batches):
        """Yields the latents of each batch of an iterable; memory stays flat, however many come.

        Args:
            batches: of examples (B, ...); for a conditional model of pairs (examples, labels).
        """
        for batch in batches:
            if not self.takes_labels:
                yield self.encode(batch)
            elif isinstance(batch, (tuple, list)) and len(batch) == 2:
                yield self.encode(*batch)
            else:
                raise DataError(
                    "this model takes a label with each example",
                    got=f"a batch that is a {type(batch).__name__}",
                    expected="batches that are pairs (examples, labels)",
                    fix="bundle.encode_batches(zip(batches, labels))",
                )

    def _as_inputs(self, examples):
        if surely_inputs(examples, self.example_shape, self._dtype, self.kind == "images"):
            return examples
        return as_inputs(
            examples,
            self.example_shape,
            dtype=self.input_dtype,
            unit_range=self.kind == "images",
            source="images" if self.kind == "images" else "examples",
        )

    def _run(self, part, inputs, labels=None, output=0, optional=None):
        """Returns one output of a part for inputs of any number, or a list of all for `output=None`."""
        entry = self._sessions.get(part)
        run, names, outputs = entry if entry is not None else self._open(part)
        wanted = outputs if output is None else outputs[output : output + 1]
        if self.takes_labels or labels is not None:
            given = (inputs, as_labels(labels, len(inputs), self.classes))
        else:
            given = (inputs,)
        fixed = optional or {}
        if len(inputs) <= _BATCH:
            answer = run(wanted, {**dict(zip(names, given, strict=True)), **fixed})
            return answer if output is None else answer[0]
        answers = []
        for start in range(0, len(inputs), _BATCH):
            taken = (array[start : start + _BATCH] for array in given)
            answers.append(run(wanted, {**dict(zip(names, taken, strict=True)), **fixed}))
        joined = [np.concatenate(parts) for parts in zip(*answers, strict=True)]
        return joined if output is None else joined[0]

    def _open(self, part):
        with self._lock:  # two threads must not both load the file
            if part not in self._sessions:
                artifact = contract.find(self.manifest, part, precision=self.precision)
                try:
                    session = onnxruntime.InferenceSession(
                        str(self.folder / artifact.file), self._options, providers=self._providers
                    )
                except Exception as error:  # onnxruntime's classes have no common base
                    raise BundleError(
                        f"onnxruntime cannot load the {part}",
                        got=f"{artifact.file}: {str(error).splitlines()[0]}",
                        expected=f"opset {artifact.opset}, with onnxruntime {onnxruntime.__version__}",
                        fix="update onnxruntime, or export with a lower --opset",
                    ) from error
                self._sessions[part] = (
                    fitted(session.run, artifact),
                    [row.name for row in artifact.inputs],
                    [row.name for row in artifact.outputs],
                )
            return self._sessions[part]


def _read_prior(folder, manifest, latent_shape):
    row = manifest.prior
    if row is None:
        return None
    arrays = {"latent_shape": latent_shape}
    if row.files:
        contract.check_files(folder, row.files)
        with np.load(folder / contract.PRIOR) as file:
            arrays = dict(file)
    return priors.from_arrays(row.kind, arrays)


def _without(bundle, what, other):
    return OptionError(
        f"this model has no {what}",
        got=f"model {bundle.manifest.model!r}",
        expected=other,
        fix=f"aezoo info {bundle.folder} says what the bundle holds",
    )


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
