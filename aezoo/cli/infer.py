"""`aezoo encode`, `decode` and `reconstruct`."""

from aezoo.cli.output import _writer
from aezoo.cli.parsing import labels_of


def infer(parsed):
    """Encodes, decodes or reconstructs examples with a bundle."""
    from aezoo import runtime
    from aezoo.data import reading

    bundle = runtime.load(parsed.bundle, precision=parsed.precision)
    write = _writer(parsed, as_images=parsed.verb != "encode" and bundle.kind == "images")
    if parsed.verb == "decode":
        names, examples = reading.read_latents(parsed.input)
    else:
        names, examples = reading.read_for(bundle, parsed.input)
    write(getattr(bundle, parsed.verb)(examples, **labels_of(parsed.labels, len(examples))), names)
