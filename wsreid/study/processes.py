"""Runs commands, some at a time, each in a process of its own, and measures what each takes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wsreid.class_paths import UNTYPED
from wsreid.errors import DataError
from wsreid.study.records import read_json, write_text

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_POLL_S = 0.2
_PATIENCE_S = 30.0  # for a run that was asked to stop: it ends its step and closes its files
_TAIL_BYTES = 16_384


@dataclass(frozen=True)
class Job:
    """A command to run.

    Attributes:
        name: In words.
        command: Its words.
        log: File that its output is added to.
        cost_file: File that what it takes is added to. While it runs the file says `open`; a go that was not seen to
            its end leaves that, and the sum says `incomplete` from then on. `failed` is said of the last go.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    cost_file: Path


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        job: The command.
        code: Exit code; negative = the signal that ended it.
        seconds: How long this go took.
        stopped: It was asked to stop, so that its exit code says nothing.
    """

    job: Job
    code: int
    seconds: float
    stopped: bool

    @property
    def ok(self) -> bool:
        """Whether it did what it was to do."""
        return self.code == 0 and not self.stopped


@dataclass(frozen=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    start: float


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    jobs: Iterator[Job],
    *,
    at_once: int,
    threads: int,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Ended]:
    """Runs all jobs; those that fail do not stop the others.

    Args:
        jobs: The jobs, in order; the next is asked for when there is room for it.
        at_once: Number of jobs that run at a time.
        threads: Threads that each may use.
        stop: Asked often; once it says so, no job starts any more and those that run are interrupted.

    Yields:
        Each job as it ends.
    """
    running: list[_Running] = []
    left: Iterator[Job] | None = jobs
    try:
        while True:
            while left is not None and len(running) < at_once and not stop():
                job = next(left, None)
                if job is None:
                    left = None
                else:
                    running.append(_start(job, threads))
            if stop():
                yield from _interrupted(running)
                return
            if not running and left is None:
                return
            ended = [(each, found) for each in running if (found := _poll(each)) is not None]
            for each, found in ended:
                running.remove(each)
                yield found
            if not ended:
                time.sleep(_POLL_S)
    finally:
        for each in running:
            _signal(each, signal.SIGKILL)
            each.process.wait()


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log.

    Args:
        log: The file.
        lines: How many.

    Returns:
        Them; empty where there is no file.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    shown = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return "\n".join([line for line in shown if line][-lines:])


def mark_failed(cost_file: Path) -> None:
    """Says of a command that ended well that what it has left is of no use.

    Args:
        cost_file: Its cost file; a damaged one is left as it is, for a person to see.
    """
    try:
        before = read_json(cost_file) if cost_file.is_file() else {}
    except DataError:
        return
    incomplete = bool(before.get("incomplete") or before.get("open"))
    write_text(cost_file, json.dumps({**before, "open": False, "incomplete": incomplete, "failed": True}))


def _start(job: Job, threads: int) -> _Running:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "PYTHONUNBUFFERED": "1"}
    environment[UNTYPED] = "1"  # a class path on the command's line comes from the study's file
    with job.log.open("ab") as log:
        log.write(f"$ {shlex.join(job.command)}\n".encode())
        log.flush()
        _open_cost(job.cost_file)
        process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on once
            preexec_fn=_listen_to_interrupts,
        )
    return _Running(job, process, time.monotonic())


def _listen_to_interrupts() -> None:
    # a study that was started in the background (`nohup ... &`) ignores Ctrl-C, and its children would inherit that
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _poll(running: _Running, *, stopped: bool = False) -> Ended | None:
    pid, status, usage = os.wait4(running.process.pid, os.WNOHANG)
    if pid == 0:
        return None
    running.process.returncode = os.waitstatus_to_exitcode(status)  # Popen did not see it end
    seconds = time.monotonic() - running.start
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    ended = Ended(running.job, running.process.returncode, seconds, stopped)
    _add_cost(running.job.cost_file, seconds, peak, failed=not ended.ok and not stopped)
    return ended


def _open_cost(path: Path) -> None:
    before = read_json(path) if path.is_file() else {}
    incomplete = bool(before.get("incomplete") or before.get("open"))
    write_text(path, json.dumps({**before, "open": True, "incomplete": incomplete}))


def _add_cost(path: Path, seconds: float, peak_mib: float, *, failed: bool) -> None:
    before = read_json(path) if path.is_file() else {}
    cost = {
        "seconds": round(float(before.get("seconds", 0)) + seconds, 2),
        "peak_mib": round(max(float(before.get("peak_mib", 0)), peak_mib), 1),
        "incomplete": bool(before.get("incomplete")),
        "failed": failed,
    }
    write_text(path, json.dumps(cost))


def _interrupted(running: list[_Running]) -> Iterator[Ended]:
    for each in running:
        _signal(each, signal.SIGINT)
    deadline = time.monotonic() + _PATIENCE_S
    while running:
        for each in list(running):
            if (found := _poll(each, stopped=True)) is not None:
                running.remove(each)
                yield found
        if time.monotonic() > deadline:
            for each in running:
                _signal(each, signal.SIGKILL)
        time.sleep(_POLL_S)


def _signal(running: _Running, number: signal.Signals) -> None:
    if running.process.returncode is None:
        os.killpg(running.process.pid, number)  # its DataLoader workers too
