"""Which values are kept as int8, and at which scale (Jacob et al. 2018, arXiv:1712.05877).

Weights are symmetric, with a scale for each output channel; activations have one scale and one zero point a
tensor, from their range over real inputs. Sums are int32, and what leaves a kernel goes through float32,
where the activation is computed: one product a value, and no table.
"""

from collections.abc import Mapping

import numpy as np
import onnx

from aezoo.core.errors import ExportError
from aezoo.export.to_c.program import ARENA, Linear, Loop, Pool, Program, Reduce

_LARGEST_SUM = 2**31 - 1
_BATCH = 64


def choose(program: Program) -> None:
    """Turns values into int8, and puts a copy in front of each product that reads another kind.

    What must not be rounded stays float: inputs, outputs, and whatever is added up, compared or looked up by
    another kernel than a product.
    """
    chosen = {}

    def is_int8(value):
        if value not in chosen:
            readers = program.readers(value)
            chosen[value] = (
                value.place == ARENA
                and value.name is not None
                and bool(readers)
                and not any(isinstance(writer, Reduce) for writer in program.writers(value))
                and all(serves(reader) for reader in readers)
            )
        return chosen[value]

    def serves(reader):
        if isinstance(reader, Linear):
            return not _compared(program, reader)
        reduced = any(isinstance(w, Reduce) for view in reader.views for w in program.writers(view.value))
        return isinstance(reader, (Loop, Pool)) and not reduced and is_int8(reader.output.value)

    values = {kernel.output.value for kernel in program.kernels}
    for value in values:
        is_int8(value)
    for value in values:
        value.ctype = "int8_t" if chosen[value] else value.ctype
    copies = {}
    for linear in [kernel for kernel in program.kernels if isinstance(kernel, Linear)]:
        source = linear.source
        if source.value.ctype == "int8_t" or _compared(program, linear):
            continue
        if source.value not in copies:
            index = np.arange(source.value.size)
            copy = program.new(index, source.value.name or "")
            copy.value.ctype = "int8_t"
            loop = Loop(copy, [type(source)(source.value, index)], "{0}")
            program.kernels.insert(program.kernels.index(linear), loop)
            copies[source.value] = copy.value
        linear.source = type(source)(copies[source.value], source.index)


def _compared(program, linear):
    """Whether the least or the largest of a product's sums is looked for: distances to codes stay exact."""
    readers = program.readers(linear.output.value)
    return any(isinstance(reader, Reduce) and reader.kind.startswith("arg") for reader in readers)


def calibrate(program: Program, model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> None:
    """Sets scale and zero point of every int8 value.

    Args:
        program: after `choose`.
        model: the `onnx.ModelProto` that it was made from.
        inputs: {name: array (N, ...)}, real ones.

    Raises:
        ExportError: a sum that an int32 cannot hold.
    """
    kernels = program.kernels
    values = [v for v in dict.fromkeys(k.output.value for k in kernels) if v.ctype == "int8_t"]
    found = _ranges(model, {value.name for value in values}, inputs)
    for value in values:
        low, high = found[value.name]
        low, high = min(low, 0.0), max(high, 0.0)  # 0 itself is kept exactly
        value.scale = float(np.float32((high - low) / 255)) or 1.0
        value.zero = int(np.clip(np.rint(-128 - low / value.scale), -128, 127))
    for linear in (kernel for kernel in kernels if isinstance(kernel, Linear)):
        terms = int(np.prod(linear.weights.shape[1:4]))
        if terms * 127 * 255 > _LARGEST_SUM:
            raise ExportError(
                "a sum of the int8 header would not fit into an int32",
                got=f"{terms:,} products in one sum",
                expected=f"at most {_LARGEST_SUM // (127 * 255):,}",
                fix="export this part with precisions=('float32',)",
            )


def quantized(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (int8 weights, float32 scale of each output channel) of weights (groups, ..., CO).

    All of +-127 is used: the header multiplies `int32_t`, so a compiler may not add pairs in 16 bits, as
    onnxruntime's kernels do (to_onnx/rounding.py).
    """
    largest = np.abs(weights).max(axis=(1, 2, 3))
    scales = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    rounded = np.rint(weights / scales[:, None, None, None, :].astype(np.float64))
    return np.clip(rounded, -127, 127).astype(np.int8), scales.ravel()


def _ranges(model, names, inputs):
    """Returns {name of a tensor: (least, largest)} over all inputs."""
    import onnx
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {tensor.name for tensor in watched.graph.output}
    wanted = sorted(names - given - set(inputs))
    floats = onnx.TensorProto.FLOAT
    watched.graph.output.extend(onnx.helper.make_tensor_value_info(name, floats, None) for name in wanted)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted += sorted(names & given)
    ranges = {name: (float(inputs[name].min()), float(inputs[name].max())) for name in names & set(inputs)}
    count = len(next(iter(inputs.values())))
    for start in range(0, count if wanted else 0, _BATCH):
        batch = {name: array[start : start + _BATCH] for name, array in inputs.items()}
        for name, array in zip(wanted, session.run(wanted, batch), strict=True):
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = (min(low, float(array.min())), max(high, float(array.max())))
    return ranges
