"""MLServer's runtime for the ONNX files of a bundle: what model-settings.json names as implementation.

MLServer brings runtimes for several libraries, none of which reads a plain ONNX file. It is imported by
MLServer alone, whose environment needs aezoo's base install and no framework.
"""

import asyncio

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri

from aezoo.core.errors import message

_DATATYPES = {
    "tensor(float)": "FP32",
    "tensor(float16)": "FP16",
    "tensor(uint8)": "UINT8",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(bool)": "BOOL",
}


class OnnxModel(MLModel):
    """Answers requests of the Open Inference Protocol (v2) with onnxruntime.

    Optional inputs, as the scorer's `threshold` (1,), are taken where they are sent. Tensors (B,) are sent
    back as (B, 1), and taken as both. `parameters.extra` in model-settings.json may say "providers" and
    "intra_op_threads" of onnxruntime.
    """

    async def load(self) -> bool:
        path = await get_model_uri(self._settings, wellknown_filenames=["model.onnx"])
        extra = self._settings.parameters.extra or {}
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = int(extra.get("intra_op_threads", 0))
        providers = extra.get("providers", ["CPUExecutionProvider"])
        self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        self._required = {tensor.name: tensor for tensor in self._session.get_inputs()}
        self._optional = {tensor.name: tensor for tensor in self._session.get_overridable_initializers()}
        self._given = [tensor.name for tensor in self._session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        known = {**self._required, **self._optional}
        inputs = {}
        for given in payload.inputs:
            if given.name not in known:
                _refuse("there is no such input", given.name, ", ".join(known))
            inputs[given.name] = self._read(given, known[given.name])
        missing = [name for name in self._required if name not in inputs]
        if missing:
            _refuse("an input is missing", ", ".join(inputs) or "no input", ", ".join(self._required))
        wanted = [output.name for output in payload.outputs or []] or self._given
        if unknown := [name for name in wanted if name not in self._given]:
            _refuse("there is no such output", ", ".join(unknown), ", ".join(self._given))
        try:  # in a thread, for the worker goes on answering whether it is alive
            answers = await asyncio.to_thread(self._session.run, wanted, inputs)
        except Exception as error:  # onnxruntime's classes have no common base
            _refuse("onnxruntime refused the inputs", str(error).splitlines()[0], "inputs that fit together")
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[
                NumpyCodec.encode_output(name, answer) for name, answer in zip(wanted, answers, strict=True)
            ],
        )

    def _read(self, given, tensor):
        """Returns an input as an array, as the file wants it."""
        expected = [size if isinstance(size, int) else -1 for size in tensor.shape]
        datatype = _DATATYPES.get(tensor.type, tensor.type)
        told = f"{datatype} {expected}"
        if given.datatype != datatype:
            _refuse(f"{given.name}: wrong datatype", f"{given.datatype} {given.shape}", told)
        try:
            array = self.decode(given, default_codec=NumpyCodec)
        except (ValueError, TypeError) as error:
            _refuse(f"{given.name}: shape and data do not fit", f"{given.shape}: {error}", told)
        if len(expected) == 1 and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        fits = array.ndim == len(expected) and all(
            size in (-1, found) for size, found in zip(expected, array.shape, strict=True)
        )
        if not fits or not array.size:
            _refuse(f"{given.name}: wrong shape", f"{given.datatype} {given.shape}", told)
        return array


def _refuse(problem, got, expected):
    """Raises InferenceError, which MLServer answers with status 400 and the text."""
    fix = "see the inputs and outputs of GET /v2/models/NAME"
    raise InferenceError(message(problem, got=got, expected=expected, fix=fix)) from None
