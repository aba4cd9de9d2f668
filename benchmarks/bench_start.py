"""Starting: import, --help, export with proof, and the first encoded image of a cold process.

    python benchmarks/bench_start.py               # one JSON line a row, and a Markdown table at the end

Whole processes, each with its own peak memory as the system reports it; medians after one warm-up.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 7


def process(code):
    """Runs Python code in a fresh process; returns (seconds, peak memory in MB)."""
    begun = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    assert os.waitstatus_to_exitcode(status) == 0, code
    return seconds, usage.ru_maxrss / 1024


def imported(code):
    """Returns the seconds that a statement takes inside a fresh process."""
    timed = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, encoding="utf-8", check=True)
    return float(done.stdout.splitlines()[-1])


def main():
    with tempfile.TemporaryDirectory() as folder:
        bundle = pathlib.Path(folder) / "bundle"
        # In a process of its own: a child's peak memory begins at what its parent holds.
        done = subprocess.run(
            [sys.executable, __file__, bundle], stdout=subprocess.PIPE, encoding="utf-8", check=True
        )
        export_seconds = json.loads(done.stdout.splitlines()[-1])
        first_image = (
            f"import numpy as np, aezoo.runtime; bundle = aezoo.runtime.load({str(bundle)!r}); "
            "bundle.encode(np.zeros((1, 28, 28, 1), 'float32'))"
        )
        bare = (
            "import numpy as np, onnxruntime; "
            f"s = onnxruntime.InferenceSession({str(bundle / 'encoder.onnx')!r}); "
            "s.run(None, {'images': np.zeros((1, 28, 28, 1), 'float32')})"
        )
        process(first_image)
        cases = {
            "python -c pass": lambda: process("pass"),
            "aezoo --help": lambda: process(
                "import sys; sys.argv[1:] = ['--help']\n"
                "from aezoo.cli import main\ntry: main()\nexcept SystemExit: pass"
            ),
            "first encoded image, aezoo.runtime": lambda: process(first_image),
            "first encoded image, bare onnxruntime": lambda: process(bare),
            "import aezoo": lambda: (imported("import aezoo"), None),
        }
        taken = {case: [] for case in cases}
        for _ in range(ROUNDS):
            for case, call in cases.items():
                taken[case].append(call())
    rows = [
        {
            "what": case,
            "seconds": statistics.median(seconds for seconds, _ in figures),
            "peak_mb": None if figures[0][1] is None else statistics.median(peak for _, peak in figures),
        }
        for case, figures in taken.items()
    ]
    rows += [
        {"what": f"export with proof, {name}", "seconds": s, "peak_mb": None}
        for name, s in export_seconds.items()
    ]
    for row in rows:
        print(json.dumps(row))
    print("\n| | seconds | peak MB |\n|---|---:|---:|")
    for row in rows:
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        print(f"| {row['what']} | {row['seconds']:.3f} | {peak} |")


def exports(bundle):
    """Returns {model: median seconds of an export with proof}; leaves the bundle of `conv` behind."""
    import aezoo
    from aezoo.export import export_bundle

    found = {}
    for name in sorted(aezoo.list_models(), key="conv".__eq__):
        model = aezoo.build(name)
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            export_bundle(model, bundle)
            seconds.append(time.perf_counter() - begun)
        found[name] = statistics.median(seconds)
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(exports(pathlib.Path(sys.argv[1]))))
    else:
        main()
