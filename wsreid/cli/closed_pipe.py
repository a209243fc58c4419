"""`python -m wsreid compare runs | head`: a reader that has seen enough is no error."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from typing import Final

_CODE: Final = 141
"""Exit code of a program that SIGPIPE ends, 128 + 13."""


@contextlib.contextmanager
def closed_pipe_ends_quietly() -> Iterator[None]:
    """Ends the command without a word once what reads its output has gone.

    Yields:
        Nothing.

    Raises:
        SystemExit: The reader has gone: 141, or 1 where rich found out first.
    """
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        if not _reader_has_gone():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        raise SystemExit(_CODE) from None


def _reader_has_gone() -> bool:
    if not hasattr(select, "poll"):  # Windows, where a pipe's end is not told apart
        return False
    watched = select.poll()
    watched.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))
