"""Names for the runs of a report and for their experiments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wsreid.report.chart import NamedRun
from wsreid.tracking.experiment_hash import config_hash
from wsreid.tracking.experiment_label import experiment_labels
from wsreid.tracking.recorded_run import RecordedRun


def experiment_key(run: RecordedRun) -> tuple[str, str]:
    """Equal for runs that differ in seed and folder alone."""
    return run.method, config_hash(run.config)


def named_runs(runs: Sequence[RecordedRun]) -> list[NamedRun]:
    """Names runs: an experiment by its method and what sets it apart, a run by its seed as well.

    Args:
        runs: The runs.

    Returns:
        The named runs, in the same order. Where two are of one experiment and seed, their names hold their folders.
    """
    keys = [experiment_key(run) for run in runs]
    first = dict(zip(reversed(keys), reversed(runs), strict=True))
    experiments = list(dict.fromkeys(keys))
    labels = experiment_labels([method for method, _ in experiments], [first[key].config for key in experiments])
    group = dict(zip(experiments, labels, strict=True))
    number = {key: place for place, key in enumerate(experiments)}
    names = [f"{group[key]}, seed {run.seed}" for key, run in zip(keys, runs, strict=True)]
    count = Counter(names)
    return [
        NamedRun(run, name if count[name] == 1 else f"{name}, {run.path}", group[key], number[key])
        for key, run, name in zip(keys, runs, names, strict=True)
    ]
