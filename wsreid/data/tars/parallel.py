"""Indexing several tars at once, a process each."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from ctypes import c_longlong
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess, parent_process
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Final

from wsreid.data.tars.index import TarError, TarIndex, index_path, make_index, open_index
from wsreid.data.tars.progress import progress
from wsreid.errors import DataError

_log = logging.getLogger(__name__)

_MOST: Final = 8
"""Tars read at once: with more readers a disk becomes slower."""

_LOOK: Final = 0.2  # seconds between two looks at the processes


@dataclass(frozen=True)
class Refused:
    """A tar that cannot be indexed.

    Attributes:
        tar: The tar.
        reason: What is wrong with it, and what to do; names it.
    """

    tar: Path
    reason: str


@dataclass(frozen=True)
class _Job:
    tar: Path
    process: BaseProcess
    answer: Connection
    passed: c_longlong


def index_tars(tars: Sequence[Path], workers: int | None = None) -> list[TarIndex | Refused]:
    """Indexes tars; those whose index is in the cache folder already are not read again.

    A run that is killed, even by kill -9, loses only the tars it was at: the indexes of the others are kept.

    Args:
        tars: The tars, each once.
        workers: Processes at a time; None = one for each core that this process may use, at most eight.

    Returns:
        In the order of `tars`: the index, or why there is none.

    Raises:
        DataError: A process was killed, or the cache folder cannot be written to.
    """
    done = {tar: found for tar in tars if (found := _finished(tar)) is not None}
    sizes = {tar: _size(tar) for tar in tars if tar not in done}
    todo = sorted(sizes, key=lambda tar: -sizes[tar])  # the longest first, so that none is left alone at the end
    if done and todo:
        _log.info("%d of %d tars are indexed already", len(done), len(tars))
    with progress("indexing tars", sum(sizes.values())) as tell:
        if min(len(todo), workers or _cores()) > 1:
            done |= _in_processes(todo, sizes, min(len(todo), workers or _cores(), _MOST), tell)
        else:
            before = 0
            for tar in todo:
                done[tar] = _indexed(tar, lambda passed, before=before: tell(before + passed))  # type: ignore[misc]
                before += sizes[tar]
    return [done[tar] for tar in tars]


def _in_processes(
    tars: Sequence[Path], sizes: dict[Path, int], at_once: int, tell: Callable[[int], None]
) -> dict[Path, TarIndex | Refused]:
    context = _context()
    waiting = list(tars)
    running: list[_Job] = []
    done: dict[Path, TarIndex | Refused] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(_start(context, waiting.pop(0)))
            wait([job.process.sentinel for job in running], timeout=_LOOK)
            tell(sum(sizes[tar] for tar in done) + sum(job.passed.value for job in running))
            for job in [job for job in running if not job.process.is_alive()]:
                running.remove(job)
                done[job.tar] = _outcome(job)
    finally:
        for job in running:
            job.process.terminate()
            job.process.join()
    return done


def _start(context: BaseContext, tar: Path) -> _Job:
    passed = RawValue(c_longlong, 0)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(tar, passed, there), daemon=True)  # type: ignore[attr-defined]
    process.start()
    there.close()
    return _Job(tar, process, here, passed)


def _work(tar: Path, passed: c_longlong, answer: Connection) -> None:
    """Indexes one tar in a process of its own, and gives up when the process that started it is gone."""
    parent = parent_process()

    def tell(value: int) -> None:
        passed.value = value
        if parent is not None and not parent.is_alive():
            raise SystemExit("the process that started this one is gone")

    try:
        outcome = _indexed(tar, tell)
        answer.send((isinstance(outcome, Refused), outcome.reason if isinstance(outcome, Refused) else ""))
    except DataError as error:
        answer.send((False, str(error)))
    except OSError as error:
        answer.send((False, f"the index of {tar} cannot be written: {error.strerror or error}"))


def _outcome(job: _Job) -> TarIndex | Refused:
    """What a process that has ended leaves."""
    job.process.join()
    try:
        refused, reason = job.answer.recv()
    except EOFError:
        raise DataError(
            f"the process that indexed {job.tar} ended with status {job.process.exitcode} before it was done (a signal "
            f"from outside, or no memory left). Run the command again: the tars that are indexed are not read again."
        ) from None
    finally:
        job.answer.close()
    if reason and not refused:
        raise DataError(reason)
    return Refused(job.tar, reason) if refused else _indexed(job.tar)


def _indexed(tar: Path, passed: Callable[[int], None] = lambda _: None) -> TarIndex | Refused:
    try:
        return make_index(tar, passed)
    except TarError as error:
        return Refused(tar, str(error))


def _finished(tar: Path) -> TarIndex | Refused | None:
    try:
        path = index_path(tar)
    except OSError:
        return None  # the attempt to read it will say why
    return open_index(tar, path) if path.exists() else None


def _size(tar: Path) -> int:
    try:
        return tar.stat().st_size
    except OSError:
        return 0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _context() -> BaseContext:
    """Forked processes begin at once; where forking is not safe, new ones must import everything again."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
