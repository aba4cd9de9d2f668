"""Kernels as C text, each a block of its own with its sizes spelled out: a compiler sees all of them."""

import re

import numpy as np

from aezoo.core.errors import ExportError
from aezoo.export.to_c.expressions import HELPERS, literal
from aezoo.export.to_c.indexing import nest
from aezoo.export.to_c.int8 import quantized
from aezoo.export.to_c.program import Gather, Kernel, Linear, Loop, Pool, Reduce, Value, View

_WIDTH = 16  # sums that are made side by side, which registers can hold
_TO_INT8 = (
    "float x",
    "(int8_t)((int)((x > 127.0f ? 127.0f : x > -128.0f ? x : -128.0f) + 128.5f) - 128)",
    "int8_t",
)


class Text:
    """The pieces of a header in the making.

    Attributes:
        prefix: of every name that it defines at file scope.
        tables: the C text of its constants; table_bytes: how much memory they take.
        lines: the text of its kernels.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix, self.table_bytes = prefix, 0
        self.tables: list[str] = []
        self.lines: list[str] = []
        self._depth, self._count = 1, 0

    def table(self, array: np.ndarray, ctype: str = "float") -> str:
        """Adds an array of constants; returns its name."""
        name = f"{self.prefix}_table{self._count}"
        self._count += 1
        flat = np.ravel(array)
        if not np.isfinite(flat.astype(np.float32)).all():
            raise ExportError(
                "a weight is no finite float32",
                got=f"{flat[~np.isfinite(flat.astype(np.float32))][0]} in a table of {np.shape(array)}",
                expected="finite numbers",
                fix="train again, or look for a division by zero in the weights",
            )
        show = literal if ctype == "float" else str
        words = [show(number) for number in flat]
        rows = [", ".join(words[start : start + 12]) for start in range(0, len(words), 12)]
        body = ",\n  ".join(rows)
        self.tables.append(f"static const {ctype} {name}[{len(flat)}] = {{\n  {body}\n}};\n")
        self.table_bytes += len(flat) * (1 if ctype == "int8_t" else 4)
        return name

    def line(self, text: str) -> None:
        """Adds a line; braces at its ends set how far the next ones are indented."""
        if text.startswith("}"):
            self._depth -= 1
        self.lines.append("  " * self._depth + text)
        if text.endswith("{"):
            self._depth += 1

    def loop(self, variable: str, size: int, also: str = "") -> None:
        """Opens a loop."""
        self.line(f"for (int {variable} = 0; {variable} < {size}; ++{variable}{also}) {{")

    def close(self, count: int = 1) -> None:
        """Ends as many blocks."""
        for _ in range(count):
            self.line("}")

    def pointer(self, name: str, value: Value, written: bool = False) -> None:
        """Declares where a value begins."""
        constant = "" if written else "const "
        where = value.pointer
        if not where:
            assert value.offset is not None, "memory.place comes before the text"
            words = f"{self.prefix}_arena + {value.offset // 4}"
            where = words if value.ctype == "float" else f"({constant}{value.ctype} *)({words})"
        self.line(f"{constant}{value.ctype} *const {name} = {where};")

    def resolved(self) -> tuple[str, ...]:
        """Returns the functions that the kernels call, and the kernels, with their names in full."""
        body = "\n".join(self.lines)
        found, pending = [], body
        while True:  # the helpers that others call come first
            names = [name for name in HELPERS if f"@{name}(" in pending]
            more = [name for name in names if name not in found]
            if not more:
                break
            found += more
            pending += "".join(HELPERS[name][1] for name in more)
        ordered = [(name, (*HELPERS[name], "float")) for name in HELPERS if name in found]
        if "@to_int8(" in body:
            ordered.append(("to_int8", _TO_INT8))
        functions = "".join(
            f"static inline {kind} @{name}({parameters}) {{\n  return {result};\n}}\n\n"
            for name, (parameters, result, kind) in ordered
        )
        return tuple(re.sub(r"@(?=\w)", f"{self.prefix}_", text) for text in (functions, body))


def emit(text: Text, kernel: Kernel) -> None:
    """Adds a kernel's lines to a `Text`."""
    _EMITTERS[type(kernel)](text, kernel)


def _at(base, steps):
    """Returns the C text of an index: a base, and what each loop variable counts.

    >>> _at(3, [("i0", 9), ("i1", 1), ("i2", 0)])
    'i0 * 9 + i1 + 3'
    """
    terms = [variable if step == 1 else f"{variable} * {step}" for variable, step in steps if step]
    return " + ".join([*terms, str(base)] if base or not terms else terms)


def _load(value, place):
    if value.ctype == "float":
        return place
    if value.ctype == "int8_t":
        shift = f" - {value.zero}" if value.zero >= 0 else f" + {-value.zero}"
        return f"({literal(value.scale)} * (float)({place}{shift if value.zero else ''}))"
    return f"(float){place}"


def _store(value, place, expression):
    if value.ctype == "int8_t":
        zero = literal(value.zero).replace("-", "- ") if value.zero < 0 else f"+ {literal(value.zero)}"
        expression = f"@to_int8({literal(1 / value.scale)} * {expression} {zero})"
    elif value.ctype != "float":
        expression = f"({value.ctype}){expression}"
    return f"{place} = {expression};"


def _filled(expression, operands):
    return re.sub(r"\{(\d+)\}", lambda match: operands[int(match[1])], expression)


def _loop(text, loop):
    value = loop.output.value
    sources, read = [], []
    for operand in loop.operands:
        if not isinstance(operand, View) and np.size(operand) == 1:
            read.append(literal(np.ravel(operand)[0]))
            continue
        pair = (operand.value, None) if isinstance(operand, View) else (None, operand)
        read.append((len(sources), pair[0]))
        sources.append(pair)
    bases, loops = loop.walk()
    text.line("{")
    for number, (source, constant) in enumerate(sources):
        if source is not None:
            text.pointer(f"x{number}", source)
        else:
            text.line(f"const float *const x{number} = {text.table(constant)};")
    text.pointer("y", value, written=True)
    for depth, (size, _) in enumerate(loops):
        text.loop(f"i{depth}", size)
    places = [
        _at(base, [(f"i{depth}", steps[number]) for depth, (_, steps) in enumerate(loops)])
        for number, base in enumerate(bases)
    ]
    names = []
    for entry in read:
        if isinstance(entry, str):
            names.append(entry)
            continue
        number, source = entry
        place = f"x{number}[{places[number + 1]}]"
        names.append(place if source is None else _load(source, place))
    (only, *others) = sources or [(None, None)]
    same = only[0] is not None and (only[0].ctype, only[0].scale, only[0].zero) == (
        value.ctype,
        value.scale,
        value.zero,
    )
    if loop.copies and not others and same:
        text.line(f"y[{places[0]}] = x0[{places[1]}];")
    else:
        text.line(_store(value, f"y[{places[0]}]", _filled(loop.expression, names)))
    text.close(len(loops) + 1)


def _axis(window, axis):
    sizes = (window.taken, window.given, window.kernel, window.strides, window.dilations, window.pads)
    return tuple(pair[axis] for pair in sizes)


def _find(text, window, axis, output, tap, found):
    """Adds lines that say which input row (or column) a tap sees; skips those outside."""
    taken, given, kernel, stride, dilation, pad = _axis(window, axis)
    if window.transposed:
        reached = _at(pad, [(output, 1)])
        offset = reached if kernel == 1 else f"{reached} - {_at(0, [(tap, dilation)])}"
        text.line(f"const int {found}_spread = {offset};")
        text.line(f"const int {found} = {found}_spread / {stride};")
        outside = f"{found}_spread < 0 || {found} >= {taken}"
        if stride > 1:
            outside += f" || {found}_spread % {stride} != 0"
        text.line(f"if ({outside}) continue;")
        return
    place = _at(0, [(output, stride), *([(tap, dilation)] if kernel > 1 else [])])
    text.line(f"const int {found} = {place}{f' - {pad}' if pad else ''};")
    if pad or (given - 1) * stride + (kernel - 1) * dilation >= taken:
        text.line(f"if ({found} < 0 || {found} >= {taken}) continue;")


def _over_window(text, window, row, column, inner):
    """Adds the loops over the taps of a window around `inner(place of the pixel, number of the tap)`."""
    depth, names = 0, []
    for axis, (letter, output) in enumerate((("h", row), ("w", column))):
        if window.kernel[axis] == 1 and window.given[axis] == 1 and not window.pads[axis]:
            names.append(None)
            continue
        text.loop(f"k{letter}", window.kernel[axis])
        _find(text, window, axis, output, f"k{letter}", f"i{letter}")
        names.append(f"i{letter}")
        depth += 1
    steps = ((names[0], window.taken[1]), (names[1], 1))
    taps = (("kh", window.kernel[1]), ("kw", 1))
    pixel = _at(0, [(name, step) for name, step in steps if name])
    tap = _at(0, [pair for pair, name in zip(taps, names, strict=True) if name])
    inner(pixel, tap)
    text.close(depth)


def _tables(text, source, weights, bias, shape):
    """Writes the constants of a Linear: w, scale where its inputs are bytes, and bias."""
    ctype, scales = "float", None
    if source.ctype == "int8_t":
        ctype = "int8_t"
        weights, scales = quantized(weights)
    # The block first, then the taps: what a block needs lies together.
    weights = np.moveaxis(weights.reshape(shape), 4, 1)
    text.line(f"const {ctype} *const w = {text.table(weights, ctype)};")
    if scales is not None:
        text.line(f"const float *const scale = {text.table(scales.astype(np.float64) * source.scale)};")
    text.line(f"const float *const bias = {text.table(bias)};")


def _linear(text, linear):
    window, source, value = linear.window, linear.source.value, linear.output.value
    groups, height, width, taken, given = linear.weights.shape
    blocks = -(-given // _WIDTH)
    size = -(-given // blocks)  # of a block; the last one may be filled up with zeros
    fill = [(0, 0)] * 4 + [(0, blocks * size - given)]
    weights = np.pad(linear.weights, fill)
    bias = np.pad(linear.bias.reshape(groups, given), fill[-2:])
    integers = source.ctype == "int8_t"
    kind = "int32_t" if integers else "float"
    text.line("{")
    text.pointer("x", source)
    text.pointer("y", value, written=True)
    _tables(text, source, weights, bias, (groups, height, width, taken, blocks, size))
    if groups > 1:
        text.loop("g", groups)
    if blocks > 1:
        text.loop("b", blocks)
    outer = [*([("g", blocks)] if groups > 1 else []), *([("b", 1)] if blocks > 1 else [])]
    rows, columns = window.given
    for name, count in (("oh", rows), ("ow", columns)):
        if count > 1:
            text.loop(name, count)
    row, column = ("oh" if rows > 1 else "0"), ("ow" if columns > 1 else "0")
    text.line(f"{kind} sum[{size}] = {{0}};")

    def taps(pixel, tap):
        pixel = f"({pixel}) * {groups * taken}" if pixel != "0" else "0"
        place = f"{pixel} + g * {taken}" if groups > 1 else pixel
        count = height * width
        base = _at(0, [(name, step * count) for name, step in outer])
        start = " + ".join(term for term in (base, tap) if term != "0") or "0"
        text.line(f"const {source.ctype} *const from = x + {place};")
        text.line(f"const {'int8_t' if integers else 'float'} *const rows = w + ({start}) * {taken * size};")
        text.loop("c", taken)
        shift = f" - ({source.zero})" if integers and source.zero else ""
        text.line(f"const {kind} v = {f'(int32_t)from[c]{shift}' if integers else 'from[c]'};")
        text.line(f"for (int o = 0; o < {size}; ++o) sum[o] += v * rows[c * {size} + o];")
        text.close()

    _over_window(text, window, row, column, taps)
    last = f" && b * {size} + o < {given}" if blocks * size > given else ""
    text.line(f"for (int o = 0; o < {size}{last}; ++o) {{")
    place = _at(0, [*((name, step * size) for name, step in outer), ("o", 1)])
    total = f"(float)sum[o] * scale[{place}] + bias[{place}]" if integers else f"sum[o] + bias[{place}]"
    text.line(f"const float v = {total};")
    channel = _at(
        0, [*([("g", given)] if groups > 1 else []), *([("b", size)] if blocks > 1 else []), ("o", 1)]
    )
    pixel = _at(0, [(name, step) for name, step in ((row, columns), (column, 1)) if name != "0"])
    whole = f"({pixel}) * {groups * given} + {channel}" if pixel != "0" else channel
    text.line(_store(value, f"y[{whole}]", _filled(linear.epilogue, ["v"])))
    text.close(1 + (rows > 1) + (columns > 1) + (blocks > 1) + (groups > 1) + 1)


def _pool(text, pool):
    window, value = pool.window, pool.output.value
    text.line("{")
    text.pointer("x", pool.source.value)
    text.pointer("y", value, written=True)
    text.loop("oh", window.given[0])
    text.loop("ow", window.given[1])
    text.loop("c", pool.channels)
    text.line("float found = 0.0f;")
    text.line("int count = 0;")

    def look(pixel, _):
        text.line(f"const float v = {_load(pool.source.value, f'x[({pixel}) * {pool.channels} + c]')};")
        text.line("found = " + ("found + v;" if pool.mean else "count == 0 || v > found ? v : found;"))
        text.line("++count;")

    _over_window(text, window, "oh", "ow", look)
    place = f"y[(oh * {window.given[1]} + ow) * {pool.channels} + c]"
    text.line(_store(value, place, "(found / (float)count)" if pool.mean else "found"))
    text.close(4)


def _reduce(text, reduce):
    value, source = reduce.output.value, reduce.source
    index = source.index.reshape(-1, source.shape[-1])
    written = reduce.output.index
    written = (written[..., 0] if reduce.kind == "top" else written).ravel()
    bases, rows = nest(written, index[:, 0])
    _, columns = nest(index[0])
    text.line("{")
    text.pointer("x", source.value)
    text.pointer("y", value, written=True)
    for depth, (size, _) in enumerate(rows):
        text.loop(f"i{depth}", size)
    place, first = (
        _at(bases[n], [(f"i{depth}", steps[n]) for depth, (_, steps) in enumerate(rows)]) for n in (0, 1)
    )
    count = reduce.output.shape[-1]
    if reduce.kind == "top":
        text.line(f"float *const best = y + {place};")
    text.line(f"float found = {_load(source.value, f'x[{first}]') if reduce.kind not in _SUMS else '0.0f'};")
    text.line("int n = 0;")
    if reduce.kind.startswith("arg"):
        text.line("int which = 0;")
    for depth, (size, _) in enumerate(columns):
        text.loop(f"j{depth}", size)
    inner = _at(0, [(f"j{depth}", steps[0]) for depth, (_, steps) in enumerate(columns)])
    text.line(f"const float v = {_load(source.value, f'x[{first} + {inner}]')};")
    for line in _REDUCTIONS[reduce.kind]:
        text.line(line.replace("COUNT", str(count)))
    text.line("++n;")
    text.close(len(columns))
    result = {"mean": "(found / (float)n)", "argmax": "(float)which", "argmin": "(float)which"}
    if reduce.kind == "top":
        text.line("(void)found;")
    else:
        text.line(_store(value, f"y[{place}]", result.get(reduce.kind, "found")))
    text.line("(void)n;")
    text.close(len(rows) + 1)


_SUMS = ("sum", "mean")
_REDUCTIONS = {
    "sum": ["found += v;"],
    "mean": ["found += v;"],
    "max": ["found = v > found ? v : found;"],
    "argmax": ["if (v > found) {", "found = v;", "which = n;", "}"],
    "argmin": ["if (v < found) {", "found = v;", "which = n;", "}"],
    "top": [  # what is found so far lies sorted
        "int place = n < COUNT ? n : COUNT;",
        "while (place > 0 && v > best[place - 1]) {",
        "if (place < COUNT) best[place] = best[place - 1];",
        "--place;",
        "}",
        "if (place < COUNT) best[place] = v;",
    ],
}


def _gather(text, gather):
    value, source = gather.output.value, gather.source
    rows, width = gather.table.shape
    codes = source.index.ravel()
    bases, loops = nest(np.arange(len(codes)), codes)
    text.line("{")
    text.pointer("x", source.value)
    text.pointer("y", value, written=True)
    text.line(f"const float *const table = {text.table(gather.table)};")
    for depth, (size, _) in enumerate(loops):
        text.loop(f"i{depth}", size)
    to, code = (
        _at(bases[n], [(f"i{depth}", steps[n]) for depth, (_, steps) in enumerate(loops)]) for n in (0, 1)
    )
    text.line(f"int row = (int)x[{code}];")
    text.line(f"row = row < 0 ? 0 : row < {rows} ? row : {rows - 1};")  # never outside the table
    text.line(
        f"for (int c = 0; c < {width}; ++c) "
        + _store(value, f"y[({to}) * {width} + c]", f"table[row * {width} + c]")
    )
    text.close(len(loops) + 1)


_EMITTERS = {Loop: _loop, Linear: _linear, Pool: _pool, Reduce: _reduce, Gather: _gather}
