"""How fast, how large and how near to Keras the files of a bundle are on this machine; no Keras here.

Every runtime and number of threads has a fresh process, `measuring`; this one says whose turn it is. Rows
take turns in every round, in another order each, so that a slow moment of the machine hits all of them alike.
"""

import dataclasses
import os
import pathlib
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aezoo.core.errors import BundleError, OptionError
from aezoo.core.options import check_choice
from aezoo.core.processes import Process
from aezoo.export.formats import FORMATS, why_skipped
from aezoo.export.proof import golden_file, readers
from aezoo.runtime import manifest as contract
from aezoo.runtime.schema import Artifact

MEASURER = "aezoo.bench.worker"
# What a row says, in order: the columns of the CSV file.
COLUMNS = (
    "part",
    "format",
    "precision",
    "batch",
    "threads",
    "size_bytes",
    "cold_start_ms",
    "p50_ms",
    "p95_ms",
    "spread",
    "examples_per_second",
    "peak_bytes",
    "bare_peak_bytes",
    "mse",
    "cosine",
    "status",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        batch_sizes: examples in one call.
        threads: of a runtime that takes a number; a row each.
        rounds: in which every row has a turn.
        turn_seconds: length of a turn; one call at least is timed, after one that is not.
        cold_starts: fresh processes for each file, whose median counts; 0 is none.
        slow_cold_starts: whether SavedModels have cold starts too, seconds each.
        limit_seconds: no further round begins later, and no cold start after half of them; None: no limit.
    """

    batch_sizes: tuple[int, ...] = (1, 16, 256)
    threads: tuple[int, ...] = (1,)
    rounds: int = 10
    turn_seconds: float = 0.05
    cold_starts: int = 3
    slow_cold_starts: bool = True
    limit_seconds: float | None = None


QUICK = Settings(
    batch_sizes=(1, 16),
    rounds=3,
    turn_seconds=0.02,
    cold_starts=1,
    slow_cold_starts=False,
    limit_seconds=40.0,
)


def measure(
    folder: contract.Folder,
    settings: Settings | None = None,
    *,
    parts: Sequence[str] | None = None,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    trust: bool = False,
    digest: str | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> dict[str, Any]:
    """Measures the files of a bundle.

    Args:
        folder: of the bundle.
        settings: a `Settings`; None is the default.
        parts: names of parts; None is all that the bundle holds.
        formats: names of formats, likewise.
        precisions: likewise.
        trust: whether the caller vouches for the bundle, see `aezoo.export.proof.parity.verify`.
        digest: which the bundle must have; who knows it vouches.
        progress: function of (what is being done, how much is done, of how much), called as it goes.

    Returns:
        {"bundle", "model", "machine", "bare": {"cold_start_ms", "peak_bytes"} of the process without a file,
        "rounds": those that were measured, "rows": a list of dicts with the keys of `COLUMNS`}. Milliseconds,
        bytes; `mse` of reconstructions and `cosine` of latents are against what Keras computed in float32
        from the same golden inputs, the former of rows and sequences in standard deviations; None is
        what a row does not have. `status` is "proven", "not proven",
        "skipped: ..." or "refused: ...".

    Raises:
        BundleError: no bundle, it has another digest, or its golden arrays or its manifest were altered.
        OptionError: a part, format or precision that it does not hold.
    """
    folder = pathlib.Path(folder).absolute()
    manifest = contract.read_manifest(folder, digest)
    chosen = _chosen(manifest, parts, formats, precisions)
    golden_file.read_golden(folder, manifest)
    with tempfile.TemporaryDirectory() as scratch:
        vouched = trust or digest is not None, digest or contract.digest_of(folder)
        bench = _Bench(folder, manifest, chosen, vouched, settings or Settings(), progress)
        try:
            return bench.run(pathlib.Path(scratch))
        finally:
            bench.stop()


def _chosen(manifest, *wanted):
    """Returns the numbers of the artifacts that are asked for."""
    numbers = range(len(manifest.artifacts))
    for key, words in zip(("part", "format", "precision"), wanted, strict=True):
        held = tuple(dict.fromkeys(getattr(artifact, key) for artifact in manifest.artifacts))
        for word in words or ():
            check_choice(f"{key}s", word, held or ("none",))
        numbers = [n for n in numbers if words is None or getattr(manifest.artifacts[n], key) in words]
    if not numbers:
        raise OptionError(
            "this bundle holds no file of this part, format and precision together",
            got=", ".join(f"{','.join(words)}" for words in wanted if words) or "an empty bundle",
            expected="a row of the bundle's manifest",
            fix="leave out parts, leave out formats or leave out precisions",
        )
    return numbers


@dataclasses.dataclass
class _File:
    """A file of the bundle, opened with a number of threads (None: its runtime takes none)."""

    number: int
    artifact: Artifact
    threads: int | None
    options: dict[str, Any]
    status: str
    refused: bool = False
    cold: list[float] = dataclasses.field(default_factory=list)
    peaks: list[int] = dataclasses.field(default_factory=list)
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)

    def refuse(self, status: str) -> None:
        """Nothing more is measured."""
        self.status, self.refused = status, True


@dataclasses.dataclass
class _Case:
    """A file and a batch size: a row."""

    file: _File
    batch: int
    refusal: str | None = None
    seconds: list[float] = dataclasses.field(default_factory=list)

    @property
    def open(self) -> bool:
        return not self.file.refused and self.refusal is None


class _Bench:
    def __init__(self, folder, manifest, chosen, vouched, settings, progress):
        self.folder, self.manifest, self.settings = folder, manifest, settings
        self.trusted, self.digest = vouched
        self.progress = progress or (lambda *_: None)
        self.begun, self.machine = time.perf_counter(), machine()
        self.bare, self.bare_peaks, self.processes, self.rounds = [], [], {}, 0
        self.files = [file for number in chosen for file in self._files(number)]
        self.cases = [_Case(file, batch) for file in self.files for batch in settings.batch_sizes]

    def _files(self, number):
        artifact = self.manifest.artifacts[number]
        status = "proven" if artifact.parity else "not proven"
        for threads in self.settings.threads if FORMATS[artifact.format].threads else (None,):
            options = {} if threads is None else {"threads": threads}
            yield _File(number, artifact, threads, options, status)

    def run(self, scratch: pathlib.Path) -> dict[str, Any]:
        """Measures; returns what `measure` does."""
        self._prepare(scratch)
        self._start_cold()
        self._compare()
        self._take_turns()
        return {
            "bundle": str(self.folder),
            "model": self.manifest.model,
            "machine": self.machine,
            "bare": {"cold_start_ms": _median(self.bare, 1000), "peak_bytes": _median(self.bare_peaks)},
            "rounds": self.rounds,
            "rows": [self._row(case) for case in self.cases],
        }

    # -- steps --------------------------------------------------------------------------------------

    def _prepare(self, scratch):
        """Finds what cannot be measured here, and compiles what must be."""
        for done, file in enumerate(self.files):
            self.progress("checking files", done, len(self.files))
            format = file.artifact.format
            if reason := why_skipped(format, self.trusted):
                file.refuse(f"skipped: {reason}")
                continue
            try:
                contract.check_files(self.folder, file.artifact.files)
                if format == "c":  # once, and before the clock runs: a device gets a compiled program
                    library = scratch / f"{file.number}.so"
                    readers.compile_c(self.folder / file.artifact.file, library)
                    file.options["library"] = str(library)
            except (BundleError, OSError) as error:
                file.refuse(f"refused: {str(error).splitlines()[0]}")

    def _start_cold(self):
        """A fresh process for each file, several times, and one without a file beside."""
        slow = self.settings.slow_cold_starts
        wanted = [f for f in self.files if slow or f.artifact.format != "saved_model"]
        rounds, done = self.settings.cold_starts, 0
        if rounds:  # the first one ever writes .pyc files
            self._cold_start(None)
        for number in range(rounds):
            for file in [None, *_shuffled(wanted, number)]:
                self.progress("cold starts", done, rounds * (len(wanted) + 1))
                done += 1
                if file is None or not (file.refused or self._late(0.5)):
                    seconds, answer = self._cold_start(file)
                    if file is None:
                        self.bare.append(seconds)
                        self.bare_peaks.append(answer.get("peak_bytes"))
                    elif "refused" in answer:
                        file.refuse(f"refused: {answer['refused']}")
                    else:
                        file.cold.append(seconds)
                        file.peaks.append(answer["peak_bytes"])

    def _cold_start(self, file):
        """Returns (seconds from starting a process to its answer, the answer)."""
        number, options = (None, {}) if file is None else (file.number, file.options)
        begun = time.perf_counter()
        process = self._process(cold=True, artifact=number, options=options)
        try:
            answer = process.answer()
            return time.perf_counter() - begun, answer
        finally:
            process.stop()

    def _compare(self):
        """Opens every file in the process of its runtime, and holds it to what Keras computed."""
        for done, file in enumerate(self.files):
            self.progress("comparing with Keras", done, len(self.files))
            if not file.refused:
                answer = self._ask(file, {})
                if "refused" in answer:
                    file.refuse(f"refused: {answer['refused']}")
                else:
                    file.figures = answer

    def _take_turns(self):
        rounds = self.settings.rounds
        for number in range(-1, rounds):  # the first is a warm-up, of one call each
            if number > 0 and self._late():
                break
            for done, case in enumerate(_shuffled(self.cases, number)):
                what = "warm-up" if number < 0 else f"round {number + 1} of {rounds}"
                self.progress(what, done, len(self.cases))
                if case.open:
                    seconds = 0.0 if number < 0 else self.settings.turn_seconds
                    answer = self._ask(case.file, {"batch": case.batch, "seconds": seconds})
                    if "refused" in answer:
                        case.refusal = f"refused: {answer['refused']}"
                    elif number >= 0:
                        case.seconds += answer["seconds"]
            self.rounds = number + 1

    # -- processes -----------------------------------------------------------------------------------

    def _ask(self, file, question):
        """Returns the answer of the process of a file's runtime and threads; a dead one is started anew."""
        key = file.artifact.format, file.threads
        if key not in self.processes:
            self.processes[key] = self._process(cold=False)
        answer = self.processes[key].answer({"artifact": file.number, "options": file.options, **question})
        if answer.get("died"):
            self.processes.pop(key).stop()
        return answer

    def _process(self, **order):
        order |= {"folder": str(self.folder), "digest": self.digest}
        # Whole logs: holding them back costs a temporary file at each call, within what is timed.
        return Process(MEASURER, order, environment={"AEZOO_VERBOSE": "1"})

    def stop(self) -> None:
        """Ends every process."""
        while self.processes:
            self.processes.popitem()[1].stop()

    def _late(self, share=1.0):
        limit = self.settings.limit_seconds
        return limit is not None and time.perf_counter() - self.begun > share * limit

    # -- the result ----------------------------------------------------------------------------------

    def _row(self, case):
        file, seconds = case.file, case.seconds if case.open else []
        p50, p95 = (float(np.percentile(seconds, q)) if seconds else None for q in (50, 95))
        return {
            "part": file.artifact.part,
            "format": file.artifact.format,
            "precision": file.artifact.precision,
            "batch": case.batch,
            "threads": file.threads,
            "size_bytes": file.artifact.size_bytes,
            "cold_start_ms": _median(file.cold, 1000),
            "p50_ms": p50 and 1000 * p50,
            "p95_ms": p95 and 1000 * p95,
            "spread": p50 and p95 / p50,
            "examples_per_second": p50 and case.batch / p50,
            "peak_bytes": _median(file.peaks),
            "bare_peak_bytes": _median(self.bare_peaks),
            "mse": file.figures.get("mse"),
            "cosine": file.figures.get("cosine"),
            "status": case.refusal or file.status,
        }


def _median(values, factor=1):
    values = [value for value in values if value is not None]
    return factor * statistics.median(values) if values else None


def _shuffled(values, seed):
    """Returns the values in an order of their own for each round, so that none always follows the same."""
    return random.Random(seed).sample(values, len(values))


def machine() -> dict[str, Any]:
    """Returns what a table must say of the machine it was made on, a dict."""
    name = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": name, "processors": able, "system": platform.platform(), "load_before": load}
