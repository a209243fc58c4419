"""Who is at work on a run: a study that carries it out, or the run itself, left behind by a study that was killed."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from wsreid.study.plan import PlannedRun
from wsreid.tracking.run_folder import LOCK_FILE, RunFolder


def claim(run: PlannedRun) -> FileLock | None:
    """Takes a run for this process.

    Args:
        run: The run.

    Returns:
        What is to be released when the run has ended; None = somebody is at work on it.
    """
    run.claim_file.parent.mkdir(parents=True, exist_ok=True)
    lock = _taken(run.claim_file)
    if lock is not None and _runs(run.folder):
        lock.release()
        return None
    return lock


def at_work(run: PlannedRun) -> str:
    """Who is at work on a run, in words; empty = nobody."""
    if _runs(run.folder):
        return f"{run.name} still runs ({RunFolder(run.folder).owner()})"
    if not run.claim_file.is_file():
        return ""
    lock = _taken(run.claim_file)
    if lock is None:
        return f"{run.name} is carried out by another study process"
    lock.release()
    return ""


def _taken(path: Path) -> FileLock | None:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _runs(folder: Path) -> bool:
    if not (folder / LOCK_FILE).is_file():
        return False
    lock = _taken(folder / LOCK_FILE)
    if lock is None:
        return True
    lock.release()
    return False
