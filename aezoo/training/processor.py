"""What the processor that trains cannot do fast."""

import pathlib
import re

_CPUINFO = pathlib.Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"}  # the last one is Arm's


def slow_precision(precision: str) -> str | None:
    """Returns a line about a precision that this machine has no arithmetic for, or None.

    Nothing is said of a machine with an accelerator, nor where the processor does not tell what it has.
    """
    if precision == "float32":
        return None
    from aezoo.nn.layers import keras

    if any(keras.distribution.list_devices(kind) for kind in ("gpu", "tpu")):
        return None
    try:
        told = re.findall(r"^(?:flags|Features)\s*:(.*)$", _CPUINFO.read_text("utf-8"), re.MULTILINE)
    except OSError:  # no Linux
        return None
    if not told or _BFLOAT16 & set(told[0].split()):
        return None
    return f"precision={precision}: slow here, this processor has no such arithmetic (2 to 8 times)"
