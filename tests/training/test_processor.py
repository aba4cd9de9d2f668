"""A precision that the processor computes slowly is told of."""

import keras
import pytest

from aezoo.training import processor


@pytest.mark.parametrize(
    ("precision", "cpuinfo", "devices", "told"),
    [
        ("float32", "flags\t\t: fpu avx2\n", [], False),
        ("mixed_bfloat16", "flags\t\t: fpu avx2\n", [], True),
        ("mixed_bfloat16", "model name : one\nflags\t\t: fpu avx512_bf16\n", [], False),
        ("mixed_bfloat16", "Features\t: fp asimd bf16\n", [], False),
        ("mixed_bfloat16", "Features\t: fp asimd\n", [], True),
        ("mixed_bfloat16", "flags\t\t: fpu avx2\n", ["gpu:0"], False),
        ("mixed_bfloat16", "processor : 0\n", [], False),
        ("mixed_bfloat16", None, [], False),
    ],
)
def test_slow_precision(precision, cpuinfo, devices, told, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo, "utf-8")
    monkeypatch.setattr(processor, "_CPUINFO", path)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: devices if kind == "gpu" else [])
    line = processor.slow_precision(precision)
    assert (line is not None) == told
    assert not told or "no such arithmetic" in line
