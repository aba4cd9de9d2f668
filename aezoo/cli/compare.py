"""`aezoo compare`: whether latents of two bundles can be used together."""

import argparse
from typing import Any

from aezoo.cli import opening, output, parsing
from aezoo.core.errors import AezooError, OptionError
from aezoo.core.options import check_positive


def add_compare(commands: Any) -> None:
    """Adds `aezoo compare`."""
    command = parsing.add_command(
        commands,
        "compare",
        compare,
        "check whether latents from bundle A can be used with an index built from bundle B",
        "aezoo compare new old --data images/ --require same",
    )
    command.add_argument("first", metavar="A", help="bundle or run whose latents are to be used")
    command.add_argument("second", metavar="B", help="bundle or run from which the index was built")
    parsing.add_source(command, "--data", required=True)
    parsing.add_labels(command)
    command.add_argument(
        "--require",
        choices=("same", "rotation"),
        help="exit with status 1 unless the latents are the same, or differ by a rotation at most",
    )
    command.add_argument(
        "--examples", type=int, default=2000, metavar="N", help="how many to compare on, default 2000"
    )
    command.add_argument(
        "--neighbours", type=int, default=10, metavar="K", help="nearest neighbours to compare, default 10"
    )
    command.add_argument(
        "--tolerance", type=float, metavar="X", help="of 'same', as a fraction of the range; default 2e-5"
    )
    command.add_argument(
        "--rotation-limit",
        type=float,
        metavar="X",
        help="of 'rotation', as a fraction of the spread; default 1e-3",
    )
    command.add_argument(
        "--precision", default="float32", metavar="P[,P]", help="which files of A and of B to run"
    )


def compare(parsed: argparse.Namespace) -> None:
    """Compares the latents of two bundles on examples."""
    from aezoo.evaluation import comparison

    (first, second), examples, labels = _opened(parsed)
    limits = {"tolerance": parsed.tolerance, "rotation_limit": parsed.rotation_limit}
    found = comparison.compare(
        first,
        second,
        examples,
        labels=labels,
        neighbours=parsed.neighbours,
        **{name: limit for name, limit in limits.items() if limit is not None},
    )
    if parsed.json:
        output.say_json(found)
    else:
        output.print_table(f"A: {parsed.first}, B: {parsed.second}", ("figure", "value"), _rows(found))
        output.say(comparison.say(found))
    if parsed.require and comparison.VERDICTS.index(found["verdict"]) > comparison.VERDICTS.index(
        parsed.require
    ):
        raise AezooError(
            "latents of A may not be used with an index built from B",
            got=found["verdict"],
            expected=f"{parsed.require}, as --require says",
            fix="build the index anew from latents of A",
        )


def _opened(parsed):
    """Returns the two models, the examples that they are compared on, and labels or None."""
    import numpy as np

    precisions = parsing.words(parsed.precision) or ["float32"]
    if len(precisions) > 2:
        raise OptionError(
            "there are two bundles, so there are two precisions at most",
            got=f"--precision {parsed.precision}",
            expected="one for both, or one of A and one of B",
            fix=f"--precision {','.join(precisions[:2])}",
        )
    opened = [
        opening.open_model(path, precision)
        for path, precision in zip(
            (parsed.first, parsed.second), (precisions[0], precisions[-1]), strict=True
        )
    ]
    # Where one of the two takes bytes, both get them: floats cannot be made bytes without rounding.
    takes_bytes = [model.example_dtype == "uint8" for model, _ in opened]
    model, run = opened[takes_bytes.index(True) if any(takes_bytes) else 0]
    found = opening.read_source(parsed, model, run)
    examples, labels = found.array, opening.labels_for(parsed, model, found).get("labels")
    check_positive("--examples", parsed.examples, usual=2000)
    if len(examples) > parsed.examples:
        chosen = np.sort(np.random.default_rng(0).permutation(len(examples))[: parsed.examples])
        # Labels of another length are left for the model to refuse.
        labels = labels[chosen] if labels is not None and len(labels) == len(examples) else labels
        examples = examples[chosen]
    return [model for model, _ in opened], examples, labels


def _rows(found):
    def number(value):
        return "-" if value is None else f"{value:.4g}"

    near, error = found["neighbours"], found["reconstruction_error"]
    allowed, limit = number(found["allowed"]), number(found["rotation_limit"])
    return [
        ("examples", found["examples"]),
        ("latents of A, of B", ", ".join(str(tuple(shape)) for shape in found["latent_shapes"])),
        ("largest difference", f"{number(found['max_difference'])} (same: up to {allowed})"),
        ("difference, share of the spread", number(found["residual"])),
        (
            "the same after the best rotation",
            f"{number(found['rotation_residual'])} (rotation: up to {limit})",
        ),
        ("linear CKA", number(found["cka"])),
        (f"{near['k']} nearest neighbours kept", f"{near['kept']:.1%} (by chance {near['by_chance']:.1%})"),
        ("the same, A asking an index of B", "-" if near["across"] is None else f"{near['across']:.1%}"),
        ("median reconstruction error of A, of B", ", ".join(map(number, error["medians"]))),
        ("its drift", "-" if error["drift"] is None else f"{error['drift']:+.2%}"),
        ("its Kolmogorov-Smirnov statistic", number(error["ks_statistic"])),
    ]
