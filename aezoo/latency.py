"""How fast a bundle's ONNX files run on this machine; NumPy and onnxruntime only."""

import time

import numpy as np

from aezoo import bundle as contract
from aezoo import runtime

_SECONDS = 0.4  # of measuring for each part and batch size
_ROUNDS = 8  # parts take turns, so that a slow moment of the machine hits all of them


def measure(folder, batch_sizes=(1, 16, 256), threads=1):
    """Measures encode, decode and reconstruct through the runtime, checks of inputs included.

    Args:
        folder: of the bundle.
        batch_sizes: examples in one call.
        threads: of onnxruntime, inside an operator.

    Returns:
        A list of dicts: part, batch, size_bytes, p50_ms, p95_ms, examples_per_second.
    """
    bundle = runtime.load(folder, intra_op_threads=threads)
    contract.check_files(bundle.folder, bundle.manifest["golden"]["files"])
    golden = dict(np.load(bundle.folder / contract.GOLDEN))
    verbs = {"encoder": bundle.encode, "decoder": bundle.decode, "reconstructor": bundle.reconstruct}
    cases = []
    for artifact in bundle.manifest["artifacts"]:
        if (artifact["format"], artifact["precision"]) == ("onnx", "float32"):
            part = artifact["part"]
            inputs = golden["latents" if part == "decoder" else "examples"]
            for size in batch_sizes:
                batch = np.resize(inputs, (size, *inputs.shape[1:]))
                cases.append((part, size, artifact["size_bytes"], verbs[part], batch, []))
    for _, _, _, verb, batch, _ in cases:  # the first calls load the file and fill caches
        verb(batch)
        verb(batch)
    for _ in range(_ROUNDS):
        for _, _, _, verb, batch, seconds in cases:
            until = time.perf_counter() + _SECONDS / _ROUNDS
            while True:
                begun = time.perf_counter()
                verb(batch)
                ended = time.perf_counter()
                seconds.append(ended - begun)
                if ended > until:
                    break
    return [
        {
            "part": part,
            "batch": size,
            "size_bytes": size_bytes,
            "p50_ms": 1000 * float(np.percentile(seconds, 50)),
            "p95_ms": 1000 * float(np.percentile(seconds, 95)),
            "examples_per_second": size / float(np.median(seconds)),
        }
        for part, size, size_bytes, _, _, seconds in cases
    ]
