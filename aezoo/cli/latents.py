"""`aezoo sample`, `interpolate` and `traverse`: moving through the latent space."""

from aezoo.cli.output import _numbered, _writer
from aezoo.cli.parsing import _numbers, labels_of, load_in
from aezoo.core.errors import OptionError
from aezoo.core.options import check_positive


def sample(parsed):
    """Draws new examples."""
    count = check_positive("--count", parsed.count)
    model = load_in(parsed.path, parsed.precision)
    write = _writer(parsed, as_images=model.kind == "images")
    write(model.sample(count, parsed.seed, **labels_of(parsed.labels, count)), _numbered("sample", count))


def interpolate(parsed):
    """Goes from one example to another."""
    from aezoo.data import reading
    from aezoo.loading import load

    steps = check_positive("--steps", parsed.steps, least=2)
    model = load(parsed.path)
    write = _writer(parsed, as_images=model.kind == "images")
    _, examples = reading.read_for(model, parsed.input)
    if len(examples) < 2:
        raise OptionError(
            "a way through the latent space has two ends",
            got=f"{parsed.input}: one example",
            expected="a folder or an array with at least two",
            fix="put two images into a folder",
        )
    results = model.interpolate(examples[0], examples[1], steps, parsed.way, **labels_of(parsed.labels, 1))
    write(results, _numbered("step", steps))


def traverse(parsed):
    """Sets one latent axis of an example to several values."""
    from aezoo.data import reading
    from aezoo.loading import load

    values = None if parsed.values is None else _numbers(parsed.values, float, "--values")
    model = load(parsed.path)
    write = _writer(parsed, as_images=model.kind == "images")
    _, examples = reading.read_for(model, parsed.input)
    results = model.traverse(examples[0], parsed.axis, values, **labels_of(parsed.labels, 1))
    write(results, _numbered("value", len(results)))
