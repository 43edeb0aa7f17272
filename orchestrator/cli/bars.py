"""Progress bars on standard error. Rich, which takes long to import, is imported only if there is one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def bars(*columns: "ProgressColumn") -> "Progress":
    """Bars on standard error. What goes to standard output meanwhile is data and stays there; the lines of standard
    error are shown above the bars.
    """
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns,
        console=Console(stderr=True, highlight=False),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,
    )


@contextmanager
def counting_bar(word: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; what it yields is called with how many more of ``total`` are done."""
    if not (shown and sys.stderr.isatty()):
        yield lambda count: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    with bars(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(word, total=total)
        yield lambda count: progress.advance(task, count)
