"""What is done value by value: ONNX's operators as C expressions, and the helper functions these call."""

import math

import numpy as np

# name -> (parameters, the value returned); a helper may call others, with @.
HELPERS = {
    "relu": ("float x", "x > 0.0f ? x : 0.0f"),
    "leaky_relu": ("float x, float slope", "x < 0.0f ? slope * x : x"),
    "elu": ("float x, float alpha", "x > 0.0f ? x : alpha * (expf(x) - 1.0f)"),
    "celu": ("float x, float alpha", "x > 0.0f ? x : alpha * (expf(x / alpha) - 1.0f)"),
    "clip": ("float x, float low, float high", "x < low ? low : x > high ? high : x"),
    "above": ("float x, float threshold", "x > threshold ? x : 0.0f"),
    "sigmoid": ("float x", "1.0f / (1.0f + expf(-x))"),
    "softplus": ("float x", "(x > 0.0f ? x : 0.0f) + logf(1.0f + expf(x > 0.0f ? -x : x))"),
    "magnitude": ("float x", "x < 0.0f ? -x : x"),
    "smaller": ("float x, float y", "x < y ? x : y"),
    "larger": ("float x, float y", "x > y ? x : y"),
    # Abramowitz & Stegun 1964, 7.1.26: off by at most 1.5e-7, and as much again by float's roundings.
    "erf_of_positive": (
        "float x, float t",
        "1.0f - ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t"
        " + 0.254829592f) * t * expf(-x * x)",
    ),
    "erf": (
        "float x",
        "x < 0.0f ? -@erf_of_positive(-x, 1.0f / (1.0f - 0.3275911f * x))"
        " : @erf_of_positive(x, 1.0f / (1.0f + 0.3275911f * x))",
    ),
    "gelu": ("float x", "0.5f * x * (1.0f + @erf(0.707106781f * x))"),
    "gelu_tanh": (
        "float x",
        "0.5f * x * (1.0f + tanhf(0.797884561f * (x + 0.044715f * x * x * x)))",
    ),
}

UNARY = {
    "Relu": lambda node: "@relu({0})",
    "LeakyRelu": lambda node: f"@leaky_relu({{0}}, {literal(node.get('alpha', 0.01))})",
    "Elu": lambda node: f"@elu({{0}}, {literal(node.get('alpha', 1.0))})",
    "Celu": lambda node: f"@celu({{0}}, {literal(node.get('alpha', 1.0))})",
    "Selu": lambda node: (
        f"({literal(node.get('gamma', 1.05070102))} * @elu({{0}}, {literal(node.get('alpha', 1.67326319))}))"
    ),
    "ThresholdedRelu": lambda node: f"@above({{0}}, {literal(node.get('alpha', 1.0))})",
    "HardSigmoid": lambda node: (
        f"@clip({literal(node.get('alpha', 0.2))} * {{0}} + {literal(node.get('beta', 0.5))}, 0.0f, 1.0f)"
    ),
    "Sigmoid": lambda node: "@sigmoid({0})",
    "Tanh": lambda node: "tanhf({0})",
    "Exp": lambda node: "expf({0})",
    "Log": lambda node: "logf({0})",
    "Sqrt": lambda node: "sqrtf({0})",
    "Round": lambda node: "rintf({0})",  # halves to even, as ONNX has it
    "Abs": lambda node: "@magnitude({0})",
    "Neg": lambda node: "(-({0}))",
    "Reciprocal": lambda node: "(1.0f / {0})",
    "Softplus": lambda node: "@softplus({0})",
    "Softsign": lambda node: "({0} / (1.0f + @magnitude({0})))",
    "Erf": lambda node: "@erf({0})",
    "Gelu": lambda node: "@gelu_tanh({0})" if node.get("approximate", b"none") == b"tanh" else "@gelu({0})",
}

BINARY = {
    "Add": "({0} + {1})",
    "Sub": "({0} - {1})",
    "Mul": "({0} * {1})",
    "Div": "({0} / {1})",
    "Min": "@smaller({0}, {1})",
    "Max": "@larger({0}, {1})",
    "PRelu": "@leaky_relu({0}, {1})",
    # What is true is 1.
    "GreaterOrEqual": "({0} >= {1} ? 1.0f : 0.0f)",
    "Greater": "({0} > {1} ? 1.0f : 0.0f)",
}


def literal(number: float) -> str:
    """Returns a number as a C literal of float, the shortest that is read as the same float32.

    >>> literal(0.1), literal(-2), literal(1e-5)
    ('0.1f', '-2.0f', '1e-05f')
    """
    single = np.float32(number)
    if np.isposinf(single) or np.isneginf(single):  # an open end of a Clip
        return f"{math.copysign(1, single) * float(np.finfo(np.float32).max):.9g}f"
    return f"{single!s}f"


def helpers_of(text: str) -> list[str]:
    """Returns the helpers that a text calls, those that others call first.

    >>> helpers_of("@gelu({0})")
    ['erf_of_positive', 'erf', 'gelu']
    """
    found = []
    for name, (_, body) in HELPERS.items():
        if f"@{name}(" in text:
            found += [*helpers_of(body), name]
    return list(dict.fromkeys(found))
