"""The progress bar of long work: on a terminal a line that changes, elsewhere nothing."""

from typing import TYPE_CHECKING

from aezoo.core.shown import console

if TYPE_CHECKING:  # what prints nothing costs no rich
    from rich.progress import Progress


def progress_bar(*fields: str, enabled: bool = True) -> "Progress":
    """Returns a `rich.progress.Progress` that vanishes when it is done; its texts are no markup.

    Args:
        fields: texts after the bar, for example "{task.fields[loss]}".
        enabled: whether it may be shown; it never is where there is no terminal.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    terminal = console()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        *(TextColumn(field, markup=False) for field in fields),
        console=terminal,
        transient=True,
        disable=not (enabled and terminal.is_terminal),
    )
