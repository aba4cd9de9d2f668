"""The whole path once: train on the embedded digits, export, prove, encode without TensorFlow.

Leaves runs/quickstart/ (weights, figures, pictures) and bundle/ (the proven files) where it is run;
about four minutes on two cores. `--quick` trains for one epoch only.
"""

import pathlib
import subprocess
import sys

from aezoo import cli

HERE = pathlib.Path(__file__).parent
STEPS = (
    "train conv --data mnist_mini --latent-dim 16 -O kernel_size=4 -O normalization=batch "
    "--learning-rate 0.003 --epochs 30 -o runs/quickstart --overwrite",
    "export runs/quickstart -o bundle",
    "verify bundle",
)


def main(arguments):
    """Follows the steps; returns the exit status of the first that fails, or 0."""
    for step in STEPS:
        command = [*step.split(), *(arguments if step.startswith("train") else [])]
        print("\n$ aezoo", *command, flush=True)
        status = cli.main(command)
        if status:
            return status
    # A fresh process, and one without aezoo: NumPy and onnxruntime are all that an encoder needs.
    print("\n$ python recipes/encode_digits.py", flush=True)
    return subprocess.run([sys.executable, HERE / "encode_digits.py"]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
