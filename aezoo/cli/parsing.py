"""What every command is added by, the arguments that several take, and what their texts mean."""

import argparse
import csv
import io
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from aezoo.core.errors import OptionError

SOURCE = (
    "an image, a folder of images, a .npy, .npz, .csv, .tsv, .parquet or .ts file, or a named dataset such "
    "as mnist_mini: its test part, or another as mnist_mini[train]"
)
_LABELS = (
    "class of each example, for a conditional model: one for each, one for all, a .npy file, or the table's "
    "column that holds them"
)
AS_TRAINED = "as in training; for a long series and a model of sequences"


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    summary: str,
    example: str,
    *,
    json: bool = True,
) -> argparse.ArgumentParser:
    """Adds a command to the parser.

    Args:
        commands: of `ArgumentParser.add_subparsers`.
        name: of the command.
        run: is called with what was typed; returns an exit status, None for 0.
        summary: one line, in lower case and without a full stop.
        example: a command line to show; further ones on lines of their own.
        json: whether it takes --json.

    Returns:
        The command's parser, for its own arguments.
    """
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=run)
    if json:
        command.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_common_arguments(command)
    return command


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that every command and every recipe takes; `shell.guarded` reads them."""
    parser.set_defaults(parser=parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the log output of TensorFlow and Keras"
    )
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that registers your own models; repeatable, also read from AEZOO_IMPORT",
    )


def add_model(command: argparse.ArgumentParser) -> None:
    """Adds the run or bundle that a command works on."""
    command.add_argument("model", metavar="RUN_OR_BUNDLE", help="folder of a run or a bundle")


def add_bundle(command: argparse.ArgumentParser) -> None:
    """Adds the bundle that a command works on."""
    command.add_argument("bundle", metavar="BUNDLE", help="folder of a bundle")
    command.add_argument(
        "--digest", metavar="SHA256", help="refuse the bundle unless this is its digest, as export printed it"
    )


def add_trust(command: argparse.ArgumentParser) -> None:
    """Adds by what a bundle's code may be run, beside `add_bundle`."""
    command.add_argument(
        "--trust",
        action="store_true",
        help="open SavedModels and C headers too, which can run any code: only for bundles of people whom "
        "you trust; not needed with --digest",
    )


def add_source(command: Any, name: str = "source", text: str = SOURCE, **options: Any) -> None:
    """Adds an argument that names examples, `source`: positional, or an option of another name."""
    if name.startswith("-"):
        options["dest"] = "source"
    command.add_argument(name, metavar="SOURCE", help=text, **options)
    add_value_range(command)
    add_data_dir(command)


def add_value_range(command: Any) -> None:
    """Adds the range of pixel values."""
    command.add_argument(
        "--value-range",
        metavar="LOW,HIGH",
        type=value_range,
        help="pixel values that become 0 and 1, such as 0,4095; default: 0,255 for images of 8 bits, for "
        "deeper ones those of the training, which takes them from its images",
    )


def value_range(text: str) -> tuple[float, ...]:
    """Parses "0,4095"; whether it is a range, whoever loads images checks."""
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no LOW,HIGH, such as 0,4095") from None


def add_stride(command: Any, default: str) -> None:
    """Adds how far apart the windows of a long series begin."""
    command.add_argument(
        "--stride", type=int, metavar="S", help=f"rows between the starts of two windows, default {default}"
    )


def add_data_dir(command: Any) -> None:
    """Adds where the sets of TensorFlow Datasets lie."""
    command.add_argument(
        "--data-dir", metavar="DIR", help="where TensorFlow Datasets keeps prepared datasets"
    )


def add_labels(
    command: argparse.ArgumentParser,
    text: str = _LABELS,
    metavar: str = "N,N|FILE|COLUMN",
    *,
    of_source: bool = True,
) -> None:
    """Adds the labels of a conditional model; `of_source` where the command's source may have them."""
    default = "; default: those that the source has, if any" if of_source else ""
    command.add_argument("--labels", metavar=metavar, help=text + default)


def add_precision(command: argparse.ArgumentParser) -> None:
    """Adds the precision of a bundle's files."""
    command.add_argument(
        "--precision",
        default="float32",
        metavar="P",
        help="which of the bundle's files to run: float32, float16 or int8; default float32",
    )


def add_output(command: argparse.ArgumentParser, default: str | None, text: str = "") -> None:
    """Adds -o with a default."""
    command.add_argument("-o", "--output", metavar="PATH", default=default, help=text or f"default {default}")


def add_pictures_output(command: argparse.ArgumentParser, stem: str) -> None:
    """Adds -o of a folder of pictures, or an array where the examples are no images; see `output.writer`."""
    command.set_defaults(stem=stem)
    add_output(
        command, None, f"folder of PNG files or a .npy file; default {stem}, without images {stem}.npy"
    )


def words(text: str | None) -> list[str]:
    """Returns the words of a text with commas between them, a list; empty for None."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def names(text: str) -> tuple[str, ...]:
    """Returns names of columns, with commas between them; a name with a comma stands in double quotes.

    >>> names('width,"length, mm"')
    ('width', 'length, mm')
    """
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True), []))


def joined(texts: Iterable[str]) -> str:
    """Returns texts as `names` takes them apart.

    >>> joined(["cat", "dog, wet"])
    'cat,"dog, wet"'
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()


def is_column(labels: str | None) -> bool:
    """Whether what was typed for --labels names a column: it is neither numbers nor a .npy file."""
    if labels is None or pathlib.PurePath(labels).suffix == ".npy":
        return False
    return not re.fullmatch(r"[\s,+-]*\d[\d\s,+-]*", labels)


def numbers(text: str, kind: Callable[[str], Any], option: str) -> list[Any]:
    """Returns the numbers of a text with commas between them.

    Raises:
        OptionError: what stands between two commas is no number.
    """
    try:
        return [kind(number) for number in text.split(",")]
    except ValueError:
        raise OptionError(
            f"{option} takes numbers with commas between them",
            got=f"{option} {text}",
            expected="for example 3,1,4",
            fix=f"{option}=3,1,4",
        ) from None


def labels_of(text: str, count: int) -> Any:
    """Returns labels (count,) of "3,1,4", of one number for all, or of a .npy file.

    Raises:
        OptionError: other words than numbers.
        DataError: the file cannot be read, or holds no labels.
    """
    import numpy as np

    if pathlib.Path(text).suffix == ".npy":
        from aezoo.data.beside_examples import read_labels

        return read_labels(text)
    found = numbers(text, int, "--labels")
    return np.asarray(found * count if len(found) == 1 else found)
