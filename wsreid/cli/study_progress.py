"""How far a study is, and its polite end on Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from types import FrameType, TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from wsreid.study.carry_out import Outcome
from wsreid.terminal import Console


class Stop:
    """Remembers that the user or the system has asked the study to stop; asked twice, it stops at once."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        """Whether it is to stop."""
        return self._asked

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listens to SIGINT and SIGTERM."""
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


class Progress:
    """A line for each run that has ended; in a terminal a bar below.

    Args:
        total: Number of runs.
        jobs: How many run at a time.
    """

    def __init__(self, total: int, jobs: int) -> None:
        self._total = total
        self._jobs = jobs
        self._ended = 0
        self._taken: list[float] = []
        self._start = time.monotonic()
        self._console = Console()
        columns = (
            TextColumn("runs", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
        )
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("runs", total=total, left="")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def ended(self, outcome: Outcome) -> None:
        """Shows that a run has ended.

        Args:
            outcome: How.
        """
        self._ended += 1
        if outcome.seconds > 0 and not outcome.stopped:
            self._taken.append(outcome.seconds)
        how = "stopped" if outcome.stopped else "FAILED" if outcome.problem else outcome.figures
        elapsed = timedelta(seconds=round(time.monotonic() - self._start))
        what = f"{outcome.run.name}: {how}, {outcome.seconds:.0f} s"
        line = f"[{self._ended}/{self._total}] {what} | {elapsed}{self._left()}"
        self._bar.update(self._task, completed=self._ended, left=self._left().lstrip(", "))
        self.say(line)

    def say(self, text: str) -> None:
        """Shows a line above the bar.

        Args:
            text: The line.
        """
        if self._console.is_terminal:
            self._bar.console.print(text, highlight=False)
        else:
            print(text, flush=True)

    def _left(self) -> str:
        if not self._taken or self._ended == self._total:
            return ""
        each = sum(self._taken) / len(self._taken)
        return f", about {timedelta(seconds=round(each * (self._total - self._ended) / self._jobs))} left"
