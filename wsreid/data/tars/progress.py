"""How far the reading of large files is: a bar in a terminal, elsewhere a line in the log now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from wsreid.terminal import Console

_log = logging.getLogger(__name__)

_LINE_EVERY: Final = 30.0
"""Seconds between two lines in the log."""

_GIB: Final = 1 << 30


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows the progress of some work on stderr.

    Args:
        what: The work.
        total: Its bytes; nothing is shown if there are none.

    Yields:
        To be called with the bytes done so far.
    """
    console = Console(stderr=True)
    if not total:
        yield lambda done: None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task: TaskID = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
    else:
        yield _Lines(what, total).tell


class _Lines:
    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._begin = self._told = time.monotonic()

    def tell(self, done: int) -> None:
        now = time.monotonic()
        if now - self._told < _LINE_EVERY or not done:
            return
        self._told = now
        left = (now - self._begin) * (self._total - done) / done
        _log.info(
            "%s: %.1f of %.1f GiB, about %d min %02d s left",
            self._what,
            done / _GIB,
            self._total / _GIB,
            *divmod(round(left), 60),
        )
