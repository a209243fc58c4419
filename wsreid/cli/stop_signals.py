"""Ctrl-C and SIGTERM: a run in training is let to the end of its step, keeps a checkpoint and says how to go on."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from wsreid.errors import WsreidError

_log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(WsreidError):  # noqa: N818 - no error
    """A signal ended the command.

    Attributes:
        code: The process's exit code, 128 + the signal's number.

    Args:
        number: The signal.
        text: What is kept, and how to go on.
    """

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}. {text}")
        self.code = 128 + number


@dataclass
class StopSignals:
    """Signals that came while a run was in training.

    Attributes:
        waits: Whether somebody looks at `asked` after each step; otherwise a signal ends the command at once.
        asked: The first signal; None = none came.
        handles: Those that come here.
    """

    waits: bool = False
    asked: int | None = None
    handles: tuple[int, ...] = ()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        if self.waits and self.asked is None:
            self.asked = number
            _log.warning(
                "%s: the run ends behind this step, with a checkpoint (while it validates: behind this epoch). "
                "The same signal again ends it at once",
                signal.Signals(number).name,
            )
            return
        self.asked = number
        raise KeyboardInterrupt  # no Exception: no guard on the way catches it; the command makes it `Stopped`

    def wait(self) -> None:
        """From here on the first signal waits for a step's end. Lightning's handler of SIGTERM, in front, would not."""
        self.waits = True
        if signal.SIGTERM in self.handles:
            signal.signal(signal.SIGTERM, self)

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handles both signals meanwhile; in the main thread alone, as Python wants it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # `nohup`, and a shell script for what it puts into the background, have a signal ignored: it stays so
        before = {n: handler for n in SIGNALS if (handler := signal.getsignal(n)) is not signal.SIG_IGN}
        self.handles = tuple(before)
        for number in before:
            signal.signal(number, self)
        try:
            yield
        finally:
            self.handles = ()
            for number, handler in before.items():
                signal.signal(number, handler)
