"""`aezoo encode`, `decode` and `reconstruct`: a bundle's files at work."""

import argparse
from typing import Any

from aezoo.cli import opening, output, parsing


def add_encode(commands: Any) -> None:
    """Adds `aezoo encode`."""
    summary = "encode examples with a bundle, into latents.npy"
    command = parsing.add_command(commands, "encode", encode, summary, "aezoo encode bundle images/")
    _add_arguments(command, "latents.npy")


def encode(parsed: argparse.Namespace) -> None:
    """Encodes examples with a bundle."""
    bundle, run = opening.open_bundle(parsed)
    write = output.writer(parsed, images_of=None)
    found = opening.read_source(parsed, bundle, run)
    labels = opening.labels_for(parsed, bundle, found)
    write(opening.answers(bundle.encode, found, labels), found.names)


def add_reconstruct(commands: Any) -> None:
    """Adds `aezoo reconstruct`."""
    summary = "reconstruct examples with a bundle, into an array or a folder of PNG files"
    command = parsing.add_command(
        commands, "reconstruct", reconstruct, summary, "aezoo reconstruct bundle images/"
    )
    _add_arguments(command, "reconstructions.npy")


def reconstruct(parsed: argparse.Namespace) -> None:
    """Reconstructs examples with a bundle."""
    bundle, run = opening.open_bundle(parsed)
    write = output.writer(parsed, images_of=(bundle, run))
    found = opening.read_source(parsed, bundle, run)
    labels = opening.labels_for(parsed, bundle, found)
    if found.series is not None and not labels:
        from aezoo.data.examples import Numbers

        rows = _rows_reconstructed(bundle, found.series)
        write([rows], Numbers(len(rows)))
        return
    write(opening.answers(bundle.reconstruct, found, labels), found.names)


def _rows_reconstructed(bundle, series):
    """Returns (T, F): of each row of a long series the mean over the windows that cover it."""
    from aezoo.core.windows import in_rows

    def reconstructed(windows):
        return {"rows": bundle.reconstruct(windows)}

    return in_rows(reconstructed, series.rows, bundle.example_shape[0], series.stride)["rows"]


def add_decode(commands: Any) -> None:
    """Adds `aezoo decode`."""
    summary = "decode latents with a bundle, into an array or a folder of PNG files"
    command = parsing.add_command(commands, "decode", decode, summary, "aezoo decode bundle latents.npy")
    parsing.add_bundle(command)
    command.add_argument("latents", metavar="LATENTS", help="a .npy or .npz file, such as encode writes")
    parsing.add_labels(command, of_source=False)
    parsing.add_precision(command)
    parsing.add_output(command, "reconstructions.npy")


def decode(parsed: argparse.Namespace) -> None:
    """Decodes latents with a bundle."""
    from aezoo.data.beside_examples import read_latents

    bundle, run = opening.open_bundle(parsed)
    write = output.writer(parsed, images_of=(bundle, run))
    names, latents = read_latents(parsed.latents)
    labels = opening.labels_for(parsed, bundle, count=len(latents))
    write(opening.answers(bundle.decode, latents, labels), names)


def _add_arguments(command, written):
    parsing.add_bundle(command)
    parsing.add_source(command)
    parsing.add_stride(command, parsing.AS_TRAINED)
    parsing.add_labels(command)
    parsing.add_precision(command)
    parsing.add_output(command, written)
