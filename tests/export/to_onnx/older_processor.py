"""onnxruntime as it computes on a processor without VNNI: CPUID is hidden from it, or qemu emulates one.

The other process is this file without Keras, `python tests/export/to_onnx/older_processor.py IN.npz OUT.npz`.
"""

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).parent
NEEDS = "needs Linux on x86-64 with a C compiler and faulting CPUID, or qemu-x86_64 (Debian's qemu-user)"


def answers(files):
    """Returns {path: [outputs]} of this processor, for {path of an ONNX file: {input: array}}."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return {
        path: onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, given)
        for path, given in files.items()
    }


def answers_elsewhere(files):
    """As `answers`, of a processor with AVX2 and without VNNI; None where none can be had."""
    way = _way()
    if way is None:
        return None
    prefix, environment = way
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        given = {f"{path}|{name}": array for path, feeds in files.items() for name, array in feeds.items()}
        np.savez(folder / "in.npz", **given)
        command = [*prefix, sys.executable, __file__, str(folder / "in.npz"), str(folder / "out.npz")]
        environment = {**os.environ, **environment}
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=500)
        with np.load(folder / "out.npz") as found:
            got = {}
            for key in found.files:  # in the order in which they were written
                got.setdefault(key.rpartition("|")[0], []).append(found[key])
            return got


@functools.cache
def _way():
    """Returns (what stands in front of a command, its further environment), or None."""
    compiler = shutil.which("cc")
    if sys.platform == "linux" and os.uname().machine == "x86_64" and compiler:
        library = pathlib.Path(tempfile.mkdtemp()) / "without_vnni.so"
        source = str(HERE / "without_vnni.c")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", source, "-o", str(library)], check=True)
        environment = {"LD_PRELOAD": str(library)}
        if subprocess.run(["true"], env={**os.environ, **environment}, check=False).returncode == 0:
            return [], environment
    emulator = shutil.which("qemu-x86_64")
    return ([emulator, "-cpu", "Haswell"], {}) if emulator else None


if __name__ == "__main__":
    with np.load(sys.argv[1]) as stored:
        wanted = {}
        for entry in stored.files:
            at, _, its_name = entry.rpartition("|")
            wanted.setdefault(at, {})[its_name] = stored[entry]
    outputs = {f"{at}|{n}": a for at, found in answers(wanted).items() for n, a in enumerate(found)}
    np.savez(sys.argv[2], **outputs)
