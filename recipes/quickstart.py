"""The whole path once: train on the embedded digits, export, prove, encode without TensorFlow.

Leaves runs/quickstart/ (weights, figures, pictures) and bundle/ (the proven files) where it is run;
about five minutes on two cores, for a test mse of 0.0082 (PCA of 16 components: 0.0268). With `--quick`
all but the training is the same, and that has one epoch.
"""

import pathlib
import subprocess
import sys
from collections.abc import Sequence

from aezoo.cli.main import main as aezoo
from aezoo.runtime.manifest import digest_of

HERE = pathlib.Path(__file__).parent
STEPS = (
    "train conv --data mnist_mini --latent-dim 16 -O kernel_size=4 -O normalization=batch "
    "--learning-rate 0.003 -o runs/quickstart --overwrite",
    "export runs/quickstart -o bundle",
    "verify bundle",
)


def main(arguments: Sequence[str]) -> int:
    """Follows the steps; returns the exit status of the first that fails, or 0."""
    for step in STEPS:
        command = step.split()
        if command[0] == "train":
            command += arguments or ["--epochs", "30"]
        if command[0] == "verify":  # of the bundle just made, so that what would run its code is opened too
            command += ["--digest", digest_of("bundle")]
        print("\n$ aezoo", *command, flush=True)
        status = aezoo(command)
        if status:
            return status
    # A fresh process, and one without aezoo: NumPy and onnxruntime are all that an encoder needs.
    print("\n$ python recipes/encode_digits.py", flush=True)
    return subprocess.run([sys.executable, HERE / "encode_digits.py"]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
