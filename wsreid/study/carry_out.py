"""Carries out the runs of a study: what is recorded is not run again, what was begun goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsreid.errors import WsreidError
from wsreid.study.plan import PlannedRun, todo
from wsreid.study.processes import Ended, Job, run_jobs, tail


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
) -> Iterator[Outcome]:
    """Runs what is left of the runs.

    Args:
        runs: The runs.
        recorded: Hash of each recorded run, by key.
        at_once: Number of runs at a time.
        threads: Threads that each may use.
        record: Records a run that has ended well, and says what it has found; what it raises is the run's problem.
        stop: Says that no run is to start any more.

    Yields:
        Each run that is not recorded yet, as it ends.
    """
    left = {run.name: run for run in runs if todo(run, recorded) != "done"}
    # A study that was killed between a run's end and its record finds the results in the run's folder.
    for run in [run for run in left.values() if todo(run, recorded) == "finished"]:
        del left[run.name]
        yield _recorded(run, 0.0, record)
    for ended in run_jobs((_job(run) for run in left.values()), at_once=at_once, threads=threads, stop=stop):
        run = left[ended.job.name]
        if ended.ok:
            yield _recorded(run, ended.seconds, record)
        else:
            yield Outcome(run, ended.seconds, problem=_problem(ended, run), stopped=ended.stopped)


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
        return Outcome(run, seconds, problem=str(error))


def _problem(ended: Ended, run: PlannedRun) -> str:
    how = f"ended with exit code {ended.code}" if ended.code >= 0 else f"was ended by signal {-ended.code}"
    return f"{run.name} {how}; its log {run.log} ends with\n{_indented(tail(run.log))}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def forget(runs: Sequence[PlannedRun]) -> list[Path]:
    """Removes run folders, so that their runs start anew.

    Args:
        runs: The runs.

    Returns:
        What was removed.
    """
    gone = [run.folder for run in runs if run.folder.exists()]
    for run in runs:
        shutil.rmtree(run.folder, ignore_errors=True)
        run.cost_file.unlink(missing_ok=True)
    return gone
