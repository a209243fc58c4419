"""Carries out the runs of a study: what is recorded is not run again, what was begun goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from wsreid.errors import ConfigError, WsreidError
from wsreid.study.claims import at_work, claim
from wsreid.study.plan import PlannedRun, todo
from wsreid.study.processes import Ended, Job, mark_failed, run_jobs, tail

_POLL_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: The run.
        seconds: How long its last go took; 0 = there was nothing left to run but to record it.
        figures: What it has found, in words.
        problem: What went wrong; None = it is recorded.
        stopped: It was interrupted; what it has finished is kept.
    """

    run: PlannedRun
    seconds: float
    figures: str = ""
    problem: str | None = None
    stopped: bool = False


def carry_out(
    runs: Sequence[PlannedRun],
    recorded: Mapping[tuple[str, ...], str],
    *,
    at_once: int,
    threads: int,
    record: Callable[[PlannedRun], str],
    stop: Callable[[], bool],
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Outcome]:
    """Runs what is left of the runs.

    A run that somebody else is at work on is never touched: it comes last, when they have ended.

    Args:
        runs: The runs.
        recorded: Hash of each recorded run, by key.
        at_once: Number of runs at a time.
        threads: Threads that each may use.
        record: Records a run that has ended well, and says what it has found; what it raises is the run's problem.
        stop: Says that no run is to start any more.
        say: Is told what is waited for.

    Yields:
        Each run that is not recorded yet, as it ends.
    """
    left = {run.name: run for run in runs if todo(run, recorded) != "done"}
    while left:
        # A study that was killed between a run's end and its record finds the results in the run's folder.
        for run in [run for run in left.values() if todo(run, {}) == "finished" and not at_work(run)]:
            del left[run.name]
            yield _recorded(run, 0.0, record)
        claims: dict[str, FileLock] = {}
        try:
            for ended in run_jobs(_jobs(list(left.values()), claims), at_once=at_once, threads=threads, stop=stop):
                claims.pop(ended.job.name).release()
                run = left.pop(ended.job.name)
                if ended.ok:
                    yield _recorded(run, ended.seconds, record)
                else:
                    yield Outcome(run, ended.seconds, problem=_problem(ended, run), stopped=ended.stopped)
        finally:
            for lock in claims.values():
                lock.release()
        if stop() or not _one_is_free(left.values(), stop, say):
            return


def _jobs(runs: Sequence[PlannedRun], claims: dict[str, FileLock]) -> Iterator[Job]:
    for run in runs:
        lock = claim(run)
        if lock is None:
            continue
        if todo(run, {}) == "finished":  # by somebody else, a moment ago
            lock.release()
            continue
        claims[run.name] = lock
        yield _job(run)


def _one_is_free(runs: Collection[PlannedRun], stop: Callable[[], bool], say: Callable[[str], None]) -> bool:
    said = False
    while runs and not stop():
        busy = [who for run in runs if (who := at_work(run))]
        if len(busy) < len(runs):
            return True
        if not said:
            say(f"Waiting for {len(busy)} that others are at work on: {'; '.join(busy)}")
            said = True
        time.sleep(_POLL_S)
    return False


def _job(run: PlannedRun) -> Job:
    resume = todo(run, {}) == "resume"
    if not resume and run.folder.exists():
        shutil.rmtree(run.folder)  # it ended before its first checkpoint: there is nothing to go on from
        run.cost_file.unlink(missing_ok=True)
    return Job(run.name, tuple(run.command(resume=resume)), run.log, run.cost_file)


def _recorded(run: PlannedRun, seconds: float, record: Callable[[PlannedRun], str]) -> Outcome:
    try:
        return Outcome(run, seconds, record(run))
    except WsreidError as error:
        mark_failed(run.cost_file)
        return Outcome(run, seconds, problem=str(error))


def _problem(ended: Ended, run: PlannedRun) -> str:
    how = f"ended with exit code {ended.code}" if ended.code >= 0 else f"was ended by signal {-ended.code}"
    return f"{run.name} {how}; its log {run.log} ends with\n{_indented(tail(run.log))}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def forget(runs: Sequence[PlannedRun]) -> list[Path]:
    """Removes run folders and what lies beside them, so that their runs start anew.

    Args:
        runs: The runs.

    Returns:
        What was removed.

    Raises:
        ConfigError: Somebody is at work on one of them; then nothing is removed.
    """
    busy = [who for run in runs if (who := at_work(run))]
    if busy:
        raise ConfigError(
            f"Nothing was removed: {'; '.join(busy)}. Wait for it, or stop it, and give the command again."
        )
    gone = [run.folder for run in runs if run.folder.exists()]
    for run in runs:
        shutil.rmtree(run.folder, ignore_errors=True)
        run.cost_file.unlink(missing_ok=True)
        run.log.unlink(missing_ok=True)
    return gone
