"""How far a ranking is, told to whoever listens: a bar of a command, or lines in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Final, TypeAlias

Watch: TypeAlias = Callable[[str, int, int], None]
"""Is given what is being done, how much of it is done, and how much there is in all; 0 = not known."""

logger = logging.getLogger(__name__)

_LINE_EVERY: Final = 30.0
"""Seconds between two lines in the log."""

_watcher: ContextVar[Watch | None] = ContextVar("watcher", default=None)


def unwatched(what: str, done: int, total: int) -> None:
    """Shows nothing."""


@contextmanager
def watched_by(watcher: Watch) -> Iterator[None]:
    """Has all rankings inside tell how far they are.

    Args:
        watcher: What is told; it may be called from several threads, one at a time.

    Yields:
        Nothing.
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def begin(what: str, total: int) -> Callable[[], None]:
    """Says that some work begins.

    Args:
        what: The work.
        total: Its steps; 0 = nobody knows.

    Returns:
        To be called at the end of each step, from whatever thread.
    """
    watcher, lock, done = _watcher.get(), Lock(), 0
    if watcher is None:
        return lambda: None
    watcher(what, 0, total)

    def step() -> None:
        nonlocal done
        with lock:
            done += 1
            watcher(what, done, total)

    return step


class LogLines:
    """A watcher that writes a line every half a minute, for where no bar can be drawn.

    Args:
        clock: Seconds now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._what = ""
        self._begin = self._told = clock()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Writes a line if it is time for one."""
        now = self._clock()
        if what != self._what:
            self._what, self._begin = what, now
        if now - self._told < _LINE_EVERY:
            return
        self._told = now
        if done and total:
            left = round((now - self._begin) * (total - done) / done)
            logger.info("%s: %d %%, about %d min %02d s left", what, 100 * done // total, *divmod(left, 60))
        else:
            logger.info("%s ...", what)
