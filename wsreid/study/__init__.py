"""Comparisons that anyone can repeat: methods x seeds x bag settings, each a run, recorded in the repository.

What a study does in its own process loads neither torch nor Lightning: its peak memory would be the floor of what the
operating system tells of its runs.
"""

from wsreid.study.plan import PlannedRun, planned_runs
from wsreid.study.records import Records, RunRecord
from wsreid.study.study_file import Study, read_study

__all__ = ["PlannedRun", "Records", "RunRecord", "Study", "planned_runs", "read_study"]
