"""The progress bar of long work: on a terminal a line that changes, elsewhere nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what prints nothing costs no rich
    from rich.progress import Progress


def progress_bar(*fields: str, enabled: bool = True) -> "Progress":
    """Returns a `rich.progress.Progress` that vanishes when it is done.

    Args:
        fields: texts of rich after the bar, for example "{task.fields[loss]}".
        enabled: whether it may be shown; it never is where there is no terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(highlight=False)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        *map(TextColumn, fields),
        console=console,
        transient=True,
        disable=not (enabled and console.is_terminal),
    )
