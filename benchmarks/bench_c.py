"""How long the C headers of a bundle take for one example, beside onnxruntime on one thread.

python benchmarks/bench_c.py BUNDLE

Medians of the processor time of rounds that take turns; only the ratios of one run mean something. `CFLAGS`
adds options of the compiler, whose first is -O2.
"""

import ctypes
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

from aezoo.export.formats import c_compiler
from aezoo.runtime import manifest as contract

_ROUNDS = 21
_LOOP = """\
#include <time.h>
#include "{header}"
double seconds(int calls) {{
  static float x[{taken}], y[{given}];
  clock_t start = clock();
  for (int n = 0; n < calls; ++n) {{ x[0] = (float)(n % 2); {name}(x, y); }}
  return (double)(clock() - start) / CLOCKS_PER_SEC / calls;
}}
"""


def compiled(path, folder):
    """Returns a function that calls a header so many times, and returns the seconds of one call."""
    macro, signature = re.search(r'#define (\w+)_SIGNATURE "(.*)"', path.read_text("utf-8")).groups()
    shapes = (end.split(":")[2].split("x") for end in signature.split(" -> "))
    taken, given = (np.prod([int(size) for size in shape]) for shape in shapes)
    library = pathlib.Path(folder) / f"{path.name}.so"
    options = ["-O2", *os.environ.get("CFLAGS", "").split(), "-shared", "-fPIC", "-I", path.parent]
    subprocess.run(
        [c_compiler(), "-std=c99", *options, "-x", "c", "-", "-o", library, "-lm"],
        input=_LOOP.format(header=path.name, taken=taken, given=given, name=macro.lower()),
        encoding="utf-8",
        check=True,
    )
    function = ctypes.CDLL(library).seconds
    function.restype = ctypes.c_double
    return function


def session_of(path, row):
    """Returns the same of an ONNX file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {t.name: np.zeros((1, *t.shape[1:]), t.dtype) for t in row.inputs}

    def seconds(calls):
        start = time.process_time()
        for _ in range(calls):
            session.run(None, given)
        return (time.process_time() - start) / calls

    return seconds


def main(folder):
    """Prints a line a file."""
    folder = pathlib.Path(folder).absolute()
    rows = [row for row in contract.read_manifest(folder).artifacts if row.part == "encoder"]
    with tempfile.TemporaryDirectory() as scratch:
        functions = {
            row.file: compiled(folder / row.file, scratch)
            if row.format == "c"
            else session_of(folder / row.file, row)
            for row in rows
            if row.format in ("c", "onnx")
        }
        times = {file: [] for file in functions}
        for _ in range(_ROUNDS):
            for file, function in functions.items():
                times[file].append(function(20) * 1e6)
    for row in rows:
        if row.file in times:
            weights, arena = row.weights_bytes or 0, row.arena_bytes or 0
            sizes = f"{weights:>9,} bytes of weights, {arena:>7,} of arena"
            print(f"{row.file:<18} {statistics.median(times[row.file]):>8.1f} us   {sizes}")


if __name__ == "__main__":
    main(*sys.argv[1:])
