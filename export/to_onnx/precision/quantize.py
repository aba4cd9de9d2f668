"""Makes an ONNX model compute with 8 bits where that stays within a budget, by measuring.

Every product of the graph (convolutions, Dense) is a candidate. All of them with 8 bits lose something, as
onnxruntime computes it on real examples; where that is more than the budget, the layers that cost the most
stay float32, and the manifest names them.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from aezoo.core.errors import ExportError
from aezoo.export.budget import NOT_JUDGED, area_lost, lost
from aezoo.export.formats import Job
from aezoo.export.to_onnx.precision import qdq
from aezoo.runtime.batching import fitted

_ENOUGH = 64  # examples, for ranges and for a judgement each; fewer serve as both
_BATCH = 64
_Layer = TypeVar("_Layer")
_LARGEST = 2**31 - 2**24  # bytes of weights that onnxruntime takes from memory


def quantize(proto: onnx.ModelProto, job: Job) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Returns (model, what the artifact's row of the manifest says of it).

    Args:
        proto: a float32 `onnx.ModelProto` of the job's part.
        job: a `formats.Job`; its calibration gives ranges, and with golden the judgement.

    The row gets "budget", and "float_layers", the names of the candidates that stayed float32.

    Raises:
        ExportError: the graph holds no product with constant weights, even the best mixture loses more
            than the budget, or the weights do not fit into memory as one file.
    """
    if sum(len(tensor.raw_data) for tensor in proto.graph.initializer) > _LARGEST:
        raise ExportError(
            f"the {job.part} is too large to be quantised",
            got="2 GiB of weights or more",
            expected="a model that onnxruntime takes from memory, whose files it is judged by",
            fix="leave int8 out, or export float16",
        )
    prepared = qdq.prepare(proto)
    layers = qdq.layers_of(prepared)
    if not layers:
        raise ExportError(
            f"the {job.part} has nothing that could be quantised",
            got="no convolution and no Dense with constant weights",
            expected="at least one of them",
            fix="leave int8 out",
        )
    calibrating, judging = _divided(job)
    ranges = measure_ranges(prepared, qdq.observed(prepared, layers), calibrating)

    def loss(chosen):
        return judge(qdq.insert(prepared, chosen, ranges), job, judging)

    chosen, best = choose(layers, loss, job.budget)
    if not chosen:
        raise ExportError(
            f"no mixture of 8 bits and float32 keeps the {job.part} within the budget",
            got=f"a loss of {best:.2%} with a single layer of 8 bits, the best of {len(layers)}",
            expected=f"at most {job.budget:.2%}",
            fix=_advice(best),
        )
    kept = tuple(layer.name for layer in layers if layer not in chosen)
    return qdq.insert(prepared, chosen, ranges), {"budget": job.budget, "float_layers": kept}


def _advice(best):
    if not np.isfinite(best) or best >= 0.5:
        return "leave int8 out"
    budget = float(f"{best * 1.1:.2g}") + 1e-4
    return f"pass budget={budget:.4g}, more representative examples, or leave int8 out"


def choose(
    layers: Sequence[_Layer], loss: Callable[[Sequence[_Layer]], float], budget: float
) -> tuple[list[_Layer], float]:
    """Returns (layers that are quantised, the smallest loss that was seen).

    Each layer is quantised alone; the largest set of those that cost little which keeps the budget together
    is found by halving; then each of the others is tried on top, the cheapest first. With n layers this
    takes at most 2 n + log2 n measurements, and one where all of them fit.

    Args:
        layers: a list.
        loss: function of a list of layers to a share.
        budget: that a result may lose.

    >>> choose([1, 2, 3], lambda chosen: 0.01 * sum(chosen), 0.04)
    ([1, 2], 0.01)
    """
    whole = loss(layers)
    if whole <= budget:
        return list(layers), whole
    alone = [loss([layer]) for layer in layers] if len(layers) > 1 else [whole]
    order = [number for _, number in sorted((share, number) for number, share in enumerate(alone))]

    def of(numbers):
        return [layers[number] for number in sorted(numbers)]

    if alone[order[0]] > budget:
        return [], min(alone)
    fitting, breaking = 1, len(order)
    while breaking - fitting > 1:
        middle = (fitting + breaking) // 2
        fitting, breaking = (middle, breaking) if loss(of(order[:middle])) <= budget else (fitting, middle)
    taken = order[:fitting]
    for number in order[fitting + 1 :]:
        if alone[number] <= budget and loss(of([*taken, number])) <= budget:
            taken.append(number)
    return of(taken), min(alone)


def judge(proto: onnx.ModelProto, job: Job, judging: Sequence[Mapping[str, np.ndarray]]) -> float:
    """Returns the largest share that any output loses, infinity where one is not finite.

    An encoder's latents also count by what the float32 decoder makes of them, and a scorer by the ROC area
    where anomalies are known.
    """
    run = fitted(_runner(proto), job)
    area = area_lost(job, job.labelled, run)
    worst = -np.inf if area is None else area
    for arrays in judging:
        answers = run(list(job.output_names), {row.name: arrays[row.golden] for row in job.inputs})
        for row, got in zip(job.outputs, answers, strict=True):
            if not np.isfinite(got).all():
                return np.inf
            if row.golden in NOT_JUDGED:
                continue
            worst = max(worst, lost(row.golden, arrays[row.golden], got, arrays["examples"]))
            if row.golden == "latents":
                labels = {"labels": arrays["labels"]} if "labels" in arrays else {}
                wanted, again = arrays["reconstructions"], job.decode(got, **labels)
                worst = max(worst, lost("reconstructions", wanted, again, arrays["examples"]))
    return worst


def measure_ranges(
    proto: onnx.ModelProto, names: Sequence[str], inputs: Mapping[str, np.ndarray]
) -> dict[str, qdq.Ends]:
    """Returns {tensor: (smallest, largest)} of float32 tensors over real inputs.

    Args:
        proto: the model; names: of tensors of it, inputs of the graph among them.
        inputs: {name of an input: array (N, ...)}.
    """
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    inner = [name for name in names if name not in inputs]
    outputs = {tensor.name for tensor in proto.graph.output}
    proto.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inner if name not in outputs
    )
    run = _runner(proto)
    count = len(next(iter(inputs.values())))
    ends = {
        name: [(float(inputs[name].min()), float(inputs[name].max()))] for name in names if name in inputs
    }
    for start in range(0, count, _BATCH) if inner else ():
        values = run(inner, {name: array[start : start + _BATCH] for name, array in inputs.items()})
        for name, value in zip(inner, values, strict=True):
            ends.setdefault(name, []).append((float(value.min()), float(value.max())))
    return {
        name: qdq.clipped(proto, name, (min(low for low, _ in found), max(high for _, high in found)))
        for name, found in ends.items()
    }


def _divided(job):
    """Returns ({input: array} for ranges, [{golden: array}, ...] for judging).

    Golden is the head of what calibrates where no other examples were given, so ranges come from the tail.
    """
    half = len(job.calibration["examples"]) // 2
    if half < _ENOUGH:
        return job.calibrated_inputs(), [job.golden, job.calibration]
    tail = {name: array[half:] for name, array in job.calibration.items()}
    head = {name: array[:half] for name, array in job.calibration.items()}
    return dataclasses.replace(job, calibration=tail).calibrated_inputs(), [job.golden, head]


def _runner(proto):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run
