"""Writes a part as one self-contained C99 header, for devices that hold no runtime at all.

The header is made from our own float32 ONNX graph of the part: there the layers of Keras and of ours are
already spelled out in about fifty plain operators, and dropout, noise and the scaling of bytes are gone.
`lowering` turns its nodes into kernels, `fusing` joins them, `int8` chooses which values are bytes, `memory`
gives each value its place, `emitting` writes C.
"""

from aezoo.export.to_c import lowering_sums  # noqa: F401 (fills the table)
from aezoo.export.to_c.artifact import write_artifact

__all__ = ["write_artifact"]
