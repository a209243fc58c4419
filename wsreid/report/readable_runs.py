"""Reads the runs of a report, and tells which cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wsreid.errors import DataError, FeatureError
from wsreid.tracking.recorded_run import DIAGNOSTICS_FILE, METRICS_FILE, RecordedRun, read_run

_TEXT: Final = ("group", "confused_pairs")  # the columns of diagnostics.csv that hold no numbers


def readable_runs(paths: Iterable[Path]) -> tuple[list[RecordedRun], list[str]]:
    """Reads all files of some runs that a report looks into.

    Args:
        paths: Run folders.

    Returns:
        The runs, and a sentence about each folder that is left out because a file in it is damaged.

    Raises:
        DataError: None of them can be read.
    """
    runs, left_out = [], []
    for path in paths:
        try:
            runs.append(_read(path))
        except (DataError, FeatureError) as error:
            left_out.append(f"Left out: {' '.join(str(error).split())}")
    if not runs:
        raise DataError("\n".join(["no run can be read.", *left_out]))
    return runs, left_out


def _read(path: Path) -> RecordedRun:
    run = read_run(path)
    for name, table in ((METRICS_FILE, run.metrics), (DIAGNOSTICS_FILE, run.diagnostics)):
        text = [column for column in table.select_dtypes(exclude="number").columns if column not in _TEXT]
        filled = [column for column in text if table[column].notna().any()]
        if filled:
            raise DataError(f"{path / name}: damaged: the column {filled[0]} holds something else than numbers.")
    _ = run.retrieval  # read now: a damaged file is to be known before anything is drawn
    return run
