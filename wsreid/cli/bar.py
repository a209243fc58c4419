"""A bar for what a command is doing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from wsreid.terminal import Console

if TYPE_CHECKING:
    from wsreid.retrieval.watching import Watch


@contextlib.contextmanager
def bar(what: str) -> Iterator[Watch]:
    """Shows on stderr what is being done: a bar in a terminal, elsewhere a line in the log now and then.

    Args:
        what: The first thing that is done.

    Yields:
        To be called with what is being done, how much of it is done, and how much there is; 0 of 0 = nobody knows.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        from wsreid.retrieval.watching import LogLines  # late: for `--help`, which draws no bar

        yield LogLines()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(what, total=None)
        doing = what

        def watch(what: str, done: int, total: int) -> None:
            nonlocal doing, task
            if what != doing:
                bars.remove_task(task)  # a task that has had a total cannot lose it
                task = bars.add_task(what, total=total or None)
                doing = what
            bars.update(task, completed=done, total=total or None)

        yield watch
