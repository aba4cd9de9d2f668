"""The format "c": headers compile without a warning, under sanitizers, and compute what Keras computes."""

import dataclasses
import json
import subprocess

import numpy as np
import pytest
from conftest import four_lines, mostly_exhaustive
from small_models import small, with_conv

import aezoo
from aezoo.core.errors import ExportError
from aezoo.export import ExportOptions, bundling, formats, to_c
from aezoo.export.proof import readers
from aezoo.export.to_c import indexing
from aezoo.export.to_onnx.emitters.activations import ACTIVATIONS
from aezoo.nn.autoencoder import keras
from aezoo.runtime.schema import Tensor
from aezoo.testing import smooth_examples

pytestmark = pytest.mark.skipif(formats.c_compiler() is None, reason="no C compiler")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wdouble-promotion", "-Wshadow"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]

# One example after the other, as raw bytes from standard input to standard output.
MAIN = """\
#include <stdio.h>
#include "{header}"
int main(void) {{
  {declared}
  while ({read}) {{
    if ({function}({names}) != 0) return 2;
    {write}
  }}
  return {function}({nulls}) == 1 ? 0 : 3;
}}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Returns what a header answers, compiled as C99 with every warning and sanitizer."""

    def run(path, inputs):
        macro, signature = readers.signature_of(path)
        ends = [readers._c_arrays(end) for end in signature.split(" -> ")]
        types = {"float32": "float", "uint8": "uint8_t", "int32": "int32_t"}
        arrays = [*ends[0], *ends[1]]
        program = MAIN.format(
            header=path,
            function=macro.lower(),
            declared=" ".join(
                f"static {types[dtype]} a{n}[{int(np.prod(shape, dtype=int))}];"
                for n, (_, dtype, shape) in enumerate(arrays)
            ),
            read=" && ".join(f"fread(a{n}, sizeof a{n}, 1, stdin) == 1" for n in range(len(ends[0]))),
            names=", ".join(f"a{n}" for n in range(len(arrays))),
            nulls=", ".join("NULL" for _ in arrays),
            write=" ".join(
                f"if (fwrite(a{n}, sizeof a{n}, 1, stdout) != 1) return 4;"
                for n in range(len(ends[0]), len(arrays))
            ),
        )
        binary = tmp_path_factory.mktemp("c") / "main"
        compile_(program, ["-std=c99", "-O1", *WARNINGS, *SANITIZERS, "-x", "c"], binary)
        count = len(next(iter(inputs.values())))
        fed = b"".join(
            inputs[name][n].astype(dtype).tobytes() for n in range(count) for name, dtype, _ in ends[0]
        )
        done = subprocess.run([binary], input=fed, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[:2000]
        row = np.dtype([(name, dtype, shape) for name, dtype, shape in ends[1]])
        answers = np.frombuffer(done.stdout, row)
        assert len(answers) == count
        return {name: answers[name] for name, _, _ in ends[1]}

    return run


def compile_(program, options, binary, compiler=None):
    command = [compiler or formats.c_compiler(), *options, "-", "-o", binary, "-lm"]
    done = subprocess.run(command, input=program, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[:3000]


def jobs(model, precision="float32", parts=("encoder", "decoder", "code_decoder"), input_dtype="float32"):
    """Yields a `Job` for each part of a model."""
    examples = smooth_examples(model.example_shape, 24, seed=3)
    golden = bundling.make_golden(model, examples, input_dtype)
    for part, (layers, inputs, outputs) in model.parts().items():
        if part in parts:
            yield formats.Job(
                part=part,
                model=layers,
                inputs=tensors(model, inputs, layers.inputs, input_dtype),
                outputs=tensors(model, outputs, layers.outputs, input_dtype),
                precision=precision,
                opset=18,
                properties={"aezoo.model": "small"},
                calibration=golden,
                golden=golden,
                decode=model.decode,
                budget=0.01,
            )


def tensors(model, names, keras_tensors, input_dtype):
    options = ExportOptions(input_dtype=input_dtype)
    pairs = zip(names, keras_tensors, strict=True)
    return tuple(bundling._tensor(model, options, name, tensor) for name, tensor in pairs)


def functional(layers, precision="float32"):
    """Returns a `Job` of a Keras model that is no part of an autoencoder: examples to latents."""
    draw = np.random.default_rng(5)
    examples = draw.uniform(-4, 4, (64, *layers.inputs[0].shape[1:])).astype("float32")
    (output,) = layers.outputs
    return formats.Job(
        part="encoder",
        model=layers,
        inputs=(row("examples", examples),),
        outputs=(Tensor("latents", "float32", ("batch", *output.shape[1:]), None, "out"),),
        precision=precision,
        opset=18,
        properties={},
        calibration={"examples": examples, "out": np.asarray(layers(examples))},
        golden={},
        decode=None,
        budget=0.01,
    )


def row(name, array):
    return Tensor(name, str(array.dtype), ("batch", *array.shape[1:]), None, name)


def check(job, answers):
    """Float32 within the format's tolerance; int8 near: what it may lose is the proof's business."""
    for output in job.outputs:
        wanted, got = job.calibration[output.golden], answers[output.name]
        assert got.shape == wanted.shape
        allowed = (1e-5 if job.precision == "float32" else 0.06) * np.ptp(wanted)
        allowed = max(allowed, 4 * np.spacing(np.abs(wanted).max())) if wanted.dtype.kind == "f" else 0
        assert np.abs(got.astype("float64") - wanted).max() <= allowed, output.name


MODELS = [(name, small(name)) for name in ("dense", "sparse", "conditional_vae", "fsq", "vq_vae", "conv1d")]
MODELS += [("vae", with_conv("vae")), ("dense", {"latent_dim": 4, "features": 6})]
MAPS = {"latent_dim": 4, "image_shape": (11, 9, 2), "filters": (17, 6)}
MODELS += [
    ("conv", {**MAPS, "downsampling": down, "upsampling": up, "normalization": norm, "kernel_size": kernel})
    for down, up, norm, kernel in [
        ("stride", "transpose", None, 3),
        ("max_pool", "resize", "batch", 3),
        ("stride", "resize", "layer", 4),
        ("max_pool", "transpose", "group", 5),
    ]
]
MODELS[-1][1]["filters"] = (8, 8)
QUANTISED_BADLY = {"sparse", "fsq", "vq_vae"}  # untrained, a rounding makes another choice


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(
    ("name", "options"),
    mostly_exhaustive(MODELS, MODELS[::3].__contains__),
    ids=lambda value: str(value)[:60],
)
def test_models(compiled, tmp_path, name, options, precision):
    keras.utils.set_random_seed(1)
    model = aezoo.build(name, **options)
    if model.kind != "images":
        model.adapt(smooth_examples(model.example_shape, 50))
    parts = ("encoder",) if name == "vq_vae" else ("encoder", "decoder", "code_decoder")
    for job in jobs(model, precision, parts):
        path = tmp_path / f"{job.part}.h"
        figures = to_c.write_artifact(job, path)
        answers = compiled(path, job.calibrated_inputs())
        if precision == "float32" or name not in QUANTISED_BADLY:
            check(job, answers)
        if precision == "float32" and job.part == "encoder":
            run, found = readers.open_c(path, job.part)
            assert found["outputs"] == {output.name: output.dtype for output in job.outputs}
            check(job, run(job.calibrated_inputs()))
        assert f"ARENA_BYTES {figures['arena_bytes']}\n" in path.read_text("utf-8")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_every_activation(compiled, tmp_path, precision):
    inputs = keras.Input((6,), name="examples")
    for number, function in enumerate(ACTIVATIONS):
        x = keras.layers.Dense(5, bias_initializer="random_normal", name=f"d{number}")(inputs)
        branch = keras.layers.Activation(function, name=f"a{number}")(x)
        branch = keras.layers.Dense(3, name=f"e{number}")(branch)
        job = functional(keras.Model(inputs, branch), precision)
        to_c.write_artifact(job, tmp_path / "a.h")
        run, _ = readers.open_c(tmp_path / "a.h", "encoder")
        try:
            check(job, run(job.calibrated_inputs()))
        except AssertionError as error:
            raise AssertionError(f"{function}: {error}") from error
    check(job, compiled(tmp_path / "a.h", job.calibrated_inputs()))


LAYERS = {
    "depthwise": [keras.layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)],
    "grouped": [keras.layers.Conv2D(6, 3, groups=2, activation="silu")],
    "dilated": [keras.layers.Conv2D(18, (3, 2), dilation_rate=(2, 1), padding="same", activation="mish")],
    "average": [
        keras.layers.AveragePooling2D(3, strides=2, padding="same"),
        keras.layers.GlobalMaxPooling2D(),
    ],
    "bilinear": [keras.layers.UpSampling2D((2, 3), interpolation="bilinear"), keras.layers.Conv2D(3, 2)],
    "padded": [keras.layers.ZeroPadding2D(((1, 2), (0, 3))), keras.layers.Cropping2D(((0, 1), (2, 1)))],
    "rows": [keras.layers.Flatten(), keras.layers.LayerNormalization(), keras.layers.Softmax()],
    "turned": [keras.layers.Permute((2, 3, 1)), keras.layers.Conv2D(4, 2), keras.layers.PReLU()],
    "transposed": [keras.layers.Conv2DTranspose(5, 4, strides=(2, 3), padding="same", activation="elu")],
    "last_axis": [keras.layers.Reshape((44, 7)), keras.layers.Dense(9, activation="selu")],
}


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", mostly_exhaustive(LAYERS, list(LAYERS)[::3].__contains__))
def test_layers(compiled, tmp_path, name, precision):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((11, 7, 4), name="examples")
    x = inputs
    for layer in LAYERS[name]:
        x = type(layer).from_config(layer.get_config())(x)
    job = functional(keras.Model(inputs, keras.layers.Flatten()(x)), precision)
    to_c.write_artifact(job, tmp_path / "a.h")
    check(job, compiled(tmp_path / "a.h", job.calibrated_inputs()))


def test_gelu_is_as_near_as_its_source_says(compiled, tmp_path):
    grid = np.linspace(-6, 6, 4000, dtype="float32")[None]
    inputs = keras.Input((4000,), name="examples")
    layers = keras.Model(inputs, keras.layers.Activation("gelu")(inputs))
    job = functional(layers)
    to_c.write_artifact(job, tmp_path / "a.h")
    run, _ = readers.open_c(tmp_path / "a.h", "encoder")
    import math

    exact = [[0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in grid[0].tolist()]]
    assert np.abs(run({"examples": grid})["latents"] - exact).max() < 1e-6


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_bytes_as_input(compiled, tmp_path, precision):
    model = aezoo.build("conv", **{**MAPS, "filters": (4, 6)})
    (job,) = jobs(model, precision, ("encoder",), "uint8")
    to_c.write_artifact(job, tmp_path / "a.h")
    assert "const uint8_t *images" in (tmp_path / "a.h").read_text("utf-8")
    check(job, compiled(tmp_path / "a.h", job.calibrated_inputs()))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_cpp_and_two_headers_in_one_file(tmp_path, precision):
    import shutil

    if shutil.which("g++") is None:
        pytest.skip("no g++")
    model = aezoo.build("vae", **with_conv("vae"))
    for job in jobs(model, precision):
        to_c.write_artifact(job, tmp_path / f"{job.part}.h")
    program = (
        f'#include "{tmp_path}/encoder.h"\n#include "{tmp_path}/decoder.h"\nint main() {{ return 0; }}\n'
    )
    for standard in ("c++11", "c++20"):
        options = [f"-std={standard}", *WARNINGS, "-x", "c++"]
        compile_(program, options, tmp_path / "main", shutil.which("g++"))


def test_bytes_repeat(tmp_path):
    model = aezoo.build("conv", **{**MAPS, "filters": (4, 6)})
    for precision in ("float32", "int8"):
        (job,) = jobs(model, precision, ("encoder",))
        texts = set()
        for n in range(2):
            to_c.write_artifact(job, tmp_path / f"{n}.h")
            texts.add((tmp_path / f"{n}.h").read_text("utf-8"))
        assert len(texts) == 1


def test_memory_is_used_again(tmp_path):
    """The arena holds the two largest values that follow each other, not all of them."""
    model = aezoo.build("conv", latent_dim=2, image_shape=(32, 32, 1), filters=(4, 4, 4, 4))
    (job,) = jobs(model, "float32", ("encoder",))
    figures = to_c.write_artifact(job, tmp_path / "a.h")
    assert figures["arena_bytes"] == 4 * (16 * 16 * 4 + 8 * 8 * 4)
    quarter = to_c.write_artifact(dataclasses.replace(job, precision="int8"), tmp_path / "a.h")
    assert quarter["arena_bytes"] == 32 * 32 + 16 * 16 * 4
    assert quarter["weights_bytes"] < 0.45 * figures["weights_bytes"]


# -- what is refused --------------------------------------------------------------------------------


def test_names_that_c_knows_are_refused(tmp_path):
    inputs = keras.Input((4,), name="examples")
    job = functional(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
    job = dataclasses.replace(job, outputs=(dataclasses.replace(job.outputs[0], name="return"),))
    with pytest.raises(ExportError) as error:
        to_c.write_artifact(job, tmp_path / "a.h")
    four_lines(error, "'return'")


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    inputs = keras.Input((4,), name="examples")
    job = functional(keras.Model(inputs, keras.layers.Dense(2, bias_initializer="ones")(inputs)))
    job.model.layers[-1].bias.assign([np.nan, 1])
    with pytest.raises(ExportError) as error:
        to_c.write_artifact(job, tmp_path / "a.h")
    four_lines(error, "no finite float32")


def test_an_order_without_loops_is_refused():
    with pytest.raises(ExportError) as error:
        indexing.nest([0, 0, 1, 1, 2])
    four_lines(error, "5 values")


def test_options_cannot_end_the_comment(tmp_path):
    inputs = keras.Input((4,), name="examples")
    job = functional(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
    job = dataclasses.replace(job, properties={"aezoo.core.options": json.dumps({"note": "*/ int main"})})
    to_c.write_artifact(job, tmp_path / "a.h")
    readers.open_c(tmp_path / "a.h", "encoder")
