"""Writes an artifact of a bundle as a C99 header."""

import pathlib
import re
import tempfile
from typing import Any, cast

import numpy as np
import onnx

import aezoo
from aezoo.core.errors import ExportError
from aezoo.export import to_onnx
from aezoo.export.formats import Job
from aezoo.export.to_c import fusing, int8, memory
from aezoo.export.to_c.emitting import Text, emit
from aezoo.export.to_c.lowering import CTYPES, lower
from aezoo.export.to_c.program import Program

_OPSET = 20  # the first whose GELU is one operator
_VERBS = {"encoder": "encode", "decoder": "decode", "code_decoder": "decode_codes"}

# What the kernels call their own, and what C or C++ does.
_TAKEN = (
    " auto bool break case char class const continue default delete do double else enum extern float for "
    " goto if inline int long main new operator register restrict return short signed sizeof static struct "
    " switch template this typedef union unsigned using void volatile while best bias count found from ih "
    " iw kh kw oh ow place row rows scale sum table which "
)

_HEADER = """\
/* {name}: the {part} of an autoencoder, in one header of C99. No heap, no files, no library but math.h.

   Made by aezoo {version}; do not edit. {about}

   {weights_bytes} bytes of constants, {arena_bytes} bytes of working memory, {precision} inside.

   Include it in one .c file (or .cc file), and call it with one example:

{example}

   Arrays are row-major with channels last, as in Keras:
{arrays}
   The function returns 0, or 1 where a pointer is NULL; it is not reentrant, since its working memory is
   static. An `int` must have 32 bits. Link with -lm where your toolchain wants it. It is `static inline`
   unless AEZOO_API says otherwise. */
#ifndef {macro}_H
#define {macro}_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifndef AEZOO_API
#define AEZOO_API static inline
#endif

/* What it takes and gives, for programs: name:type:sizes. */
#define {macro}_SIGNATURE "{signature}"
{sizes}
#define {macro}_ARENA_BYTES {arena_bytes}
#define {macro}_WEIGHTS_BYTES {weights_bytes}

{arena}{tables}
{functions}AEZOO_API int {name}({parameters}) {{
  if ({null}) return 1;
{body}
  return 0;
}}

#endif
"""


def write_artifact(job: Job, path: pathlib.Path) -> dict[str, Any]:
    """Writes a `formats.Job` as a header; returns what its row of the manifest says beyond the usual.

    Args:
        job: of "float32" or "int8"; for int8 `calibration` tells the ranges of values.
        path: file to write.

    Returns:
        {"arena_bytes": working memory, "weights_bytes": constants}; and "budget" of int8.

    Raises:
        ExportError: an operator of the part, or a use of one, that is not written as C.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph_file = pathlib.Path(folder) / "part.onnx"
        to_onnx.write(
            job.model,
            graph_file,
            inputs=job.input_names,
            outputs=job.output_names,
            opset=_OPSET,
            input_dtype="uint8" if job.inputs[0].dtype == "uint8" else "float32",
        )
        model = onnx.load(graph_file)
    program = lower(model.graph, job.inputs, job.outputs)
    fusing.fuse(program)
    if job.precision == "int8":
        int8.choose(program)
        int8.calibrate(program, model, job.calibrated_inputs())
    text, figures = render(program, job)
    path.write_text(text, encoding="ascii")
    return {**figures, **({"budget": job.budget} if job.precision == "int8" else {})}


def function_name(job: Job) -> str:
    """Returns the name of the header's function: of the model, what it does, and its precision."""
    model = re.sub(r"\W", "_", job.properties.get("aezoo.model") or "autoencoder", flags=re.ASCII)
    verb = _VERBS.get(job.part, job.part)
    return "_".join([model, verb, *([] if job.precision == "float32" else [job.precision])])


def render(program: Program, job: Job) -> tuple[str, dict[str, int]]:
    """Returns (the header, {"arena_bytes", "weights_bytes"}) of a finished `Program`."""
    _check_names([*job.input_names, *job.output_names])
    name = function_name(job)
    macro, words = name.upper(), memory.place(program) // 4
    text = Text(name)
    for kernel in program.kernels:
        emit(text, kernel)
    functions, body = text.resolved()
    ends = [*((row, "const ") for row in job.inputs), *((row, "") for row in job.outputs)]
    arrays = [
        (row.name, constant + CTYPES[row.dtype], cast(tuple[int, ...], row.shape[1:]))
        for row, constant in ends
    ]
    figures = {"arena_bytes": words * 4, "weights_bytes": text.table_bytes}
    declared = [
        f"{ctype.removeprefix('const ')} {array}[{macro}_{array.upper()}_SIZE];" for array, ctype, _ in arrays
    ]
    call = f"if ({name}({', '.join(array for array, _, _ in arrays)}) != 0) ..."
    header = _HEADER.format(
        name=name,
        macro=macro,
        part=job.part,
        precision=job.precision,
        version=aezoo.__version__,
        about=_comment(f"Options: {job.properties.get('aezoo.core.options') or '{}'}."),
        example="\n".join(f"       {line}" for line in ('#include "THIS_FILE.h"', *declared, call)),
        arrays="".join(
            f"     {array}: {ctype.removeprefix('const ')} ({', '.join(map(str, shape))})\n"
            for array, ctype, shape in arrays
        ),
        signature=" -> ".join(
            " ".join(_signature(row) for row in rows) for rows in (job.inputs, job.outputs)
        ),
        sizes="\n".join(
            f"#define {macro}_{array.upper()}_SIZE {int(np.prod(shape, dtype=int))}"
            for array, _, shape in arrays
        ),
        arena=f"static float {name}_arena[{words}];\n\n" if words else "",
        tables="\n".join(text.tables),
        functions=functions,
        parameters=", ".join(f"{ctype} *{array}" for array, ctype, _ in arrays),
        null=" || ".join(f"{array} == NULL" for array, _, _ in arrays),
        body=body,
        **figures,
    )
    return header, figures


def _check_names(names):
    for name in names:
        short = re.fullmatch(r"[a-z]\d*|x\d+", name)
        if not re.fullmatch(r"[A-Za-z]\w*", name, flags=re.ASCII) or f" {name} " in _TAKEN or short:
            raise ExportError(
                "an input or output cannot have this name in C",
                got=f"{name!r}",
                expected="a name such as 'images' or 'latents', none of C's own",
                fix="name it otherwise in the model's encoder_outputs",
            )


def _signature(row):
    return ":".join([row.name, row.dtype, "x".join(map(str, row.shape[1:]))])


def _comment(text):
    """Returns a text that can stand in a comment: nothing but ASCII, and no end of one."""
    return text.encode("ascii", "replace").decode().replace("*/", "* /").replace("/*", "/ *")
